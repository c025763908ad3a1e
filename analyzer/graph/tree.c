/* The strongest-path tree: for every block the one path that reports name.
 *
 * All paths of the holder graph to a block are equally strong, so what decides is, in this order:
 * the kind of root (stage), the number of steps, the root's rank, the offsets of the slots. A
 * first-in first-out walk that starts with the variables in rank order and takes slots in offset
 * order yields exactly that, and no address enters into it. */
#include "analyzer/graph/graph_internal.h"

#define STAGES 8

struct walk {
    struct wh_graph *graph;
    const struct wh_out *out;
    uint32_t *queue;
    uint32_t head, tail;
};

static void reach(struct walk *w, uint32_t from, uint32_t v, uint32_t edge) {
    if (w->graph->tree_parent[v] != WH_GRAPH_NONE)
        return;
    w->graph->tree_parent[v] = from;
    w->graph->tree_edge[v] = edge;
    w->queue[w->tail++] = v;
}

static void expand(struct walk *w, uint32_t u) {
    for (uint32_t at = wh_out_begin(w->out, u), end = wh_out_end(w->out, u); at < end; at++) {
        uint32_t edge = wh_out_edge(w->out, u, at);
        if (wh_graph_is_kept(w->graph, edge))
            reach(w, u, w->out->items[edge].to, edge);
    }
}

static void run(struct walk *w) {
    while (w->head < w->tail)
        expand(w, w->queue[w->head++]);
}

int wh_graph_tree(const struct wh_graph_input *input, struct wh_graph *graph,
                  const struct wh_out *out, const uint32_t *leaders, uint32_t leader_count,
                  struct wh_error *error) {
    struct walk w = {.graph = graph, .out = out};
    w.queue = wh_graph_room(graph->blocks, sizeof(*w.queue), error);
    graph->tree_parent = wh_graph_room(graph->vertices, sizeof(*graph->tree_parent), error);
    graph->tree_edge = wh_graph_room(graph->blocks, sizeof(*graph->tree_edge), error);
    if (!w.queue || !graph->tree_parent || !graph->tree_edge) {
        free(w.queue);
        return WH_ESYSTEM;
    }
    for (uint32_t v = 0; v < graph->vertices; v++)
        graph->tree_parent[v] =
            v < graph->blocks || v == graph->super ? WH_GRAPH_NONE : graph->super;
    for (uint32_t v = 0; v < graph->blocks; v++)
        graph->tree_edge[v] = WH_GRAPH_NONE;
    for (unsigned stage = 0; stage < STAGES; stage++) {
        for (uint32_t i = 0; i < input->variable_count; i++)
            if ((input->variables[i].stage & (STAGES - 1)) == stage)
                expand(&w, graph->blocks + i);
        run(&w);
    }
    for (uint32_t i = 0; i < leader_count; i++)
        reach(&w, graph->lost, leaders[i], WH_GRAPH_NONE);
    run(&w);
    free(w.queue);
    return 0;
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
