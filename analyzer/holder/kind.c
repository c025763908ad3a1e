#include "analyzer/holder/kind.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/holder/table.h"

#define UNSEEN UINT32_MAX

static int no_memory(struct wh_error *error) {
    return wh_fail(error, WH_ESYSTEM, "no memory for the kinds of blocks");
}

static int make_room(struct wh_kinds *kinds, uint32_t stack, struct wh_error *error) {
    uint32_t room = stack + stack / 2 + 64;
    uint32_t *more = realloc(kinds->of_stack, room * sizeof(*more));
    if (!more)
        return no_memory(error);
    memset(more + kinds->stacks, 0xff, (room - kinds->stacks) * sizeof(*more));
    kinds->of_stack = more;
    kinds->stacks = room;
    return 0;
}

int wh_kinds_make(const struct wh_heap *heap, const struct wh_frames *frames, struct wh_kinds *ret,
                  struct wh_error *error) {
    struct wh_map numbers = {0};
    int status = 0;
    *ret = (struct wh_kinds){.count = 1};
    for (uint32_t b = 0; b < heap->node_count && status == 0; b++) {
        uint32_t stack = heap->nodes[b].stack_id;
        if (stack < ret->stacks && ret->of_stack[stack] != UNSEEN)
            continue;
        status = stack < ret->stacks ? 0 : make_room(ret, stack, error);
        struct wh_key key = {wh_frames_creator_id(frames, stack), 0, 0};
        uint32_t kind = key.a ? wh_map_find(&numbers, key) : 0;
        if (status == 0 && kind == WH_MAP_NONE) {
            kind = ret->count++;
            status = wh_map_add(&numbers, key, kind, error);
        }
        if (status == 0)
            ret->of_stack[stack] = kind;
    }
    wh_map_release(&numbers);
    return status;
}

void wh_kinds_release(struct wh_kinds *kinds) {
    free(kinds->of_stack);
    *kinds = (struct wh_kinds){0};
}
