/* Model barrier-request: a surge of connections with large requests fills the poller's barriers.
 *
 * All connections are ready at once, so every slot of the grown array carries a buffer of its own;
 * when they hang up, each read event books one more buffer of the connection's largest size. Later
 * batches are small and never overwrite the upper slots. Fixed: netpoll v0.2.5 clears them after
 * each call. */
#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"

const char *const barrier_request_parameters[] = {
    "connections", "size", "messages", "ready", "node_min", "book_size", "clears_barriers", NULL};

void model_barrier_request(const struct scenario *s) {
    int64_t connections = scenario_get(s, "connections"), ready = scenario_get(s, "ready");
    int64_t node_min = scenario_get(s, "node_min");
    if (node_min)
        netpoll_sizes.LinkBufferCap = netpoll_sizes.pagesize = node_min;
    connection_bookSize = scenario_get(s, "book_size");
    world_netpoll(connections, scenario_get(s, "clears_barriers") != 0);
    world_accept(connections, world_drop_packets);
    world_phase("connect");
    struct message request = {.kind = MESSAGE_RAW, .bytes = (uint64_t)scenario_get(s, "size")};
    for (int64_t i = 0; i < scenario_get(s, "messages"); i++)
        world_send(connections, ready, &request);
    world_phase("surge");
    world_gc("gc1");
    world_gc("gc2");
    world_close(connections, ready);
    world_phase("close");
    world_gc("gc3");
    world_gc("gc4");
}
