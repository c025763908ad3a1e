/* Model stale-slice-tail: connections popped off a stack stay in the array behind its length.
 *
 * `connections` are dialed and put back; all but `idle` are popped and closed. The array still
 * points to them until as many are put back again. Fixed: the slot is cleared when popped. */
#include "kitex/longpool.h"
#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"

const char *const stale_slice_tail_parameters[] = {"connections", "idle", "buffer", "clears", NULL};

static void main_burst(int64_t connections, int64_t buffer_bytes) {
    for (int64_t i = 0; i < connections; i++)
        longpool_Put(longpool_Dial(buffer_bytes));
}

static void main_evict(int64_t count, bool is_clearing) {
    for (int64_t i = 0; i < count; i++)
        longpool_Pop(is_clearing);
}

void model_stale_slice_tail(const struct scenario *s) {
    int64_t connections = scenario_get(s, "connections"), idle = scenario_get(s, "idle");
    world_pools();
    longpool_init();
    main_burst(connections, scenario_get(s, "buffer"));
    world_phase("burst");
    main_evict(connections - idle, scenario_get(s, "clears") != 0);
    world_phase("evicted");
    world_gc("gc1");
    world_gc("gc2");
}
