/* The strongest-path tree: for every block the one path that reports name.
 *
 * All paths of the holder graph to a block are equally strong, so what decides is, in this order:
 * the kind of root (stage), the number of steps over references that own nothing, the number of
 * steps, the root's rank, the offsets of the slots. A first-in first-out walk that starts with the
 * variables in rank order and takes slots in offset order yields that, and no address enters into
 * it. A step over what owns nothing waits until nothing else leads further. */
#include "analyzer/graph/graph_internal.h"

#define STAGES 8

struct walk {
    struct wh_graph *graph;
    const struct wh_out *out;
    struct wh_places places;
    uint32_t *queue;
    uint32_t head, tail;
    uint32_t *waiting; /* vertices with steps that wait, in the order they were met */
    uint32_t waiting_count, waiting_room;
};

static void reach(struct walk *w, uint32_t from, uint32_t v, uint32_t edge) {
    w->graph->tree_parent[v] = from;
    w->graph->tree_edge[v] = edge;
    w->queue[w->tail++] = v;
}

/* u's steps that need not wait; with `all` the others too. */
static int expand(struct walk *w, uint32_t u, bool all, struct wh_error *error) {
    uint32_t at = wh_out_begin(w->out, u), end = wh_out_end(w->out, u);
    if (at == end)
        return 0;
    enum wh_owning owning = all ? WH_OWNS_ALL : wh_places_look(&w->places, u);
    bool waits = owning == WH_OWNS_NONE;
    for (; at < end && owning != WH_OWNS_NONE; at++) {
        uint32_t edge = wh_out_edge(w->out, u, at), to = w->out->items[edge].to;
        if (!wh_graph_is_kept(w->graph, edge) || w->graph->tree_parent[to] != WH_GRAPH_NONE)
            continue;
        if (owning == WH_OWNS_ALL || wh_places_own(&w->places, edge))
            reach(w, u, to, edge);
        else
            waits = true;
    }
    if (!waits)
        return 0;
    int r = wh_graph_grow(&w->waiting, &w->waiting_room, w->waiting_count + 1, error);
    if (r == 0)
        w->waiting[w->waiting_count++] = u;
    return r;
}

static int run(struct walk *w, struct wh_error *error) {
    int r = 0;
    while (w->head < w->tail && r == 0)
        r = expand(w, w->queue[w->head++], false, error);
    return r;
}

static int run_stage(struct walk *w, const struct wh_graph_input *input, unsigned stage,
                     struct wh_error *error) {
    int r = 0;
    for (uint32_t i = 0; i < input->variable_count && r == 0; i++)
        if ((input->variables[i].stage & (STAGES - 1)) == stage)
            r = expand(w, w->graph->blocks + i, false, error);
    if (r == 0)
        r = run(w, error);
    while (w->waiting_count && r == 0) {
        uint32_t *waiting = w->waiting, count = w->waiting_count;
        w->waiting = NULL;
        w->waiting_count = w->waiting_room = 0;
        for (uint32_t i = 0; i < count && r == 0; i++)
            r = expand(w, waiting[i], true, error);
        free(waiting);
        if (r == 0)
            r = run(w, error);
    }
    return r;
}

int wh_graph_tree(const struct wh_graph_input *input, struct wh_graph *graph,
                  const struct wh_out *out, const uint32_t *leaders, uint32_t leader_count,
                  struct wh_error *error) {
    struct walk w = {.graph = graph, .out = out};
    w.queue = wh_graph_room(graph->blocks, sizeof(*w.queue), error);
    graph->tree_parent = wh_graph_room(graph->vertices, sizeof(*graph->tree_parent), error);
    graph->tree_edge = wh_graph_room(graph->blocks, sizeof(*graph->tree_edge), error);
    int r = w.queue && graph->tree_parent && graph->tree_edge ? 0 : WH_ESYSTEM;
    if (r == 0)
        r = wh_graph_places(input, graph, out, &w.places, error);
    for (uint32_t v = 0; v < graph->vertices && r == 0; v++)
        graph->tree_parent[v] =
            v < graph->blocks || v == graph->super ? WH_GRAPH_NONE : graph->super;
    for (uint32_t v = 0; v < graph->blocks && r == 0; v++)
        graph->tree_edge[v] = WH_GRAPH_NONE;
    for (unsigned stage = 0; stage < STAGES && r == 0; stage++)
        r = run_stage(&w, input, stage, error);
    for (uint32_t i = 0; i < leader_count && r == 0; i++)
        if (graph->tree_parent[leaders[i]] == WH_GRAPH_NONE)
            reach(&w, graph->lost, leaders[i], WH_GRAPH_NONE);
    while (w.head < w.tail && r == 0)
        r = expand(&w, w.queue[w.head++], true, error);
    wh_places_release(&w.places);
    free(w.waiting);
    free(w.queue);
    return r;
}

int wh_graph_children(const struct wh_graph *graph, struct wh_csr *ret, struct wh_error *error) {
    struct wh_csr csr = {.vertices = graph->vertices};
    *ret = (struct wh_csr){0};
    csr.offset = wh_graph_array((size_t)graph->vertices + 2, sizeof(*csr.offset), error);
    csr.target = wh_graph_array(graph->vertices, sizeof(*csr.target), error);
    if (!csr.offset || !csr.target) {
        wh_csr_release(&csr);
        return WH_ESYSTEM;
    }
    /* Counted one place further than it is read, so that filling leaves the offsets right. */
    for (uint32_t v = 0; v < graph->vertices; v++)
        if (graph->idom[v] != WH_GRAPH_NONE)
            csr.offset[graph->idom[v] + 2]++;
    for (uint32_t v = 0; v < graph->vertices; v++)
        csr.offset[v + 1] += csr.offset[v];
    for (uint32_t v = 0; v < graph->vertices; v++)
        if (graph->idom[v] != WH_GRAPH_NONE)
            csr.target[csr.offset[graph->idom[v] + 1]++] = v;
    *ret = csr;
    return 0;
}
