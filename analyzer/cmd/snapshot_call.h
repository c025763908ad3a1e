/* What the commands about holders begin with: the trace, its snapshots analyzed, and the one asked
 * for. */
#ifndef WH_CMD_SNAPSHOT_CALL_H
#define WH_CMD_SNAPSHOT_CALL_H

#include "analyzer/holder/runtime.h"
#include "command.h"

#define WH_OPTION_SNAPSHOT                                                                         \
    {                                                                                              \
        "snapshot", 's', "N|WORD",                                                                 \
            "the snapshot's number, label or reason in `whoholds snapshots` (peak: the one with "  \
            "most live bytes); without it the last one of the process that holds most, or the "    \
            "one at its peak where record --snapshot=peak took one",                               \
            NULL                                                                                   \
    }

/* Opens the trace and analyzes snapshots that wait for it (needs to write then). *ret_snapshot: the
 * one that
 * --snapshot names, else the default one. WH_ENOTFOUND: there is none, and why. *ret_store may be
 * set then: the caller closes it in any case. */
int wh_call_open_snapshot(struct wh_call *call, int operand, struct wh_store **ret_store,
                          int64_t *ret_snapshot);

/* The same for a trace and a snapshot given as texts; wanted NULL = the default one. */
int wh_call_open_snapshot_of(struct wh_call *call, const char *path, const char *wanted,
                             struct wh_store **ret_store, int64_t *ret_snapshot);

/* snapshot.id for what a user typed: number, label (the last that has it), reason. */
int wh_call_find_snapshot(struct wh_call *call, struct wh_store *store, const char *wanted,
                          int64_t *ret_snapshot);

/* Which snapshot the result is of, how near to the peak, how to ask for another, and what its image
 * of memory could not show: a fact called `name` in the machine formats, `title` in text, where
 * `option` picks others. */
int wh_call_say_snapshot_as(struct wh_call *call, struct wh_store *store, struct wh_output *out,
                            int64_t snapshot, const char *name, const char *title,
                            const char *option);
static inline int wh_call_say_snapshot(struct wh_call *call, struct wh_store *store,
                                       struct wh_output *out, int64_t snapshot) {
    return wh_call_say_snapshot_as(call, store, out, snapshot, "snapshot_id", "Snapshot",
                                   "--snapshot");
}

/* Tables held and reference are complete for the snapshot when this returns 0: of earlier snapshots
 * of large programs the recorder leaves them out (snapshot.block_rows). May reopen the store, for
 * writing; *store may be NULL after a failure. */
int wh_call_need_rows(struct wh_call *call, struct wh_store **store, int64_t snapshot);

/* In text what the runtime keeps for itself is one last row: analyzer/holder/runtime.h. */
#define WH_OPTION_RUNTIME                                                                          \
    {                                                                                              \
        "runtime", 0, NULL,                                                                        \
            "list what the C and C++ runtime keeps for itself, in text a single row", NULL         \
    }
int wh_call_folds_runtime(const struct wh_call *call);

/* Ends a result: the output's own failure counts when there was none before. */
int wh_call_finish(struct wh_call *call, struct wh_output *out, struct wh_store *store, int rc);

#endif
