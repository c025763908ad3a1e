/* Where ptrace is refused (the process has another tracer, or made itself undumpable) and one of
 * its own threads asks for the snapshot: that thread makes the copy, see preload/hook/copy.c.
 *
 * The gate of the hooks is closed meanwhile, so that table and copy agree; the other threads run on
 * otherwise. Of them neither registers nor stack pointers are known: their whole stacks are roots,
 * which may keep some blocks for held that are not. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "record/snapshot/tracer.h"

#define COPY_NS_MAX 3000000000u /* longest wait for the process to copy itself */

bool wh_can_cooperate(const struct wh_snapshot_job *job) {
    const struct wh_process_slot *slot = job->slot;
    if (!slot || !job->session || atomic_load(&slot->request) != WH_REQUEST_ASKED)
        return false;
    uint32_t reason = atomic_load(&slot->request_reason);
    return reason == WH_SNAP_EXIT || reason == WH_SNAP_API || reason == WH_SNAP_SIGNAL;
}

/* Asks for the copy. Its pid, or -errno. */
static int ask(struct wh_process_slot *slot) {
    struct timespec pause = {0, 50000};
    uint64_t deadline = wh_snapshot_now_ns() + COPY_NS_MAX;
    atomic_store(&slot->request, WH_REQUEST_COPY);
    (void)syscall(SYS_futex, &slot->request, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    while (atomic_load(&slot->request) == WH_REQUEST_COPY) {
        uint32_t expected = WH_REQUEST_COPY;
        if (wh_snapshot_now_ns() > deadline &&
            atomic_compare_exchange_strong(&slot->request, &expected, WH_REQUEST_ASKED))
            return -ETIMEDOUT;
        nanosleep(&pause, NULL);
    }
    int copy = atomic_load(&slot->request_copy);
    return atomic_load(&slot->request) == WH_REQUEST_COPIED && copy ? copy : -ESRCH;
}

static int remember_thread(struct wh_frozen *f, const struct wh_process_slot *slot) {
    f->threads = calloc(1, sizeof *f->threads);
    f->maps_text = wh_maps_read(f->image);
    if (!f->threads || !f->maps_text)
        return wh_fail(&f->error, WH_ESYSTEM, "maps of the copy of process %d cannot be read",
                       (int)f->pid);
    f->thread_count = 1;
    f->threads[0].tid = (pid_t)atomic_load(&slot->request_tid);
    f->threads[0].thread_pointer = atomic_load(&slot->request_thread_pointer);
    f->threads[0].has_registers =
        wh_registers_behind(f->image, atomic_load(&slot->request_registers), &f->threads[0]);
    return WH_OK;
}

int wh_cooperate(struct wh_frozen *f, const struct wh_snapshot_job *job) {
    uint64_t begin = wh_snapshot_now_ns();
    struct wh_error refused = f->error;
    wh_gate_close(job->session, job->slot);
    uint64_t fork_begin = wh_snapshot_now_ns();
    int copy = ask(job->slot);
    f->figures->fork_ns = wh_snapshot_now_ns() - fork_begin;
    int status = WH_OK;
    if (copy > 0) {
        f->image = f->own_copy = copy;
        f->is_copy = f->is_cooperative = true;
        if (job->frozen)
            job->frozen(job->arg);
        status = remember_thread(f, job->slot);
    } else {
        status = wh_fail(&f->error, WH_ESYSTEM, "%s, nor could it copy itself: %s", refused.text,
                         strerror(-copy));
    }
    wh_gate_open(job->slot);
    f->figures->mode = "cooperative";
    f->figures->pause_ns = wh_snapshot_now_ns() - begin;
    wh_snapshot_caveat(f->figures,
                       "%s: it copied itself while its other threads ran on, whose registers are "
                       "unknown and whose whole stacks count",
                       refused.text);
    return status;
}
