/* Creators per process: by live bytes, by allocations, by temporary allocations; and, where
 * snapshots were analyzed, creator against holder.
 *
 * Text shows the processes one after another; json and csv have one table per question, with the
 * process in each row. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/holder/gap.h"
#include "analyzer/holder/runtime.h"
#include "analyzer/holder/shown.h"
#include "base/string.h"
#include "base/units.h"
#include "report.h"

#define PROCESSES_SHOWN   5         /* text without --process: the ones with the largest peaks */
#define PEAK_WORTH_A_LOOK (1 << 20) /* bytes; below, nobody misses who held the peak */

/* One question: ?1 process, ?2 moment, ?3 at_ns, ?4 limit. Rows: creator, objects, bytes, share. */
struct question {
    const char *name;  /* table in json and csv */
    const char *title; /* %s = the moment */
    const char *objects_title;
    const char *sql;
};

static const struct question questions[] = {
    {"creators_live", "Live %s, by creator", "blocks",
     "WITH live(name, n, b) AS ("
     " SELECT creator, iif(?2 = 1, peak_objects, inuse_objects),"
     "  iif(?2 = 1, peak_space, inuse_space) FROM creator_total WHERE process_id = ?1 AND ?2 < 2"
     " UNION ALL"
     " SELECT coalesce(s.creator, iif(a.stack_id = 0, '(no stack)', '(unknown)')) AS name, "
     "count(*),"
     "  sum(a.size_bytes) FROM allocation a LEFT JOIN site s USING(process_id, stack_id)"
     "  WHERE ?2 = 2 AND a.process_id = ?1 AND a.alloc_ns <= ?3"
     "  AND (a.free_ns IS NULL OR a.free_ns > ?3) GROUP BY 1)"
     "SELECT name, n, b, 1.0 * b / nullif((SELECT sum(b) FROM live), 0) FROM live WHERE n > 0"
     " ORDER BY b DESC, n DESC, name LIMIT ?4"},
    {"creators_allocations", "Allocations, by creator", "blocks",
     "SELECT creator, alloc_objects, alloc_space, 1.0 * alloc_objects /"
     " nullif((SELECT sum(alloc_objects) FROM creator_total WHERE process_id = ?1), 0)"
     " FROM creator_total WHERE process_id = ?1 AND alloc_objects > 0 AND ?2 >= 0 AND ?3 >= 0"
     " ORDER BY alloc_objects DESC, alloc_space DESC, creator LIMIT ?4"},
    {"creators_temporary", "Temporary allocations (freed by the thread's next event), by creator",
     "temporary",
     "SELECT creator, temporary_objects, NULL, 1.0 * temporary_objects /"
     " nullif((SELECT sum(temporary_objects) FROM creator_total WHERE process_id = ?1), 0)"
     " FROM creator_total WHERE process_id = ?1 AND temporary_objects > 0 AND ?2 >= 0 AND ?3 >= 0"
     " ORDER BY temporary_objects DESC, alloc_space DESC, creator LIMIT ?4"},
};

static int open_question(struct wh_store *store, const struct question *question,
                         const struct wh_report_options *options, int64_t process_id,
                         struct wh_query **ret_query, struct wh_error *error) {
    int rc = wh_query_open(store, question->sql, ret_query, error);
    if (rc)
        return rc;
    wh_query_bind_int(*ret_query, 1, process_id);
    wh_query_bind_int(*ret_query, 2, options->moment);
    wh_query_bind_int(*ret_query, 3, options->at_ns);
    wh_query_bind_int(*ret_query, 4, options->limit);
    return 0;
}

static void put_row(struct wh_output *out, const struct wh_query *q, int64_t process_id) {
    if (out->format != WH_FORMAT_TEXT)
        wh_table_int(out, process_id);
    wh_table_int(out, wh_query_int(q, 1));
    if (wh_query_type(q, 2) == WH_CELL_NULL)
        wh_table_null(out);
    else
        wh_table_int(out, wh_query_int(q, 2));
    wh_table_real(out, wh_query_real(q, 3));
    wh_table_text(out, wh_query_text(q, 0));
}

