/* Taking a snapshot: stop the target, fork it copy-on-write, let it run on, read the frozen copy.
 *
 * The recorder calls wh_snapshot_freeze() from its main thread: it stops every thread, reads
 * registers, maps and thread pointers, makes the copy and resumes. While everything stands still it
 * calls job->frozen(), in which the recorder drains the streams and copies the live set, or, where
 * much is still to be drained, notes the time up to which it will. wh_snapshot_scan() then works on
 * the frozen copy, on another thread if the caller likes, and ends the copy.
 *
 * Between the two calls the copy (or, in mode "stop", the target itself) stands still: a frozen
 * process must be scanned or abandoned soon.
 *
 * Never process_vm_readv on the copy: its page pin un-shares every page. Context: recorder. */
#ifndef WH_RECORD_SNAPSHOT_H
#define WH_RECORD_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "trace/heap.h"
#include "wire/session.h"

/* A module mapped at the stop. */
struct wh_snapshot_module {
    uint32_t id; /* module.id */
    uint64_t start, end, load_bias;
    const char *path;
};

struct wh_snapshot_job {
    pid_t pid;
    struct wh_session *session;
    struct wh_process_slot *slot;
    const struct wh_snapshot_module *modules; /* read after frozen(), which may still set them */
    uint32_t module_count;
    /* Called once while every thread stands still: drain the process's streams and remember the
     * live set. Must be quick: it is part of the pause. */
    void (*frozen)(void *arg);
    void *arg;
    /* Set before frozen() returns: so little is to be read that the threads may stand still for it,
     * which is sooner done than the copy. */
    bool no_copy;
};

struct wh_snapshot_figures {
    const char *mode; /* "fork", "stop", "cooperative" */
    uint64_t pause_ns, stop_ns, fork_ns, scan_ns, image_bytes;
    uint32_t unknown_blocks;
    char caveats[512]; /* sentences, one a line */
};

struct wh_frozen; /* a frozen process: copy's pid, threads' registers, maps */

int wh_snapshot_freeze(const struct wh_snapshot_job *job, struct wh_frozen **ret_frozen,
                       struct wh_snapshot_figures *figures, struct wh_error *error);

/* Tells the modules that were mapped at the stop, where they were not known in frozen(). */
int wh_snapshot_modules(struct wh_frozen *frozen, const struct wh_snapshot_module *modules,
                        uint32_t count, struct wh_error *error);

/* Extracts the heap. live: the blocks as nodes of kind WH_NODE_BLOCK or WH_NODE_MMAP, any order,
 * without a rank; malloc'ed: they become the heap's. figures: the struct that was given to
 * wh_snapshot_freeze(). Ends and frees `frozen` and `live`, also when it fails. */
int wh_snapshot_scan(struct wh_frozen *frozen, struct wh_heap_node *live, uint64_t live_count,
                     struct wh_heap *ret_heap, struct wh_snapshot_figures *figures,
                     struct wh_error *error);

/* Ends and frees a frozen process without a scan. NULL is allowed. */
void wh_snapshot_abandon(struct wh_frozen *frozen);

#endif
