/* Stacks in memory (frames.h). A stack is a slice of one array of frame indexes; asking whether a
 * name is on it compares a few dozen integers. */
#include "analyzer/symbol/frames.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/symbol/text.h"
#include "schema/store.h"

#define KINDS 3

struct frame_row {
    int64_t id;
    struct wh_frame frame;
    uint32_t ids[KINDS];
};

struct stack_row {
    int64_t id;
    size_t first;
    uint32_t count;
    uint32_t creator_id;
    const char *creator;
};

struct name_slot {
    const char *name; /* interned; NULL = empty */
    uint32_t id;
};

/* Interned text -> small number, by address. */
struct name_table {
    struct name_slot *slots;
    size_t slot_count, used;
};

struct wh_frames {
    struct wh_texts texts;
    struct name_table names[KINDS];
    struct frame_row *frames; /* by id */
    size_t frame_count, frame_room;
    struct stack_row *stacks; /* by id */
    size_t stack_count, stack_room;
    uint32_t *slots; /* of stacks, by id: index + 1, 0 = empty; asked millions of times */
    size_t slot_mask;
    uint32_t *indexes; /* into frames */
    size_t index_count, index_room;
};

void wh_frames_free(struct wh_frames *f) {
    if (!f)
        return;
    for (int kind = 0; kind < KINDS; kind++)
        free(f->names[kind].slots);
    free(f->frames);
    free(f->stacks);
    free(f->slots);
    free(f->indexes);
    wh_texts_release(&f->texts);
    free(f);
}

/* --- names
 * --------------------------------------------------------------------------------------------- */

static size_t name_slot(const struct name_table *t, const char *name) {
    size_t at =
        (size_t)(((uint64_t)(uintptr_t)name * 0x9e3779b97f4a7c15ull) >> 24) & (t->slot_count - 1);
    while (t->slots[at].name && t->slots[at].name != name)
        at = (at + 1) & (t->slot_count - 1);
    return at;
}

/* The number of an interned name, given on first sight; 0 = NULL name or no memory. */
static uint32_t name_number(struct name_table *t, const char *name) {
    if (!name)
        return 0;
    if (t->used * 2 >= t->slot_count) {
        struct name_table next = {.slot_count = t->slot_count ? t->slot_count * 2 : 256,
                                  .used = t->used};
        next.slots = calloc(next.slot_count, sizeof(*next.slots));
        if (!next.slots)
            return 0;
        for (size_t i = 0; i < t->slot_count; i++) {
            if (t->slots[i].name)
                next.slots[name_slot(&next, t->slots[i].name)] = t->slots[i];
        }
        free(t->slots);
        *t = next;
    }
    struct name_slot *slot = &t->slots[name_slot(t, name)];
    if (!slot->name)
        *slot = (struct name_slot){name, (uint32_t)++t->used};
    return slot->id;
}

uint32_t wh_frames_id(const struct wh_frames *f, enum wh_frames_kind kind, const char *name) {
    const struct name_table *t = &f->names[kind];
    const char *interned = name ? wh_texts_find(&f->texts, name) : NULL;
    return interned && t->slot_count ? t->slots[name_slot(t, interned)].id : 0;
}

/* --- loading
 * --------------------------------------------------------------------------------------------- */

static bool grow(void **items, size_t *room, size_t count, size_t item_bytes) {
    if (count < *room)
        return true;
    size_t next = *room ? *room * 2 : 1024;
    void *grown = realloc(*items, next * item_bytes);
    if (!grown)
        return false;
    *items = grown;
    *room = next;
    return true;
}

static bool add_frame(struct wh_frames *f, const struct wh_query *q) {
    if (!grow((void **)&f->frames, &f->frame_room, f->frame_count, sizeof(*f->frames)))
        return false;
    struct frame_row *row = &f->frames[f->frame_count++];
    *row = (struct frame_row){.id = wh_query_int(q, 0)};
    row->frame.module = wh_texts_add(&f->texts, wh_query_text(q, 1));
    row->frame.address = (uint64_t)wh_query_int(q, 2);
    row->frame.function = wh_texts_add(&f->texts, wh_query_text(q, 3));
    row->frame.file = wh_texts_add(&f->texts, wh_query_text(q, 4));
    row->frame.line = (uint32_t)wh_query_int(q, 5);
    row->frame.inlined = wh_query_int(q, 6) != 0;
    const char *name = row->frame.function;
    if (!name) {
        char text[4200];
        snprintf(text, sizeof(text), "%s%s0x%" PRIx64, row->frame.module ? row->frame.module : "",
                 row->frame.module ? "+" : "", row->frame.address);
        name = wh_texts_add(&f->texts, text);
    }
    row->ids[WH_FRAMES_FUNCTION] = name_number(&f->names[WH_FRAMES_FUNCTION], name);
    row->ids[WH_FRAMES_FILE] = name_number(&f->names[WH_FRAMES_FILE], row->frame.file);
    row->ids[WH_FRAMES_MODULE] = name_number(&f->names[WH_FRAMES_MODULE], row->frame.module);
    return true;
}

