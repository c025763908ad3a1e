/* Local stack nodes to trace-wide ids, by layers of extents. */
#include "trace/nodes.h"

#include <stdlib.h>
#include <string.h>

int wh_nodes_init(struct wh_nodes *n) {
    *n = (struct wh_nodes){.layer_count = 1};
    n->layers = calloc(1, sizeof *n->layers);
    return n->layers ? 0 : -1;
}

void wh_nodes_release(struct wh_nodes *n) {
    for (size_t i = 0; i < n->layer_count; i++)
        free(n->layers[i].bases);
    free(n->layers);
    n->layers = NULL;
    n->layer_count = 0;
}

static int reserve(struct wh_node_layer *layer, size_t count) {
    if (count <= layer->count)
        return 0;
    size_t capacity = layer->count ? layer->count : 16;
    while (capacity < count)
        capacity *= 2;
    uint32_t *bases = realloc(layer->bases, capacity * sizeof *bases);
    if (!bases)
        return -1;
    memset(bases + layer->count, 0, (capacity - layer->count) * sizeof *bases);
    layer->bases = bases;
    layer->count = capacity;
    return 0;
}

uint32_t wh_nodes_id_rare(struct wh_nodes *n, uint32_t local) {
    if (!local || local >= WH_NODE_MAX)
        return 0;
    size_t i = n->layer_count - 1;
    while (i > 0 && local < n->layers[i].first)
        i--;
    struct wh_node_layer *layer = &n->layers[i];
    uint32_t extent = local / WH_NODE_EXTENT;
    if (extent >= layer->count || !layer->bases[extent]) {
        if (i != n->layer_count - 1 || !n->extend || reserve(layer, extent + 1))
            return 0;
        layer->bases[extent] = n->extend(n->arg, extent);
    }
    uint32_t base = layer->bases[extent];
    return base ? base + local % WH_NODE_EXTENT : 0;
}

int wh_nodes_restore(struct wh_nodes *n, uint32_t extent, uint32_t base) {
    struct wh_node_layer *layer = &n->layers[n->layer_count - 1];
    if (extent >= WH_NODE_MAX / WH_NODE_EXTENT)
        return 0;
    if (reserve(layer, extent + 1))
        return -1;
    layer->bases[extent] = base;
    return 0;
}

int wh_nodes_fork(struct wh_nodes *parent, uint32_t nodes, struct wh_nodes *ret_child) {
    if (nodes > WH_NODE_MAX)
        nodes = WH_NODE_MAX;
    /* The parent's extents that the child may name must exist before they are copied. */
    for (uint32_t local = parent->layers[parent->layer_count - 1].first; local < nodes;
         local = (local / WH_NODE_EXTENT + 1) * WH_NODE_EXTENT)
        (void)wh_nodes_id(parent, local);
    struct wh_node_layer *layers = calloc(parent->layer_count + 1, sizeof *layers);
    if (!layers)
        return -1;
    *ret_child = (struct wh_nodes){.layers = layers, .layer_count = parent->layer_count + 1};
    for (size_t i = 0; i < parent->layer_count; i++) {
        const struct wh_node_layer *from = &parent->layers[i];
        size_t count = nodes / WH_NODE_EXTENT + 1;
        layers[i].first = from->first;
        if (count > from->count)
            count = from->count;
        if (!count)
            continue;
        layers[i].bases = malloc(count * sizeof *layers[i].bases);
        if (!layers[i].bases) {
            wh_nodes_release(ret_child);
            return -1;
        }
        memcpy(layers[i].bases, from->bases, count * sizeof *layers[i].bases);
        layers[i].count = count;
    }
    layers[parent->layer_count].first = nodes;
    return 0;
}
