/* whoholds holders: what each root variable keeps. */
#include <string.h>

#include "base/string.h"
#include "base/units.h"
#include "snapshot_call.h"

static const struct wh_option options[] = {
    WH_OPTION_SNAPSHOT,
    {"since", 0, "N|LABEL", "an earlier snapshot: adds what each holder grew by since then", NULL},
    {"paths", 'p', NULL, "by grouped path instead of by root variable", NULL},
    WH_OPTION_RUNTIME,
    {"limit", 'n', "N", "rows", "30"},
    WH_OPTION_FORMAT,
    {0},
};

/* One row per root name: threads' like-named roots are added up. Blocks, creators and pins come
 * from the blocks whose strongest path begins there. ?1 snapshot, ?2 limit, ?3 earlier snapshot or
 * NULL, ?4 are the runtime's rows left out? */
static const char by_root_sql[] =
    "WITH r AS (SELECT name, min(kind) kind, sum(exclusive_bytes) exclusive, sum(reachable_bytes) "
    "reachable, "
    "  sum(reachable_bytes - exclusive_bytes) shared, sum(effective_bytes) effective, "
    "max(strength) strength "
    "  FROM root WHERE snapshot_id = ?1 GROUP BY name), "
    "b AS (SELECT r.name, coalesce(s.creator, '?') creator, sum(a.size_bytes) bytes, count(*) "
    "objects, "
    "  sum(CASE WHEN h.visible_bytes IS NOT NULL THEN a.size_bytes END) pinned, "
    "sum(h.visible_bytes) visible "
    "  FROM held h JOIN root r ON r.id = h.root_id JOIN allocation a ON a.id = h.allocation_id "
    "  LEFT JOIN stack s ON s.id = a.stack_id WHERE h.snapshot_id = ?1 GROUP BY r.name, creator), "
    "ranked AS (SELECT *, row_number() OVER (PARTITION BY name ORDER BY bytes DESC, creator) rank "
    "FROM b), "
    "top AS (SELECT name, group_concat(creator, ', ') creators FROM "
    "  (SELECT name, creator FROM ranked WHERE rank <= 3 ORDER BY name, rank) GROUP BY name), "
    "n AS (SELECT name, sum(objects) objects, sum(pinned) pinned, sum(visible) visible FROM b "
    "GROUP BY name), "
    "o AS (SELECT name, sum(exclusive_bytes) exclusive, sum(coalesce(effective_bytes, "
    "exclusive_bytes)) effective "
    "  FROM root WHERE snapshot_id = ?3 GROUP BY name) "
    "SELECT r.exclusive, r.shared, r.reachable, coalesce(n.objects, 0), "
    "  CASE WHEN n.pinned > 0 THEN CAST(n.pinned AS REAL) / max(n.visible, 1) END, "
    "  CASE WHEN ?3 IS NOT NULL THEN coalesce(r.effective, r.exclusive) - coalesce(o.effective, 0) "
    "END, "
    "  r.strength, r.kind, top.creators, r.name "
    "FROM r LEFT JOIN n ON n.name = r.name LEFT JOIN top ON top.name = r.name LEFT JOIN o ON "
    "o.name = r.name "
    "WHERE NOT (?4 AND " WH_IS_RUNTIME(
        "r.name") " AND r.exclusive < " WH_RUNTIME_BYTES ") "
                  "ORDER BY coalesce(r.effective, r.exclusive) DESC, r.name LIMIT ?2";

