/* whoholds gap: creator against holder, the product's headline. */
#include <string.h>

#include "analyzer/holder/gap.h"
#include "analyzer/holder/verdict.h"
#include "snapshot_call.h"

static const struct wh_option options[] = {
    WH_OPTION_SNAPSHOT,
    {"creator", 'c', "TEXT", "only rows whose creator contains TEXT", ""},
    {"holder", 'o', "TEXT", "only rows whose holder contains TEXT", ""},
    {"hidden", 0, NULL, "only rows whose holder the creator's stack does not explain", NULL},
    {"roots", 'r', NULL, "by root variable instead of by path", NULL},
    WH_OPTION_RUNTIME,
    {"limit", 'n', "N", "rows", "30"},
    WH_OPTION_FORMAT,
    {0},
};

/* ?1 snapshot, ?2 limit, ?3 creator, ?4 holder, ?5 hidden, ?6 rows that the runtime's are left out
 * of. */
#define GAP_ROWS                                                                                   \
    "FROM gap g JOIN snapshot s ON s.id = g.snapshot_id" WH_FOUND_JOIN "WHERE g.snapshot_id = ?1 " \
    "AND instr(g.creator, ?3) > 0 AND instr(g.holder, ?4) > 0 AND g.hidden >= ?5 "
#define IS_FOLDED "(" WH_IS_RUNTIME("g.holder") " AND g.bytes < " WH_RUNTIME_BYTES ")"

static const char by_path_sql[] =
    "SELECT g.bytes, CAST(g.bytes AS REAL) / max(" WH_FOUND_BYTES
    ", 1), g.objects, g.retained_bytes, "
    "g.amplification, g.hidden, g.creator, g.acquirer, g.holder, g.ways " GAP_ROWS
    "AND NOT (?6 AND " IS_FOLDED ") ORDER BY g.bytes DESC, g.rowid LIMIT ?2";

static const char by_root_sql[] =
    "SELECT sum(g.bytes), CAST(sum(g.bytes) AS REAL) / max(" WH_FOUND_BYTES ", 1), sum(g.objects), "
    "NULL, CAST(sum(CASE WHEN g.amplification IS NOT NULL THEN g.bytes END) AS REAL) / "
    "sum(CASE WHEN g.amplification IS NOT NULL THEN g.bytes / g.amplification END), "
    "max(g.hidden), g.creator, g.acquirer, coalesce(g.root, g.holder), max(g.ways) " GAP_ROWS
    "AND NOT (?6 AND " IS_FOLDED ") "
    "GROUP BY g.creator, g.acquirer, coalesce(g.root, g.holder) ORDER BY 1 DESC, g.creator, 9 "
    "LIMIT ?2";

/* All that the other two leave out, as one row; none when that is nothing. */
static const char runtime_sql[] =
    "SELECT sum(g.bytes), CAST(sum(g.bytes) AS REAL) / max(s.live_bytes, 1), sum(g.objects), NULL, "
    "NULL, 0, '', NULL, '[runtime] ' || count(*) || ' row' || iif(count(*) = 1, '', 's') || "
    "', see --runtime', 1 " GAP_ROWS "AND ?6 AND " IS_FOLDED " HAVING count(*) > 0";

static const struct wh_column columns[] = {
    {"bytes", WH_COLUMN_BYTES, NULL, 0},
    {"share", WH_COLUMN_SHARE, NULL, 0},
    {"objects", WH_COLUMN_COUNT, "blocks", 0},
    {"retained_bytes", WH_COLUMN_BYTES, "retained", 0},
    {"amplification", WH_COLUMN_RATIO, "pin", 0},
    {"hidden", WH_COLUMN_FLAG, NULL, 0},
    {"creator", WH_COLUMN_TEXT, "created by", 60},
    {"acquirer", WH_COLUMN_TEXT, "taken by", 60},
    {"holder", WH_COLUMN_TEXT, "held by", 120},
    {"ways", WH_COLUMN_COUNT, NULL, 0}, /* in text beside the holder */
};

static void put_row(struct wh_output *out, const struct wh_query *q) {
    wh_table_int(out, wh_query_int(q, 0));
    wh_table_real(out, wh_query_real(q, 1));
    wh_table_int(out, wh_query_int(q, 2));
    if (wh_query_type(q, 3) == WH_CELL_NULL)
        wh_table_null(out);
    else
        wh_table_int(out, wh_query_int(q, 3));
    if (wh_query_type(q, 4) == WH_CELL_NULL)
        wh_table_null(out);
    else
        wh_table_real(out, wh_query_real(q, 4));
    wh_table_int(out, wh_query_int(q, 5));
    wh_table_text(out, wh_query_text(q, 6));
    wh_table_text(out, wh_query_text(q, 7));
    const char *holder = wh_query_text(q, 8);
    int64_t ways = wh_query_int(q, 9);
    if (out->format != WH_FORMAT_TEXT) {
        wh_table_text(out, holder);
        wh_table_int(out, ways);
        return;
    }
    struct wh_text text = {0};
    wh_text_puts(&text,
                 strcmp(holder, "lost") == 0 ? "lost: no holder found, possibly encoded" : holder);
    if (ways > 1)
        wh_text_printf(&text, " (1 of %lld)", (long long)ways);
    wh_table_text(out, text.failed ? holder : text.data);
    wh_text_release(&text);
}

