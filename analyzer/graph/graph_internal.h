/* The stages of wh_graph_solve(), in the order they run, and what they hand to one another. */
#ifndef WH_GRAPH_INTERNAL_H
#define WH_GRAPH_INTERNAL_H

#include <stdbool.h>
#include <stdlib.h>

#include "analyzer/graph/graph.h"

/* malloc, calloc and realloc that say so in *error. */
void *wh_graph_room(size_t count, size_t size, struct wh_error *error);
void *wh_graph_array(size_t count, size_t size, struct wh_error *error);
int wh_graph_grow(uint32_t **array, uint32_t *capacity, uint32_t needed, struct wh_error *error);

/* out.c: what a vertex refers to. A block's edges are the heap's own, side by side; a variable's
 * are listed here.
 *     for (uint32_t at = wh_out_begin(out, v); at < wh_out_end(out, v); at++)
 *         ... out->items[wh_out_edge(out, v, at)] */
struct wh_out {
    const struct wh_edge *items;
    const uint32_t *first; /* of blocks: see struct wh_edges */
    uint32_t *list_first;  /* of all other vertices: first entry of list; one more at the end */
    uint32_t *list;        /* edges from roots, by variable */
    uint32_t *none;        /* first, of a heap without edges */
    uint32_t blocks;
};
int wh_out_open(const struct wh_graph_input *input, struct wh_out *ret, struct wh_error *error);
void wh_out_release(struct wh_out *out);

static inline uint32_t wh_out_begin(const struct wh_out *out, uint32_t v) {
    return v < out->blocks ? out->first[v] : out->list_first[v - out->blocks];
}

static inline uint32_t wh_out_end(const struct wh_out *out, uint32_t v) {
    return v < out->blocks ? out->first[v + 1] : out->list_first[v - out->blocks + 1];
}

static inline uint32_t wh_out_edge(const struct wh_out *out, uint32_t v, uint32_t at) {
    return v < out->blocks ? at : out->list[at];
}

/* strata.c: graph->strength over all edges of class >= 1. */
int wh_graph_strata(const struct wh_graph_input *input, struct wh_graph *graph,
                    const struct wh_out *out, struct wh_error *error);

/* strata.c: graph->kept. An edge that is weaker than its target's strength is not; what is left is
 * the holder graph, in which every path to a block is as strong as the block. */
void wh_graph_keep(struct wh_graph *graph, const struct wh_out *out);

/* lost.c: states of the blocks without strength; *ret_leaders: one block per lost root or cycle. */
int wh_graph_lost(const struct wh_heap *heap, struct wh_graph *graph, const struct wh_out *out,
                  uint32_t **ret_leaders, uint32_t *ret_count, struct wh_error *error);

/* place.c: where are objects owned? Needs graph->idom. */
struct wh_place;
struct wh_places {
    const struct wh_graph_input *input;
    const struct wh_graph *graph;
    const struct wh_out *out;
    uint64_t *idle, *owning; /* per kind: bit per field that owns nothing, that does */
    bool has_idle;           /* there are some */
    struct wh_place *of_roots;
    struct wh_place *of_large; /* per kind: the slots of `from` that lead to it */
    uint32_t from;             /* the vertex that is looked at */
    bool is_large;             /* it is a block with so many references that it speaks for itself */
};
int wh_graph_places(const struct wh_graph_input *input, const struct wh_graph *graph,
                    const struct wh_out *out, struct wh_places *ret, struct wh_error *error);
void wh_places_release(struct wh_places *places);

/* From now on u is the vertex that is looked at. What do its places own? */
enum wh_owning { WH_OWNS_NONE, WH_OWNS_SOME, WH_OWNS_ALL };
enum wh_owning wh_places_look(struct wh_places *places, uint32_t u);
/* Does the place of that kept edge of it? */
bool wh_places_own(const struct wh_places *places, uint32_t edge);

/* tree.c: tree_parent and tree_edge over the holder graph. */
int wh_graph_tree(const struct wh_graph_input *input, struct wh_graph *graph,
                  const struct wh_out *out, const uint32_t *leaders, uint32_t leader_count,
                  struct wh_error *error);

/* Depth-first numbering of the holder graph, from the super-root (number 0). */
struct wh_dfs {
    uint32_t count;   /* numbers in use: every vertex has one */
    uint32_t *vertex; /* number -> vertex */
    uint32_t *parent; /* number -> number of the tree parent */
    struct wh_csr in; /* number -> predecessors' numbers; edges of the depth-first tree left out */
    uint32_t *idom;   /* number -> number */
    uint32_t *owner;  /* number -> what keeps it: WH_OWNER_HEAD | head, in the order of the heads'
                         numbers; else the vertex of a variable, LOST or the super-root */
    uint32_t heads;
    uint64_t *bytes;   /* per number: of it and all it dominates */
    uint32_t *objects; /* likewise, blocks alone counted */
};
#define WH_OWNER_HEAD 0x80000000u
void wh_dfs_release(struct wh_dfs *dfs);

/* dfs.c: numbers and predecessor lists. */
int wh_graph_dfs(const struct wh_graph *graph, const struct wh_out *out, const uint32_t *leaders,
                 uint32_t leader_count, struct wh_dfs *dfs, struct wh_error *error);

/* dominator.c: dfs->idom and dfs->owner. */
int wh_graph_dominators(const struct wh_graph *graph, struct wh_dfs *dfs, struct wh_error *error);

/* dominator.c: dfs->bytes and dfs->objects; what those and the dominators are in terms of vertices,
 * giving up *dfs meanwhile. */
int wh_graph_sum(const struct wh_heap *heap, const struct wh_graph *graph, struct wh_dfs *dfs,
                 struct wh_error *error);
int wh_graph_publish(struct wh_graph *graph, struct wh_dfs *dfs, struct wh_error *error);

/* What is shared: heads, and who owns what refers to them. */
struct wh_heads {
    uint32_t count;
    uint32_t *number; /* per head: in the walk */
    uint32_t *above;  /* per head: owner of its parent in the walk */
    uint32_t *offset; /* per head and one more: first entry in owner */
    uint32_t *owner;  /* owners of the others that refer to it */
};
void wh_heads_release(struct wh_heads *heads);

/* share.c: takes dfs->in and dfs->parent, of which nothing else is needed. */
int wh_graph_heads(struct wh_dfs *dfs, struct wh_heads *ret, struct wh_error *error);

/* share.c: masks of the heads, groups, sums. */
int wh_graph_share(struct wh_graph *graph, const struct wh_dfs *dfs, const struct wh_heads *heads,
                   struct wh_error *error);

#endif
