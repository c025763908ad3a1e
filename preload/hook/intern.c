/* Stack nodes: (parent node, code address) -> id, one table for the process.
 *
 * A node is a word, its parent and a number for the address, so that it takes no more than 8 bytes
 * and its slot (numbers.c): a large program has half a million.
 *
 * A node's record is published in the inserting thread's stream *before* the id can be found here,
 * so no event can refer to an id that the recorder has not got (event.h). Two threads that insert
 * the same node at once may get two ids for it: the recorder does not mind. A forked child goes on
 * where its parent stood. */
#include "state.h"

static struct wh_numbers nodes; /* of parent << 32 | site */
static struct wh_numbers sites; /* of code addresses; their high 16 bits: incarnation (modules.c) */

int wh_intern_init(void) {
    return wh_numbers_init(&nodes) && wh_numbers_init(&sites);
}

void wh_intern_forked(void) {
    wh_numbers_forked(&nodes);
    wh_numbers_forked(&sites);
}

uint32_t wh_intern_count(void) {
    return atomic_load(&nodes.last) + 1;
}

/* The number of the address; 0 = no room. */
static uint32_t site_of(uint64_t ip) {
    uint32_t n = wh_number_find(&sites, ip);
    if (!n && (n = wh_number_new(&sites)) != 0)
        n = wh_number_put(&sites, n, ip);
    return n;
}

uint32_t wh_intern(struct wh_thread *t, uint32_t parent, uint64_t ip) {
    t->stamp_late = 1; /* another thread may have made the node after our stamp */
    uint64_t code = (ip & 0xffffffffffffull) | (uint64_t)wh_module_incarnation(ip) << 48;
    uint32_t site = site_of(code);
    if (!site)
        return 0;
    uint64_t word = (uint64_t)parent << 32 | site;
    uint32_t id = wh_number_find(&nodes, word);
    if (id)
        return id;
    id = wh_number_new(&nodes);
    return id && wh_record_node(t, id, parent, ip) ? wh_number_put(&nodes, id, word) : 0;
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
        uint64_t word = wh_number_word(&nodes, node);
        uint64_t code = wh_number_word(&sites, (uint32_t)word);
        if (!word || (code & 0xffffffffffffull) != ips[i])
            return 0;
        node = (uint32_t)(word >> 32);
    }
    return node == 0;
}
