/* Memory behind what its owner uses of it: the rest of an arena's chunk, of a vector's capacity. */
#ifndef WH_HOLDER_TAIL_H
#define WH_HOLDER_TAIL_H

#include "trace/heap.h"

/* Where the words beside one another are a block's beginning, places in it and its end, what lies
 * behind the last of those places was left there by an earlier use, and so was what lies behind the
 * text in a string's memory: references from there become weak. No more than that: numbers beside a
 * pointer may be somebody else's. */
int wh_tails_weaken(struct wh_heap *heap, struct wh_error *error);

#endif
