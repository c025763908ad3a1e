/* The tree of processes, and the list of snapshots. */
#include <stdio.h>
#include <string.h>

#include "base/string.h"
#include "report.h"

#define DEPTH_MAX 64

static const struct wh_column process_columns[] = {
    {"process_id", WH_COLUMN_INTEGER, "id", 0},
    {"parent_id", WH_COLUMN_INTEGER, "parent", 0},
    {"pid", WH_COLUMN_INTEGER, NULL, 0},
    {"ended", WH_COLUMN_TEXT, NULL, 0},
    {"events", WH_COLUMN_COUNT, NULL, 0},
    {"lost_events", WH_COLUMN_COUNT, "lost", 0},
    {"peak_bytes", WH_COLUMN_BYTES, "peak", 0},
    {"peak_ns", WH_COLUMN_NS, "at", 0},
    {"live_objects", WH_COLUMN_COUNT, "live blocks", 0},
    {"live_bytes", WH_COLUMN_BYTES, "live bytes", 0},
    {"allocator_inuse_bytes", WH_COLUMN_BYTES, "allocator says", 0},
    {"peak_rss_bytes", WH_COLUMN_BYTES, "peak RSS", 0},
    {"program", WH_COLUMN_TEXT, NULL, 60},
};

/* Depth-first, children in order of start. A cycle in a damaged file ends at DEPTH_MAX. */
static const char process_sql[] =
    "WITH RECURSIVE tree(id, depth, place) AS ("
    " SELECT id, 0, printf('%020d %010d', start_ns, id) FROM process"
    " WHERE parent_id IS NULL OR parent_id NOT IN (SELECT id FROM process)"
    " UNION ALL SELECT p.id, depth + 1, place || printf('/%020d %010d', p.start_ns, p.id)"
    " FROM tree JOIN process p ON p.parent_id = tree.id WHERE depth < 64)"
    "SELECT p.id, p.parent_id, p.pid, p.events, p.lost_events, p.peak_bytes, p.peak_ns,"
    " p.live_objects, p.live_bytes, p.allocator_inuse_bytes, p.peak_rss_bytes, depth,"
    " coalesce(p.exe, ''), p.exit_code, p.term_signal, p.is_replaced, p.end_ns, p.disabled,"
    " p.command_line"
    " FROM tree JOIN process p USING(id) WHERE ?1 = 0 OR p.id = ?1 ORDER BY place";

static void put_int_or_null(struct wh_output *out, const struct wh_query *q, int column) {
    if (wh_query_type(q, column) == WH_CELL_NULL)
        wh_table_null(out);
    else
        wh_table_int(out, wh_query_int(q, column));
}

/* How it ended, in words: exit 0, signal 9, exec, running, unknown. */
static void put_end(struct wh_output *out, const struct wh_query *q) {
    char text[64];
    if (wh_query_type(q, 14) != WH_CELL_NULL)
        snprintf(text, sizeof text, "signal %lld", (long long)wh_query_int(q, 14));
    else if (wh_query_type(q, 13) != WH_CELL_NULL)
        snprintf(text, sizeof text, "exit %lld", (long long)wh_query_int(q, 13));
    else
        snprintf(text, sizeof text, "%s",
                 wh_query_int(q, 15)                    ? "exec"
                 : wh_query_type(q, 16) == WH_CELL_NULL ? "running"
                                                        : "unknown");
    wh_table_text(out, text);
}

static void put_program(struct wh_output *out, const struct wh_query *q) {
    const char *exe = wh_query_text(q, 12);
    if (out->format != WH_FORMAT_TEXT) {
        wh_table_text(out, exe && *exe ? exe : NULL);
        return;
    }
    int64_t depth = wh_query_int(q, 11);
    char text[256], name[64];
    snprintf(text, sizeof text, "%*s%s%s", (int)(depth > DEPTH_MAX ? DEPTH_MAX : depth) * 2, "",
             wh_report_program(name, sizeof name, exe, wh_query_text(q, 18)),
             wh_query_type(q, 17) != WH_CELL_NULL ? " (tracing switched itself off)" : "");
    wh_table_text(out, text);
}

int wh_report_processes(struct wh_store *store, const struct wh_report_options *options,
                        struct wh_output *out, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store, process_sql, &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, options->process_id);
    wh_output_title(out, "Processes");
    wh_table_begin(out, "processes", process_columns,
                   sizeof process_columns / sizeof *process_columns);
    while ((rc = wh_query_step(q, error)) == 1) {
        for (int i = 0; i < 3; i++)
            put_int_or_null(out, q, i);
        put_end(out, q);
        for (int i = 3; i < 11; i++)
            put_int_or_null(out, q, i);
        put_program(out, q);
    }
    wh_table_end(out);
    wh_query_close(q);
    return rc;
}

/* --- snapshots ----------------------------------------------------------------------------------
 */

static const struct wh_column snapshot_columns[] = {
    {"snapshot_id", WH_COLUMN_INTEGER, "id", 0},
    {"process_id", WH_COLUMN_INTEGER, "process", 0},
    {"at_ns", WH_COLUMN_NS, "at", 0},
    {"reason", WH_COLUMN_TEXT, NULL, 0},
    {"mode", WH_COLUMN_TEXT, NULL, 0},
    {"pause_ns", WH_COLUMN_NS, "pause", 0},
    {"scan_ns", WH_COLUMN_NS, "scan", 0},
    {"live_objects", WH_COLUMN_COUNT, "live blocks", 0},
    {"live_bytes", WH_COLUMN_BYTES, "live bytes", 0},
    {"of_peak", WH_COLUMN_SHARE, "of peak", 0},
    {"held_bytes", WH_COLUMN_BYTES, "held", 0},
    {"lost_bytes", WH_COLUMN_BYTES, "lost", 0},
    {"gap", WH_COLUMN_RATIO, NULL, 0},
    {"unknown_blocks", WH_COLUMN_COUNT, "unknown", 0},
    {"label", WH_COLUMN_TEXT, NULL, 0},
};

int wh_report_snapshots(struct wh_store *store, struct wh_output *out, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store,
                           "SELECT s.id, process_id, at_ns, reason, mode, pause_ns, scan_ns,"
                           " s.live_objects, s.live_bytes, 1.0 * s.live_bytes / nullif(peak_bytes,"
                           " 0), held_bytes, lost_bytes, 1.0 * gap_bytes / nullif(held_bytes, 0),"
                           " unknown_blocks, label FROM snapshot s"
                           " LEFT JOIN process p ON p.id = process_id ORDER BY s.id",
                           &q, error);
    if (rc)
        return rc;
    wh_table_begin(out, NULL, snapshot_columns, sizeof snapshot_columns / sizeof *snapshot_columns);
    while ((rc = wh_query_step(q, error)) == 1)
        for (int i = 0; i < wh_query_columns(q); i++) {
            if (wh_query_type(q, i) == WH_CELL_TEXT)
                wh_table_text(out, wh_query_text(q, i));
            else if (wh_query_type(q, i) == WH_CELL_REAL)
                wh_table_real(out, wh_query_real(q, i));
            else
                put_int_or_null(out, q, i);
        }
    wh_table_end(out);
    wh_query_close(q);
    return rc;
}