static const char by_path_sql[] =
    "WITH b AS (SELECT p.holder name, coalesce(s.creator, '?') creator, sum(a.size_bytes) bytes, "
    "  sum(CASE WHEN h.holders > 1 THEN a.size_bytes ELSE 0 END) shared, count(*) objects, "
    "  sum(CASE WHEN h.visible_bytes IS NOT NULL THEN a.size_bytes END) pinned, "
    "sum(h.visible_bytes) visible, "
    "  max(h.strength) strength, min(r.kind) kind "
    "  FROM held h JOIN path p ON p.id = h.path_id JOIN root r ON r.id = h.root_id "
    "  JOIN allocation a ON a.id = h.allocation_id LEFT JOIN stack s ON s.id = a.stack_id "
    "  WHERE h.snapshot_id = ?1 GROUP BY p.holder, creator), "
    "ranked AS (SELECT *, row_number() OVER (PARTITION BY name ORDER BY bytes DESC, creator) rank "
    "FROM b), "
    "top AS (SELECT name, group_concat(creator, ', ') creators FROM "
    "  (SELECT name, creator FROM ranked WHERE rank <= 3 ORDER BY name, rank) GROUP BY name), "
    "o AS (SELECT p.holder name, sum(p.bytes) bytes FROM path p WHERE p.snapshot_id = ?3 "
    "GROUP BY p.holder) "
    "SELECT sum(b.bytes) - sum(b.shared), sum(b.shared), sum(b.bytes), sum(b.objects), "
    "  CASE WHEN sum(b.pinned) > 0 THEN CAST(sum(b.pinned) AS REAL) / max(sum(b.visible), 1) END, "
    "  CASE WHEN ?3 IS NOT NULL THEN sum(b.bytes) - coalesce(max(o.bytes), 0) END, "
    "  max(b.strength), min(b.kind), top.creators, b.name "
    "FROM b LEFT JOIN top ON top.name = b.name LEFT JOIN o ON o.name = b.name GROUP BY b.name "
    "HAVING NOT (?4 AND " WH_IS_RUNTIME("b.name") " AND sum(b.bytes) < " WH_RUNTIME_BYTES ") "
                                                  "ORDER BY sum(b.bytes) DESC, b.name LIMIT ?2";

/* All that the two leave out, as one row. */
static const char runtime_sql[] =
    "SELECT sum(r.exclusive_bytes), NULL, NULL, (SELECT count(*) FROM held h JOIN root t ON t.id = "
    "  h.root_id WHERE h.snapshot_id = ?1 AND " WH_IS_RUNTIME(
        "t.name") "), NULL, NULL, 1, "
                  "'global', NULL, '[runtime] ' || count(DISTINCT r.name) || ' variables, see "
                  "--runtime' "
                  "FROM root r WHERE r.snapshot_id = ?1 AND ?4 "
                  "AND " WH_IS_RUNTIME("r.name") " AND r.exclusive_bytes < " WH_RUNTIME_BYTES
                                                 " HAVING count(*) > 0";

static const struct wh_column columns[] = {
    {"exclusive_bytes", WH_COLUMN_BYTES, "exclusive", 0},
    {"shared_bytes", WH_COLUMN_BYTES, "shared", 0},
    {"reachable_bytes", WH_COLUMN_BYTES, "reachable", 0},
    {"objects", WH_COLUMN_COUNT, "blocks", 0},
    {"amplification", WH_COLUMN_RATIO, "pin", 0},
    {"growth_bytes", WH_COLUMN_BYTES, "growth", 0},
    {"strength", WH_COLUMN_INTEGER, NULL, 0},
    {"kind", WH_COLUMN_TEXT, NULL, 0},
    {"creators", WH_COLUMN_TEXT, "mostly created by", 80},
    {"holder", WH_COLUMN_TEXT, NULL, 100},
};

static void put_cell(struct wh_output *out, const struct wh_query *q, int column) {
    switch (wh_query_type(q, column)) {
    case WH_CELL_INT:
        wh_table_int(out, wh_query_int(q, column));
        break;
    case WH_CELL_REAL:
        wh_table_real(out, wh_query_real(q, column));
        break;
    case WH_CELL_NULL:
        wh_table_null(out);
        break;
    default:
        wh_table_text(out, wh_query_text(q, column));
    }
}

static int put_rows(struct wh_call *call, struct wh_store *store, struct wh_output *out,
                    int64_t snapshot, int64_t since, const char *sql) {
    struct wh_query *q;
    int64_t limit = 0;
    int rc = wh_arguments_int(&call->args, "limit", 1, INT32_MAX, &limit, &call->error);
    if (!rc)
        rc = wh_query_open(store, sql, &q, &call->error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, snapshot);
    wh_query_bind_int(q, 2, limit);
    if (since)
        wh_query_bind_int(q, 3, since);
    wh_query_bind_int(q, 4, wh_call_folds_runtime(call));
    while ((rc = wh_query_step(q, &call->error)) > 0)
        for (int i = 0; i < 10; i++)
            put_cell(out, q, i);
    wh_query_close(q);
    return rc;
}

