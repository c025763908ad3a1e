/* One pass finds the blocks all of whose kept edges have a length, a second one collects those
 * edges' ranges; sorted by block and offset, they are merged in a third. */
#include "analyzer/holder/visible.h"

#include <stdlib.h>

struct range {
    uint32_t block;
    uint64_t start, end;
};

static int by_start(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* 0 edges seen, 1 all of them with a length, 2 one without. */
static uint64_t mark(const struct wh_holding *h, uint8_t *state) {
    const struct wh_edges *edges = &h->heap.edges;
    uint64_t count = 0;
    for (uint64_t i = 0; i < edges->count; i++) {
        uint32_t to = edges->items[i].to;
        if (!wh_graph_is_kept(&h->graph, i))
            continue;
        count++;
        if (!wh_edges_visible(edges, i))
            state[to] = 2;
        else if (state[to] == 0)
            state[to] = 1;
    }
    return count;
}

static uint64_t collect(const struct wh_holding *h, const uint8_t *state, struct range *ranges) {
    uint64_t count = 0;
    const struct wh_edges *edges = &h->heap.edges;
    for (uint64_t i = 0; i < edges->count; i++) {
        uint32_t to = edges->items[i].to;
        if (state[to] != 1 || !wh_graph_is_kept(&h->graph, i))
            continue;
        uint64_t size = h->heap.nodes[to].size, start = wh_edges_to_offset(edges, i);
        start = start < size ? start : size;
        uint64_t length = wh_edges_visible(edges, i);
        length = length < size - start ? length : size - start;
        ranges[count++] = (struct range){to, start, start + length};
    }
    return count;
}

static void merge(const struct range *ranges, uint64_t count, uint64_t *visible) {
    uint64_t end = 0;
    for (uint64_t i = 0; i < count; i++) {
        const struct range *r = &ranges[i];
        if (i == 0 || ranges[i - 1].block != r->block) {
            visible[r->block] = 0;
            end = 0;
        }
        uint64_t start = r->start > end ? r->start : end;
        if (r->end > start) {
            visible[r->block] += r->end - start;
            end = r->end;
        }
    }
}

int wh_holding_visible(const struct wh_holding *h, uint64_t **ret, struct wh_error *error) {
    uint32_t blocks = h->graph.blocks ? h->graph.blocks : 1;
    uint8_t *state = calloc(blocks, 1);
    uint64_t *visible = malloc(blocks * sizeof(*visible));
    struct range *ranges = NULL;
    int status = WH_ESYSTEM;
    *ret = NULL;
    if (state && visible) {
        uint64_t kept = mark(h, state);
        ranges = malloc((kept ? kept : 1) * sizeof(*ranges));
    }
    if (ranges) {
        for (uint32_t b = 0; b < blocks; b++)
            visible[b] = WH_VISIBLE_UNKNOWN;
        uint64_t count = collect(h, state, ranges);
        qsort(ranges, count, sizeof(*ranges), by_start);
        merge(ranges, count, visible);
        *ret = visible;
        visible = NULL;
        status = 0;
    }
    free(state);
    free(visible);
    free(ranges);
    return status < 0 ? wh_fail(error, WH_ESYSTEM, "no memory for visible bytes") : 0;
}
