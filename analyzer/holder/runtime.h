/* Blocks that the dynamic loader allocated for itself. Context: one thread. */
#ifndef WH_HOLDER_RUNTIME_H
#define WH_HOLDER_RUNTIME_H

#include "analyzer/symbol/frames.h"
#include "base/error.h"
#include "trace/heap.h"

/* Adds a root "own blocks" of the loader with the weakest class of reference to every block that
 * the loader itself allocated: it keeps some of them (DTVs of cached thread stacks, unloaded
 * modules' records) where no image of memory shows a root. Blocks that anything else holds are not
 * affected. */
int wh_runtime_adopt(struct wh_heap *heap, const struct wh_frames *frames, struct wh_error *error);

#endif
