/* Depth-first numbers of the holder graph and predecessor lists in those numbers.
 *
 * Renumbering first makes the dominator stage walk memory nearly in order, which is worth a factor
 * of three on large heaps. Edges of the depth-first tree are left out of the lists: they never
 * decide anything. */
#include "analyzer/graph/graph_internal.h"

struct dfs_walk {
    const struct wh_graph *graph;
    const struct wh_out *out;
    struct wh_dfs *dfs;
    uint32_t *number;   /* vertex -> number */
    uint32_t *incoming; /* per number: edges into it that are not the tree's */
    uint32_t *cursor;   /* per step of the way down: the next edge; the way up is dfs->parent */
    uint32_t cursor_room;
};

void wh_dfs_release(struct wh_dfs *dfs) {
    free(dfs->vertex);
    free(dfs->parent);
    free(dfs->idom);
    free(dfs->owner);
    free(dfs->bytes);
    free(dfs->objects);
    wh_csr_release(&dfs->in);
    *dfs = (struct wh_dfs){0};
}

static uint32_t take(struct dfs_walk *w, uint32_t v, uint32_t parent_number) {
    uint32_t number = w->dfs->count++;
    w->number[v] = number;
    w->dfs->vertex[number] = v;
    w->dfs->parent[number] = parent_number;
    return number;
}

/* Numbers everything below vertex v, which has its number. */
static int descend(struct dfs_walk *w, uint32_t v, struct wh_error *error) {
    uint32_t number = w->number[v], depth = 0;
    uint32_t at = wh_out_begin(w->out, v), end = wh_out_end(w->out, v);
    for (;;) {
        if (at < end) {
            uint32_t edge = wh_out_edge(w->out, v, at++), to = w->out->items[edge].to;
            if (!wh_graph_is_kept(w->graph, edge))
                continue;
            uint32_t known = w->number[to];
            if (known != WH_GRAPH_NONE) {
                w->incoming[known] += w->dfs->parent[known] != number;
                continue;
            }
            int r = wh_graph_grow(&w->cursor, &w->cursor_room, depth + 1, error);
            if (r < 0)
                return r;
            w->cursor[depth++] = at;
            number = take(w, to, number);
            v = to;
            at = wh_out_begin(w->out, v);
        } else if (depth == 0) {
            return 0;
        } else {
            number = w->dfs->parent[number];
            v = w->dfs->vertex[number];
            at = w->cursor[--depth];
        }
        end = wh_out_end(w->out, v);
    }
}

static int number_all(struct dfs_walk *w, const uint32_t *leaders, uint32_t leader_count,
                      struct wh_error *error) {
    const struct wh_graph *g = w->graph;
    uint32_t super = take(w, g->super, 0);
    int r = 0;
    for (uint32_t i = 0; i < g->variables && r == 0; i++) {
        take(w, g->blocks + i, super);
        r = descend(w, g->blocks + i, error);
    }
    uint32_t lost = take(w, g->lost, super);
    for (uint32_t i = 0; i < leader_count && r == 0; i++)
        if (w->number[leaders[i]] == WH_GRAPH_NONE) {
            take(w, leaders[i], lost);
            r = descend(w, leaders[i], error);
        }
    return r;
}

/* Fills the lists, whose lengths are known. */
static int predecessors(const struct dfs_walk *w, struct wh_error *error) {
    struct wh_dfs *dfs = w->dfs;
    struct wh_csr *in = &dfs->in;
    uint32_t *next = in->offset + 1;
    for (uint32_t i = 0; i < dfs->count; i++)
        next[i + 1] += next[i];
    in->target = wh_graph_room(next[dfs->count], sizeof(*in->target), error);
    if (!in->target)
        return WH_ESYSTEM;
    for (uint32_t i = 0; i < dfs->count; i++) {
        uint32_t u = dfs->vertex[i];
        for (uint32_t at = wh_out_begin(w->out, u), end = wh_out_end(w->out, u); at < end; at++) {
            uint32_t edge = wh_out_edge(w->out, u, at);
            if (!wh_graph_is_kept(w->graph, edge))
                continue;
            uint32_t to = w->number[w->out->items[edge].to];
            if (dfs->parent[to] != i)
                in->target[next[to]++] = i;
        }
    }
    return 0;
}

int wh_graph_dfs(const struct wh_graph *graph, const struct wh_out *out, const uint32_t *leaders,
                 uint32_t leader_count, struct wh_dfs *dfs, struct wh_error *error) {
    struct dfs_walk w = {.graph = graph, .out = out, .dfs = dfs};
    w.number = wh_graph_room(graph->vertices, sizeof(*w.number), error);
    dfs->vertex = wh_graph_room(graph->vertices, sizeof(*dfs->vertex), error);
    dfs->parent = wh_graph_room(graph->vertices, sizeof(*dfs->parent), error);
    dfs->in.offset = wh_graph_array(graph->vertices + 2ull, sizeof(*dfs->in.offset), error);
    int r = WH_ESYSTEM;
    if (w.number && dfs->vertex && dfs->parent && dfs->in.offset) {
        /* Counted two places further than it is read: one for the sums, one for the filling. */
        w.incoming = dfs->in.offset + 2;
        for (uint32_t v = 0; v < graph->vertices; v++)
            w.number[v] = WH_GRAPH_NONE;
        r = number_all(&w, leaders, leader_count, error);
        if (r == 0)
            r = predecessors(&w, error);
    }
    free(w.number);
    free(w.cursor);
    return r;
}
