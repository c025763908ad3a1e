/* sync.Pool, see pool.h. The rings and the per-P arrays are objects themselves and show up in a
 * trace under sync_poolChain_pushHead and sync_Pool_pinSlow, as they do in Go. */
#include "sync/pool.h"

#include <string.h>

#include "runtime/runtime.h"
#include "whoholds.h"

#define DEQUEUE_FIRST 8
#define DEQUEUE_LIMIT (1 << 30)
#define POOLS_MAX     128

GO_TYPE(type_poolLocal, struct poolLocal, offsetof(struct poolLocal, private.data),
        offsetof(struct poolLocal, shared.head), offsetof(struct poolLocal, shared.tail));
GO_TYPE(type_poolChainElt, struct poolChainElt, offsetof(struct poolChainElt, dequeue.vals.ptr),
        offsetof(struct poolChainElt, next), offsetof(struct poolChainElt, prev));
GO_TYPE(type_sync_Pool, struct sync_Pool, offsetof(struct sync_Pool, local),
        offsetof(struct sync_Pool, victim));

static struct {
    struct sync_Pool *all[POOLS_MAX];
    int count;
    int procs, p; /* GOMAXPROCS, and the P that runs */
    bool is_silent;
} sync = {.procs = 1};

static void poolCleanup(void) {
    for (int i = 0; i < sync.count; i++) {
        struct sync_Pool *pool = sync.all[i];
        pool->victim = pool->local;
        pool->victimSize = pool->localSize;
        pool->local = NULL;
        pool->localSize = 0;
    }
}

void sync_runtime_init(int procs) {
    sync.procs = procs;
    sync.p = 0;
    sync.count = 0;
    runtime_register_cleanup(poolCleanup);
}

void sync_runtime_procPin(int p) {
    sync.p = p % sync.procs;
}

void sync_annotate(bool is_on) {
    sync.is_silent = !is_on;
}

bool sync_is_annotating(void) {
    return !sync.is_silent;
}

void sync_Pool_register(struct sync_Pool *pools, int count) {
    if (sync.count + count > POOLS_MAX)
        runtime_throw("more than %d pools", POOLS_MAX);
    for (int i = 0; i < count; i++) {
        pools[i].local = pools[i].victim = NULL;
        pools[i].localSize = pools[i].victimSize = 0;
        runtime_addroot(&pools[i], &type_sync_Pool);
        sync.all[sync.count++] = &pools[i];
    }
}

static uint32_t head_of(const struct poolDequeue *d) {
    return (uint32_t)(d->headTail >> 32);
}

static uint32_t tail_of(const struct poolDequeue *d) {
    return (uint32_t)d->headTail;
}

static void set_ends(struct poolDequeue *d, uint32_t head, uint32_t tail) {
    d->headTail = (uint64_t)head << 32 | tail;
}

static struct go_eface *slot_of(struct poolDequeue *d, uint32_t position) {
    return &d->vals.ptr[position & (uint32_t)(d->vals.len - 1)];
}

static bool poolDequeue_pushHead(struct poolDequeue *d, struct go_eface value) {
    if (head_of(d) - tail_of(d) == (uint32_t)d->vals.len)
        return false;
    *slot_of(d, head_of(d)) = value;
    set_ends(d, head_of(d) + 1, tail_of(d));
    return true;
}

static void *take(struct go_eface *slot) {
    void *object = slot->data;
    *slot = (struct go_eface){NULL, NULL};
    return object;
}

static void *poolDequeue_popHead(struct poolDequeue *d) {
    if (head_of(d) == tail_of(d))
        return NULL;
    set_ends(d, head_of(d) - 1, tail_of(d));
    return take(slot_of(d, head_of(d)));
}

static void *poolDequeue_popTail(struct poolDequeue *d) {
    if (head_of(d) == tail_of(d))
        return NULL;
    struct go_eface *slot = slot_of(d, tail_of(d));
    set_ends(d, head_of(d), tail_of(d) + 1);
    return take(slot);
}

