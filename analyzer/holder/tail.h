/* Memory behind what its owner uses of it: the rest of an arena's chunk, of a vector's capacity. */
#ifndef WH_HOLDER_TAIL_H
#define WH_HOLDER_TAIL_H

#include "trace/heap.h"

/* Where the words beside one another are a block's beginning, places in it and its end, what lies
 * behind the last of those places was left there by an earlier use: references from there become
 * weak. What lies behind a text in a string's memory is no reference at all. */
int wh_tails_weaken(struct wh_heap *heap, struct wh_error *error);

#endif
