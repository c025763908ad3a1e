#include "analyzer/holder/tail.h"

#include <stdlib.h>
#include <string.h>

/* So many bytes of a block are in use; 0 = nobody says so. */
struct used {
    uint64_t by_places; /* by a run of words */
    uint64_t by_bytes;  /* by lengths in bytes, where all references to its beginning have one */
};
#define ALL UINT64_MAX

/* Words side by side that point into one block, in the order of their addresses. */
struct run {
    uint32_t from, to;
    uint64_t slot, first, last, before_last;
    unsigned words;
};

static void raise(uint64_t *used, uint64_t at_least) {
    *used = *used < at_least ? at_least : *used;
}

/* A run from the beginning to the end, with something between: so much is used. A place at the
 * beginning may as well be where reading goes on, as in a deque. */
static void end_run(const struct run *r, const struct wh_heap *heap, struct used *used) {
    if (r->words >= 3 && r->first == 0 && r->last == heap->nodes[r->to].size)
        raise(&used[r->to].by_places, r->before_last);
}

static void find_used(const struct wh_heap *heap, struct used *used) {
    struct wh_edge_walk w = {.edges = &heap->edges};
    struct run r = {0};
    while (wh_edge_next(&w)) {
        const struct wh_heap_edge *e = &w.edge;
        if (e->to_offset == 0 && e->edge_class > WH_EDGE_TAGGED)
            raise(&used[e->to].by_bytes,
                  e->evidence == WH_EVIDENCE_BYTES && e->visible ? e->visible : ALL);
        if (r.words && e->from == r.from && e->to == r.to && e->from_offset == r.slot + 8 &&
            e->to_offset >= r.last) {
            r.before_last = r.last;
            r.last = e->to_offset;
            r.slot = e->from_offset;
            r.words++;
            continue;
        }
        end_run(&r, heap, used);
        r = (struct run){e->from, e->to, e->from_offset, e->to_offset, e->to_offset, 0, 1};
    }
    end_run(&r, heap, used);
}

static void weaken(struct wh_edges *edges, uint32_t block, uint64_t used) {
    for (uint32_t e = edges->first[block]; used && e < edges->first[block + 1]; e++)
        if (edges->items[e].edge_class > WH_EDGE_TAGGED && wh_edges_from_offset(edges, e) >= used)
            wh_edges_change(edges, e, WH_EDGE_TAGGED, WH_EVIDENCE_TAIL);
}

int wh_tails_weaken(struct wh_heap *heap, struct wh_error *error) {
    struct used *used = calloc(heap->node_count + 1ul, sizeof(*used));
    if (!used)
        return wh_fail(error, WH_ESYSTEM, "no memory for what is used of %u blocks",
                       heap->node_count);
    find_used(heap, used);
    for (uint32_t b = 0; b < heap->node_count && heap->edges.count; b++) {
        weaken(&heap->edges, b, used[b].by_places);
        weaken(&heap->edges, b, used[b].by_bytes);
    }
    free(used);
    return 0;
}
