/* Where references lie, for analyzer/graph: kinds of blocks by their creators, and the parts of
 * root variables whose slots are alike. What they are good for: analyzer/graph/place.c. */
#ifndef WH_HOLDER_PLACE_H
#define WH_HOLDER_PLACE_H

#include "analyzer/graph/graph.h"
#include "analyzer/holder/kind.h"
#include "analyzer/holder/table.h"
#include "analyzer/holder/variable.h"

/* Fills the members of *input that it is about. *ret_edge_place, which one of them is, is freed by
 * the caller. */
int wh_places_make(const struct wh_heap *heap, const struct wh_kinds *kinds,
                   const struct wh_variables *variables, struct wh_names *texts,
                   struct wh_graph_input *input, uint32_t **ret_edge_place, struct wh_error *error);

#endif
