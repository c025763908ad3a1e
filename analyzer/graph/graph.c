/* wh_graph_solve(): the stages in order. The one hard thing is memory: what a stage does not need
 * any more is freed before the next one allocates, and the heap's own edges serve as adjacency, so
 * that 50 bytes a block beside it are enough. */
#include "analyzer/graph/graph_internal.h"

#include <stdbool.h>

void wh_graph_release(struct wh_graph *graph) {
    free(graph->strength);
    free(graph->kept);
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

static int strengths(const struct wh_graph_input *input, struct wh_graph *graph,
                     const struct wh_out *out, uint32_t **leaders, uint32_t *leader_count,
                     struct wh_error *error) {
    graph->strength = wh_graph_array(graph->vertices, 1, error);
    graph->kept = wh_graph_array(input->heap->edges.count / 64 + 1, sizeof(*graph->kept), error);
    /* By calloc: where little is lost the pages of these are never touched. */
    graph->lost_state = calloc(graph->blocks + 1u, 1);
    graph->lost_cycle = calloc(graph->blocks + 1u, sizeof(*graph->lost_cycle));
    if (!graph->strength || !graph->kept || !graph->lost_state || !graph->lost_cycle)
        return wh_fail(error, WH_ESYSTEM, "no memory for a graph of %u blocks", graph->blocks);
    int r = wh_graph_strata(input, graph, out, error);
    if (r == 0) {
        wh_graph_keep(graph, out);
        r = wh_graph_lost(input->heap, graph, out, leaders, leader_count, error);
    }
    return r;
}

static int dominators(const struct wh_graph_input *input, struct wh_graph *graph,
                      const struct wh_out *out, const uint32_t *leaders, uint32_t leader_count,
                      struct wh_error *error) {
    struct wh_dfs dfs = {0};
    struct wh_heads heads = {0};
    int r = wh_graph_dfs(graph, out, leaders, leader_count, &dfs, error);
    if (r == 0)
        r = wh_graph_dominators(graph, &dfs, error);
    if (r == 0)
        r = wh_graph_heads(&dfs, &heads, error);
    if (r == 0)
        r = wh_graph_sum(input->heap, graph, &dfs, error);
    if (r == 0)
        r = wh_graph_share(graph, &dfs, &heads, error);
    wh_heads_release(&heads);
    if (r == 0)
        r = wh_graph_publish(graph, &dfs, error);
    wh_dfs_release(&dfs);
    return r;
}

int wh_graph_solve(const struct wh_graph_input *input, struct wh_graph *ret,
                   struct wh_error *error) {
    struct wh_out out = {0};
    uint32_t *leaders = NULL, leader_count = 0;
    *ret = (struct wh_graph){.blocks = input->heap->node_count, .variables = input->variable_count};
    ret->lost = ret->blocks + ret->variables;
    ret->super = ret->lost + 1;
    ret->vertices = ret->lost + 2;
    int r = wh_out_open(input, &out, error);
    if (r == 0)
        r = strengths(input, ret, &out, &leaders, &leader_count, error);
    if (r == 0)
        r = dominators(input, ret, &out, leaders, leader_count, error);
    if (r == 0)
        r = wh_graph_tree(input, ret, &out, leaders, leader_count, error);
    free(leaders);
    wh_out_release(&out);
    if (r < 0)
        wh_graph_release(ret);
    return r;
}
