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

int wh_graph_dominators(const struct wh_graph *graph, struct wh_dfs *dfs, struct wh_error *error) {
    struct forest f = {0};
    f.nodes = wh_graph_room(dfs->count, sizeof(*f.nodes), error);
    int r = f.nodes ? semidominators(&f, dfs, error) : WH_ESYSTEM;
    if (r == 0) {
        dfs->idom = wh_graph_array(dfs->count, sizeof(*dfs->idom), error);
        r = dfs->idom ? 0 : WH_ESYSTEM;
    }
    for (uint32_t i = 1; r == 0 && i < dfs->count; i++) {
        uint32_t d = dfs->parent[i];
        while (d > f.nodes[i].semi)
            d = dfs->idom[d];
        dfs->idom[i] = d;
    }
    free(f.nodes);
    free(f.stack);
    if (r == 0) {
        dfs->owner = wh_graph_room(dfs->count, sizeof(*dfs->owner), error);
        r = dfs->owner ? 0 : WH_ESYSTEM;
    }
    if (r == 0)
        find_owners(graph, dfs);
    return r;
}

/* Pushed to the dominators, deepest first. */
int wh_graph_sum(const struct wh_heap *heap, const struct wh_graph *graph, struct wh_dfs *dfs,
                 struct wh_error *error) {
    dfs->bytes = wh_graph_room(dfs->count, sizeof(*dfs->bytes), error);
    dfs->objects = wh_graph_room(dfs->count, sizeof(*dfs->objects), error);
    if (!dfs->bytes || !dfs->objects)
        return WH_ESYSTEM;
    for (uint32_t i = 0; i < dfs->count; i++) {
        uint32_t v = dfs->vertex[i];
        dfs->bytes[i] = v < graph->blocks ? heap->nodes[v].size : 0;
        dfs->objects[i] = v < graph->blocks;
    }
    for (uint32_t i = dfs->count - 1; i > 0; i--) {
        dfs->bytes[dfs->idom[i]] += dfs->bytes[i];
        dfs->objects[dfs->idom[i]] += dfs->objects[i];
    }
    return 0;
}

/* From numbers back to vertices, array by array. */
int wh_graph_publish(struct wh_graph *graph, struct wh_dfs *dfs, struct wh_error *error) {
    graph->retained_bytes = wh_graph_room(graph->vertices, sizeof(*graph->retained_bytes), error);
    if (!graph->retained_bytes)
        return WH_ESYSTEM;
    for (uint32_t i = 0; i < dfs->count; i++)
        graph->retained_bytes[dfs->vertex[i]] = dfs->bytes[i];
    free(dfs->bytes);
    dfs->bytes = NULL;
    graph->retained_objects =
        wh_graph_room(graph->vertices, sizeof(*graph->retained_objects), error);
    graph->idom = wh_graph_room(graph->vertices, sizeof(*graph->idom), error);
    graph->top = wh_graph_room(graph->blocks, sizeof(*graph->top), error);
    if (!graph->retained_objects || !graph->idom || !graph->top)
        return WH_ESYSTEM;
    for (uint32_t i = 0; i < dfs->count; i++) {
        uint32_t v = dfs->vertex[i], owner = dfs->owner[i];
        graph->retained_objects[v] = dfs->objects[i];
        graph->idom[v] = i ? dfs->vertex[dfs->idom[i]] : WH_GRAPH_NONE;
        if (v >= graph->blocks)
            continue;
        if (!(owner & WH_OWNER_HEAD))
            graph->top[v] = owner;
        else
            graph->top[v] = dfs->idom[i] == 0 ? v : graph->top[graph->idom[v]];
    }
    return 0;
}
