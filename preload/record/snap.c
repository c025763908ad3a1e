/* Snapshots: when they are taken, and their rows.
 *
 * The moment in which everything stands still is moment.c's. The frozen image is read by a thread
 * of its own while draining goes on. What is hard is who may touch the clone of the live table: its
 * pages are shared with it, so the reader only reads and the main thread releases it.
 *
 * Frozen images wait for their events (is_behind) or are read; there are never many, each costs the
 * memory of its process. Whoever ends is let go at once as long as there are fewer than IMAGES_MAX;
 * anybody else who asks waits for the one before of the same process. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/large.h"
#include "record/moment.h"

#define READERS_MAX     2u
#define IMAGES_MAX      4u
#define PEAK_BYTES_MIN  (1u << 20) /* a program with less has its snapshot at its end */
#define PEAK_REST       4          /* times what the one before cost, until the next */
#define PEAK_CALM_NS    1000000000u
#define REQUEST_WAIT_NS 2000000000u /* for the parent's fork, which may lie behind much else */

static const char *const reasons[] = {"", "exit", "api", "command", "peak", "interval", "signal"};

static void answer(struct wh_process_slot *slot, uint32_t state) {
    atomic_store(&slot->request, state);
    (void)syscall(SYS_futex, &slot->request, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* --- reading the image
 * ----------------------------------------------------------------------------- */

static void add_block(void *arg, const struct wh_live *b) {
    struct wh_snap *s = arg;
    s->live[s->live_count++] = (struct wh_heap_node){
        .address = b->address & WH_ADDRESS_MASK,
        .size = b->size,
        .allocation_id = wh_allocation_id(s->process_id, b->number),
        .stack_id = b->stack,
        .kind = b->kind == WH_ALLOC_MMAP ? WH_NODE_MMAP : WH_NODE_BLOCK,
    };
}

static void *read_image(void *arg) {
    struct wh_snap *s = arg;
    s->live = wh_large_alloc((s->clone.live.count + 1) * sizeof *s->live);
    if (s->live) {
        wh_pair_each(&s->clone, add_block, s);
        s->result =
            wh_snapshot_scan(s->frozen, s->live, s->live_count, &s->heap, &s->figures, &s->error);
        s->live = NULL; /* the heap's now */
    } else {
        wh_snapshot_abandon(s->frozen);
        s->result = wh_fail(&s->error, WH_ESYSTEM, "out of memory");
    }
    s->frozen = NULL;
    atomic_store(&s->is_done, true);
    return NULL;
}

/* On a thread of its own; without one here and now. */
static void start_reading(struct wh_snap *s) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->has_thread = pthread_create(&s->thread, NULL, read_image, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!s->has_thread)
        (void)read_image(s);
}

/* Starts those that wait, the oldest first, as long as few are being read. */
static void read_more(struct wh_recorder *r) {
    uint32_t reading = 0;
    for (struct wh_snap *s = r->snaps; s && reading < READERS_MAX; s = s->next) {
        if (!s->has_thread && !atomic_load(&s->is_done))
            start_reading(s);
        reading += !atomic_load(&s->is_done);
    }
}

static void append(struct wh_snap **list, struct wh_snap *s) {
    while (*list)
        list = &(*list)->next;
    s->next = NULL;
    *list = s;
}

/* --- rows
 * ------------------------------------------------------------------------------------------ */

static int write_row(struct wh_store *store, const struct wh_snap *s, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store,
                           "INSERT INTO snapshot(id, process_id, at_ns, reason, label, mode,"
                           " pause_ns, stop_ns, fork_ns, scan_ns, image_bytes, live_objects,"
                           " live_bytes, unknown_blocks, caveats)"
                           " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
                           " ?15)",
                           &q, error);
    if (rc)
        return rc;
    const struct wh_snapshot_figures *f = &s->figures;
    wh_query_bind_int(q, 1, s->id);
    wh_query_bind_int(q, 2, s->process_id);
    wh_query_bind_int(q, 3, (int64_t)s->at_ns);
    wh_query_bind_text(q, 4, reasons[s->reason]);
    wh_query_bind_text(q, 5, s->label[0] ? s->label : NULL);
    wh_query_bind_text(q, 6, f->mode ? f->mode : "stop");
    wh_query_bind_int(q, 7, (int64_t)f->pause_ns);
    wh_query_bind_int(q, 8, (int64_t)f->stop_ns);
    if (f->fork_ns)
        wh_query_bind_int(q, 9, (int64_t)f->fork_ns);
    wh_query_bind_int(q, 10, (int64_t)f->scan_ns);
    wh_query_bind_int(q, 11, (int64_t)f->image_bytes);
    wh_query_bind_int(q, 12, (int64_t)s->live_objects);
    wh_query_bind_int(q, 13, (int64_t)s->live_bytes);
    wh_query_bind_int(q, 14, f->unknown_blocks);
    wh_query_bind_text(q, 15, f->caveats[0] ? f->caveats : NULL);
    rc = wh_query_step(q, error);
    wh_query_close(q);
    return rc < 0 ? rc : 0;
}

