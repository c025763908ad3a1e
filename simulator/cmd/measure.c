/* Reading a trace for verify, see measure.h. The blocks of a snapshot are read once, grouped by
 * stack and path, and every row is measured against the groups. */
#include "cmd/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"

#define FRAMES_MAX 128
#define NAME_BYTES 96

/* Blocks of one snapshot with the same stack, path and state. */
struct group {
    int64_t stack_id, objects, bytes, visible_bytes;
    char *holder, *path, *creator; /* NULL = none */
    bool is_lost;
};

struct measure_trace {
    struct wh_store *store;
    struct group *group; /* of `loaded`, by stack */
    size_t count, room;
    int64_t loaded; /* snapshot; 0 = none */
    struct wh_query *snapshot, *groups, *frames;
    int64_t stack_id; /* whose frames are loaded; -1 = none */
    char frame[FRAMES_MAX][NAME_BYTES];
    int frame_count;
};

static const char snapshot_sql[] = "SELECT id, block_rows = 'all', lost_bytes FROM snapshot WHERE "
                                   "process_id = 1 AND (label = ?1 OR (?1 = 'exit' AND reason = "
                                   "'exit')) ORDER BY id DESC LIMIT 1";

static const char groups_sql[] =
    "SELECT a.stack_id, count(*), sum(a.size_bytes), sum(coalesce(h.visible_bytes, a.size_bytes)), "
    "p.holder, p.text, s.creator, h.state <> 'held' "
    "FROM held h JOIN allocation a ON a.id = h.allocation_id LEFT JOIN path p ON p.id = h.path_id "
    "LEFT JOIN stack s ON s.id = a.stack_id WHERE h.snapshot_id = ?1 AND a.kind <> 'mmap' "
    "GROUP BY a.stack_id, h.path_id, h.state ORDER BY a.stack_id";

static const char frames_sql[] =
    "SELECT function FROM stack_frame WHERE stack_id = ?1 ORDER BY depth";

int measure_open(const char *path, struct measure_trace **ret_trace, struct wh_error *error) {
    struct measure_trace *t = calloc(1, sizeof(*t));
    if (!t)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    t->stack_id = -1;
    int status = wh_store_open(path, WH_STORE_READ, &t->store, error);
    if (!status)
        status = wh_query_open(t->store, snapshot_sql, &t->snapshot, error);
    if (!status)
        status = wh_query_open(t->store, groups_sql, &t->groups, error);
    if (!status)
        status = wh_query_open(t->store, frames_sql, &t->frames, error);
    if (status) {
        measure_close(t);
        t = NULL;
    }
    *ret_trace = t;
    return status;
}

static void forget_groups(struct measure_trace *t) {
    for (size_t i = 0; i < t->count; i++) {
        free(t->group[i].holder);
        free(t->group[i].path);
        free(t->group[i].creator);
    }
    t->count = 0;
    t->loaded = 0;
}

void measure_close(struct measure_trace *t) {
    if (!t)
        return;
    forget_groups(t);
    free(t->group);
    wh_query_close(t->snapshot);
    wh_query_close(t->groups);
    wh_query_close(t->frames);
    wh_store_close(t->store);
    free(t);
}

static int load_frames(struct measure_trace *t, int64_t stack_id, struct wh_error *error) {
    if (t->stack_id == stack_id)
        return 0;
    t->stack_id = stack_id;
    t->frame_count = 0;
    wh_query_bind_int(t->frames, 1, stack_id);
    int more = 0;
    while (t->frame_count < FRAMES_MAX && (more = wh_query_step(t->frames, error)) > 0) {
        const char *name = wh_query_text(t->frames, 0);
        snprintf(t->frame[t->frame_count++], NAME_BYTES, "%s", name ? name : "?");
    }
    wh_query_reset(t->frames);
    return more < 0 ? more : 0;
}

static bool has_frame(const struct measure_trace *t, const char *name) {
    for (int i = 0; i < t->frame_count; i++)
        if (strcmp(t->frame[i], name) == 0)
            return true;
    return false;
}

