/* The report's first lines: what was recorded and how completely. A report that hides loss is
 * wrong, so every way of missing something has its line here, and is absent only when nothing is
 * missing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/string.h"
#include "base/units.h"
#include "report.h"

/* Sums over all processes. */
struct sums {
    int64_t processes, events, lost_events, truncated, unresolved, mismatches, unknown_frees;
    int64_t implied_frees;
    int64_t duration_ns;
};

static int read_sums(struct wh_store *store, struct sums *ret_sums, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(
        store,
        "SELECT count(*), coalesce(sum(events), 0), coalesce(sum(lost_events), 0),"
        " coalesce(sum(truncated_stacks), 0), coalesce(sum(unresolved_stacks), 0),"
        " coalesce(sum(unwind_mismatches), 0), coalesce(sum(unknown_frees), 0),"
        " coalesce(max(coalesce(end_ns, start_ns)), 0), coalesce(sum(implied_frees), 0)"
        " FROM process",
        &q, error);
    if (rc)
        return rc;
    rc = wh_query_step(q, error);
    if (rc == 1)
        *ret_sums = (struct sums){wh_query_int(q, 0), wh_query_int(q, 1), wh_query_int(q, 2),
                                  wh_query_int(q, 3), wh_query_int(q, 4), wh_query_int(q, 5),
                                  wh_query_int(q, 6), wh_query_int(q, 8), wh_query_int(q, 7)};
    wh_query_close(q);
    return rc < 0 ? rc : 0;
}

/* A fact of the table `trace` under its own name, if it is there. */
static void copy_text(struct wh_store *store, struct wh_output *out, const char *key,
                      const char *title) {
    char *text = NULL;
    if (wh_store_get_text(store, key, &text, NULL) == 0 && *text)
        wh_output_fact_text(out, key, title, text);
    free(text);
}

