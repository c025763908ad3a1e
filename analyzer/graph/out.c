/* Adjacency. Forwards the heap's own edges serve, which are sorted by source; those of the root
 * variables are listed by counting. Backwards everything is listed, by the same two passes and no
 * sorting: the edges of one vertex stay in the input's order, which is the order of their slots. */
#include "analyzer/graph/graph_internal.h"

#include <string.h>

#include "base/large.h"

void *wh_graph_room(size_t count, size_t size, struct wh_error *error) {
    void *array = count > SIZE_MAX / size ? NULL : wh_large_alloc(count * size);
    if (!array)
        wh_fail(error, WH_ESYSTEM, "no memory for a graph of %zu items", count);
    return array;
}

void *wh_graph_array(size_t count, size_t size, struct wh_error *error) {
    void *array = wh_graph_room(count, size, error);
    return array ? memset(array, 0, count * size) : NULL;
}

int wh_graph_grow(uint32_t **array, uint32_t *capacity, uint32_t needed, struct wh_error *error) {
    if (needed <= *capacity)
        return 0;
    size_t wanted = *capacity ? (size_t)*capacity * 2 : 1024;
    if (wanted < needed)
        wanted = needed;
    uint32_t *grown = realloc(*array, wanted * sizeof(**array));
    if (!grown)
        return wh_fail(error, WH_ESYSTEM, "no memory for a graph of %zu items", wanted);
    *array = grown;
    *capacity = (uint32_t)wanted;
    return 0;
}

void wh_csr_release(struct wh_csr *csr) {
    free(csr->offset);
    free(csr->target);
    free(csr->edge);
    *csr = (struct wh_csr){0};
}

static int check(const struct wh_graph_input *in, struct wh_error *error) {
    const struct wh_heap *h = in->heap;
    const struct wh_edges *e = &h->edges;
    uint64_t vertices = (uint64_t)h->node_count + in->variable_count + 2,
             roots = wh_edges_of_roots(e);
    if (vertices >= WH_FROM_ROOT || e->count >= WH_GRAPH_NONE)
        return wh_fail(error, WH_EINPUT, "the graph has more than 2^31 blocks or 2^32 edges");
    if (e->count && (e->nodes != h->node_count || e->begun != e->nodes + 1))
        return wh_fail(error, WH_EINPUT, "the edges of the snapshot are not complete");
    for (uint64_t i = 0; i < e->count; i++)
        if (e->items[i].to >= h->node_count)
            return wh_fail(error, WH_EINPUT, "edge %llu of the snapshot leads nowhere",
                           (unsigned long long)i);
    for (uint64_t i = roots; i < e->count; i++) {
        uint32_t variable = in->edge_variable[i - roots];
        if (variable != WH_GRAPH_NONE && variable >= in->variable_count)
            return wh_fail(error, WH_EINPUT, "edge %llu of the snapshot has no root variable",
                           (unsigned long long)i);
    }
    return 0;
}

/* --- forwards
 * ---------------------------------------------------------------------------------------- */

/* The variable of a root edge, NONE = the edge counts for nothing. */
static uint32_t variable_of(const struct wh_graph_input *in, uint64_t root_edge) {
    uint32_t v = in->edge_variable[root_edge];
    return v == WH_GRAPH_NONE || in->variables[v].strength == 0 ? WH_GRAPH_NONE : v;
}

int wh_out_open(const struct wh_graph_input *in, struct wh_out *ret, struct wh_error *error) {
    int r = check(in, error);
    if (r < 0)
        return r;
    const struct wh_edges *e = &in->heap->edges;
    uint64_t roots = wh_edges_of_roots(e), count = e->count - roots;
    struct wh_out out = {.items = e->items, .first = e->first, .blocks = in->heap->node_count};
    /* Two more vertices, LOST and the super-root, and the end. */
    out.list_first = wh_graph_array(in->variable_count + 4ull, sizeof(*out.list_first), error);
    out.list = wh_graph_room(count, sizeof(*out.list), error);
    if (!e->first && out.blocks) /* no edges at all */
        out.first = out.none = wh_graph_array(out.blocks + 1ull, sizeof(*out.none), error);
    if (!out.list_first || !out.list || (out.blocks && !out.first)) {
        wh_out_release(&out);
        return WH_ESYSTEM;
    }
    /* Counted one place further than it is read, so that filling leaves the offsets right. */
    uint32_t *next = out.list_first + 1, v;
    for (uint64_t i = 0; i < count; i++)
        if ((v = variable_of(in, i)) != WH_GRAPH_NONE)
            next[v + 1]++;
    for (uint32_t i = 0; i < in->variable_count + 2; i++)
        next[i + 1] += next[i];
    for (uint64_t i = 0; i < count; i++)
        if ((v = variable_of(in, i)) != WH_GRAPH_NONE)
            out.list[next[v]++] = (uint32_t)(roots + i);
    *ret = out;
    return 0;
}

void wh_out_release(struct wh_out *out) {
    free(out->list_first);
    free(out->list);
    free(out->none);
    *out = (struct wh_out){0};
}

/* --- backwards
 * --------------------------------------------------------------------------------------- */

int wh_graph_reversed(const struct wh_graph_input *in, unsigned class_min, struct wh_csr *ret,
                      struct wh_error *error) {
    struct wh_out out = {0};
    struct wh_csr csr = {.vertices = in->heap->node_count + in->variable_count + 2};
    *ret = (struct wh_csr){0};
    int r = wh_out_open(in, &out, error);
    if (r < 0)
        return r;
    csr.offset = wh_graph_array(csr.vertices + 2ull, sizeof(*csr.offset), error);
    uint32_t *next = csr.offset ? csr.offset + 1 : NULL;
    for (int fill = 0; next && fill < 2; fill++) {
        for (uint32_t v = 0; v < csr.vertices; v++)
            for (uint32_t at = wh_out_begin(&out, v); at < wh_out_end(&out, v); at++) {
                uint32_t edge = wh_out_edge(&out, v, at), to = out.items[edge].to;
                if (out.items[edge].edge_class < class_min || to == v)
                    continue;
                if (fill) {
                    csr.target[next[to]] = v;
                    csr.edge[next[to]++] = edge;
                } else {
                    next[to + 1]++;
                }
            }
        if (fill)
            break;
        for (uint32_t v = 0; v < csr.vertices; v++)
            next[v + 1] += next[v];
        csr.target = wh_graph_room(next[csr.vertices], sizeof(*csr.target), error);
        csr.edge = wh_graph_room(next[csr.vertices], sizeof(*csr.edge), error);
        if (!csr.target || !csr.edge)
            next = NULL;
    }
    wh_out_release(&out);
    if (!next) {
        wh_csr_release(&csr);
        return WH_ESYSTEM;
    }
    *ret = csr;
    return 0;
}
