/* Stack nodes: (parent node, return address) -> id, one table for the process, insert-only and
 * lock-free.
 *
 *   node(id) lies in segment s = log2(id + 4096) - 12: segments double, so ids never move
 *   table    open addressing over ids; a table that is two thirds full is rebuilt four times larger
 *
 * A node's record is published in the inserting thread's stream *before* the id can be found here,
 * so no event can refer to an id that the recorder has not got (event.h). Two threads that insert
 * the same node at once, or insert while the table is rebuilt, may get two ids for it: the recorder
 * does not mind. The table survives fork as private memory; a forked child goes on where its parent
 * stood. */
#include "state.h"

enum { SEGMENT_FIRST = 4096, SEGMENTS = 13, PROBES = 64 }; /* 2^12 .. 2^24: 33 M nodes */

struct node {
    uint64_t ip; /* its high 16 bits: incarnation of the code there (modules.c) */
    uint32_t parent, hash;
};

struct table {
    uint32_t mask;
    _Atomic uint32_t slots[];
};

static _Atomic(struct node *) segments[SEGMENTS];
static _Atomic(struct table *) current;
static _Atomic uint32_t next_id = 1;
static _Atomic uint32_t growing;

static struct node *node_of(uint32_t id, int make) {
    uint32_t biased = id + SEGMENT_FIRST;
    unsigned s = 31u - (unsigned)__builtin_clz(biased) - 12u;
    if (s >= SEGMENTS)
        return NULL;
    struct node *segment = atomic_load_explicit(&segments[s], memory_order_acquire);
    if (!segment && make) {
        struct node *fresh = wh_memory_take(((size_t)SEGMENT_FIRST << s) * sizeof *fresh);
        if (!fresh)
            return NULL;
        if (atomic_compare_exchange_strong(&segments[s], &segment, fresh))
            segment = fresh;
    }
    return segment ? segment + (biased - ((uint32_t)SEGMENT_FIRST << s)) : NULL;
}

static struct table *make_table(uint32_t slots) {
    struct table *t = wh_memory_take(sizeof *t + slots * sizeof t->slots[0]);
    if (t)
        t->mask = slots - 1;
    return t;
}

int wh_intern_init(void) {
    if (atomic_load(&current))
        return 1;
    struct table *t = make_table(4096);
    atomic_store(&current, t);
    return t != NULL;
}

uint32_t wh_intern_count(void) {
    return atomic_load(&next_id);
}

/* The id in `t`, or 0 with *ret_slot = where it would go (NULL: too many probes). */
static uint32_t find(struct table *t, uint32_t parent, uint64_t ip, uint32_t hash,
                     _Atomic uint32_t **ret_slot) {
    *ret_slot = NULL;
    for (uint32_t i = 0; i < PROBES; i++) {
        _Atomic uint32_t *slot = &t->slots[(hash + i) & t->mask];
        uint32_t id = atomic_load_explicit(slot, memory_order_acquire);
        if (!id) {
            *ret_slot = slot;
            return 0;
        }
        struct node *n = node_of(id, 0);
        if (n && n->hash == hash && n->ip == ip && n->parent == parent)
            return id;
    }
    return 0;
}

/* Another thread may have been growing it in the parent; the child has no such thread. */
void wh_intern_forked(void) {
    atomic_store(&growing, 0);
}

/* Rebuilds the table four times larger. One thread does it, the others go on with the old one. */
static void grow(struct table *old) {
    uint32_t expected = 0;
    if (!atomic_compare_exchange_strong(&growing, &expected, 1))
        return;
    struct table *t = atomic_load(&current) == old ? make_table((old->mask + 1) * 4) : NULL;
    if (t) {
        uint32_t slots = old->mask + 1;
        for (uint32_t i = 0; i < slots; i++) {
            uint32_t id = atomic_load_explicit(&old->slots[i], memory_order_acquire);
            struct node *n = id ? node_of(id, 0) : NULL;
            for (uint32_t k = n ? n->hash : 0; n; k++)
                if (!atomic_load_explicit(&t->slots[k & t->mask], memory_order_relaxed)) {
                    atomic_store_explicit(&t->slots[k & t->mask], id, memory_order_relaxed);
                    break;
                }
        }
        atomic_store_explicit(&current, t, memory_order_release);
    }
    atomic_store(&growing, 0);
}

static uint32_t intern(struct wh_thread *t, uint32_t parent, uint64_t ip) {
    const uint64_t plain_ip = ip;
    ip = (ip & 0xffffffffffffull) | (uint64_t)wh_module_incarnation(ip) << 48;
    uint32_t hash = (uint32_t)(wh_node_hash(parent, ip) >> 16);
    struct table *table = atomic_load_explicit(&current, memory_order_acquire);
    _Atomic uint32_t *slot;
    uint32_t id = find(table, parent, ip, hash, &slot);
    if (id)
        return id;
    if (!slot && table->mask < 1u << 25) {
        grow(table);
        table = atomic_load_explicit(&current, memory_order_acquire);
        if ((id = find(table, parent, ip, hash, &slot)) != 0)
            return id;
    }
    id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    struct node *n = node_of(id, 1);
    if (!n || !wh_record_node(t, id, parent, plain_ip))
        return 0;
    *n = (struct node){ip, parent, hash};
    for (uint32_t empty = 0; slot; empty = 0) {
        if (atomic_compare_exchange_strong_explicit(slot, &empty, id, memory_order_release,
                                                    memory_order_relaxed))
            break;
        uint32_t other = find(table, parent, ip, hash, &slot);
        if (other)
            return other; /* our id stays unused, its record is harmless */
    }
    if (id > (table->mask + 1) / 3 * 2)
        grow(table);
    return id;
}

void wh_intern_forget(struct wh_thread *t) {
    if (!t->cache) {
        t->cache = t->cache_small;
        t->cache_mask = WH_NODE_CACHE_SMALL - 1;
    }
    for (uint32_t i = 0; i <= t->cache_mask; i++)
        t->cache[i].id = 0;
}

/* A thread that keeps missing gets a larger cache, once. */
static void enlarge(struct wh_thread *t) {
    if (!t->cache_large)
        t->cache_large = wh_memory_take(WH_NODE_CACHE_LARGE * sizeof *t->cache_large);
    if (!t->cache_large)
        return;
    t->cache = t->cache_large;
    t->cache_mask = WH_NODE_CACHE_LARGE - 1;
}

uint32_t wh_intern_miss(struct wh_thread *t, uint64_t path, uint32_t parent, uint64_t ip) {
    uint32_t id = intern(t, parent, ip);
    if (++t->cache_misses == 8 * WH_NODE_CACHE_SMALL)
        enlarge(t);
    struct wh_node_entry *set = wh_node_set(t, path);
    set[1] = set[0];
    set[0] = (struct wh_node_entry){ip, parent, id};
    return id;
}
