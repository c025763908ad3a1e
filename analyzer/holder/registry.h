/* Lists that thread through everything: registries, which keep nothing.
 *
 * A collector links each object that it watches into one list (CPython's `gc.generations`), a
 * debugging allocator each block. Such links are the shortest way to all objects and say nothing
 * about who needs them. What gives them away: a doubly linked list through the first two words of
 * its members, or the two behind those, with members of many creators. Their links become as weak
 * as a tagged word: a block that something else refers to is that one's; one that only the list has
 * stays the list's. */
#ifndef WH_HOLDER_REGISTRY_H
#define WH_HOLDER_REGISTRY_H

#include "analyzer/symbol/symbol.h"
#include "trace/heap.h"

/* Weakens the links of registries in *heap, and the roots' references to their ends. */
int wh_registry_weaken(struct wh_heap *heap, const struct wh_frames *frames,
                       struct wh_error *error);

#endif
