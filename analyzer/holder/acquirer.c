/* Rows of table pooled, joined to the blocks of the image by allocation. */
#include "analyzer/holder/acquirer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct join {
    struct wh_holding *h;
    struct wh_map blocks; /* allocation id -> block */
    struct wh_acquirers *ret;
    struct wh_error *error;
};

static int start(struct join *j) {
    struct wh_holding *h = j->h;
    size_t blocks = h->graph.blocks ? h->graph.blocks : 1;
    int status = 0;
    j->ret->names = calloc(blocks, sizeof(*j->ret->names));
    j->ret->stacks = calloc(blocks, sizeof(*j->ret->stacks));
    if (!j->ret->names || !j->ret->stacks)
        return wh_fail(j->error, WH_ESYSTEM, "no memory for the pools of %zu blocks", blocks);
    for (uint32_t b = 0; b < h->graph.blocks && status == 0; b++) {
        struct wh_key key = {h->heap.nodes[b].allocation_id, 0, 0};
        if (key.a && wh_map_find(&j->blocks, key) == WH_MAP_NONE)
            status = wh_map_add(&j->blocks, key, b, j->error);
    }
    return status;
}

/* The taker's name: the first function on its stack that is not on the block's creator stack. What
 * both have in common (the pool's own functions, which called the allocator once) tells nothing. */
static const char *taker(const struct wh_frames *frames, uint32_t stack, uint32_t creator_stack) {
    const char *first = NULL;
    struct wh_frame f;
    for (size_t i = 0; i < wh_frames_depth(frames, stack) && wh_frames_get(frames, stack, i, &f);
         i++) {
        if (!f.function || strncmp(f.function, "whoholds_", 9) == 0)
            continue;
        first = first ? first : f.function;
        uint32_t id = wh_frames_id(frames, WH_FRAMES_FUNCTION, f.function);
        if (!wh_frames_has(frames, creator_stack, WH_FRAMES_FUNCTION, id))
            return f.function;
    }
    return first ? first : "?";
}

static int add(struct join *j, const struct wh_query *q) {
    struct wh_key key = {(uint64_t)wh_query_int(q, 0), 0, 0};
    uint32_t block = wh_map_find(&j->blocks, key);
    char text[300];
    if (block == WH_MAP_NONE)
        return 0;
    uint32_t stack = (uint32_t)wh_query_int(q, 2);
    if (wh_query_int(q, 3))
        snprintf(text, sizeof(text), "given back to %s", wh_query_text(q, 1));
    else
        snprintf(text, sizeof(text), "%s",
                 taker(j->h->frames, stack, j->h->heap.nodes[block].stack_id));
    j->ret->names[block] = wh_names_intern(&j->h->texts, text);
    j->ret->stacks[block] = stack;
    return j->ret->names[block] ? 0 : wh_fail(j->error, WH_ESYSTEM, "no memory for pools");
}

int wh_acquirers_load(struct wh_holding *h, struct wh_acquirers *ret, struct wh_error *error) {
    struct join j = {.h = h, .ret = ret, .error = error};
    struct wh_query *q;
    *ret = (struct wh_acquirers){0};
    int status =
        wh_query_open(h->store,
                      "SELECT allocation_id, pool, acquirer_stack_id, is_idle FROM pooled WHERE "
                      "snapshot_id = ?1",
                      &q, error);
    if (status < 0)
        return status;
    wh_query_bind_int(q, 1, h->snapshot_id);
    while (status == 0 && (status = wh_query_step(q, error)) > 0) {
        status = ret->names ? 0 : start(&j);
        if (status == 0)
            status = add(&j, q);
    }
    wh_query_close(q);
    wh_map_release(&j.blocks);
    if (status < 0)
        wh_acquirers_release(ret);
    return status;
}

void wh_acquirers_release(struct wh_acquirers *a) {
    free(a->names);
    free(a->stacks);
    *a = (struct wh_acquirers){0};
}