static int print_holders(struct wh_call *call, struct wh_store *store, struct wh_output *out,
                         int64_t snapshot, int64_t since) {
    wh_table_begin(out, "holders", columns, sizeof columns / sizeof *columns);
    int rc = put_rows(call, store, out, snapshot, since,
                      wh_arguments_has(&call->args, "paths") ? by_path_sql : by_root_sql);
    if (!rc)
        rc = put_rows(call, store, out, snapshot, since, runtime_sql);
    wh_table_end(out);
    return rc;
}

static void begin_shares(struct wh_output *out, int *opened) {
    static const struct wh_column share_columns[] = {
        {"bytes", WH_COLUMN_BYTES, NULL, 0},
        {"objects", WH_COLUMN_COUNT, "blocks", 0},
        {"holder_count", WH_COLUMN_COUNT, "holders", 0},
        {"holders", WH_COLUMN_TEXT, "shared by", 120},
    };
    if ((*opened)++)
        return;
    wh_output_title(out, "Shared: kept by two or more independent holders");
    wh_table_begin(out, "shared", share_columns, sizeof share_columns / sizeof *share_columns);
}

/* What no single holder keeps, by the sets that do. */
static int print_shares(struct wh_call *call, struct wh_store *store, struct wh_output *out,
                        int64_t snapshot) {
    struct wh_query *q;
    int rc = wh_query_open(
        store,
        "SELECT bytes, objects, holder_count, holders FROM share_group WHERE snapshot_id = ?1 "
        "AND NOT (?2 AND " WH_IS_RUNTIME("holders") " AND bytes < " WH_RUNTIME_BYTES ") "
                                                    "ORDER BY bytes DESC, holders LIMIT 20",
        &q, &call->error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, snapshot);
    wh_query_bind_int(q, 2, wh_call_folds_runtime(call));
    int opened = 0;
    if (out->format != WH_FORMAT_TEXT)
        begin_shares(out, &opened);
    while ((rc = wh_query_step(q, &call->error)) > 0) {
        begin_shares(out, &opened);
        for (int i = 0; i < 4; i++)
            put_cell(out, q, i);
    }
    if (opened)
        wh_table_end(out);
    wh_query_close(q);
    return rc;
}

static int run(struct wh_call *call) {
    struct wh_store *store = NULL;
    struct wh_output out;
    int64_t snapshot = 0, since = 0;
    const char *earlier = wh_arguments_text(&call->args, "since");
    int rc = wh_call_open_snapshot(call, 0, &store, &snapshot);
    if (!rc)
        rc = wh_call_need_rows(call, &store, snapshot);
    if (!rc && earlier)
        rc = wh_call_find_snapshot(call, store, earlier, &since);
    if (!rc)
        rc = wh_call_output(call, &out);
    if (rc) {
        wh_store_close(store);
        return rc;
    }
    rc = wh_call_say_snapshot(call, store, &out, snapshot);
    if (!rc)
        rc = print_holders(call, store, &out, snapshot, since);
    if (!rc)
        rc = print_shares(call, store, &out, snapshot);
    return wh_call_finish(call, &out, store, rc);
}

const struct wh_command wh_command_holders = {
    .name = "holders",
    .summary = "what each root variable keeps: alone, with others, in all",
    .usage = "[options] FILE",
    .text = "One row per root variable (a global, a thread-local, a thread's stack, ...). "
            "`exclusive` would be freed "
            "if it were cleared; `reachable` is everything that a path of the holder graph leads "
            "to from it; "
            "`shared` is the difference: others keep that too. Rows are in the order of exclusive "
            "bytes plus "
            "a fair part of the shared ones, so that the ranking adds up to what is held.\n"
            "\n"
            "`pin` is the bytes of the blocks against those that the references to them can reach "
            "by their own "
            "length. With --paths, rows are grouped paths (`cache.buckets[*]->value`) and "
            "`exclusive` counts the "
            "blocks at that path which have a single holder.\n"
            "\n"
            " whoholds holders trace.db\n"
            " whoholds holders --paths --since=warm trace.db",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
