/* The moment of a snapshot: everything stands still, and what is live is kept.
 *
 * The recorder's main thread freezes the process; in that moment it drains and keeps a
 * copy-on-write clone of the live table, which costs microseconds whatever the heap. A process of
 * which much is not read yet is let go first: its copy keeps, and the live table is cloned when the
 * events up to that moment are paired, in the polls that follow, so that nobody else waits for
 * them. What is hard is that the moment is a place in the order of events: no later one of this
 * process may be paired before. */
#include <stdlib.h>

#include "record/moment.h"

#define COPY_BYTES_MIN  (256u << 10) /* live: a program that ends with less is read as it stands */
#define CATCH_UP_ROUNDS 8
#define CATCH_UP_BYTES  16384u
#define BEHIND_BYTES    (256u << 10) /* not read: some 20,000 events, four milliseconds */

struct moment {
    struct wh_recorder *recorder;
    struct wh_process *process;
    struct wh_snap *snap;
    struct wh_snapshot_job *job;
    int result;
};

/* The modules mapped now; the array is the caller's, the paths are the process's. */
static struct wh_snapshot_module *mapped_modules(const struct wh_process *p, uint32_t *ret_count) {
    struct wh_snapshot_module *list = calloc(p->module_count + 1, sizeof *list);
    uint32_t count = 0;
    for (size_t i = 0; list && i < p->module_count; i++) {
        const struct wh_mapped *m = &p->modules[i];
        if (m->is_mapped && m->path)
            list[count++] =
                (struct wh_snapshot_module){m->id, m->start, m->end, m->load_bias, m->path};
    }
    *ret_count = count;
    return list;
}

/* Pairs what is drained, up to `ticks`. All threads stood still then, or do now: one that is busy
 * publishes a later record, or one that the snapshot misses as any other that was under way. */
static int pair_drained(struct wh_image *image, uint64_t ticks) {
    for (struct wh_image_thread *t = wh_image_next_thread(image, NULL); t;
         t = wh_image_next_thread(image, t))
        t->stream.busy = false;
    return wh_image_run(image, ticks);
}

/* Keeps what is live now; -1 out of memory. */
static int keep(struct wh_snap *snap, struct wh_image *image) {
    if (wh_live_clone(&image->pair.live, &snap->clone.live) ||
        wh_pools_clone(&image->pools, &snap->pools))
        return -1;
    image->pair.snapshot_number = image->pair.last_number;
    snap->live_objects = image->pair.ledger.live_objects;
    snap->live_bytes = image->pair.ledger.live_bytes;
    return 0;
}

/* Every thread stands still: what they published is all there is. */
static void frozen(void *arg) {
    struct moment *m = arg;
    struct wh_recorder *r = m->recorder;
    m->snap->at_ns = wh_recorder_now(r);
    if (m->snap->is_behind)
        return;
    r->is_frozen = true;
    wh_recorder_drain(r);
    m->result = pair_drained(&m->process->image, UINT64_MAX);
    r->is_frozen = false;
    if (!m->result)
        m->result = keep(m->snap, &m->process->image);
    m->job->modules = mapped_modules(m->process, &m->job->module_count);
    if (!m->job->modules)
        m->result = -1;
    m->job->no_copy = m->snap->is_last && m->snap->live_bytes < COPY_BYTES_MIN;
}

bool wh_moment_is_far(struct wh_recorder *r, const struct wh_process *p) {
    return p->behind || (p->image.records && wh_recorder_backlog(r, p) > BEHIND_BYTES);
}

/* What is drained before the threads stand still need not be drained while they do. Rounds as the
 * recorder's own: all that was stamped before the round before has arrived. A program that records
 * faster than it is read is not caught up with: then the rounds do not shrink. */
void wh_moment_catch_up(struct wh_recorder *r, struct wh_process *p) {
    uint64_t last = UINT64_MAX;
    for (int round = 0; round < CATCH_UP_ROUNDS; round++) {
        uint64_t now = wh_recorder_now(r), bytes = r->poll_bytes;
        wh_recorder_drain(r);
        if (wh_image_run(&p->image, r->previous_ticks) != 0)
            return; /* waits for its parent, or failed: the next poll says so */
        bytes = r->poll_bytes - bytes;
        r->previous_ticks = now;
        if (bytes > last / 2 || (round && bytes < CATCH_UP_BYTES))
            return;
        last = bytes;
    }
}

static int abandon(struct wh_snap *snap, const char *why) {
    wh_snapshot_abandon(snap->frozen);
    snap->frozen = NULL;
    return why ? wh_fail(&snap->error, WH_ESYSTEM, "%s", why) : -1;
}

int wh_moment_freeze(struct wh_recorder *r, struct wh_process *p, struct wh_snap *snap) {
    struct moment moment = {.recorder = r, .process = p, .snap = snap};
    struct wh_snapshot_job job = {
        .pid = (pid_t)p->pid,
        .session = r->session,
        .slot = wh_session_slot(r->session, p->slot),
        .frozen = frozen,
        .arg = &moment,
    };
    moment.job = &job;
    snap->is_behind = wh_moment_is_far(r, p);
    if (!snap->is_behind)
        wh_moment_catch_up(r, p);
    int rc = wh_snapshot_freeze(&job, &snap->frozen, &snap->figures, &snap->error);
    free((void *)(uintptr_t)job.modules);
    if (!rc && moment.result)
        rc = abandon(snap, moment.result == 1 ? "the recorder is not yet at the fork that made it"
                                              : "out of memory");
    return rc;
}

int wh_moment_follow(struct wh_process *p, struct wh_snap *snap) {
    struct wh_image *image = &p->image;
    int rc = pair_drained(image, snap->at_ns);
    if (rc > 0)
        return 1;
    if (!rc && wh_merge_peek(&image->merge, snap->at_ns))
        return 2;
    uint32_t count;
    struct wh_snapshot_module *modules = mapped_modules(p, &count);
    if (rc || !modules || keep(snap, image))
        rc = abandon(snap, "out of memory");
    else if (wh_snapshot_modules(snap->frozen, modules, count, &snap->error))
        rc = abandon(snap, NULL);
    free(modules);
    return rc;
}
