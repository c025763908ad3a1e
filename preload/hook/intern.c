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

uint32_t wh_intern_frames(struct wh_thread *t, uint32_t base, uint32_t from, uint32_t to) {
    const struct wh_tail *tail = &t->tail;
    while (from < to) {
        uint32_t end = from, n = 0;
        for (; end < to && n < WH_SEGMENT_FRAMES; end++)
            n += !wh_frame_is_own(&tail->frame[end]);
        if (n && !(base = wh_segment_get(t, base, from, end)))
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