static const char *moment_name(const struct wh_report_options *options, char text[64]) {
    char at[WH_UNITS_TEXT];
    snprintf(text, 64, "%s%s",
             options->moment == WH_AT_PEAK  ? "at the peak"
             : options->moment == WH_AT_END ? "at the end"
                                            : "at ",
             options->moment == WH_AT_NS ? wh_format_ns(at, options->at_ns) : "");
    return text;
}

static int text_question(struct wh_store *store, const struct question *question,
                         const struct wh_report_options *options, int64_t process_id,
                         struct wh_output *out, struct wh_error *error) {
    const struct wh_column columns[] = {
        {"objects", WH_COLUMN_COUNT, question->objects_title, 0},
        {"bytes", WH_COLUMN_BYTES, NULL, 0},
        {"share", WH_COLUMN_SHARE, NULL, 0},
        {"creator", WH_COLUMN_TEXT, NULL, 100},
    };
    struct wh_query *q;
    int rc = open_question(store, question, options, process_id, &q, error);
    if (rc)
        return rc;
    int rows = 0;
    while ((rc = wh_query_step(q, error)) == 1) {
        if (!rows++) {
            char moment[64], title[128];
            const char *place = strstr(question->title, "%s");
            snprintf(title, sizeof title, "%.*s%s%s",
                     (int)(place ? place - question->title : (long)strlen(question->title)),
                     question->title, place ? moment_name(options, moment) : "",
                     place ? place + 2 : "");
            wh_output_say(out, "%s", "");
            wh_output_say(out, "%s:", title);
            wh_table_begin(out, NULL, columns, 4);
        }
        put_row(out, q, process_id);
    }
    if (rows)
        wh_table_end(out);
    wh_query_close(q);
    return rc;
}

/* The processes to show: ?1 = one of them or 0; ?2 = at most. Rows: id, pid, exe,
 * command_line. */
static int open_processes(struct wh_store *store, const struct wh_report_options *options,
                          int64_t limit, struct wh_query **ret_query, struct wh_error *error) {
    int rc = wh_query_open(store,
                           "SELECT id, pid, coalesce(exe, '(unknown)'), command_line FROM process"
                           " WHERE (?1 = 0 OR id = ?1) AND (?1 <> 0 OR events > 0)"
                           " ORDER BY peak_bytes DESC, events DESC, id LIMIT ?2",
                           ret_query, error);
    if (rc)
        return rc;
    wh_query_bind_int(*ret_query, 1, options->process_id);
    wh_query_bind_int(*ret_query, 2, limit);
    return 0;
}

static int text_creators(struct wh_store *store, const struct wh_report_options *options,
                         struct wh_output *out, struct wh_error *error) {
    struct wh_query *q;
    int rc = open_processes(store, options, PROCESSES_SHOWN, &q, error);
    if (rc)
        return rc;
    while ((rc = wh_query_step(q, error)) == 1) {
        char title[400], clean[256], name[64];
        const char *exe = wh_query_text(q, 2);
        wh_text_sanitize(clean, sizeof clean, exe ? exe : "", exe ? strlen(exe) : 0);
        const char *base = strrchr(clean, '/');
        wh_report_program(name, sizeof name, exe, wh_query_text(q, 3));
        bool is_called_so = strcmp(base ? base + 1 : clean, name) == 0;
        snprintf(title, sizeof title, "Process %lld, pid %lld: %s%s%s",
                 (long long)wh_query_int(q, 0), (long long)wh_query_int(q, 1),
                 is_called_so ? "" : name, is_called_so ? "" : ", ", clean);
        wh_output_title(out, title);
        for (size_t i = 0; rc >= 0 && i < sizeof questions / sizeof *questions; i++)
            rc = text_question(store, &questions[i], options, wh_query_int(q, 0), out, error);
        if (rc < 0)
            break;
    }
    wh_query_close(q);
    return rc;
}

