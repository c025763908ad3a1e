/* Model pool-reuse: who takes a buffer out of a pool is not who created it.
 *
 * producer_A fills the pool and gives everything back; consumer_B takes it out again and keeps it.
 * A profile names A's stack only, as long as fewer than two collections lie between them. */
#include <stdio.h>

#include "mcache/mcache.h"
#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"

const char *const pool_reuse_parameters[] = {"buffers", "size", "collections", "returns", NULL};

struct slice_slice_byte B_keep; /* what consumer_B does not give back */
GO_TYPE(type_B_keep, struct slice_slice_byte, offsetof(struct slice_slice_byte, ptr));

static void give_back(struct slice_slice_byte *taken) {
    for (int64_t i = 0; i < taken->len; i++)
        mcache_Free(taken->ptr[i]);
    *taken = (struct slice_slice_byte){NULL, 0, 0};
}

static void producer_A(int64_t count, int64_t size) {
    struct slice_slice_byte taken = {runtime_makeslice(&type_slice_byte, count), count, count};
    for (int64_t i = 0; i < count; i++)
        taken.ptr[i] = mcache_Malloc(size, 0);
    give_back(&taken);
}

static void consumer_B(int64_t count, int64_t size) {
    B_keep = (struct slice_slice_byte){runtime_makeslice(&type_slice_byte, count), count, count};
    for (int64_t i = 0; i < count; i++)
        B_keep.ptr[i] = mcache_Malloc(size, 0);
}

void model_pool_reuse(const struct scenario *s) {
    world_pools();
    B_keep = (struct slice_slice_byte){NULL, 0, 0};
    runtime_addroot(&B_keep, &type_B_keep);
    int64_t buffers = scenario_get(s, "buffers"), size = scenario_get(s, "size");
    producer_A(buffers, size);
    world_phase("produced");
    for (int64_t i = 0; i < scenario_get(s, "collections"); i++) {
        char label[32];
        snprintf(label, sizeof(label), "between%lld", (long long)i + 1);
        world_gc(label);
    }
    consumer_B(buffers, size);
    world_phase("consumed");
    if (scenario_get(s, "returns"))
        give_back(&B_keep);
    world_gc("gc1");
    world_gc("gc2");
}
