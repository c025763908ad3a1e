/* What the C and C++ runtime keep for themselves: the loader's own blocks, and how reports tell
 * their variables from the program's. Context: one thread. */
#ifndef WH_HOLDER_RUNTIME_H
#define WH_HOLDER_RUNTIME_H

#include "analyzer/symbol/frames.h"
#include "base/error.h"
#include "trace/heap.h"

/* Adds a root "own blocks" of the loader that refers to every block which the loader itself
 * allocated and nothing else refers to: it keeps some of them (DTVs of cached thread stacks,
 * records of unloaded modules) where no image of memory shows a root. */
int wh_runtime_adopt(struct wh_heap *heap, const struct wh_frames *frames, struct wh_error *error);

/* SQL: is a holder's name the runtime's own ("[libc.so.6] map")? People get such rows folded into
 * one: they are many, small, and not the program's. What the runtime keeps for the program (streams
 * that were never closed) is larger. */
#define WH_IS_RUNTIME(column) "(" column " GLOB '[[]*' OR " column " GLOB 'shared: [[]*')"
#define WH_RUNTIME_BYTES      "1048576"

#endif
