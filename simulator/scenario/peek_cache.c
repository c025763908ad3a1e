/* Model peek-cache: netpoll v0.6.1's Peek across nodes.
 *
 * Input lies in 8 KiB nodes; every Peek that crosses a node border joins the bytes in a new buffer
 * and remembers it in LinkBuffer.caches until Release, which a codec that only looks ahead does not
 * call. Fixed: one buffer that is reused. */
#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"

const char *const peek_cache_parameters[] = {"peeks", "peek", "nodes", "one_cached", NULL};

static void main_lookAhead(struct connection *c, int64_t n, bool is_one_cached) {
    LinkBuffer_Peek_v061(c->inputBuffer, n, is_one_cached);
}

static int take(void *arg, const void *key, void *elem) {
    (void)key;
    *(struct connection **)arg = (*(struct sync_entry **)elem)->p->data;
    return 1;
}

void model_peek_cache(const struct scenario *s) {
    world_netpoll(1, true);
    world_accept(1, NULL);
    struct connection *c = NULL;
    runtime_mapiterate(&map_eface_pointer, MAP(server->connections.dirty), take, &c);
    world_phase("connect");
    for (int64_t i = 0; i < scenario_get(s, "nodes"); i++) {
        LinkBuffer_Malloc(c->inputBuffer, netpoll_sizes.pagesize);
        LinkBuffer_Flush(c->inputBuffer);
    }
    world_phase("arrived");
    for (int64_t i = 0; i < scenario_get(s, "peeks"); i++)
        main_lookAhead(c, scenario_get(s, "peek"), scenario_get(s, "one_cached") != 0);
    world_phase("peeked");
    world_gc("gc1");
    world_gc("gc2");
}
