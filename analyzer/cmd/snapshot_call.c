/* Opening a trace for questions about holders. */
#include "snapshot_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/holder/holder.h"
#include "analyzer/holder/shown.h"
#include "analyzer/report/report.h"
#include "analyzer/symbol/symbol.h"
#include "base/units.h"

static int one_number(struct wh_store *store, const char *sql, const char *text, int64_t number,
                      int64_t *ret, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store, sql, &q, error);
    if (rc)
        return rc;
    if (text)
        wh_query_bind_text(q, 1, text);
    else
        wh_query_bind_int(q, 1, number);
    rc = wh_query_step(q, error);
    *ret = rc > 0 && wh_query_type(q, 0) != WH_CELL_NULL ? wh_query_int(q, 0) : 0;
    wh_query_close(q);
    return rc < 0 ? rc : 0;
}

int wh_call_find_snapshot(struct wh_call *call, struct wh_store *store, const char *wanted,
                          int64_t *ret_snapshot) {
    static const char shown[] =
        "SELECT id FROM snapshot WHERE ?1 = 0 AND id IN (" WH_SHOWN_SNAPSHOTS(
            "held_bytes IS NOT NULL") ") ORDER BY live_bytes DESC, id LIMIT 1";
    static const char by_word[] =
        "SELECT coalesce((SELECT max(id) FROM snapshot WHERE label = ?1),"
        " (SELECT id FROM snapshot WHERE id IN (" WH_SHOWN_SNAPSHOTS(
            "reason = ?1 OR ?1 = 'peak'") ")"
                                          "  ORDER BY live_bytes DESC, id LIMIT 1))";
    int64_t number = 0;
    int rc;
    if (!wanted) {
        rc = one_number(store, shown, NULL, 0, ret_snapshot, &call->error);
        if (!rc && !*ret_snapshot)
            rc = wh_fail(&call->error, WH_ENOTFOUND,
                         "'%s' has no snapshot to analyze: record with --snapshot=exit (the "
                         "default), or take "
                         "one with `whoholds snapshot PID`",
                         wh_store_path(store));
        return rc;
    }
    if (wh_parse_int(wanted, &number) == 0)
        rc = one_number(store, "SELECT id FROM snapshot WHERE id = ?1", NULL, number, ret_snapshot,
                        &call->error);
    else
        rc = one_number(store, by_word, wanted, 0, ret_snapshot, &call->error);
    if (!rc && !*ret_snapshot)
        rc = wh_fail(&call->error, WH_ENOTFOUND,
                     "there is no snapshot '%s' in '%s': `whoholds snapshots` lists them", wanted,
                     wh_store_path(store));
    return rc;
}

/* Traces that the recorder could not analyze any more are analyzed on first use, and tables of an
 * older version get the columns that they lack. */
static int analyze(struct wh_call *call, const char *path, struct wh_store **store) {
    int64_t waiting, missing = 0;
    int rc =
        one_number(*store,
                   "SELECT count(*) FROM snapshot WHERE held_bytes IS NULL AND ?1 = 0 AND EXISTS "
                   "(SELECT 1 FROM snapshot_chunk c WHERE c.snapshot_id = snapshot.id)",
                   NULL, 0, &waiting, &call->error);
    if (!rc)
        rc = one_number(*store,
                        "SELECT count(*) = 0 FROM pragma_table_info('gap') WHERE name = 'ways' "
                        "AND ?1 = 0",
                        NULL, 0, &missing, &call->error);
    if (rc || (!waiting && !missing))
        return rc;
    wh_store_close(*store);
    *store = NULL;
    rc = wh_store_open(path, WH_STORE_WRITE, store, &call->error);
    if (!rc && missing)
        rc = wh_store_exec(*store, "ALTER TABLE gap ADD COLUMN ways INTEGER NOT NULL DEFAULT 1",
                           &call->error);
    if (!rc && waiting)
        rc = wh_symbol_resolve(*store, &call->error);
    return rc || !waiting ? rc : wh_holder_resolve(*store, &call->error);
}

int wh_call_open_snapshot_of(struct wh_call *call, const char *path, const char *wanted,
                             struct wh_store **ret_store, int64_t *ret_snapshot) {
    *ret_store = NULL;
    int rc = wh_store_open(path, WH_STORE_READ, ret_store, &call->error);
    if (!rc)
        rc = analyze(call, path, ret_store);
    return rc ? rc : wh_call_find_snapshot(call, *ret_store, wanted, ret_snapshot);
}

