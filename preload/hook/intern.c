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

static uint32_t hash_of(uint32_t parent, uint64_t ip) {
    uint64_t x = (ip ^ (uint64_t)parent << 29) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)((x ^ x >> 32) >> 16);
}

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

uint32_t wh_intern(struct wh_thread *t, uint32_t parent, uint64_t ip) {
    const uint64_t plain_ip = ip;
    t->stamp_late = 1; /* another thread may have made the node after our stamp */
    ip = (ip & 0xffffffffffffull) | (uint64_t)wh_module_incarnation(ip) << 48;
    uint32_t hash = hash_of(parent, ip);
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
    if (!t->segments) {
        t->segments = t->segments_small;
        t->segment_mask = WH_SEGMENTS_SMALL - 1;
    }
    for (uint32_t i = 0; i <= t->segment_mask; i++)
        t->segments[i].id = 0;
}

/* A thread that keeps missing gets a larger cache, once. */
static void enlarge(struct wh_thread *t) {
    if (!t->segments_large)
        t->segments_large = wh_memory_take(WH_SEGMENTS_LARGE * sizeof *t->segments_large);
    if (!t->segments_large)
        return;
    t->segments = t->segments_large;
    t->segment_mask = WH_SEGMENTS_LARGE - 1;
}

static struct wh_segment *set_of(struct wh_thread *t, const struct wh_path *path, uint32_t base) {
    const uint64_t *w = path->words;
    unsigned __int128 product = (unsigned __int128)(w[0] ^ 0x9e3779b97f4a7c15ull) *
                                (w[1] ^ (uint64_t)base << 32 ^ 0xd6e8feb86659fd93ull);
    uint64_t x = (uint64_t)(product >> 64) ^ (uint64_t)product ^ w[2] * 0xa0761d6478bd642full;
    x ^= x >> 32;
    return &t->segments[x & t->segment_mask & ~1u];
}

static struct wh_segment *beside(struct wh_thread *t, const struct wh_segment *set) {
    return t->segments + ((uint32_t)(set - t->segments) ^ 2);
}

WH_INLINE uint32_t id_at(const struct wh_segment *s, const struct wh_path *path, uint32_t base) {
    return ((s->path.words[0] ^ path->words[0]) | (s->path.words[1] ^ path->words[1]) |
            (s->path.words[2] ^ path->words[2]) | (s->base ^ base))
               ? 0
               : s->id;
}

static uint32_t id_in(const struct wh_segment *set, const struct wh_path *path, uint32_t base) {
    uint32_t id = id_at(&set[0], path, base);
    return WH_LIKELY(id != 0) ? id : id_at(&set[1], path, base);
}

uint32_t wh_segment_get(struct wh_thread *t, const struct wh_path *path, uint32_t base,
                        uint32_t from, uint32_t to) {
    const struct wh_tail *tail = &t->tail;
    struct wh_segment *set = set_of(t, path, base);
    uint32_t node = id_in(set, path, base);
    if (WH_LIKELY(node != 0) || (node = id_in(beside(t, set), path, base)))
        return node;
    node = base;
    for (uint32_t i = from; i < to && (node || i == from); i++)
        if (!wh_frame_is_own(&tail->frame[i]))
            node = wh_intern(t, node, tail->frame[i].ip);
    beside(t, set)[1] = set[1];
    set[1] = set[0];
    set[0] = (struct wh_segment){*path, base, node};
    if (++t->segment_misses == 8 * WH_SEGMENTS_SMALL)
        enlarge(t);
    return node;
}

uint32_t wh_intern_frames(struct wh_thread *t, uint32_t base, uint32_t from, uint32_t to) {
    const struct wh_tail *tail = &t->tail;
    while (from < to) {
        uint32_t index[WH_SEGMENT_FRAMES] = {0}, end = from, n = 0;
        for (; end < to && n < WH_SEGMENT_FRAMES; end++)
            if (!wh_frame_is_own(&tail->frame[end])) {
                if (!tail->index[end])
                    break;
                index[n++] = tail->index[end];
            }
        if (n) {
            struct wh_path path = wh_path_of(index);
            base = wh_segment_get(t, &path, base, from, end);
        } else if (end < to) /* its rule has no index */
            base = wh_intern(t, base, tail->frame[end++].ip);
        else
            break;
        if (!base)
            return 0;
        from = end;
    }
    return base;
}

int wh_intern_is(uint32_t node, const uint64_t *ips, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (wh_in(&wh_process.self, ips[i]))
            continue;
        const struct node *n = node ? node_of(node, 0) : NULL;
        if (!n || (n->ip & 0xffffffffffffull) != ips[i])
            return 0;
        node = n->parent;
    }
    return node == 0;
}