static void say_start(struct wh_store *store, struct wh_output *out) {
    int64_t start_ns = wh_store_get_int(store, "start_ns", 0);
    time_t seconds = (time_t)(start_ns / 1000000000);
    struct tm tm;
    char text[40];
    if (start_ns > 0 && gmtime_r(&seconds, &tm) &&
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        wh_output_fact_text(out, "recorded", "recorded", text);
    copy_text(store, out, "host", "host");
}

static void say_completeness(struct wh_store *store, struct wh_output *out) {
    int complete = wh_store_get_int(store, "complete", 0) == 1;
    char *why = NULL;
    (void)wh_store_get_text(store, "truncated", &why, NULL);
    if (out->format == WH_FORMAT_TEXT) {
        char text[512];
        snprintf(text, sizeof text, "%s%s%s",
                 why        ? "ended early"
                 : complete ? "complete"
                            : "unfinished: the recorder did not come to its end",
                 why ? ": " : "", why ? why : "");
        wh_output_fact_text(out, "complete", "recording", text);
    } else {
        wh_output_fact_number(out, "complete", NULL, WH_COLUMN_FLAG, complete && !why);
        if (why)
            wh_output_fact_text(out, "truncated", NULL, why);
    }
    free(why);
}

/* The program was so far ahead of the recorder that memory was not enough. */
static void say_waiting(struct wh_store *store, struct wh_output *out) {
    char text[128], bytes[WH_UNITS_TEXT];
    int64_t most = wh_store_get_int(store, "waiting_file_bytes", 0);
    if (out->format != WH_FORMAT_TEXT) {
        wh_output_fact_number(out, "waiting_file_bytes", NULL, WH_COLUMN_BYTES, most);
    } else if (most) {
        snprintf(text, sizeof text, "up to %s of events waited in a file, see record --memory",
                 wh_format_bytes(bytes, most));
        wh_output_fact_text(out, "waiting", "recorder behind", text);
    }
}

/* "1,234,567, none lost" and the machine's two numbers. */
static void say_events(const struct sums *s, int64_t events, int64_t lost, struct wh_output *out) {
    char text[128], a[WH_UNITS_TEXT], b[WH_UNITS_TEXT];
    if (out->format != WH_FORMAT_TEXT) {
        wh_output_fact_number(out, "events", NULL, WH_COLUMN_COUNT, events);
        wh_output_fact_number(out, "lost_events", NULL, WH_COLUMN_COUNT, lost);
        wh_output_fact_number(out, "truncated_stacks", NULL, WH_COLUMN_COUNT, s->truncated);
        wh_output_fact_number(out, "unresolved_stacks", NULL, WH_COLUMN_COUNT, s->unresolved);
        wh_output_fact_number(out, "unwind_mismatches", NULL, WH_COLUMN_COUNT, s->mismatches);
        wh_output_fact_number(out, "unknown_frees", NULL, WH_COLUMN_COUNT, s->unknown_frees);
        wh_output_fact_number(out, "implied_frees", NULL, WH_COLUMN_COUNT, s->implied_frees);
        return;
    }
    snprintf(text, sizeof text, "%s, %s lost", wh_format_count(a, events),
             lost ? wh_format_count(b, lost) : "none");
    wh_output_fact_text(out, "events", "events", text);
    snprintf(text, sizeof text, "%s cut at the depth limit, %s unresolved",
             s->truncated ? wh_format_count(a, s->truncated) : "none",
             s->unresolved ? wh_format_count(b, s->unresolved) : "none");
    wh_output_fact_text(out, "stacks", "stacks", text);
    if (s->mismatches)
        wh_output_fact_number(out, "unwind_mismatches", "unwinder differed", WH_COLUMN_COUNT,
                              s->mismatches);
    if (s->unknown_frees)
        wh_output_fact_number(out, "unknown_frees", "frees unmatched", WH_COLUMN_COUNT,
                              s->unknown_frees);
    if (s->implied_frees)
        wh_output_fact_number(out, "implied_frees", "frees not seen", WH_COLUMN_COUNT,
                              s->implied_frees);
}

static void say_lifetimes(struct wh_store *store, struct wh_output *out) {
    char *rows = NULL;
    (void)wh_store_get_text(store, "allocation_rows", &rows, NULL);
    int folded = rows && strcmp(rows, "all") != 0;
    if (out->format != WH_FORMAT_TEXT)
        wh_output_fact_text(out, "allocation_rows", NULL, rows ? rows : "");
    else if (!folded)
        wh_output_fact_text(out, "allocation_rows", "lifetimes", "every one has its row");
    else
        wh_output_fact_text(
            out, "allocation_rows", "lifetimes",
            strcmp(rows, "end") == 0
                ? "rows for blocks live at the end or at a snapshot, the others as exact sums "
                  "(whoholds expand)"
                : "rows for blocks live at the end, at a peak or at a snapshot, the others as "
                  "exact sums (whoholds expand)");
    free(rows);
    int64_t sample = wh_store_get_int(store, "sample_bytes", 0);
    if (sample > 0)
        wh_output_fact_number(out, "sample_bytes", "SAMPLED, mean", WH_COLUMN_BYTES, sample);
    else if (out->format != WH_FORMAT_TEXT)
        wh_output_fact_number(out, "sample_bytes", NULL, WH_COLUMN_BYTES, 0);
}

/* Text: the largest process's live bytes beside what its allocator and the kernel say. The machine
 * formats have these figures for every process in the table `processes`. */
static int say_live(struct wh_store *store, struct wh_output *out, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store,
                           "SELECT id, live_bytes, allocator_inuse_bytes, peak_rss_bytes"
                           " FROM process WHERE events > 0 ORDER BY peak_bytes DESC, id LIMIT 1",
                           &q, error);
    if (rc)
        return rc;
    rc = wh_query_step(q, error);
    if (rc == 1 && out->format == WH_FORMAT_TEXT) {
        char text[256], live[WH_UNITS_TEXT], own[WH_UNITS_TEXT], rss[WH_UNITS_TEXT];
        int has_own = wh_query_type(q, 2) != WH_CELL_NULL;
        int has_rss = wh_query_type(q, 3) != WH_CELL_NULL;
        snprintf(text, sizeof text,
                 "%s traced; %s in use by the allocator's own count; %s peak RSS (process %lld)",
                 wh_format_bytes(live, wh_query_int(q, 1)),
                 has_own ? wh_format_bytes(own, wh_query_int(q, 2)) : "unknown",
                 has_rss ? wh_format_bytes(rss, wh_query_int(q, 3)) : "unknown",
                 (long long)wh_query_int(q, 0));
        wh_output_fact_text(out, "live", "live at the end", text);
    }
    wh_query_close(q);
    return rc < 0 ? rc : 0;
}

