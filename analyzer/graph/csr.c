/* Adjacency in compressed rows, built by counting: two passes over the heap's edges, no sorting,
 * and the edges of one vertex stay in the input's order, which is the order of their slots. */
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
    free(csr->edge_class);
    *csr = (struct wh_csr){0};
}

/* The ends of edge i as vertices. 0 = leave the edge out. */
static int ends(const struct wh_graph_input *in, uint64_t i, unsigned class_min, uint32_t *from,
                uint32_t *to) {
    const struct wh_heap_edge *e = &in->heap->edges[i];
    if (e->edge_class < class_min)
        return 0;
    *to = e->to;
    if (!(e->from & WH_FROM_ROOT)) {
        *from = e->from;
        return e->from != e->to;
    }
    uint32_t variable = in->edge_variable[i];
    if (variable == WH_GRAPH_NONE || in->variables[variable].strength == 0)
        return 0;
    *from = in->heap->node_count + variable;
    return 1;
}

static int check(const struct wh_graph_input *in, struct wh_error *error) {
    const struct wh_heap *h = in->heap;
    uint64_t vertices = (uint64_t)h->node_count + in->variable_count + 2;
    if (vertices >= WH_FROM_ROOT || h->edge_count >= WH_GRAPH_NONE)
        return wh_fail(error, WH_EINPUT, "the graph has more than 2^31 blocks or 2^32 edges");
    for (uint64_t i = 0; i < h->edge_count; i++) {
        const struct wh_heap_edge *e = &h->edges[i];
        int from_root = (e->from & WH_FROM_ROOT) != 0;
        uint32_t limit = from_root ? h->root_count : h->node_count;
        if (e->to >= h->node_count || (e->from & ~WH_FROM_ROOT) >= limit)
            return wh_fail(error, WH_EINPUT, "edge %llu of the snapshot leads nowhere",
                           (unsigned long long)i);
        if (from_root && in->edge_variable[i] != WH_GRAPH_NONE &&
            in->edge_variable[i] >= in->variable_count)
            return wh_fail(error, WH_EINPUT, "edge %llu of the snapshot has no root variable",
                           (unsigned long long)i);
    }
    return 0;
}

int wh_csr_build(const struct wh_graph_input *input, unsigned class_min, int reversed,
                 struct wh_csr *ret, struct wh_error *error) {
    *ret = (struct wh_csr){0};
    int r = check(input, error);
    if (r < 0)
        return r;
    uint32_t vertices = input->heap->node_count + input->variable_count + 2, from, to;
    uint64_t edges = input->heap->edge_count, kept = 0;
    struct wh_csr csr = {.vertices = vertices};
    csr.offset = wh_graph_array((size_t)vertices + 1, sizeof(*csr.offset), error);
    if (!csr.offset)
        return WH_ESYSTEM;
    for (uint64_t i = 0; i < edges; i++)
        if (ends(input, i, class_min, &from, &to)) {
            csr.offset[(reversed ? to : from) + 1]++;
            kept++;
        }
    csr.target = wh_graph_room(kept, sizeof(*csr.target), error);
    csr.edge = wh_graph_room(kept, sizeof(*csr.edge), error);
    csr.edge_class = wh_graph_room(kept, 1, error);
    if (!csr.target || !csr.edge || !csr.edge_class) {
        wh_csr_release(&csr);
        return WH_ESYSTEM;
    }
    for (uint32_t v = 0; v < vertices; v++)
        csr.offset[v + 1] += csr.offset[v];
    for (uint64_t i = 0; i < edges; i++)
        if (ends(input, i, class_min, &from, &to)) {
            uint32_t at = csr.offset[reversed ? to : from]++;
            csr.target[at] = reversed ? from : to;
            csr.edge[at] = (uint32_t)i;
            csr.edge_class[at] = input->heap->edges[i].edge_class;
        }
    /* Filling moved every offset to the next row's start. */
    memmove(csr.offset + 1, csr.offset, (size_t)vertices * sizeof(*csr.offset));
    csr.offset[0] = 0;
    *ret = csr;
    return 0;
}
