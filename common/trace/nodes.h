/* From a process's own stack node ids to ids that are unique in the trace.
 *
 * Trace-wide ids are given out in extents of 256 neighbouring nodes, in the order in which extents
 * are first met, and every extent is reported so that it can be stored (table stack_extent):
 * reading the events later gives the same ids. A forked child uses its parent's ids below the
 * number of nodes that the parent had, its own from there on. Context: recorder and readers. */
#ifndef WH_TRACE_NODES_H
#define WH_TRACE_NODES_H

#include <stddef.h>
#include <stdint.h>

#define WH_NODE_EXTENT 256u
#define WH_NODE_MAX    (1u << 24) /* larger ids come from a damaged stream and mean "no stack" */

/* One process's ids: those from `first` on. */
struct wh_node_layer {
    uint32_t first;  /* local node id where the layer begins */
    uint32_t *bases; /* by local id / WH_NODE_EXTENT; 0 = not met */
    size_t count;
};

struct wh_nodes {
    struct wh_node_layer *layers; /* ancestors first, own last */
    size_t layer_count;
    /* Gives the base of a new extent of the own layer. 0 = cannot. */
    uint32_t (*extend)(void *arg, uint32_t extent);
    void *arg;
};

int wh_nodes_init(struct wh_nodes *n); /* 0, or -1 out of memory */
void wh_nodes_release(struct wh_nodes *n);

/* The same for an id of an ancestor, or the first of its extent. */
uint32_t wh_nodes_id_rare(struct wh_nodes *n, uint32_t local);

/* Trace-wide id; 0 for 0 and for what cannot be. */
static inline uint32_t wh_nodes_id(struct wh_nodes *n, uint32_t local) {
    const struct wh_node_layer *own = &n->layers[n->layer_count - 1];
    uint32_t extent = local / WH_NODE_EXTENT;
    if (!local || local < own->first || extent >= own->count || !own->bases[extent])
        return wh_nodes_id_rare(n, local);
    return own->bases[extent] + local % WH_NODE_EXTENT;
}

/* Sets a stored extent of the own layer. */
int wh_nodes_restore(struct wh_nodes *n, uint32_t extent, uint32_t base);

/* The child's map: parent's ids below `nodes`, then an own layer. */
int wh_nodes_fork(struct wh_nodes *parent, uint32_t nodes, struct wh_nodes *ret_child);

#endif