static struct poolChainElt *new_ring(int64_t slots) {
    struct poolChainElt *ring = runtime_newobject(&type_poolChainElt);
    ring->dequeue.vals.ptr = runtime_makeslice(&type_eface, slots);
    ring->dequeue.vals.len = ring->dequeue.vals.cap = slots;
    return ring;
}

static void sync_poolChain_pushHead(struct poolChain *chain, struct go_eface value) {
    if (!chain->head)
        chain->head = chain->tail = new_ring(DEQUEUE_FIRST);
    if (poolDequeue_pushHead(&chain->head->dequeue, value))
        return;
    int64_t slots = chain->head->dequeue.vals.len * 2;
    struct poolChainElt *ring = new_ring(slots < DEQUEUE_LIMIT ? slots : DEQUEUE_LIMIT);
    ring->prev = chain->head;
    chain->head->next = ring;
    chain->head = ring;
    poolDequeue_pushHead(&ring->dequeue, value);
}

static void *sync_poolChain_popHead(struct poolChain *chain) {
    for (struct poolChainElt *ring = chain->head; ring; ring = ring->prev) {
        void *object = poolDequeue_popHead(&ring->dequeue);
        if (object)
            return object;
    }
    return NULL;
}

static void *sync_poolChain_popTail(struct poolChain *chain) {
    for (struct poolChainElt *ring = chain->tail; ring; ring = ring->next) {
        void *object = poolDequeue_popTail(&ring->dequeue);
        if (object)
            return object;
        if (!ring->next)
            return NULL;
        chain->tail = ring->next; /* an empty ring that is no head never fills again */
        ring->next->prev = NULL;
    }
    return NULL;
}

static struct poolLocal *sync_Pool_pinSlow(struct sync_Pool *pool) {
    pool->local = runtime_makeslice(&type_poolLocal, sync.procs);
    pool->localSize = (uint64_t)sync.procs;
    return &pool->local[sync.p];
}

static struct poolLocal *sync_Pool_pin(struct sync_Pool *pool) {
    return pool->local ? &pool->local[sync.p] : sync_Pool_pinSlow(pool);
}

static void *steal(struct poolLocal *locals, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        void *object = sync_poolChain_popTail(&locals[((uint64_t)sync.p + i + 1) % count].shared);
        if (object)
            return object;
    }
    return NULL;
}

static void *sync_Pool_getSlow(struct sync_Pool *pool) {
    void *object = steal(pool->local, pool->localSize);
    if (object || (uint64_t)sync.p >= pool->victimSize)
        return object;
    object = take(&pool->victim[sync.p].private);
    if (!object)
        object = steal(pool->victim, pool->victimSize);
    if (!object)
        pool->victimSize = 0; /* do not look again before the next collection */
    return object;
}

void *sync_Pool_Get(struct sync_Pool *pool) {
    struct poolLocal *local = sync_Pool_pin(pool);
    void *object = take(&local->private);
    if (!object)
        object = sync_poolChain_popHead(&local->shared);
    if (!object)
        object = sync_Pool_getSlow(pool);
    if (!object && pool->New)
        object = pool->New(pool);
    if (!sync.is_silent && pool->name && object)
        whoholds_acquire(object, pool->type->size, pool->name);
    return object;
}

void sync_Pool_Put(struct sync_Pool *pool, void *object) {
    struct poolLocal *local = sync_Pool_pin(pool);
    struct go_eface value = {pool->type, object};
    if (!local->private.data)
        local->private = value;
    else
        sync_poolChain_pushHead(&local->shared, value);
    if (!sync.is_silent && pool->name)
        whoholds_release(object);
}

static int64_t count_idle(const struct poolLocal *locals, uint64_t count) {
    int64_t idle = 0;
    for (uint64_t i = 0; locals && i < count; i++) {
        idle += locals[i].private.data != NULL;
        for (const struct poolChainElt *r = locals[i].shared.head; r; r = r->prev)
            idle += head_of(&r->dequeue) - tail_of(&r->dequeue);
    }
    return idle;
}

int64_t sync_Pool_idle(const struct sync_Pool *pool) {
    return count_idle(pool->local, pool->localSize) + count_idle(pool->victim, pool->victimSize);
}
