/* Immediate dominators by SEMI-NCA, retained sums, and the top-level dominator of every block.
 *
 * First semidominators, from the highest depth-first number down, with path compression on a
 * virtual forest; then, upwards, the dominator of w is the nearest ancestor-by-domination whose
 * number is not above w's semidominator. Compression keeps its own stack: chains are as long as the
 * heap is deep. */
#include "analyzer/graph/graph_internal.h"

struct forest_node {
    uint32_t ancestor;
    uint32_t label; /* the vertex of smallest semidominator between here and the ancestor */
    uint32_t semi;
};

struct forest {
    struct forest_node *nodes;
    uint32_t *stack;
    uint32_t capacity;
};

/* The label of v once all numbers >= linked are in the forest. */
static int evaluate(struct forest *f, uint32_t v, uint32_t linked, uint32_t *ret_label,
                    struct wh_error *error) {
    struct forest_node *n = f->nodes;
    uint32_t depth = 0, p = v;
    while (n[p].ancestor >= linked) {
        if (depth == f->capacity) {
            int r = wh_graph_grow(&f->stack, &f->capacity, depth + 1, error);
            if (r < 0)
                return r;
        }
        f->stack[depth++] = p;
        p = n[p].ancestor;
    }
    while (depth) {
        uint32_t w = f->stack[--depth];
        n[w].ancestor = n[p].ancestor;
        if (n[n[p].label].semi < n[n[w].label].semi)
            n[w].label = n[p].label;
        p = w;
    }
    *ret_label = n[p].label;
    return 0;
}

static int semidominators(struct forest *f, const struct wh_dfs *dfs, struct wh_error *error) {
    struct forest_node *n = f->nodes;
    for (uint32_t i = 0; i < dfs->count; i++)
        n[i] = (struct forest_node){dfs->parent[i], i, i};
    for (uint32_t i = dfs->count - 1; i > 0; i--) {
        uint32_t semi = dfs->parent[i];
        for (uint32_t e = dfs->in.offset[i]; e < dfs->in.offset[i + 1]; e++) {
            uint32_t label;
            int r = evaluate(f, dfs->in.target[e], i + 1, &label, error);
            if (r < 0)
                return r;
            if (n[label].semi < semi)
                semi = n[label].semi;
        }
        n[i].semi = semi;
    }
    return 0;
}

/* The child of the super-root above each number. A dominator's number is lower: one pass. */
static void find_owners(const struct wh_graph *graph, struct wh_dfs *dfs) {
    dfs->owner[0] = graph->super;
    for (uint32_t i = 1; i < dfs->count; i++) {
        uint32_t v = dfs->vertex[i];
        if (dfs->idom[i] != 0)
            dfs->owner[i] = dfs->owner[dfs->idom[i]];
        else
            dfs->owner[i] = v < graph->blocks ? WH_OWNER_HEAD | dfs->heads++ : v;
    }
}

/* From numbers back to vertices; sums are pushed to the dominators, deepest first. */
static void publish(const struct wh_heap *heap, struct wh_graph *graph, const struct wh_dfs *dfs) {
    for (uint32_t b = 0; b < graph->blocks; b++) {
        graph->retained_bytes[b] = heap->nodes[b].size;
        graph->retained_objects[b] = 1;
    }
    for (uint32_t v = graph->blocks; v < graph->vertices; v++) {
        graph->retained_bytes[v] = 0;
        graph->retained_objects[v] = 0;
    }
    for (uint32_t i = dfs->count - 1; i > 0; i--) {
        uint32_t v = dfs->vertex[i], d = dfs->vertex[dfs->idom[i]];
        graph->idom[v] = d;
        graph->retained_bytes[d] += graph->retained_bytes[v];
        graph->retained_objects[d] += graph->retained_objects[v];
    }
    graph->idom[graph->super] = WH_GRAPH_NONE;
    for (uint32_t i = 1; i < dfs->count; i++) {
        uint32_t v = dfs->vertex[i], owner = dfs->owner[i];
        if (v >= graph->blocks)
            continue;
        if (!(owner & WH_OWNER_HEAD))
            graph->top[v] = owner;
        else
            graph->top[v] = dfs->idom[i] == 0 ? v : graph->top[graph->idom[v]];
    }
}

int wh_graph_dominators(const struct wh_heap *heap, struct wh_graph *graph, struct wh_dfs *dfs,
                        struct wh_error *error) {
    struct forest f = {0};
    f.nodes = wh_graph_room(dfs->count, sizeof(*f.nodes), error);
    int r = f.nodes ? semidominators(&f, dfs, error) : WH_ESYSTEM;
    if (r == 0) {
        dfs->idom = wh_graph_array(dfs->count, sizeof(*dfs->idom), error);
        dfs->owner = wh_graph_room(dfs->count, sizeof(*dfs->owner), error);
        if (!dfs->idom || !dfs->owner)
            r = WH_ESYSTEM;
    }
    for (uint32_t i = 1; r == 0 && i < dfs->count; i++) {
        uint32_t d = dfs->parent[i];
        while (d > f.nodes[i].semi)
            d = dfs->idom[d];
        dfs->idom[i] = d;
    }
    free(f.nodes);
    free(f.stack);
    if (r == 0)
        find_owners(graph, dfs);
    if (r == 0)
        r = wh_graph_results(graph, error);
    if (r == 0)
        publish(heap, graph, dfs);
    return r;
}