/* Index of a frame by id, SIZE_MAX = none. */
static size_t frame_index(const struct wh_frames *f, int64_t id) {
    if (id > 0 && (uint64_t)id <= f->frame_count && f->frames[id - 1].id == id)
        return (size_t)(id - 1);
    size_t low = 0, high = f->frame_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (f->frames[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->frame_count && f->frames[low].id == id ? low : SIZE_MAX;
}

static bool add_stack(struct wh_frames *f, const struct wh_query *q) {
    if (!grow((void **)&f->stacks, &f->stack_room, f->stack_count, sizeof(*f->stacks)))
        return false;
    struct stack_row *row = &f->stacks[f->stack_count++];
    *row = (struct stack_row){.id = wh_query_int(q, 0), .first = f->index_count};
    const char *json = wh_query_text(q, 1);
    for (const char *p = json ? json : ""; *p;) {
        if (*p < '0' || *p > '9') {
            p++;
            continue;
        }
        char *end;
        size_t index = frame_index(f, strtoll(p, &end, 10));
        p = end;
        if (index == SIZE_MAX)
            continue;
        if (!grow((void **)&f->indexes, &f->index_room, f->index_count, sizeof(*f->indexes)))
            return false;
        f->indexes[f->index_count++] = (uint32_t)index;
        row->count++;
    }
    row->creator = wh_texts_add(&f->texts, wh_query_text(q, 2));
    row->creator_id = name_number(&f->names[WH_FRAMES_FUNCTION], row->creator);
    return true;
}

static size_t stack_slot(const struct wh_frames *f, int64_t id) {
    return (size_t)((uint64_t)id * 0x9e3779b97f4a7c15ull >> 32) & f->slot_mask;
}

/* At most half of the slots are used. */
static bool index_stacks(struct wh_frames *f) {
    size_t count = 2;
    while (count < 2 * f->stack_count)
        count *= 2;
    f->slots = f->stack_count < UINT32_MAX ? calloc(count, sizeof(*f->slots)) : NULL;
    if (!f->slots)
        return false;
    f->slot_mask = count - 1;
    for (size_t i = 0; i < f->stack_count; i++) {
        size_t at = stack_slot(f, f->stacks[i].id);
        while (f->slots[at])
            at = (at + 1) & f->slot_mask;
        f->slots[at] = (uint32_t)(i + 1);
    }
    return true;
}

static int load_rows(struct wh_frames *f, struct wh_store *store, const char *sql,
                     bool (*add)(struct wh_frames *, const struct wh_query *),
                     struct wh_error *error) {
    struct wh_query *q = NULL;
    int rc = wh_query_open(store, sql, &q, error);
    while (!rc && (rc = wh_query_step(q, error)) > 0)
        rc = add(f, q) ? 0 : wh_fail(error, WH_ESYSTEM, "no memory for the call stacks");
    wh_query_close(q);
    return rc;
}

int wh_frames_load(struct wh_store *store, struct wh_frames **ret_frames, struct wh_error *error) {
    struct wh_frames *f = calloc(1, sizeof(*f));
    *ret_frames = NULL;
    if (!f)
        return wh_fail(error, WH_ESYSTEM, "no memory for the call stacks");
    int rc = load_rows(
        f, store,
        "SELECT id, module, address, function, file, line, inlined FROM frame ORDER BY id",
        add_frame, error);
    if (!rc)
        rc = load_rows(f, store, "SELECT id, frames, creator FROM stack ORDER BY id", add_stack,
                       error);
    if (!rc && !index_stacks(f))
        rc = wh_fail(error, WH_ESYSTEM, "no memory for the call stacks");
    if (rc)
        wh_frames_free(f);
    else
        *ret_frames = f;
    return rc;
}

/* --- asking
 * ---------------------------------------------------------------------------------------------- */

static const struct stack_row *stack_find(const struct wh_frames *f, uint32_t id) {
    for (size_t at = stack_slot(f, id); f->slots[at]; at = (at + 1) & f->slot_mask)
        if (f->stacks[f->slots[at] - 1].id == (int64_t)id)
            return &f->stacks[f->slots[at] - 1];
    return NULL;
}

const char *wh_frames_creator(const struct wh_frames *f, uint32_t stack_id) {
    const struct stack_row *s = stack_find(f, stack_id);
    return s ? s->creator : NULL;
}

uint32_t wh_frames_creator_id(const struct wh_frames *f, uint32_t stack_id) {
    const struct stack_row *s = stack_find(f, stack_id);
    return s ? s->creator_id : 0;
}

bool wh_frames_has(const struct wh_frames *f, uint32_t stack_id, enum wh_frames_kind kind,
                   uint32_t id) {
    const struct stack_row *s = id ? stack_find(f, stack_id) : NULL;
    for (uint32_t i = 0; s && i < s->count; i++) {
        if (f->frames[f->indexes[s->first + i]].ids[kind] == id)
            return true;
    }
    return false;
}

size_t wh_frames_depth(const struct wh_frames *f, uint32_t stack_id) {
    const struct stack_row *s = stack_find(f, stack_id);
    return s ? s->count : 0;
}

bool wh_frames_get(const struct wh_frames *f, uint32_t stack_id, size_t depth,
                   struct wh_frame *ret_frame) {
    const struct stack_row *s = stack_find(f, stack_id);
    if (!s || depth >= s->count)
        return false;
    *ret_frame = f->frames[f->indexes[s->first + depth]].frame;
    return true;
}
