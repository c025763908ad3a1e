/* Reports of a trace that need no snapshot: each function writes one part of a result.
 *
 * They read the tables only, never the raw events, and say next to each number what it leaves out.
 * All return 0 or a negative error code with *error filled. Context: one thread. */
#ifndef WH_REPORT_REPORT_H
#define WH_REPORT_REPORT_H

#include "base/output.h"
#include "schema/store.h"

/* The moment that "live" refers to. */
enum wh_report_moment { WH_AT_END, WH_AT_PEAK, WH_AT_NS };

struct wh_report_options {
    int64_t process_id; /* 0 = all */
    enum wh_report_moment moment;
    int64_t at_ns; /* WH_AT_NS */
    int64_t limit; /* rows per table */
};

/* What was recorded, how completely, and what could not be seen. */
int wh_report_header(struct wh_store *store, struct wh_output *out, struct wh_error *error);

/* The tree of processes: events, losses, peak, live bytes beside the allocator's own figure and
 * RSS. */
int wh_report_processes(struct wh_store *store, const struct wh_report_options *options,
                        struct wh_output *out, struct wh_error *error);

/* Per process: creators by live bytes, by allocations, by temporary allocations. */
int wh_report_creators(struct wh_store *store, const struct wh_report_options *options,
                       struct wh_output *out, struct wh_error *error);

/* Sampled recordings: estimates with their intervals; nothing for others. */
int wh_report_estimates(struct wh_store *store, const struct wh_report_options *options,
                        struct wh_output *out, struct wh_error *error);

/* Creator against holder at one snapshot of each process (holder/shown.h says which); text shows
 * the processes with the largest peaks. Nothing when none was analyzed. */
int wh_report_gap(struct wh_store *store, const struct wh_report_options *options,
                  struct wh_output *out, struct wh_error *error);

/* The name by which people know a process: that of its first argument, where several names lead to
 * one file (redis-server is a link to redis-check-rdb); else of the file. Both may be NULL. */
const char *wh_report_program(char *text, size_t size, const char *exe, const char *command_line);

/* process.id for what a user typed: an id, else the pid of the last image that had it.
 * WH_ENOTFOUND says so. */
int wh_report_find_process(struct wh_store *store, int64_t number, int64_t *ret_id,
                           struct wh_error *error);

/* --- top
 * ------------------------------------------------------------------------------------------ */

enum wh_top_by { WH_TOP_CREATOR, WH_TOP_MODULE, WH_TOP_THREAD, WH_TOP_SIZE };
extern const char *const wh_top_by_words[];

/* In the order of the columns of the *_total views. */
enum wh_top_metric {
    WH_TOP_ALLOC_OBJECTS,
    WH_TOP_ALLOC_SPACE,
    WH_TOP_INUSE_OBJECTS,
    WH_TOP_INUSE_SPACE,
    WH_TOP_PEAK_OBJECTS,
    WH_TOP_PEAK_SPACE,
    WH_TOP_TEMPORARY_OBJECTS,
};
extern const char *const wh_top_metric_words[];

/* One table, largest first. WH_EUSAGE: the metric is not kept for that grouping. */
int wh_report_top(struct wh_store *store, int64_t process_id, enum wh_top_by by,
                  enum wh_top_metric metric, int64_t limit, struct wh_output *out,
                  struct wh_error *error);

/* The snapshots of the trace, one row each. */
int wh_report_snapshots(struct wh_store *store, struct wh_output *out, struct wh_error *error);

#endif