int wh_call_open_snapshot(struct wh_call *call, int operand, struct wh_store **ret_store,
                          int64_t *ret_snapshot) {
    return wh_call_open_snapshot_of(call, call->args.operands[operand],
                                    wh_arguments_text(&call->args, "snapshot"), ret_store,
                                    ret_snapshot);
}

/* What the image of memory could not show: who believes in "lost" must know. */
static int say_caveats(struct wh_call *call, struct wh_store *store, struct wh_output *out,
                       int64_t snapshot, const char *name) {
    struct wh_query *q;
    char key[64];
    snprintf(key, sizeof key, "%.*s_caveats", (int)strcspn(name, "_"), name);
    int rc = wh_query_open(store,
                           "SELECT replace(rtrim(caveats, char(10)), char(10), '; ') FROM snapshot "
                           "WHERE id = ?1 AND caveats IS NOT NULL",
                           &q, &call->error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, snapshot);
    rc = wh_query_step(q, &call->error);
    if (rc > 0)
        wh_output_fact_text(out, key, "Caveats", wh_query_text(q, 0));
    wh_query_close(q);
    return rc < 0 ? rc : 0;
}

int wh_call_say_snapshot_as(struct wh_call *call, struct wh_store *store, struct wh_output *out,
                            int64_t snapshot, const char *name, const char *title,
                            const char *option) {
    if (out->format != WH_FORMAT_TEXT) {
        wh_output_fact_number(out, name, NULL, WH_COLUMN_INTEGER, snapshot);
        return say_caveats(call, store, out, snapshot, name);
    }
    struct wh_query *q;
    int rc = wh_query_open(store,
                           "SELECT reason, at_ns, s.live_bytes, p.peak_bytes,"
                           " (SELECT count(*) FROM snapshot), p.pid, p.exe,"
                           " p.command_line FROM snapshot s"
                           " JOIN process p ON p.id = s.process_id WHERE s.id = ?1",
                           &q, &call->error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, snapshot);
    rc = wh_query_step(q, &call->error);
    if (rc > 0) {
        char text[512], at[WH_UNITS_TEXT], peak[WH_UNITS_TEXT], program[128], others[64] = "";
        if (wh_query_int(q, 4) > 1)
            snprintf(others, sizeof others, "; one of %lld, see `whoholds snapshots`, %s",
                     (long long)wh_query_int(q, 4), option);
        snprintf(
            text, sizeof text, "%lld of %s, pid %lld (%s, at %s, %d %% of its peak of %s)%s",
            (long long)snapshot,
            wh_report_program(program, sizeof program, wh_query_text(q, 6), wh_query_text(q, 7)),
            (long long)wh_query_int(q, 5), wh_query_text(q, 0),
            wh_format_ns(at, wh_query_int(q, 1)),
            wh_percent(wh_query_int(q, 2), wh_query_int(q, 3)),
            wh_format_bytes(peak, wh_query_int(q, 3)), others);
        wh_output_fact_text(out, name, title, text);
    }
    wh_query_close(q);
    return rc < 0 ? rc : say_caveats(call, store, out, snapshot, name);
}

int wh_call_need_rows(struct wh_call *call, struct wh_store **store, int64_t snapshot) {
    int64_t partial;
    int rc =
        one_number(*store, "SELECT count(*) FROM snapshot WHERE id = ?1 AND block_rows = 'pooled'",
                   NULL, snapshot, &partial, &call->error);
    char *path = rc || !partial ? NULL : strdup(wh_store_path(*store));
    if (rc || !partial)
        return rc;
    if (!path)
        return wh_fail(&call->error, WH_ESYSTEM, "no memory");
    wh_store_close(*store);
    *store = NULL;
    rc = wh_store_open(path, WH_STORE_WRITE, store, &call->error);
    free(path);
    return rc ? rc : wh_holder_complete(*store, snapshot, &call->error);
}

int wh_call_folds_runtime(const struct wh_call *call) {
    const char *format = wh_arguments_text(&call->args, "format");
    return !wh_arguments_has(&call->args, "runtime") &&
           (!format || strcmp(format, wh_format_words[WH_FORMAT_TEXT]) == 0);
}

int wh_call_finish(struct wh_call *call, struct wh_output *out, struct wh_store *store, int rc) {
    int finished = wh_output_finish(out, rc ? NULL : &call->error);
    wh_store_close(store);
    return rc ? rc : finished;
}
