/* Grouping blocks into creator x holder rows, and what each row retains without counting twice. */
#include "analyzer/holder/gap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/holder/visible.h"
#include "base/string.h"

struct grouping {
    struct wh_holding *h;
    struct wh_gap *gap;
    const uint64_t *visible;
    const char *const *acquirers;
    struct wh_map rows;   /* by interned texts */
    struct wh_map places; /* by the texts' addresses as they come */
    struct wh_error *error;
};

/* The root variable of a block with one holder. */
static const char *root_name(const struct wh_holding *h, uint32_t block) {
    uint32_t row = h->paths.row_of[block];
    if (row == WH_PATH_NONE || wh_holding_is_shared(h, block))
        return NULL;
    return h->variables.items[h->paths.nodes[h->paths.node_of[block]].variable].name;
}

/* The row of a block whose texts were not seen together before. */
static int find_row(struct grouping *g, uint32_t block, const char *creator, const char *holder,
                    int hidden, uint32_t *ret_index) {
    struct wh_holding *h = g->h;
    struct wh_gap *gap = g->gap;
    const char *acquirer = g->acquirers ? g->acquirers[block] : NULL;
    creator = wh_names_intern(&h->texts, creator);
    holder = holder ? wh_names_intern(&h->texts, holder) : NULL;
    if (!creator || !holder)
        return wh_fail(g->error, WH_ESYSTEM, "no memory for the matrix");
    struct wh_key key = {(uintptr_t)creator, (uintptr_t)holder,
                         (uintptr_t)acquirer << 1 | (unsigned)hidden};
    *ret_index = wh_map_find(&g->rows, key);
    if (*ret_index != WH_MAP_NONE)
        return 0;
    if (wh_array_reserve(&gap->rows, &gap->room, (size_t)gap->count + 1, sizeof(*gap->rows)) < 0)
        return wh_fail(g->error, WH_ESYSTEM, "no memory for the matrix");
    *ret_index = gap->count;
    gap->rows[gap->count++] = (struct wh_gap_row){.creator = creator,
                                                  .holder = holder,
                                                  .acquirer = acquirer,
                                                  .root = root_name(h, block),
                                                  .ways = 1,
                                                  .hidden = hidden != 0};
    return wh_map_add(&g->rows, key, *ret_index, g->error);
}

static int add_block(struct grouping *g, uint32_t block) {
    struct wh_holding *h = g->h;
    struct wh_gap *gap = g->gap;
    const char *holder = wh_holding_holder(h, block), *creator = wh_holding_creator(h, block);
    uint32_t path = h->paths.row_of[block];
    int is_sample = h->heap.nodes[block].kind != WH_NODE_UNSAMPLED;
    int hidden = is_sample && path != WH_PATH_NONE && h->paths.rows[path].keeper != NULL;
    /* Texts are compared once for each pair of places they lie at, not once a block. */
    struct wh_key key = {(uintptr_t)creator, (uintptr_t)holder,
                         (g->acquirers ? (uintptr_t)g->acquirers[block] : 0) << 1 |
                             (unsigned)hidden};
    uint32_t index = wh_map_find(&g->places, key);
    if (index == WH_MAP_NONE) {
        int status = find_row(g, block, creator, holder, hidden, &index);
        if (status == 0)
            status = wh_map_add(&g->places, key, index, g->error);
        if (status < 0)
            return status;
    }
    uint64_t size = h->heap.nodes[block].size;
    struct wh_gap_row *row = &gap->rows[index];
    uint32_t ways = row->root ? wh_graph_holders(&h->graph, block) : 1;
    row->ways = ways > row->ways ? ways : row->ways;
    row->bytes += size;
    row->objects++;
    gap->row_of[block] = index;
    if (g->visible[block] != WH_VISIBLE_UNKNOWN) {
        row->pinned_bytes += size;
        row->visible_bytes += g->visible[block];
    }
    if (!is_sample)
        return 0; /* what nobody sampled is no part of the sums over the samples */
    if (h->graph.lost_state[block] != WH_LOST_NOT)
        gap->lost_bytes += size;
    else
        gap->held_bytes += size;
    gap->hidden_bytes += hidden ? size : 0;
    gap->shared_bytes += wh_holding_is_shared(h, block) ? size : 0;
    return 0;
}

