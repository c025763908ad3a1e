/* Blocks that the dynamic loader allocated for itself. Context: one thread. */
#ifndef WH_HOLDER_RUNTIME_H
#define WH_HOLDER_RUNTIME_H

#include "analyzer/symbol/frames.h"
#include "base/error.h"
#include "trace/heap.h"

/* Adds a root "own blocks" of the loader that refers to every block which the loader itself
 * allocated and nothing else refers to: it keeps some of them (DTVs of cached thread stacks,
 * records of unloaded modules) where no image of memory shows a root. */
int wh_runtime_adopt(struct wh_heap *heap, const struct wh_frames *frames, struct wh_error *error);

#endif
