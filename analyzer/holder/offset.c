#include "analyzer/holder/offset.h"

#include <stdlib.h>

#include "analyzer/holder/table.h"
#include "base/string.h"

#define AGREED_MIN 8u  /* for each place they agree on */
#define HEADER_MAX 64u /* bytes */
#define FRAMES_MAX 16u /* from the allocator's caller to the creator */
#define PLACES     4u  /* of a stack's blocks; it has hardly ever more than one */
#define NONE       0
#define FAR        254 /* nowhere near its beginning */
#define START      255

/* Blocks of one stack, by the first place that each is referred to at: what lies further in are
 * members. */
struct stack {
    uint32_t blocks, agreed[PLACES];
    uint8_t offset[PLACES]; /* 0 = none (any more) */
    uint8_t has_header;     /* bit per place */
};

/* All that come out of a function. */
struct function {
    uint32_t blocks, agreed, places;
    uint32_t at[HEADER_MAX + 1];
};

struct look {
    const struct wh_heap *heap;
    const struct wh_frames *frames;
    uint8_t *offset; /* per block: the first place */
    struct stack *stacks;
    uint32_t stack_count;
    struct function *functions;
    size_t function_room;
    struct wh_map numbers; /* id of a function's name -> index */
    struct wh_error *error;
};

static bool is_place(unsigned offset) {
    return offset && offset <= HEADER_MAX;
}

/* A part of something, whose length lies beside the pointer, begins anywhere in it. */
static bool is_slice(const struct wh_edges *edges, uint64_t edge) {
    unsigned e = edges->items[edge].evidence;
    return e == WH_EVIDENCE_PTR_LEN || e == WH_EVIDENCE_PTR_LEN_CAP || e == WH_EVIDENCE_IOVEC ||
           e == WH_EVIDENCE_BYTES || e == WH_EVIDENCE_BEGIN_END;
}

static unsigned offset_of(const struct wh_edges *edges, uint64_t edge) {
    unsigned c = edges->items[edge].edge_class;
    if (c <= WH_EDGE_TAGGED)
        return NONE;
    uint64_t offset = wh_edges_to_offset(edges, edge);
    return offset == 0 ? START : offset <= HEADER_MAX ? (unsigned)offset : FAR;
}

static void look_at_edges(struct look *l) {
    const struct wh_edges *edges = &l->heap->edges;
    for (uint64_t i = 0; i < edges->count; i++) {
        uint8_t *of_block = &l->offset[edges->items[i].to];
        unsigned offset = offset_of(edges, i);
        if (is_place(offset) && is_slice(edges, i))
            offset = FAR;
        if (offset == START ||
            (*of_block != START && offset != NONE && (*of_block == NONE || offset < *of_block)))
            *of_block = (uint8_t)offset;
    }
}

static void look_at_blocks(struct look *l) {
    for (uint32_t b = 0; b < l->heap->node_count; b++) {
        struct stack *s = &l->stacks[l->heap->nodes[b].stack_id];
        unsigned offset = l->offset[b], i = 0;
        s->blocks += offset != NONE;
        if (!is_place(offset))
            continue;
        while (i < PLACES && s->offset[i] && s->offset[i] != offset)
            i++;
        if (i == PLACES)
            continue;
        s->offset[i] = (uint8_t)offset;
        s->agreed[i]++;
    }
}

static struct function *function_of(struct look *l, uint32_t name) {
    struct wh_key key = {name, 0, 0};
    uint32_t index = wh_map_find(&l->numbers, key);
    if (index != WH_MAP_NONE)
        return &l->functions[index];
    index = l->numbers.count;
    if (wh_array_reserve(&l->functions, &l->function_room, index + 1ul, sizeof(*l->functions)) <
            0 ||
        wh_map_add(&l->numbers, key, index, l->error) < 0)
        return NULL;
    l->functions[index] = (struct function){0};
    return &l->functions[index];
}

/* Calls for every function that a stack's blocks come out of. */
static int each_function(struct look *l, uint32_t stack,
                         void (*call)(struct function *, struct stack *)) {
    uint32_t creator = wh_frames_creator_id(l->frames, stack);
    struct wh_frame f;
    for (size_t depth = 0; creator && depth < FRAMES_MAX; depth++) {
        if (!wh_frames_get(l->frames, stack, depth, &f) || !f.function)
            continue;
        uint32_t name = wh_frames_id(l->frames, WH_FRAMES_FUNCTION, f.function);
        struct function *function = function_of(l, name);
        if (!function)
            return wh_fail(l->error, WH_ESYSTEM, "no memory for the headers of objects");
        call(function, &l->stacks[stack]);
        if (name == creator)
            break;
    }
    return 0;
}

static void add_up(struct function *f, struct stack *s) {
    f->blocks += s->blocks;
    for (unsigned i = 0; i < PLACES && s->offset[i]; i++) {
        f->places += f->at[s->offset[i]] == 0;
        f->at[s->offset[i]] += s->agreed[i];
        f->agreed += s->agreed[i];
    }
}

static void judge(struct function *f, struct stack *s) {
    for (unsigned i = 0; i < PLACES && s->offset[i]; i++)
        if (f->agreed >= f->blocks / 2 && f->agreed >= AGREED_MIN * f->places)
            s->has_header |= (uint8_t)(1u << i);
}

static int look_at(struct look *l) {
    int status = 0;
    look_at_edges(l);
    look_at_blocks(l);
    for (uint32_t i = 1; i < l->stack_count && status == 0; i++)
        if (l->stacks[i].blocks)
            status = each_function(l, i, add_up);
    for (uint32_t i = 1; i < l->stack_count && status == 0; i++)
        if (l->stacks[i].offset[0])
            status = each_function(l, i, judge);
    return status;
}

static void raise(const struct look *l, struct wh_edges *edges) {
    for (uint64_t e = 0; e < edges->count; e++) {
        unsigned offset = offset_of(edges, e), i = 0, evidence = edges->items[e].evidence;
        if (!is_place(offset))
            continue;
        const struct stack *s = &l->stacks[l->heap->nodes[edges->items[e].to].stack_id];
        while (i < PLACES && s->offset[i] != offset)
            i++;
        /* How a length became known is worth more than how the class did. */
        if (i < PLACES && (s->has_header >> i & 1))
            wh_edges_change(edges, e, WH_EDGE_START,
                            evidence == WH_EVIDENCE_NONE ? WH_EVIDENCE_OFFSET : evidence);
    }
}

int wh_offsets_raise(struct wh_heap *heap, const struct wh_frames *frames, struct wh_error *error) {
    struct look l = {.heap = heap, .frames = frames, .stack_count = 1, .error = error};
    for (uint32_t b = 0; b < heap->node_count; b++)
        if (heap->nodes[b].stack_id >= l.stack_count)
            l.stack_count = heap->nodes[b].stack_id + 1;
    l.offset = calloc(heap->node_count + 1ul, 1);
    l.stacks = calloc(l.stack_count, sizeof(*l.stacks));
    int status = 0;
    if (!l.offset || !l.stacks)
        status = wh_fail(error, WH_ESYSTEM, "no memory for the headers of objects");
    if (status == 0)
        status = look_at(&l);
    if (status == 0)
        raise(&l, &heap->edges);
    free(l.offset);
    free(l.stacks);
    free(l.functions);
    wh_map_release(&l.numbers);
    return status;
}