static int put_rows(struct wh_call *call, struct wh_store *store, struct wh_output *out,
                    int64_t snapshot, int64_t limit, const char *sql) {
    struct wh_query *q;
    int rc = wh_query_open(store, sql, &q, &call->error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, snapshot);
    wh_query_bind_int(q, 2, limit);
    wh_query_bind_text(q, 3, wh_arguments_text(&call->args, "creator"));
    wh_query_bind_text(q, 4, wh_arguments_text(&call->args, "holder"));
    wh_query_bind_int(q, 5, wh_arguments_has(&call->args, "hidden"));
    wh_query_bind_int(q, 6, wh_call_folds_runtime(call));
    while ((rc = wh_query_step(q, &call->error)) > 0)
        put_row(out, q);
    wh_query_close(q);
    return rc;
}

static int print_rows(struct wh_call *call, struct wh_store *store, struct wh_output *out,
                      int64_t snapshot) {
    int64_t limit = 0;
    int rc = wh_arguments_int(&call->args, "limit", 1, INT32_MAX, &limit, &call->error);
    if (rc)
        return rc;
    int count = sizeof columns / sizeof *columns;
    wh_table_begin(out, "gap", columns, out->format == WH_FORMAT_TEXT ? count - 1 : count);
    rc = put_rows(call, store, out, snapshot, limit,
                  wh_arguments_has(&call->args, "roots") ? by_root_sql : by_path_sql);
    if (!rc)
        rc = put_rows(call, store, out, snapshot, limit, runtime_sql);
    int is_empty = !wh_table_rows(out);
    wh_table_end(out);
    if (!rc && is_empty)
        wh_output_say(out, "No row of this snapshot is so: --creator and --holder take a part of a "
                           "name as it is printed.");
    return rc;
}

static int print_verdict(struct wh_call *call, struct wh_store *store, struct wh_output *out,
                         int64_t snapshot) {
    struct wh_text text = {0};
    int rc = wh_verdict(store, snapshot, &text, &call->error);
    if (!rc)
        rc = wh_call_say_snapshot(call, store, out, snapshot);
    if (!rc) {
        wh_output_fact_text(out, "verdict", NULL, text.data);
        wh_output_paragraph(out, text.data);
    }
    wh_text_release(&text);
    return rc;
}

static int run(struct wh_call *call) {
    struct wh_store *store = NULL;
    struct wh_output out;
    int64_t snapshot = 0;
    int rc = wh_call_open_snapshot(call, 0, &store, &snapshot);
    if (!rc)
        rc = wh_call_output(call, &out);
    if (rc) {
        wh_store_close(store);
        return rc;
    }
    rc = print_verdict(call, store, &out, snapshot);
    if (!rc)
        rc = print_rows(call, store, &out, snapshot);
    return wh_call_finish(call, &out, store, rc);
}

const struct wh_command wh_command_gap = {
    .name = "gap",
    .summary = "who created the live bytes against who holds them",
    .usage = "[options] FILE",
    .text = "Every live block of a snapshot is in exactly one row: by the function that created it "
            "and by what "
            "keeps it reachable, the root variable and the path of fields down to the block with "
            "indices "
            "collapsed. `hidden` says that nothing on the creator's stack leads to that holder: a "
            "creator profile "
            "blames somebody else. Blocks with two or more independent holders are listed as "
            "shared and credited "
            "to none; blocks that nothing refers to are lost.\n"
            "\n"
            "A path that ends `(1 of N)` runs through a block that N independent holders keep, and "
            "names one of them: clearing that one frees nothing. Where objects are owned comes "
            "before the cache in front of them, weak references and pointers back, as far as what "
            "these keep elsewhere shows them to be such; then the shortest path. Where hundreds "
            "of different paths begin alike, the small ones among them are one that ends with an "
            "ellipsis; `whoholds path` has them in full.\n"
            "\n"
            "`retained` is what would be freed with the row's blocks, `pin` the bytes of the "
            "blocks against those "
            "that the references to them can reach by their own length.\n"
            "\n"
            "What the C and C++ runtime keeps for itself (buffers of stdio, locales, the loader's "
            "tables; named "
            "`[libc.so.6] ...`) is one last row in text; a megabyte or more of it has its own "
            "rows: that is the "
            "program's, streams that were never closed for instance.\n"
            "\n"
            " whoholds gap trace.db\n"
            " whoholds gap --hidden --limit=10 trace.db\n"
            " whoholds gap --snapshot=peak --format=json trace.db\n"
            "\n"
            "`whoholds path --creator=NAME --holder=TEXT FILE` shows a concrete path for a row.",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