/* "a < b < c": these frames directly after each other, from the first a on. */
static bool stack_matches(const struct measure_trace *t, const char *wanted) {
    char copy[sizeof(((struct truth_row *)0)->stack)];
    snprintf(copy, sizeof(copy), "%s", wanted);
    char *rest = copy, *name = strtok_r(copy, "< ", &rest);
    int at = 0;
    while (name && at < t->frame_count && strcmp(t->frame[at], name) != 0)
        at++;
    for (; name; name = strtok_r(NULL, "< ", &rest), at++)
        if (at >= t->frame_count || strcmp(t->frame[at], name) != 0)
            return false;
    return true;
}

/* The words appear in this order. */
static bool path_matches(const char *text, const char *words) {
    char copy[sizeof(((struct truth_row *)0)->holder)];
    if (strcmp(words, "*") == 0)
        return true;
    snprintf(copy, sizeof(copy), "%s", words);
    char *rest = copy;
    for (char *w = strtok_r(copy, " ", &rest); w && text; w = strtok_r(NULL, " ", &rest)) {
        text = strstr(text, w);
        text = text ? text + strlen(w) : NULL;
    }
    return text != NULL;
}

static bool row_matches(const struct measure_trace *t, const struct truth_row *row,
                        const char *creator, const char *path) {
    if (row->kind != TRUTH_EXPECT)
        return has_frame(t, "runtime_mallocgc");
    if (strcmp(row->creator, "*") == 0 ? !has_frame(t, "runtime_mallocgc")
                                       : !creator || strcmp(creator, row->creator) != 0)
        return false;
    return (!*row->stack || stack_matches(t, row->stack)) && path_matches(path, row->holder);
}

static char *copy_text(const struct wh_query *q, int column) {
    const char *text = wh_query_text(q, column);
    return text ? strdup(text) : NULL;
}

static int load_groups(struct measure_trace *t, int64_t snapshot, struct wh_error *error) {
    if (t->loaded == snapshot)
        return 0;
    forget_groups(t);
    wh_query_bind_int(t->groups, 1, snapshot);
    int more;
    while ((more = wh_query_step(t->groups, error)) > 0) {
        if (wh_array_reserve(&t->group, &t->room, t->count + 1, sizeof(*t->group)) < 0) {
            more = wh_fail(error, WH_ESYSTEM, "out of memory");
            break;
        }
        t->group[t->count++] = (struct group){
            .stack_id = wh_query_int(t->groups, 0),
            .objects = wh_query_int(t->groups, 1),
            .bytes = wh_query_int(t->groups, 2),
            .visible_bytes = wh_query_int(t->groups, 3),
            .holder = copy_text(t->groups, 4),
            .path = copy_text(t->groups, 5),
            .creator = copy_text(t->groups, 6),
            .is_lost = wh_query_int(t->groups, 7) != 0,
        };
    }
    wh_query_reset(t->groups);
    t->loaded = more < 0 ? 0 : snapshot;
    return more;
}

static void add_group(struct measure *ret, const struct group *g, int64_t *largest) {
    ret->objects += g->objects;
    ret->bytes += g->bytes;
    ret->visible_bytes += g->visible_bytes;
    if (g->bytes <= *largest)
        return;
    snprintf(ret->creator, sizeof(ret->creator), "%s", g->creator ? g->creator : "?");
    snprintf(ret->holder, sizeof(ret->holder), "%s", g->holder ? g->holder : "lost");
    *largest = g->bytes;
}

int measure_row(struct measure_trace *t, const struct truth_row *row, struct measure *ret,
                struct wh_error *error) {
    *ret = (struct measure){0};
    wh_query_bind_text(t->snapshot, 1, row->at);
    int more = wh_query_step(t->snapshot, error);
    int64_t snapshot = more > 0 ? wh_query_int(t->snapshot, 0) : 0;
    ret->has_blocks = more > 0 && wh_query_int(t->snapshot, 1);
    ret->lost_bytes = more > 0 ? wh_query_int(t->snapshot, 2) : 0;
    wh_query_reset(t->snapshot);
    if (more < 0)
        return more;
    if (more == 0)
        return wh_fail(error, WH_ENOTFOUND, "the trace has no snapshot '%s'", row->at);
    int64_t largest = 0;
    int status = ret->has_blocks ? load_groups(t, snapshot, error) : 0;
    for (size_t i = 0; i < (ret->has_blocks ? t->count : 0) && !status; i++) {
        const struct group *g = &t->group[i];
        status = load_frames(t, g->stack_id, error);
        if (!status && row_matches(t, row, g->creator, g->path))
            add_group(ret, g, &largest);
    }
    return status;
}
