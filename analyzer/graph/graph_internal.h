/* The stages of wh_graph_solve(), in the order they run, and what they hand to one another. */
#ifndef WH_GRAPH_INTERNAL_H
#define WH_GRAPH_INTERNAL_H

#include <stdlib.h>

#include "analyzer/graph/graph.h"

/* malloc, calloc and realloc that say so in *error. */
void *wh_graph_room(size_t count, size_t size, struct wh_error *error);
void *wh_graph_array(size_t count, size_t size, struct wh_error *error);
int wh_graph_grow(uint32_t **array, uint32_t *capacity, uint32_t needed, struct wh_error *error);

/* strata.c: graph->strength over all edges of class >= 1. */
int wh_graph_strata(const struct wh_graph_input *input, struct wh_graph *graph,
                    const struct wh_csr *out, struct wh_error *error);

/* strata.c: drops from `out` every edge that is weaker than its target's strength: what is left is
 * the holder graph, in which every path to a block is as strong as the block. */
void wh_graph_keep(const struct wh_graph *graph, struct wh_csr *out);

/* lost.c: states of the blocks without strength; *ret_leaders: one block per lost root or cycle. */
int wh_graph_lost(const struct wh_heap *heap, struct wh_graph *graph, const struct wh_csr *out,
                  uint32_t **ret_leaders, uint32_t *ret_count, struct wh_error *error);

/* tree.c: tree_parent and tree_edge over the holder graph. */
int wh_graph_tree(const struct wh_graph_input *input, struct wh_graph *graph,
                  const struct wh_csr *out, const uint32_t *leaders, uint32_t leader_count,
                  struct wh_error *error);

/* Depth-first numbering of the holder graph, from the super-root (number 0). */
struct wh_dfs {
    uint32_t count;   /* numbers in use: every vertex has one */
    uint32_t *number; /* vertex -> number */
    uint32_t *vertex; /* number -> vertex */
    uint32_t *parent; /* number -> number of the tree parent */
    struct wh_csr in; /* number -> predecessors' numbers; edges of the depth-first tree left out */
    uint32_t *idom;   /* number -> number */
    uint32_t *owner;  /* number -> what keeps it: WH_OWNER_HEAD | head, in the order of the heads'
                         numbers; else the vertex of a variable, LOST or the super-root */
    uint32_t heads;
};
#define WH_OWNER_HEAD 0x80000000u
void wh_dfs_release(struct wh_dfs *dfs);

/* dfs.c: numbers and predecessor lists. Frees out's arrays as soon as they are not needed. */
int wh_graph_dfs(const struct wh_graph *graph, struct wh_csr *out, const uint32_t *leaders,
                 uint32_t leader_count, struct wh_dfs *dfs, struct wh_error *error);

/* graph.c: arrays for the next stage's results, made as late as possible. */
int wh_graph_results(struct wh_graph *graph, struct wh_error *error);

/* dominator.c: dfs->idom and dfs->owner, then graph->idom, retained_* and top. */
int wh_graph_dominators(const struct wh_heap *heap, struct wh_graph *graph, struct wh_dfs *dfs,
                        struct wh_error *error);

/* share.c: heads, masks, groups, sums. */
int wh_graph_share(struct wh_graph *graph, const struct wh_dfs *dfs, struct wh_error *error);

#endif
