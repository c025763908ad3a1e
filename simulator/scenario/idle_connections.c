/* Model idle-connections: clients connect and say nothing; each connection costs about 12 KB.
 *
 * Fixed: an application timer closes what is idle (netpoll's own "idle timeout" only sets TCP
 * keep-alive, which a living idle peer answers). */
#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"

const char *const idle_connections_parameters[] = {"connections", "closes_idle", NULL};

static int collect(void *arg, const void *key, void *elem) {
    (void)key;
    struct slice_connection *all = arg;
    all->ptr[all->len++] = (*(struct sync_entry **)elem)->p->data;
    return 0;
}

static void close_idle(void) {
    int64_t count = server->open;
    struct slice_connection all = {runtime_makeslice(&type_pointer, count), 0, count};
    runtime_mapiterate(&map_eface_pointer, MAP(server->connections.dirty), collect, &all);
    for (int64_t i = 0; i < all.len; i++)
        connection_Close(all.ptr[i]);
}

void model_idle_connections(const struct scenario *s) {
    int64_t connections = scenario_get(s, "connections");
    world_netpoll(connections, true);
    world_accept(connections, world_drop_packets);
    world_phase("connect");
    if (scenario_get(s, "closes_idle")) {
        close_idle();
        world_phase("timeout");
    }
    world_gc("gc1");
    world_gc("gc2");
}
