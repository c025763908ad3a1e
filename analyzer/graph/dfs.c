/* Depth-first numbers of the holder graph and predecessor lists in those numbers.
 *
 * Renumbering first makes the dominator stage walk memory nearly in order, which is worth a factor
 * of three on large heaps. Edges of the depth-first tree are left out of the lists: they never
 * decide anything. */
#include "analyzer/graph/graph_internal.h"

struct dfs_walk {
    const struct wh_graph *graph;
    const struct wh_csr *out;
    struct wh_dfs *dfs;
    uint32_t *cursor; /* per vertex: next edge; the way back up is dfs->parent */
};

void wh_dfs_release(struct wh_dfs *dfs) {
    free(dfs->number);
    free(dfs->vertex);
    free(dfs->parent);
    free(dfs->idom);
    free(dfs->owner);
    wh_csr_release(&dfs->in);
    *dfs = (struct wh_dfs){0};
}

static uint32_t take(struct dfs_walk *w, uint32_t v, uint32_t parent_number) {
    uint32_t number = w->dfs->count++;
    w->dfs->number[v] = number;
    w->dfs->vertex[number] = v;
    w->dfs->parent[number] = parent_number;
    w->cursor[v] = w->out->offset[v];
    return number;
}

/* Numbers everything below vertex v, which has its number. */
static void descend(struct dfs_walk *w, uint32_t v) {
    uint32_t top = w->dfs->number[v], number = top;
    for (;;) {
        if (w->cursor[v] < w->out->offset[v + 1]) {
            uint32_t target = w->out->target[w->cursor[v]++];
            if (w->dfs->number[target] == WH_GRAPH_NONE) {
                number = take(w, target, number);
                v = target;
            }
        } else if (number == top) {
            return;
        } else {
            number = w->dfs->parent[number];
            v = w->dfs->vertex[number];
        }
    }
}

static void number_all(struct dfs_walk *w, const uint32_t *leaders, uint32_t leader_count) {
    const struct wh_graph *g = w->graph;
    uint32_t super = take(w, g->super, 0);
    for (uint32_t i = 0; i < g->variables; i++) {
        take(w, g->blocks + i, super);
        descend(w, g->blocks + i);
    }
    uint32_t lost = take(w, g->lost, super);
    for (uint32_t i = 0; i < leader_count; i++)
        if (w->dfs->number[leaders[i]] == WH_GRAPH_NONE) {
            take(w, leaders[i], lost);
            descend(w, leaders[i]);
        }
}

/* Counts, then fills. The first pass leaves numbers in out's targets, so that the second need not
 * look them up again. */
static int predecessors(const struct wh_graph *graph, const struct wh_csr *out, struct wh_dfs *dfs,
                        struct wh_error *error) {
    struct wh_csr *in = &dfs->in;
    in->vertices = dfs->count;
    in->offset = wh_graph_array((size_t)dfs->count + 2, sizeof(*in->offset), error);
    if (!in->offset)
        return WH_ESYSTEM;
    for (uint32_t i = 0; i < dfs->count; i++) {
        uint32_t u = dfs->vertex[i];
        if (u >= graph->lost) /* their edges are all in the tree */
            continue;
        for (uint32_t e = out->offset[u]; e < out->offset[u + 1]; e++) {
            uint32_t to = dfs->number[out->target[e]];
            out->target[e] = to;
            in->offset[to + 2] += dfs->parent[to] != i;
        }
    }
    for (uint32_t i = 0; i <= dfs->count; i++)
        in->offset[i + 1] += in->offset[i];
    in->target = wh_graph_room(in->offset[dfs->count + 1], sizeof(*in->target), error);
    if (!in->target)
        return WH_ESYSTEM;
    for (uint32_t i = 0; i < dfs->count; i++) {
        uint32_t u = dfs->vertex[i];
        for (uint32_t e = out->offset[u]; u < graph->lost && e < out->offset[u + 1]; e++) {
            uint32_t to = out->target[e];
            if (dfs->parent[to] != i)
                in->target[in->offset[to + 1]++] = i;
        }
    }
    return 0;
}

int wh_graph_dfs(const struct wh_graph *graph, struct wh_csr *out, const uint32_t *leaders,
                 uint32_t leader_count, struct wh_dfs *dfs, struct wh_error *error) {
    struct dfs_walk w = {.graph = graph, .out = out, .dfs = dfs};
    free(out->edge);
    free(out->edge_class);
    out->edge = NULL;
    out->edge_class = NULL;
    dfs->number = wh_graph_room(graph->vertices, sizeof(*dfs->number), error);
    dfs->vertex = wh_graph_room(graph->vertices, sizeof(*dfs->vertex), error);
    dfs->parent = wh_graph_room(graph->vertices, sizeof(*dfs->parent), error);
    w.cursor = wh_graph_room(graph->vertices, sizeof(*w.cursor), error);
    int r = WH_ESYSTEM;
    if (dfs->number && dfs->vertex && dfs->parent && w.cursor) {
        for (uint32_t v = 0; v < graph->vertices; v++)
            dfs->number[v] = WH_GRAPH_NONE;
        number_all(&w, leaders, leader_count);
        free(w.cursor);
        w.cursor = NULL;
        r = predecessors(graph, out, dfs, error);
    }
    free(w.cursor);
    wh_csr_release(out);
    return r;
}
