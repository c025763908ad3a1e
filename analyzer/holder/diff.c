/* Sums per fingerprint on both sides, matched through interned texts. */
#include "analyzer/holder/diff.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/symbol/frames.h"
#include "base/string.h"

struct side {
    struct wh_store *store;
    int64_t snapshot;
    int index; /* 0 earlier, 1 later */
    struct wh_frames *frames;
    struct wh_map stacks; /* stack_id -> index of its text */
    const char **texts;
    uint32_t count;
    size_t room;
};

static const char sql[] =
    "SELECT CASE WHEN h.path_id IS NULL THEN 'lost' ELSE p.text END, a.stack_id, "
    "sum(a.size_bytes), count(*) FROM held h JOIN allocation a ON a.id = h.allocation_id "
    "LEFT JOIN path p ON p.id = h.path_id WHERE h.snapshot_id = ?1 "
    "GROUP BY h.path_id, a.stack_id";

static const char *stack_text(struct side *s, struct wh_diff *d, uint32_t stack) {
    struct wh_key key = {stack, 0, 0};
    uint32_t index = wh_map_find(&s->stacks, key);
    if (index != WH_MAP_NONE)
        return s->texts[index];
    struct wh_text text = {0};
    struct wh_frame f;
    for (size_t i = 0;
         i < wh_frames_depth(s->frames, stack) && wh_frames_get(s->frames, stack, i, &f); i++)
        wh_text_printf(&text, "%s%s", i ? " < " : "", f.function ? f.function : "?");
    const char *interned = text.failed ? NULL : wh_names_intern(&d->texts, text.data);
    wh_text_release(&text);
    if (!interned ||
        wh_array_reserve(&s->texts, &s->room, (size_t)s->count + 1, sizeof(*s->texts)) < 0 ||
        wh_map_add(&s->stacks, key, s->count, NULL) < 0)
        return NULL;
    s->texts[s->count++] = interned;
    return interned;
}

static int add(struct wh_diff *d, struct wh_map *rows, struct side *s, const struct wh_query *q,
               struct wh_error *error) {
    uint32_t stack = (uint32_t)wh_query_int(q, 1);
    const char *creator = wh_frames_creator(s->frames, stack);
    const char *path = wh_names_intern(&d->texts, wh_query_text(q, 0)),
               *text = stack_text(s, d, stack);
    creator = wh_names_intern(&d->texts, creator ? creator : "?");
    if (!path || !text || !creator)
        return wh_fail(error, WH_ESYSTEM, "no memory for the comparison");
    struct wh_key key = {(uintptr_t)path, (uintptr_t)text, 0};
    uint32_t index = wh_map_find(rows, key);
    if (index == WH_MAP_NONE) {
        index = d->count;
        if (wh_array_reserve(&d->rows, &d->room, (size_t)index + 1, sizeof(*d->rows)) < 0)
            return wh_fail(error, WH_ESYSTEM, "no memory for the comparison");
        int status = wh_map_add(rows, key, index, error);
        if (status < 0)
            return status;
        d->rows[d->count++] = (struct wh_diff_row){.creator = creator, .path = path, .stack = text};
    }
    uint64_t bytes = (uint64_t)wh_query_int(q, 2), objects = (uint64_t)wh_query_int(q, 3);
    d->rows[index].bytes[s->index] += bytes;
    d->rows[index].objects[s->index] += objects;
    d->bytes[s->index] += bytes;
    d->objects[s->index] += objects;
    return 0;
}

static int load_side(struct wh_diff *d, struct wh_map *rows, struct side *s,
                     struct wh_error *error) {
    struct wh_query *q = NULL;
    int status = wh_frames_load(s->store, &s->frames, error);
    if (status == 0)
        status = wh_query_open(s->store, sql, &q, error);
    if (status == 0) {
        wh_query_bind_int(q, 1, s->snapshot);
        while (status == 0 && (status = wh_query_step(q, error)) > 0)
            status = add(d, rows, s, q, error);
    }
    wh_query_close(q);
    wh_frames_free(s->frames);
    wh_map_release(&s->stacks);
    free(s->texts);
    return status;
}

static uint64_t change(const struct wh_diff_row *r) {
    return r->bytes[1] > r->bytes[0] ? r->bytes[1] - r->bytes[0] : r->bytes[0] - r->bytes[1];
}

static int by_change(const void *a, const void *b) {
    const struct wh_diff_row *x = a, *y = b;
    if (change(x) != change(y))
        return change(x) < change(y) ? 1 : -1;
    int c = strcmp(x->path, y->path);
    return c ? c : strcmp(x->stack, y->stack);
}

int wh_diff(struct wh_store *const stores[2], const int64_t snapshots[2], struct wh_diff *ret,
            struct wh_error *error) {
    struct wh_map rows = {0};
    int status = 0;
    *ret = (struct wh_diff){0};
    for (int i = 0; i < 2 && status == 0; i++) {
        struct side s = {.store = stores[i], .snapshot = snapshots[i], .index = i};
        status = load_side(ret, &rows, &s, error);
    }
    wh_map_release(&rows);
    if (status < 0) {
        wh_diff_release(ret);
        return status;
    }
    if (ret->count)
        qsort(ret->rows, ret->count, sizeof(*ret->rows), by_change);
    return 0;
}

void wh_diff_release(struct wh_diff *d) {
    free(d->rows);
    wh_names_release(&d->texts);
    *d = (struct wh_diff){0};
}
