/* Kinds of blocks: those that one function created. Dense numbers, so that tables can be made of
 * them; they depend on addresses, so that nothing may be ordered by them. */
#ifndef WH_HOLDER_KIND_H
#define WH_HOLDER_KIND_H

#include "analyzer/symbol/frames.h"
#include "trace/heap.h"

struct wh_kinds {
    uint32_t *of_stack;     /* per stack id < stacks; 0 = its creator is unknown */
    uint32_t stacks, count; /* count: all kinds are below */
};

int wh_kinds_make(const struct wh_heap *heap, const struct wh_frames *frames, struct wh_kinds *ret,
                  struct wh_error *error);
void wh_kinds_release(struct wh_kinds *kinds);

static inline uint32_t wh_kinds_of(const struct wh_kinds *kinds, const struct wh_heap *heap,
                                   uint32_t block) {
    return kinds->of_stack[heap->nodes[block].stack_id];
}

#endif