struct pool_writer {
    const struct wh_snap *snap;
    const struct wh_clock_map *clock;
    size_t at;
};

static int next_pooled(void *arg, struct wh_cell *cells) {
    struct pool_writer *w = arg;
    const struct wh_pools *pools = &w->snap->pools;
    while (w->at < pools->capacity) {
        const struct wh_pooled *p = &pools->slots[w->at++];
        struct wh_live block;
        if (!p->address || p->pool >= pools->name_count ||
            !wh_live_find(&w->snap->clone.live, p->address, &block))
            continue;
        wh_cell_int(&cells[0], w->snap->id);
        wh_cell_int(&cells[1], (int64_t)wh_allocation_id(w->snap->process_id, block.number));
        wh_cell_text(&cells[2], pools->names[p->pool]);
        if (p->acquirer_stack)
            wh_cell_int(&cells[3], p->acquirer_stack);
        wh_cell_int(&cells[4], (int64_t)wh_clock_ns(w->clock, p->acquired_ticks));
        wh_cell_int(&cells[5], (int64_t)p->acquisitions);
        wh_cell_int(&cells[6], p->is_idle);
        return 1;
    }
    return 0;
}

#define LOWER_PEAKS                                                                                \
    "SELECT id FROM snapshot WHERE process_id = ?1 AND reason = 'peak' "                           \
    "ORDER BY live_bytes DESC, id DESC LIMIT -1 OFFSET 1"

/* Of the snapshots at peaks the highest is the one that was asked for. */
static int drop_lower_peaks(struct wh_store *store, const struct wh_snap *s,
                            struct wh_error *error) {
    static const char *const statements[] = {
        "DELETE FROM snapshot_chunk WHERE snapshot_id IN (" LOWER_PEAKS ")",
        "DELETE FROM pooled WHERE snapshot_id IN (" LOWER_PEAKS ")",
        "DELETE FROM snapshot WHERE id IN (" LOWER_PEAKS ")",
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof statements / sizeof *statements; i++) {
        struct wh_query *q;
        rc = wh_query_open(store, statements[i], &q, error);
        if (rc)
            break;
        wh_query_bind_int(q, 1, s->process_id);
        rc = wh_query_step(q, error);
        wh_query_close(q);
    }
    return rc;
}

/* The next one at a peak waits in proportion to what this one cost. */
static void rest(struct wh_recorder *r, const struct wh_snap *s) {
    struct wh_process *p = wh_recorder_process(r, s->process_id);
    if (p && s->reason == WH_SNAP_PEAK)
        p->peak_rest_ns =
            wh_monotonic_ns() + PEAK_REST * (s->figures.pause_ns + s->figures.scan_ns);
}

