#include "analyzer/holder/tail.h"

#include <stdlib.h>
#include <string.h>

#define UNKNOWN UINT64_MAX

/* Words side by side that point into one block, in the order of their addresses. */
struct run {
    uint32_t from, to;
    uint64_t slot, first, last, before_last;
    unsigned words;
};

/* A run from the beginning to the end, with something between: so much is used. A place at the
 * beginning may as well be where reading goes on, as in a deque. */
static void end_run(const struct run *r, const struct wh_heap *heap, uint64_t *used) {
    if (r->words < 3 || r->first != 0 || r->before_last == 0 || r->last != heap->nodes[r->to].size)
        return;
    uint64_t *of_block = &used[r->to];
    if (*of_block == UNKNOWN || *of_block < r->before_last)
        *of_block = r->before_last;
}

static void find_used(const struct wh_heap *heap, uint64_t *used) {
    struct wh_edge_walk w = {.edges = &heap->edges};
    struct run r = {0};
    while (wh_edge_next(&w)) {
        const struct wh_heap_edge *e = &w.edge;
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

int wh_tails_weaken(struct wh_heap *heap, struct wh_error *error) {
    struct wh_edges *edges = &heap->edges;
    uint64_t *used = malloc((heap->node_count + 1ul) * sizeof(*used));
    if (!used)
        return wh_fail(error, WH_ESYSTEM, "no memory for what is used of %u blocks",
                       heap->node_count);
    memset(used, 0xff, (heap->node_count + 1ul) * sizeof(*used));
    find_used(heap, used);
    for (uint32_t b = 0; b < heap->node_count; b++) {
        if (used[b] == UNKNOWN)
            continue;
        for (uint32_t e = edges->first[b]; e < edges->first[b + 1]; e++)
            if (edges->items[e].edge_class > WH_EDGE_TAGGED &&
                wh_edges_from_offset(edges, e) >= used[b])
                wh_edges_change(edges, e, WH_EDGE_TAGGED, WH_EVIDENCE_TAIL);
    }
    free(used);
    return 0;
}
