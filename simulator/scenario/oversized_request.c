/* Model oversized-request: a few huge requests, then ordinary ones; the pool keeps what they
 * needed.
 *
 * The poller is the repaired one, so nothing is stale. What stays is mcache's: until the second
 * collection, and again after each wave of events, because a connection's booking size never
 * shrinks. Fixed: buffers above a cap are neither booked nor pooled. */
#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"

const char *const oversized_request_parameters[] = {"connections", "size",     "small",
                                                    "ready",       "pool_cap", NULL};

void model_oversized_request(const struct scenario *s) {
    int64_t connections = scenario_get(s, "connections"), ready = scenario_get(s, "ready");
    netpoll_sizes.mallocMax = scenario_get(s, "pool_cap");
    world_netpoll(connections, true);
    world_accept(connections, world_drop_packets);
    world_phase("connect");
    struct message request = {.kind = MESSAGE_RAW, .bytes = (uint64_t)scenario_get(s, "size")};
    world_send(connections, ready, &request);
    world_phase("large");
    world_gc("gc1");
    world_gc("gc2");
    request.bytes = (uint64_t)scenario_get(s, "small");
    world_send(connections, ready, &request);
    world_phase("small");
    world_gc("gc3");
    world_gc("gc4");
    world_close(connections, ready);
    world_phase("close");
    world_gc("gc5"); /* the first after the wave: the buffers are victims now, and still there */
}