static int raw_question(struct wh_store *store, const struct question *question,
                        const struct wh_report_options *options, struct wh_output *out,
                        struct wh_error *error) {
    static const struct wh_column columns[] = {
        {"process_id", WH_COLUMN_INTEGER, NULL, 0}, {"objects", WH_COLUMN_COUNT, NULL, 0},
        {"bytes", WH_COLUMN_BYTES, NULL, 0},        {"share", WH_COLUMN_SHARE, NULL, 0},
        {"creator", WH_COLUMN_TEXT, NULL, 0},
    };
    struct wh_query *processes, *q;
    int rc = open_processes(store, options, INT64_MAX, &processes, error);
    if (rc)
        return rc;
    wh_table_begin(out, question->name, columns, 5);
    while ((rc = wh_query_step(processes, error)) == 1) {
        int64_t id = wh_query_int(processes, 0);
        rc = open_question(store, question, options, id, &q, error);
        if (rc)
            break;
        while ((rc = wh_query_step(q, error)) == 1)
            put_row(out, q, id);
        wh_query_close(q);
        if (rc < 0)
            break;
    }
    wh_table_end(out);
    wh_query_close(processes);
    return rc;
}

int wh_report_creators(struct wh_store *store, const struct wh_report_options *options,
                       struct wh_output *out, struct wh_error *error) {
    if (out->format == WH_FORMAT_TEXT)
        return text_creators(store, options, out, error);
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        int rc = raw_question(store, &questions[i], options, out, error);
        if (rc)
            return rc;
    }
    return 0;
}

/* --- creator against holder ---------------------------------------------------------------------
 */

/* One snapshot of each process, of those with the largest peaks: ?1 = one process or 0; ?2 = at
 * most. */
#define SHOWN                                                                                      \
    " s.id IN (SELECT s.id FROM snapshot s JOIN process p ON p.id = s.process_id"                  \
    " WHERE s.id IN (" WH_SHOWN_SNAPSHOTS(                                                         \
        "held_bytes IS NOT NULL") ")"                                                              \
                                  " AND (?1 = 0 OR p.id = ?1) ORDER BY p.peak_bytes DESC, p.id "   \
                                  "LIMIT ?2) "

static const char gap_sql[] =
    "SELECT g.snapshot_id, s.process_id, g.bytes,"
    " 1.0 * g.bytes / nullif(" WH_FOUND_BYTES ", 0), g.objects, g.hidden, g.creator, g.holder"
    " FROM gap g JOIN snapshot s ON s.id = g.snapshot_id" WH_FOUND_JOIN " WHERE" SHOWN
    "AND NOT (?4 AND " WH_IS_RUNTIME(
        "g.holder") " AND g.bytes < " WH_RUNTIME_BYTES ")"
                    " ORDER BY g.bytes DESC, g.objects DESC, g.creator, g.holder LIMIT ?3";

static const char snapshots_sql[] =
    "SELECT s.id, process_id, reason, at_ns, held_bytes, lost_bytes, coalesce(shared_bytes, 0),"
    " 1.0 * gap_bytes / nullif(held_bytes, 0), s.live_bytes, p.peak_bytes"
    " FROM snapshot s JOIN process p ON p.id = s.process_id WHERE" SHOWN
    "ORDER BY p.peak_bytes DESC, s.id";

static int open_of_shown(struct wh_store *store, const char *sql, int64_t process_id,
                         int64_t processes, struct wh_query **ret_query, struct wh_error *error) {
    int rc = wh_query_open(store, sql, ret_query, error);
    if (rc)
        return rc;
    wh_query_bind_int(*ret_query, 1, process_id);
    wh_query_bind_int(*ret_query, 2, processes);
    return 0;
}

/* "snapshot 1 of process 1 (exit, at 1.23 s, 98 % of its peak): 412 MiB held, 1 MiB lost,
 * attribution gap 0.93". */
static void say_snapshot(struct wh_output *out, const struct wh_query *q) {
    char at[WH_UNITS_TEXT], held[WH_UNITS_TEXT], lost[WH_UNITS_TEXT], shared[WH_UNITS_TEXT];
    char reason[64];
    const char *word = wh_query_text(q, 2);
    wh_text_sanitize(reason, sizeof reason, word ? word : "", word ? strlen(word) : 0);
    wh_output_say(
        out,
        "snapshot %lld of process %lld (%s, at %s, %d %% of its peak): %s held, of "
        "which %s shared; %s lost; attribution gap %.2f",
        (long long)wh_query_int(q, 0), (long long)wh_query_int(q, 1), reason,
        wh_format_ns(at, wh_query_int(q, 3)), wh_percent(wh_query_int(q, 8), wh_query_int(q, 9)),
        wh_format_bytes(held, wh_query_int(q, 4)), wh_format_bytes(shared, wh_query_int(q, 6)),
        wh_format_bytes(lost, wh_query_int(q, 5)), wh_query_real(q, 7));
}

