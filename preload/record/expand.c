/* Lifetimes out of a stored trace: the same pairing as while recording, fed from the chunks.
 *
 * Processes are paired one after another, parents before children because a child starts with its
 * parent's blocks; ids grow from parent to child. The hard thing is memory: chunks are read in
 * order of arrival, and the merge may run up to the earliest moment that a chunk not read yet
 * begins with. */
#include "record/expand.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"
#include "record/derive.h"
#include "schema/chunk.h"
#include "trace/clock.h"
#include "trace/image.h"

/* One process of the trace. */
struct past {
    struct wh_image image;
    uint32_t id;
    bool is_replaced, was_finished; /* its row has its end already */
    int64_t end_ns;                 /* -1 = not known */
    uint32_t *extents;              /* stack_extent.first_id by extent; 0 = none */
    size_t extent_count;
};

struct expansion {
    struct wh_store *store;
    struct wh_derive *derive;
    struct wh_clock_map clock;
    uint64_t ms_ticks;
    bool free_stacks;
    bool is_unfinished; /* the recorder never came to the end */
    struct past *pasts; /* ascending ids */
    size_t count;
    struct wh_progress *progress;
    uint64_t events;
};

/* --- what the trace knows of a process
 * ------------------------------------------------------------ */

static struct past *find_past(struct expansion *x, uint32_t id) {
    size_t low = 0, high = x->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (x->pasts[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < x->count && x->pasts[low].id == id ? &x->pasts[low] : NULL;
}

static struct wh_image *find_image(void *arg, uint32_t id) {
    struct past *p = find_past(arg, id);
    return p ? &p->image : NULL;
}

static uint32_t extend(void *arg, uint32_t extent) {
    const struct past *p = arg;
    return extent < p->extent_count ? p->extents[extent] : 0;
}

static int read_processes(struct expansion *x, struct wh_error *error) {
    struct wh_query *q;
    size_t room = 0;
    int rc = wh_query_open(x->store,
                           "SELECT id, is_replaced, coalesce(end_ns, -1), end_ns IS NOT NULL"
                           " FROM process WHERE id BETWEEN 1 AND 0xffffffff ORDER BY id",
                           &q, error);
    if (rc)
        return rc;
    while ((rc = wh_query_step(q, error)) == 1) {
        if (wh_array_reserve(&x->pasts, &room, x->count + 1, sizeof *x->pasts)) {
            rc = wh_fail(error, WH_ESYSTEM, "out of memory");
            break;
        }
        x->pasts[x->count++] = (struct past){.id = (uint32_t)wh_query_int(q, 0),
                                             .is_replaced = wh_query_int(q, 1) != 0,
                                             .end_ns = wh_query_int(q, 2),
                                             .was_finished = wh_query_int(q, 3) != 0};
    }
    wh_query_close(q);
    return rc;
}

static int read_extents(struct expansion *x, struct wh_error *error) {
    struct wh_query *q;
    int rc =
        wh_query_open(x->store,
                      "SELECT process_id, extent, first_id FROM stack_extent"
                      " WHERE process_id BETWEEN 1 AND 0xffffffff AND extent >= 0"
                      " AND first_id BETWEEN 0 AND 0xffffffff ORDER BY process_id, extent DESC",
                      &q, error);
    if (rc)
        return rc;
    while ((rc = wh_query_step(q, error)) == 1) {
        struct past *p = find_past(x, (uint32_t)wh_query_int(q, 0));
        int64_t extent = wh_query_int(q, 1);
        if (!p || extent >= WH_NODE_MAX / WH_NODE_EXTENT)
            continue;
        if (!p->extents) { /* the largest comes first */
            p->extent_count = (size_t)extent + 1;
            p->extents = calloc(p->extent_count, sizeof *p->extents);
        }
        if (!p->extents) {
            rc = wh_fail(error, WH_ESYSTEM, "out of memory");
            break;
        }
        p->extents[extent] = (uint32_t)wh_query_int(q, 2);
    }
    wh_query_close(q);
    return rc;
}

/* --- one process
 * ------------------------------------------------------------------------------------ */

/* For each chunk of a process, in order: the earliest first_ns of it and all that follow. */
static int read_bounds(struct expansion *x, uint32_t id, uint64_t **ret_bounds, size_t *ret_count,
                       struct wh_error *error) {
    struct wh_query *q;
    uint64_t *bounds = NULL;
    size_t count = 0, room = 0;
    int rc = wh_query_open(
        x->store, "SELECT first_ns FROM event_chunk WHERE process_id = ?1 ORDER BY id", &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, id);
    while ((rc = wh_query_step(q, error)) == 1) {
        if (wh_array_reserve(&bounds, &room, count + 1, sizeof *bounds)) {
            rc = wh_fail(error, WH_ESYSTEM, "out of memory");
            break;
        }
        int64_t first = wh_query_int(q, 0);
        bounds[count++] = first > 0 ? (uint64_t)first : 0;
    }
    wh_query_close(q);
    for (size_t i = count; !rc && i-- > 1;)
        if (bounds[i] < bounds[i - 1])
            bounds[i - 1] = bounds[i];
    if (rc) {
        free(bounds);
        return rc;
    }
    *ret_bounds = bounds;
    *ret_count = count;
    return 0;
}

/* thread.id of a serial; 0 = the trace has no such row. */
static int thread_id(struct expansion *x, uint32_t process_id, uint32_t serial, uint32_t *ret_id,
                     struct wh_error *error) {
    struct wh_query *q;
    *ret_id = 0;
    int rc = wh_query_open(x->store, "SELECT id FROM thread WHERE process_id = ?1 AND serial = ?2",
                           &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, process_id);
    wh_query_bind_int(q, 2, serial);
    rc = wh_query_step(q, error);
    if (rc == 1)
        *ret_id = (uint32_t)wh_query_int(q, 0);
    wh_query_close(q);
    return rc < 0 ? rc : 0;
}

static int load(struct expansion *x, struct past *p, const struct wh_chunk *chunk,
                struct wh_error *error) {
    struct wh_image_thread *t = wh_image_thread(&p->image, chunk->thread_serial, false);
    int rc = 0;
    if (!t && (t = wh_image_thread(&p->image, chunk->thread_serial, true)))
        rc = thread_id(x, p->id, chunk->thread_serial, &t->stream.pair.id, error);
    if (rc)
        return rc;
    rc = t ? wh_stream_load(&t->stream, chunk->data, chunk->bytes) : -1;
    if (rc == -2)
        return wh_fail(error, WH_EINPUT, "'%s' is damaged: a chunk of events is cut short",
                       wh_store_path(x->store));
    if (rc || wh_merge_feed(&p->image.merge, &t->stream))
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    return 0;
}

/* Frees what has been paired: cutting a chunk off lets go of its blocks. */
static int let_go(struct past *p, struct wh_error *error) {
    for (struct wh_image_thread *t = wh_image_next_thread(&p->image, NULL); t;
         t = wh_image_next_thread(&p->image, t)) {
        struct wh_cut cut = {0};
        if (wh_stream_cut(&t->stream, &cut))
            return wh_fail(error, WH_ESYSTEM, "out of memory");
        free(cut.data);
    }
    return 0;
}

static int pair_chunks(struct expansion *x, struct past *p, const uint64_t *bounds, size_t count,
                       struct wh_error *error) {
    struct wh_chunks *chunks;
    struct wh_chunk chunk;
    size_t n = 0;
    int rc =
        wh_chunks_open(x->store, &(struct wh_chunk_range){.process_id = p->id}, &chunks, error);
    if (rc)
        return rc;
    while ((rc = wh_chunks_next(chunks, &chunk, error)) == 1) {
        rc = load(x, p, &chunk, error);
        x->events += chunk.events;
        wh_progress_show(x->progress, "expanding: process %" PRIu32 ", %" PRIu64 " events", p->id,
                         x->events);
        n++;
        uint64_t next = n < count ? bounds[n] : 0;
        uint64_t ticks = next ? wh_clock_ticks(&x->clock, next) : 0;
        if (!rc && ticks > 1 && wh_image_run(&p->image, ticks - 2) < 0)
            rc = wh_fail(error, WH_ESYSTEM, "out of memory");
        if (!rc)
            rc = let_go(p, error);
        if (!rc)
            rc = wh_derive_flush(x->derive, error);
        if (rc)
            break;
    }
    wh_chunks_close(chunks);
    return rc;
}

/* The sums that an unfinished recording never wrote. */
static int write_sums(struct expansion *x, struct past *p, struct wh_error *error) {
    struct wh_pair *pair = &p->image.pair;
    const struct wh_ledger *sums = wh_pair_sums(pair, p->is_replaced);
    struct wh_query *q;
    int rc =
        wh_query_open(x->store,
                      "UPDATE process SET events = ?2, unknown_frees = ?3, inherited_objects = ?4,"
                      " inherited_bytes = ?5, live_objects = ?6, live_bytes = ?7, peak_bytes = ?8,"
                      " peak_ns = ?9, implied_frees = ?10 WHERE id = ?1",
                      &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, p->id);
    wh_query_bind_int(q, 2, (int64_t)pair->events);
    wh_query_bind_int(q, 3, (int64_t)pair->unknown_frees);
    wh_query_bind_int(q, 4, (int64_t)pair->inherited_objects);
    wh_query_bind_int(q, 5, (int64_t)pair->inherited_bytes);
    wh_query_bind_int(q, 6, (int64_t)sums->live_objects);
    wh_query_bind_int(q, 7, (int64_t)sums->live_bytes);
    wh_query_bind_int(q, 8, (int64_t)sums->peak_bytes);
    wh_query_bind_int(q, 10, (int64_t)pair->implied_frees);
    if (sums->peak_ticks)
        wh_query_bind_int(q, 9, (int64_t)wh_clock_ns(&x->clock, sums->peak_ticks));
    rc = wh_query_step(q, error);
    wh_query_close(q);
    return rc;
}

static int finish(struct expansion *x, struct past *p, struct wh_error *error) {
    struct wh_pair *pair = &p->image.pair;
    int rc = wh_image_run(&p->image, UINT64_MAX);
    if (rc == 1) { /* its parent never got to the fork: it starts empty */
        p->image.is_orphan = true;
        rc = wh_image_run(&p->image, UINT64_MAX);
    }
    uint64_t end_ticks = p->end_ns >= 0 ? wh_clock_ticks(&x->clock, (uint64_t)p->end_ns) : 0;
    if (pair->last_ticks > end_ticks)
        end_ticks = pair->last_ticks;
    if (rc < 0 || wh_pair_finish(pair, end_ticks, p->is_replaced) < 0)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    rc = wh_derive_process(x->derive, pair, p->is_replaced, error);
    /* Of a recording that was cut short the parent's last events may be missing: then a finished
     * child did inherit, but what it says must agree with the rows made from what is there. */
    if (!rc && (!p->was_finished || x->is_unfinished))
        rc = write_sums(x, p, error);
    p->image.finished = true;
    wh_image_release_events(&p->image);
    return rc;
}

static int expand_process(struct expansion *x, struct past *p, struct wh_error *error) {
    struct wh_image_calls calls = {.find = find_image, .arg = x};
    if (wh_image_init(&p->image, p->id, x->ms_ticks, &calls))
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    p->image.nodes.extend = extend;
    p->image.nodes.arg = p;
    p->image.pair.sink = wh_derive_sink(x->derive);
    p->image.pair.free_stacks = x->free_stacks;
    uint64_t *bounds = NULL;
    size_t count = 0;
    int rc = read_bounds(x, p->id, &bounds, &count, error);
    if (!rc)
        rc = pair_chunks(x, p, bounds, count, error);
    free(bounds);
    return rc ? rc : finish(x, p, error);
}

/* --- the whole
 * -------------------------------------------------------------------------------------- */

/* Resident set sizes were seen while recording and are in no event: the timelines that have them
 * stay. */
static const char keep_timeline[] = "CREATE TEMP TABLE IF NOT EXISTS old_timeline(process_id, "
                                    "at_ns, live_objects, live_bytes, rss_bytes);"
                                    "DELETE FROM temp.old_timeline";
static const char save_timeline[] =
    "INSERT INTO temp.old_timeline SELECT process_id, at_ns, live_objects, live_bytes, rss_bytes"
    " FROM main.timeline ORDER BY rowid";
static const char restore_timeline[] =
    "DELETE FROM timeline WHERE process_id IN (SELECT process_id FROM temp.old_timeline);"
    "INSERT INTO timeline SELECT * FROM temp.old_timeline ORDER BY rowid;"
    "DROP TABLE temp.old_timeline";

/* Is this process one of ours that has not ended yet? A zombie has. */
static bool is_recorder(int64_t pid) {
    char path[64], name[16] = "", state = 'Z';
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool is_read = fscanf(file, "%*d (%15[^)]) %c", name, &state) == 2;
    fclose(file);
    return is_read && strcmp(name, "whoholds") == 0 && state != 'Z' && state != 'X';
}

/* A recorder that still writes would be rolled over. */
static int refuse_running(struct wh_store *store, struct wh_error *error) {
    int64_t pid = wh_store_get_int(store, "recorder_pid", 0);
    if (wh_store_get_int(store, "complete", 0) == 1 || pid <= 0 || !is_recorder(pid))
        return 0;
    return wh_fail(error, WH_ESYSTEM, "'%s' is still being recorded by process %" PRId64,
                   wh_store_path(store), pid);
}

static int has_timeline(struct wh_store *store) {
    struct wh_query *q;
    if (wh_query_open(store, "SELECT 1 FROM main.timeline LIMIT 1", &q, NULL) != 0)
        return 0;
    wh_query_close(q);
    return 1;
}

static int mark(struct wh_store *store, struct wh_error *error) {
    if (wh_store_get_int(store, "complete", 0) == 1)
        return 0;
    char *why = NULL;
    int rc = wh_store_set_int(store, "expanded", 1, error);
    if (!rc && wh_store_get_text(store, "truncated", &why, NULL) != 0)
        rc = wh_store_set_text(store, "truncated", "the recorder was killed", error);
    free(why);
    return rc ? rc
              : wh_store_exec(store,
                              "INSERT OR REPLACE INTO trace SELECT 'events', ifnull(sum(events), 0)"
                              " FROM process;"
                              "INSERT OR REPLACE INTO trace SELECT 'lost_events',"
                              " ifnull(sum(lost_events), 0) FROM process;"
                              "INSERT OR IGNORE INTO trace SELECT 'command_line', command_line"
                              " FROM process WHERE id = 1 AND command_line IS NOT NULL;"
                              "DELETE FROM trace WHERE key = 'reserve'",
                              error);
}

static int rebuild(struct expansion *x, struct wh_error *error) {
    int rc = wh_store_run_file(x->store, "derived.sql", error);
    if (!rc)
        rc = read_processes(x, error);
    if (!rc)
        rc = read_extents(x, error);
    for (size_t i = 0; !rc && i < x->count; i++)
        rc = expand_process(x, &x->pasts[i], error);
    if (!rc)
        rc = wh_derive_finish(x->derive, error);
    return rc;
}

int wh_expand(struct wh_store *store, struct wh_progress *progress, int64_t *ret_lifetimes,
              struct wh_error *error) {
    struct expansion x = {.store = store,
                          .progress = progress,
                          .free_stacks = wh_store_get_int(store, "free_stacks", 0) != 0,
                          .is_unfinished = wh_store_get_int(store, "complete", 0) != 1};
    wh_store_clock(store, &x.clock);
    uint64_t tick_q32 = x.clock.ns_q32 ? x.clock.ns_q32 : 1;
    x.ms_ticks = ((uint64_t)1000000 << 32) / tick_q32 >> x.clock.shift;
    int rc = refuse_running(store, error);
    if (rc)
        return rc;
    rc = wh_derive_open(store, WH_MATERIALIZE_ALL, NULL, &x.derive, error);
    if (rc)
        return rc;
    wh_derive_clock(x.derive, &x.clock);
    rc = wh_store_exec(store, keep_timeline, error);
    if (!rc)
        rc = wh_store_begin(store, error);
    if (!rc && !x.is_unfinished && has_timeline(store))
        rc = wh_store_exec(store, save_timeline, error);
    if (!rc)
        rc = rebuild(&x, error);
    if (!rc)
        rc = wh_store_exec(store, restore_timeline, error);
    if (!rc)
        rc = mark(store, error);
    if (!rc)
        rc = wh_store_commit(store, error);
    if (rc)
        wh_store_rollback(store);
    for (size_t i = 0; i < x.count; i++) {
        wh_image_release(&x.pasts[i].image);
        free(x.pasts[i].extents);
    }
    free(x.pasts);
    wh_derive_close(x.derive);
    struct wh_query *q;
    if (!rc && !(rc = wh_query_open(store, "SELECT count(*) FROM allocation", &q, error))) {
        *ret_lifetimes = wh_query_step(q, NULL) == 1 ? wh_query_int(q, 0) : 0;
        wh_query_close(q);
    }
    return rc;
}
