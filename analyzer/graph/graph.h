/* The reference graph of one snapshot, solved: who keeps which block, by how strong a reference,
 * and what would go with it. Pure: no names, no SQL. Input are the frozen heap and a mapping from
 * root slots to root variables, output are flat arrays that analyzer/holder turns into words and
 * rows.
 *
 * Vertices: blocks 0..blocks-1 (the heap's nodes), then the root variables in rank order, then one
 * pseudo-variable LOST that "holds" what nothing reaches, then the super-root above them all.
 *
 * Every result depends on the graph's shape, the variables' rank and the offsets of the slots
 * alone, never on addresses: that is the determinism promise. Explicit stacks everywhere. Context:
 * any thread. */
#ifndef WH_GRAPH_GRAPH_H
#define WH_GRAPH_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "trace/heap.h"

#define WH_GRAPH_NONE   UINT32_MAX
#define WH_GRAPH_LEVELS 6 /* strengths 0..5; what only class 0 reaches is not held */

/* A root variable. The index in the caller's array is its rank: ties between paths go to the lower.
 */
struct wh_graph_variable {
    uint8_t strength; /* 1..5: what a path can be worth that begins here; 0 = never a root */
    uint8_t stage;    /* 0..7: among equally strong paths those of an earlier stage win (a global
                         before    a stack); then those with fewer steps over what owns nothing; then
                         the    shorter;    then rank and offset */
};

struct wh_graph_input {
    const struct wh_heap *heap;
    const struct wh_graph_variable *variables;
    uint32_t variable_count;
    const uint32_t
        *edge_variable; /* per root edge of the heap, in its order: variable index, or
                           WH_GRAPH_NONE = ignore the edge. NULL only without such edges */

    /* What tells owners from others where strength does not (place.c); all may be 0. */
    const uint32_t *stack_kind; /* per stack id < stacks: what is created there, 0 = unknown */
    uint32_t stacks, kinds;     /* kinds: all are below */
    const uint32_t *edge_place; /* per root edge: a place below edge_places, or WH_GRAPH_NONE */
    uint32_t edge_places;
};

enum wh_lost_state {
    WH_LOST_NOT = 0,      /* held */
    WH_LOST_ROOT = 1,     /* nothing refers to it */
    WH_LOST_CYCLE = 2,    /* only blocks of its own cycle refer to it */
    WH_LOST_INDIRECT = 3, /* another lost block refers to it */
};

/* One set of two or more independent holders, and what exactly they share. */
struct wh_share_group {
    uint64_t mask; /* bit i: graph.bit_variable[i]; bit 63: some variable without a bit */
    uint64_t bytes;
    uint32_t objects;
    uint32_t holders; /* number of independent holders; a lower bound with bit 63 */
};

/* What a variable keeps. exclusive + its part of the shared = effective; effective sums to the
 * total. */
struct wh_share_sum {
    uint64_t exclusive_bytes; /* freed if the variable were cleared */
    uint64_t reachable_bytes; /* everything it reaches through kept edges; WH_SHARE_UNKNOWN without
                                 a bit */
    uint64_t effective_bytes; /* shared bytes divided by their number of holders; likewise */
    uint32_t exclusive_objects;
    uint32_t reachable_objects;
};
#define WH_SHARE_UNKNOWN UINT64_MAX
#define WH_SHARE_OTHER   (UINT64_C(1) << 63)

/* Compressed adjacency: the edges of v are target[offset[v]] .. target[offset[v + 1] - 1]. */
struct wh_csr {
    uint32_t *offset; /* vertices + 1 */
    uint32_t *target;
    uint32_t *edge; /* index into heap.edges; NULL where there are none behind it */
    uint32_t vertices;
};

struct wh_graph {
    uint32_t blocks, variables, vertices;
    uint32_t lost;  /* vertex of the pseudo-variable LOST */
    uint32_t super; /* vertex of the super-root */

    uint8_t *strength; /* per vertex; 0 = lost */
    uint64_t *kept;    /* bit per heap edge: part of the holder graph, as strong as its target */
    uint32_t *tree_parent; /* per vertex: the step before on its strongest path; NONE for the
                              super-root */
    uint32_t *tree_edge; /* per block: that step's index in heap.edges; NONE under LOST's leaders */
    uint8_t *lost_state; /* per block: enum wh_lost_state */
    uint32_t *lost_cycle;       /* per block: for WH_LOST_CYCLE the blocks of its cycle, else 0 */
    uint32_t *idom;             /* per vertex: immediate dominator; NONE for the super-root */
    uint64_t *retained_bytes;   /* per vertex: itself and all it dominates */
    uint32_t *retained_objects; /* per vertex, blocks alone counted */
    uint32_t *top; /* per block: the vertex under the super-root that dominates it: a variable = its
                      only holder, LOST, or a block = the head of what is shared */

    uint32_t bit_variable[64]; /* variable index of a mask's bit, NONE = unused */
    uint8_t *variable_bit;     /* per variable: its bit, 63 = none of its own */
    uint64_t *head_mask;       /* per entry of heads */
    uint32_t *heads;           /* blocks with top[b] == b, ascending */
    uint32_t head_count;
    struct wh_share_group *groups; /* largest first */
    uint32_t group_count;
    struct wh_share_sum *sums; /* per variable */
};

/* Solves the graph. Needs up to 50 bytes a block beside the heap while it runs.
 * WH_ESYSTEM: no memory; WH_EINPUT: an index out of range. *ret is released by wh_graph_release(),
 * on error it is empty. */
int wh_graph_solve(const struct wh_graph_input *input, struct wh_graph *ret,
                   struct wh_error *error);
void wh_graph_release(struct wh_graph *graph);

/* The holders of a block as a mask (0 = lost) and their number (a lower bound with WH_SHARE_OTHER).
 */
uint64_t wh_graph_mask(const struct wh_graph *graph, uint32_t block);
uint32_t wh_graph_holders(const struct wh_graph *graph, uint32_t block);

/* The dominator tree as adjacency, children in vertex order. */
int wh_graph_children(const struct wh_graph *graph, struct wh_csr *ret, struct wh_error *error);

/* Who refers to whom by an edge of class >= class_min: to -> from, the edges of one vertex in input
 * order. A block's references to itself are left out. */
int wh_graph_reversed(const struct wh_graph_input *input, unsigned class_min, struct wh_csr *ret,
                      struct wh_error *error);
void wh_csr_release(struct wh_csr *csr);

static inline int wh_graph_is_kept(const struct wh_graph *graph, uint64_t edge) {
    return graph->kept[edge / 64] >> edge % 64 & 1;
}

/* Up to `max` paths to a block that share no vertex but it, strongest first, found greedily over
 * `reversed`: fewer than exist are possible, never a wrong one. A path is heap edge indices from
 * the root variable down, steps[0..length-1]. *count paths are given already: the new ones avoid
 * them. */
struct wh_graph_path {
    uint32_t *steps;
    uint32_t length;
    uint32_t variable;
    uint8_t strength;
};
int wh_graph_disjoint_paths(const struct wh_graph_input *input, const struct wh_csr *reversed,
                            uint32_t block, uint32_t max, struct wh_graph_path *paths,
                            uint32_t *ret_count, struct wh_error *error);
void wh_graph_path_release(struct wh_graph_path *path);

#endif