/* What the recording could not see, grouped: a library loaded by forty children is one line. */
static int say_notes(struct wh_store *store, struct wh_output *out, struct wh_error *error) {
    static const struct wh_column columns[] = {
        {"kind", WH_COLUMN_TEXT, "not seen", 0},
        {"processes", WH_COLUMN_COUNT, NULL, 0},
        {"text", WH_COLUMN_TEXT, "what", 0},
    };
    struct wh_query *q;
    int rc = wh_query_open(store,
                           "SELECT kind, count(DISTINCT id), text FROM"
                           " (SELECT kind, process_id AS id, text, at_ns FROM note"
                           "  WHERE kind NOT IN ('allocator', 'inuse', 'disabled')"
                           "  UNION ALL SELECT 'disabled', id, disabled, coalesce(end_ns, start_ns)"
                           "  FROM process WHERE disabled IS NOT NULL)"
                           " GROUP BY kind, text ORDER BY min(at_ns), kind, text",
                           &q, error);
    if (rc)
        return rc;
    int rows = 0;
    while ((rc = wh_query_step(q, error)) == 1) {
        if (!rows++) {
            wh_output_say(out, "%s", "");
            wh_table_begin(out, "notes", columns, 3);
        }
        wh_table_text(out, wh_query_text(q, 0));
        wh_table_int(out, wh_query_int(q, 1));
        wh_table_text(out, wh_query_text(q, 2));
    }
    if (rows)
        wh_table_end(out);
    wh_query_close(q);
    return rc;
}

int wh_report_header(struct wh_store *store, struct wh_output *out, struct wh_error *error) {
    struct sums sums = {0};
    int rc = read_sums(store, &sums, error);
    if (rc)
        return rc;
    wh_output_fact_text(out, "file", "trace", wh_store_path(store));
    copy_text(store, out, "command_line", "command");
    say_start(store, out);
    wh_output_fact_number(out, "duration_ns", "duration", WH_COLUMN_NS, sums.duration_ns);
    say_completeness(store, out);
    say_events(&sums, wh_store_get_int(store, "events", sums.events),
               wh_store_get_int(store, "lost_events", sums.lost_events), out);
    say_waiting(store, out);
    say_lifetimes(store, out);
    wh_output_fact_number(out, "processes_traced", "processes", WH_COLUMN_COUNT, sums.processes);
    int64_t lost = wh_store_get_int(store, "lost_processes", 0);
    if (lost || out->format != WH_FORMAT_TEXT)
        wh_output_fact_number(out, "lost_processes", "processes NOT traced", WH_COLUMN_COUNT, lost);
    rc = say_live(store, out, error);
    return rc ? rc : say_notes(store, out, error);
}

int wh_report_find_process(struct wh_store *store, int64_t number, int64_t *ret_id,
                           struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store,
                           "SELECT id FROM process WHERE id = ?1 OR pid = ?1"
                           " ORDER BY id = ?1 DESC, start_ns DESC LIMIT 1",
                           &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, number);
    rc = wh_query_step(q, error);
    if (rc == 1)
        *ret_id = wh_query_int(q, 0);
    wh_query_close(q);
    if (rc == 0)
        return wh_fail(error, WH_ENOTFOUND, "'%s' has no process %lld", wh_store_path(store),
                       (long long)number);
    return rc < 0 ? rc : 0;
}
