/* Objects that begin behind a header, by what all references to blocks of one making tell. */
#ifndef WH_HOLDER_OFFSET_H
#define WH_HOLDER_OFFSET_H

#include "analyzer/symbol/frames.h"
#include "trace/heap.h"

/* Where most blocks that come out of a function - their creator, or what it calls to allocate - are
 * referred to at one place behind their beginning each, and at few such places in all, objects
 * begin there: such a reference is worth as much as one to a block's first byte. The recorder,
 * which knows no functions, could only compare blocks of one and the same stack. */
int wh_offsets_raise(struct wh_heap *heap, const struct wh_frames *frames, struct wh_error *error);

#endif