/* Down the dominator tree: a block adds what it retains to its row unless a block of the same row,
 * which retains it too, lies above it. */
static int retain(struct wh_holding *h, struct wh_gap *gap, struct wh_error *error) {
    struct wh_csr children;
    int status = wh_graph_children(&h->graph, &children, error);
    if (status < 0)
        return status;
    uint32_t *active = calloc(gap->count ? gap->count : 1, sizeof(*active)), v = h->graph.super;
    if (!active) {
        wh_csr_release(&children);
        return wh_fail(error, WH_ESYSTEM, "no memory for the matrix");
    }
    uint32_t *cursor = malloc(h->graph.vertices * sizeof(*cursor));
    if (cursor)
        memcpy(cursor, children.offset, h->graph.vertices * sizeof(*cursor));
    while (cursor && v != WH_GRAPH_NONE) {
        if (cursor[v] < children.offset[v + 1]) {
            v = children.target[cursor[v]++];
            if (v < h->graph.blocks && active[gap->row_of[v]]++ == 0)
                gap->rows[gap->row_of[v]].retained_bytes += h->graph.retained_bytes[v];
        } else {
            if (v < h->graph.blocks)
                active[gap->row_of[v]]--;
            v = h->graph.idom[v];
        }
    }
    if (!cursor)
        status = wh_fail(error, WH_ESYSTEM, "no memory for the matrix");
    free(cursor);
    free(active);
    wh_csr_release(&children);
    return status;
}

/* What no sample explains and nothing refers to is as good as free: chunks that rest in the
 * allocator's caches look in use. */
static uint32_t drop_unsampled_lost(struct wh_gap_row *rows, uint32_t count) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(rows[i].creator, WH_NOT_SAMPLED) != 0 || strcmp(rows[i].holder, "lost") != 0)
            rows[kept++] = rows[i];
    return kept;
}

static int by_bytes(const void *a, const void *b) {
    const struct wh_gap_row *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    int c = strcmp(x->creator, y->creator);
    c = c ? c : strcmp(x->holder, y->holder);
    if (c)
        return c;
    c = strcmp(x->acquirer ? x->acquirer : "", y->acquirer ? y->acquirer : "");
    return c ? c : (int)y->hidden - (int)x->hidden;
}

int wh_gap_build(struct wh_holding *h, const uint64_t *visible, const char *const *acquirers,
                 struct wh_gap *ret, struct wh_error *error) {
    struct grouping g = {
        .h = h, .gap = ret, .visible = visible, .acquirers = acquirers, .error = error};
    *ret = (struct wh_gap){0};
    ret->row_of = calloc(h->graph.blocks ? h->graph.blocks : 1, sizeof(*ret->row_of));
    int status = ret->row_of ? 0 : wh_fail(error, WH_ESYSTEM, "no memory for the matrix");
    for (uint32_t b = 0; b < h->graph.blocks && status == 0; b++)
        status = add_block(&g, b);
    if (status == 0)
        status = retain(h, ret, error);
    wh_map_release(&g.rows);
    wh_map_release(&g.places);
    if (status < 0) {
        wh_gap_release(ret);
        return status;
    }
    ret->count = drop_unsampled_lost(ret->rows, ret->count);
    free(ret->row_of); /* sorting makes it wrong, and nobody needs it further */
    ret->row_of = NULL;
    if (ret->count)
        qsort(ret->rows, ret->count, sizeof(*ret->rows), by_bytes);
    return 0;
}

void wh_gap_release(struct wh_gap *gap) {
    free(gap->rows);
    free(gap->row_of);
    *gap = (struct wh_gap){0};
}