/* The largest process first; *ret_count: how many. What no snapshot shows is said: the first
 * process's peak when it was over, the snapshots of smaller processes. */
static int say_snapshots(struct wh_store *store, int64_t process_id, struct wh_output *out,
                         int *ret_count, struct wh_error *error) {
    struct wh_query *q;
    int64_t live = 0, peak = 0, total = 0;
    int rc = open_of_shown(store, snapshots_sql, process_id, PROCESSES_SHOWN, &q, error);
    if (rc)
        return rc;
    for (; (rc = wh_query_step(q, error)) == 1; ++*ret_count) {
        if (!*ret_count) {
            live = wh_query_int(q, 8);
            peak = wh_query_int(q, 9);
        }
        say_snapshot(out, q);
    }
    wh_query_close(q);
    if (rc < 0 || process_id)
        return rc;
    rc = wh_query_open(store, "SELECT count(DISTINCT process_id) FROM snapshot", &q, error);
    if (rc)
        return rc;
    rc = wh_query_step(q, error);
    total = rc > 0 ? wh_query_int(q, 0) : 0;
    wh_query_close(q);
    if (total > *ret_count)
        wh_output_say(out,
                      "These processes had the largest peaks; `whoholds snapshots` lists the "
                      "snapshots of %lld more.",
                      (long long)(total - *ret_count));
    char text[WH_UNITS_TEXT];
    if (peak > 2 * live && peak >= PEAK_WORTH_A_LOOK)
        wh_output_say(
            out,
            "The largest process had let go of most when its snapshot was taken: `whoholds "
            "record --snapshot=peak` shows who holds its peak of %s.",
            wh_format_bytes(text, peak));
    return rc < 0 ? rc : 0;
}

int wh_report_gap(struct wh_store *store, const struct wh_report_options *options,
                  struct wh_output *out, struct wh_error *error) {
    static const struct wh_column columns[] = {
        {"snapshot_id", WH_COLUMN_INTEGER, "snapshot", 0},
        {"process_id", WH_COLUMN_INTEGER, "process", 0},
        {"bytes", WH_COLUMN_BYTES, NULL, 0},
        {"share", WH_COLUMN_SHARE, NULL, 0},
        {"objects", WH_COLUMN_COUNT, "blocks", 0},
        {"hidden", WH_COLUMN_FLAG, NULL, 0},
        {"creator", WH_COLUMN_TEXT, "created by", 60},
        {"holder", WH_COLUMN_TEXT, "held by", 100},
    };
    struct wh_query *q;
    int rows = 0, is_text = out->format == WH_FORMAT_TEXT, skip = 0;
    int rc = open_of_shown(store, gap_sql, options->process_id,
                           is_text ? PROCESSES_SHOWN : INT64_MAX, &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 3, options->limit);
    wh_query_bind_int(q, 4, is_text); /* people look for the runtime's own in `whoholds gap` */
    while ((rc = wh_query_step(q, error)) == 1) {
        if (!rows++) {
            wh_output_title(out, "Creator against holder, at one snapshot of each process");
            int snapshots = 0;
            rc = say_snapshots(store, options->process_id, out, &snapshots, error);
            if (rc < 0)
                break;
            skip = is_text && snapshots == 1 ? 2 : 0; /* one snapshot was just named */
            wh_table_begin(out, "gap", columns + skip,
                           (int)(sizeof columns / sizeof *columns) - skip);
        }
        for (int i = skip; i < 2; i++)
            wh_table_int(out, wh_query_int(q, i));
        wh_table_int(out, wh_query_int(q, 2));
        wh_table_real(out, wh_query_real(q, 3));
        wh_table_int(out, wh_query_int(q, 4));
        wh_table_int(out, wh_query_int(q, 5));
        wh_table_text(out, wh_query_text(q, 6));
        wh_table_text(out, wh_query_text(q, 7));
    }
    if (rows)
        wh_table_end(out);
    wh_query_close(q);
    return rc;
}