static void store_snap(struct wh_recorder *r, struct wh_snap *s) {
    struct wh_error error;
    struct wh_store *store = wh_content_store(r->content);
    wh_recorder_need_clock(r);
    s->at_ns = wh_clock_ns(&r->clock, s->at_ns);
    if (!store)
        return;
    if (s->result) {
        wh_content_note(r->content, s->process_id, s->at_ns, "snapshot", s->error.text,
                        strlen(s->error.text));
        return;
    }
    struct pool_writer pools = {.snap = s, .clock = &r->clock};
    int rc = write_row(store, s, &error);
    if (!rc)
        rc = wh_store_put_heap(store, s->id, &s->heap, &error);
    if (!rc && s->pools.count)
        rc = wh_store_insert(store, "pooled",
                             "snapshot_id, allocation_id, pool, acquirer_stack_id, acquired_ns,"
                             " acquisitions, is_idle",
                             next_pooled, &pools, &error);
    if (!rc && s->reason == WH_SNAP_PEAK)
        rc = drop_lower_peaks(store, s, &error);
    if (rc)
        wh_content_fail(r->content, &error);
    else if (s->is_last) /* analyzed next, most probably */
        wh_store_keep_heap(store, s->id, &s->heap);
}

static void free_snap(struct wh_snap *s) {
    wh_pair_release(&s->clone);
    wh_pools_release(&s->pools);
    wh_heap_release(&s->heap);
    free(s);
}

/* The last of it: stored, or noted why not. */
static void end_snap(struct wh_recorder *r, struct wh_snap *s) {
    store_snap(r, s);
    free_snap(s);
}

