/* wh_graph_solve(): the stages in order. The one hard thing is memory: what a stage does not need
 * any more is freed before the next one allocates, so that 70 bytes a block are enough. */
#include "analyzer/graph/graph_internal.h"

#include <stdbool.h>

void wh_graph_release(struct wh_graph *graph) {
    free(graph->strength);
    free(graph->tree_parent);
    free(graph->tree_edge);
    free(graph->lost_state);
    free(graph->lost_cycle);
    free(graph->idom);
    free(graph->retained_bytes);
    free(graph->retained_objects);
    free(graph->top);
    free(graph->variable_bit);
    free(graph->head_mask);
    free(graph->heads);
    free(graph->groups);
    free(graph->sums);
    *graph = (struct wh_graph){0};
}

static int strengths(const struct wh_graph_input *input, struct wh_graph *graph, struct wh_csr *out,
                     uint32_t **leaders, uint32_t *leader_count, struct wh_error *error) {
    graph->strength = wh_graph_array(graph->vertices, 1, error);
    /* By calloc: where little is lost the pages of these are never touched. */
    graph->lost_state = calloc(graph->blocks + 1u, 1);
    graph->lost_cycle = calloc(graph->blocks + 1u, sizeof(*graph->lost_cycle));
    if (!graph->strength || !graph->lost_state || !graph->lost_cycle)
        return wh_fail(error, WH_ESYSTEM, "no memory for a graph of %u blocks", graph->blocks);
    int r = wh_graph_strata(input, graph, out, error);
    if (r == 0) {
        wh_graph_keep(graph, out);
        r = wh_graph_lost(input->heap, graph, out, leaders, leader_count, error);
    }
    return r;
}

static int paths(const struct wh_graph_input *input, struct wh_graph *graph,
                 const struct wh_csr *out, const uint32_t *leaders, uint32_t leader_count,
                 struct wh_error *error) {
    graph->tree_parent = wh_graph_room(graph->vertices, sizeof(*graph->tree_parent), error);
    graph->tree_edge = wh_graph_room(graph->blocks, sizeof(*graph->tree_edge), error);
    if (!graph->tree_parent || !graph->tree_edge)
        return WH_ESYSTEM;
    return wh_graph_tree(input, graph, out, leaders, leader_count, error);
}

int wh_graph_results(struct wh_graph *graph, struct wh_error *error) {
    graph->idom = wh_graph_room(graph->vertices, sizeof(*graph->idom), error);
    graph->retained_bytes = wh_graph_room(graph->vertices, sizeof(*graph->retained_bytes), error);
    graph->retained_objects =
        wh_graph_room(graph->vertices, sizeof(*graph->retained_objects), error);
    graph->top = wh_graph_room(graph->blocks, sizeof(*graph->top), error);
    bool complete = graph->idom && graph->retained_bytes && graph->retained_objects && graph->top;
    return complete ? 0 : WH_ESYSTEM;
}

int wh_graph_solve(const struct wh_graph_input *input, struct wh_graph *ret,
                   struct wh_error *error) {
    struct wh_csr out = {0};
    struct wh_dfs dfs = {0};
    uint32_t *leaders = NULL, leader_count = 0;
    *ret = (struct wh_graph){.blocks = input->heap->node_count, .variables = input->variable_count};
    ret->lost = ret->blocks + ret->variables;
    ret->super = ret->lost + 1;
    ret->vertices = ret->lost + 2;
    int r = wh_csr_build(input, WH_EDGE_TAGGED, 0, &out, error);
    if (r == 0)
        r = strengths(input, ret, &out, &leaders, &leader_count, error);
    if (r == 0)
        r = paths(input, ret, &out, leaders, leader_count, error);
    if (r == 0)
        r = wh_graph_dfs(ret, &out, leaders, leader_count, &dfs, error);
    if (r == 0)
        r = wh_graph_dominators(input->heap, ret, &dfs, error);
    if (r == 0)
        r = wh_graph_share(ret, &dfs, error);
    free(leaders);
    wh_csr_release(&out);
    wh_dfs_release(&dfs);
    if (r < 0)
        wh_graph_release(ret);
    return r;
}
