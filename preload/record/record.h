/* Recording a process tree: the launcher's side and the recorder's side.
 *
 *   launcher                        recorder (own session, no terminal)        target
 *   session file, forks the target -> starts the recorder -> waits until it is up -> target execs
 *   waits for the target            drains, pairs, writes                       runs
 *   tells its status -------------> finishes the file when the last image ended
 *   waits for the end (pipe) <----- messages, end of file
 *
 * Context: whoholds itself, never in a target. */
#ifndef WH_RECORD_RECORD_H
#define WH_RECORD_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "record/derive.h"
#include "wire/session.h"

struct wh_store;

/* When snapshots are taken by themselves. */
struct wh_snapshot_plan {
    bool at_exit, at_peak;
    uint64_t every_ns; /* 0 = not by time */
};

/* "exit", "peak", "every:10s", "none", several separated by commas. WH_EUSAGE. */
int wh_snapshot_plan_parse(const char *text, struct wh_snapshot_plan *ret_plan,
                           struct wh_error *error);

struct wh_launch_options {
    struct wh_session_options session;
    const char *output;                 /* NULL = whoholds.NAME.PID.db; %e %p %% are replaced */
    const char *materialize, *snapshot; /* words for the recorder's command line */
    bool force, quiet;
    char **argv; /* the command, NULL-terminated */
};

/* Runs the command recorded. 0: *ret_status is what to exit with. < 0: nothing was run, and
 * *ret_status is the exit status that says so (125 to 127). Must be called without other threads.
 */
int wh_launch(const struct wh_launch_options *options, int *ret_status, struct wh_error *error);

/* Removes this user's session files in a directory whose recorders are dead. */
void wh_stale_remove(const char *directory);

struct wh_serve_options {
    const char *session; /* path */
    const char *output;
    enum wh_materialize materialize;
    struct wh_snapshot_plan plan;
    const char *materialize_text, *snapshot_text;     /* the same as words, for trace.options */
    const struct wh_session_options *session_options; /* to be set; NULL = the creator did */
    const char *obstacle; /* the command cannot be recorded: its path and why; NULL = it can */
    bool force;
    int message_fd; /* to the launcher; -1 = none */
    int control_fd; /* from the launcher; -1 = none */
    /* What else to do with a complete recording (names, holders); NULL = nothing. */
    int (*resolve)(struct wh_store *store, struct wh_error *error);
};

/* The recorder: returns when the last image of the tree has ended and the file is written. */
int wh_serve(const struct wh_serve_options *options, struct wh_error *error);

/* There will be no recording: tells the processes that wait for it why. */
void wh_serve_refuse(const char *session, const char *why);

/* Messages from the recorder to the launcher, one line each. */
#define WH_MESSAGE_UP      'U' /* recording has begun */
#define WH_MESSAGE_ERROR   'E' /* it cannot begin: text */
#define WH_MESSAGE_WARNING 'W' /* text for the user */
#define WH_MESSAGE_STATUS  'S' /* text for the status line */
#define WH_MESSAGE_RUNNING 'R' /* "COUNT PID": the command ended, other processes run on */

#endif