void wh_recorder_collect(struct wh_recorder *r, bool wait) {
    struct wh_snap **at = &r->snaps;
    read_more(r);
    while (*at) {
        struct wh_snap *s = *at;
        if (!wait && !atomic_load(&s->is_done)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        if (s->has_thread)
            (void)pthread_join(s->thread, NULL);
        read_more(r);
        r->snap_count--;
        rest(r, s);
        end_snap(r, s);
    }
}

/* The moment is complete: its image can be read. */
static void keep_snap(struct wh_recorder *r, struct wh_process *p, struct wh_snap *s) {
    if (s->reason == WH_SNAP_PEAK && s->live_bytes > p->peak_bytes)
        p->peak_bytes = s->live_bytes;
    append(&r->snaps, s);
    read_more(r);
}

int wh_recorder_follow(struct wh_recorder *r, struct wh_process *p) {
    while (p->behind) {
        struct wh_snap *s = p->behind;
        int rc = wh_moment_follow(p, s);
        if (rc > 0)
            return rc;
        p->behind = s->next;
        s->result = rc;
        if (!rc) {
            keep_snap(r, p, s);
            continue;
        }
        r->snap_count--;
        end_snap(r, s);
    }
    return 0;
}

/* --- when
 * ------------------------------------------------------------------------------------------ */

/* Why there is none goes to *error, if there is one, and into the trace. */
static int take(struct wh_recorder *r, struct wh_process *p, uint32_t reason, bool is_last,
                const char *label, struct wh_error *error) {
    struct wh_snap *s = calloc(1, sizeof *s);
    if (!s)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    s->id = ++r->last_snapshot_id;
    s->process_id = p->image.id;
    s->reason = reason;
    s->is_last = is_last;
    memcpy(s->label, label, strnlen(label, sizeof s->label - 1));
    int rc = wh_moment_freeze(r, p, s);
    p->snapshot_ns = wh_monotonic_ns();
    if (reason == WH_SNAP_PEAK) {
        p->peak_ns = p->snapshot_ns;
        p->peak_rest_ns = rc ? p->peak_ns + PEAK_CALM_NS : UINT64_MAX;
    }
    if (rc) {
        s->result = rc;
        s->at_ns = wh_recorder_now(r);
        if (error)
            *error = s->error;
        end_snap(r, s);
        return rc;
    }
    r->snap_count++;
    if (s->is_behind)
        append(&p->behind, s);
    else
        keep_snap(r, p, s);
    return 0;
}

/* The process ends. Where only peaks are wanted that is one, if it has more now than at the last;
 * also if that cannot be known yet. */
static bool is_peak_at_end(struct wh_recorder *r, struct wh_process *p) {
    if (!p->peak_ns || wh_moment_is_far(r, p))
        return true;
    wh_moment_catch_up(r, p);
    return p->image.pair.ledger.live_bytes > p->peak_bytes;
}

/* A thread of the process, or `whoholds snapshot`, waits for one. */
static void serve_request(struct wh_recorder *r, struct wh_process *p) {
    struct wh_process_slot *slot = wh_session_slot(r->session, p->slot);
    if (atomic_load_explicit(&slot->request, memory_order_acquire) != WH_REQUEST_ASKED)
        return;
    /* Nothing of it was paired yet: a child may still wait for its parent's fork. */
    uint64_t now = wh_monotonic_ns();
    if (!p->request_ns)
        p->request_ns = now;
    if (!p->image.records && now - p->request_ns < REQUEST_WAIT_NS) {
        r->is_asked = true;
        return;
    }
    uint32_t reason = atomic_load(&slot->request_reason);
    bool ends = reason == WH_SNAP_EXIT || reason == WH_SNAP_SIGNAL;
    if (r->snap_count >= IMAGES_MAX || (p->behind && !ends)) {
        r->is_asked = true;
        return;
    }
    char label[sizeof slot->request_label];
    memcpy(label, slot->request_label, sizeof label);
    label[sizeof label - 1] = 0;
    p->request_ns = 0;
    wh_recorder_read_rss(p); /* a short life is over before the next look at all of them */
    if (reason >= sizeof reasons / sizeof *reasons || !reason)
        reason = WH_SNAP_API;
    if (!r->options->plan.at_exit && ends) {
        reason = WH_SNAP_PEAK;
        if (!r->stopped && !is_peak_at_end(r, p)) {
            answer(slot, WH_REQUEST_DONE);
            return;
        }
    }
    struct wh_error error = {.text = "the recording has ended"};
    bool is_last = reason == WH_SNAP_EXIT || reason == WH_SNAP_PEAK;
    int rc = r->stopped ? WH_ESYSTEM : take(r, p, reason, is_last, label, &error);
    if (rc) {
        memset(slot->request_label, 0, sizeof slot->request_label);
        memcpy(slot->request_label, error.text,
               strnlen(error.text, sizeof slot->request_label - 1));
    }
    answer(slot, rc ? WH_REQUEST_FAILED : WH_REQUEST_DONE);
}

static bool is_due(const struct wh_recorder *r, const struct wh_process *p, uint64_t now,
                   uint32_t *ret_reason) {
    const struct wh_snapshot_plan *plan = &r->options->plan;
    *ret_reason = WH_SNAP_INTERVAL;
    if (plan->every_ns && now - p->snapshot_ns >= plan->every_ns)
        return true;
    /* More than at the last one: by much soon, by little in the end. What was higher meanwhile is
     * gone, this is the nearest to it. */
    *ret_reason = WH_SNAP_PEAK;
    uint64_t live = p->image.pair.ledger.live_bytes;
    uint64_t step = p->peak_bytes / (now - p->peak_ns < PEAK_CALM_NS ? 10 : 100);
    return plan->at_peak && now >= p->peak_rest_ns && live >= PEAK_BYTES_MIN &&
           live > p->peak_bytes + step;
}

/* When the plan wants the next look; peaks must be looked for all the time. */
static uint64_t due_ns(const struct wh_recorder *r, const struct wh_process *p) {
    const struct wh_snapshot_plan *plan = &r->options->plan;
    return plan->at_peak ? 1 : p->snapshot_ns + plan->every_ns;
}

void wh_recorder_snapshots(struct wh_recorder *r) {
    bool planned = r->options->plan.every_ns || r->options->plan.at_peak;
    uint64_t now = planned ? wh_monotonic_ns() : 0, next = 0;
    r->is_asked = false;
    for (struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p)) {
        uint32_t reason;
        if (p->phase != WH_PHASE_RUNNING)
            continue;
        serve_request(r, p);
        if (!planned || r->stopped)
            continue;
        if (!p->snapshot_ns)
            p->snapshot_ns = now;
        if (!p->behind && r->snap_count < READERS_MAX && is_due(r, p, now, &reason))
            (void)take(r, p, reason, false, "", NULL);
        if (!next || due_ns(r, p) < next)
            next = due_ns(r, p);
    }
    atomic_store(&r->pace.due_ns, next);
}
