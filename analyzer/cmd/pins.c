/* whoholds pins: small references that keep large blocks. */
#include "snapshot_call.h"

static const struct wh_option options[] = {
    WH_OPTION_SNAPSHOT,
    {"ratio", 'r', "N", "only blocks whose references see at most 1 byte in N", "2"},
    {"blocks", 'b', NULL, "single blocks instead of groups", NULL},
    {"limit", 'n', "N", "rows", "30"},
    WH_OPTION_FORMAT,
    {0},
};

/* Only blocks all of whose references have a known length: the visible part is a fact, no guess. */
static const char grouped_sql[] =
    "SELECT sum(a.size_bytes - h.visible_bytes), sum(a.size_bytes), sum(h.visible_bytes), "
    "  CAST(sum(a.size_bytes) AS REAL) / max(sum(h.visible_bytes), 1), count(*), "
    "coalesce(s.creator, '?'), p.text "
    "FROM held h JOIN allocation a ON a.id = h.allocation_id JOIN path p ON p.id = h.path_id "
    "LEFT JOIN stack s ON s.id = a.stack_id "
    "WHERE h.snapshot_id = ?1 AND h.visible_bytes IS NOT NULL AND h.visible_bytes * ?3 <= "
    "a.size_bytes "
    "GROUP BY p.text, s.creator ORDER BY 1 DESC, p.text, 6 LIMIT ?2";

static const char single_sql[] =
    "SELECT a.size_bytes - h.visible_bytes, a.size_bytes, h.visible_bytes, "
    "  CAST(a.size_bytes AS REAL) / max(h.visible_bytes, 1), a.address, coalesce(s.creator, '?'), "
    "p.text "
    "FROM held h JOIN allocation a ON a.id = h.allocation_id JOIN path p ON p.id = h.path_id "
    "LEFT JOIN stack s ON s.id = a.stack_id "
    "WHERE h.snapshot_id = ?1 AND h.visible_bytes IS NOT NULL AND h.visible_bytes * ?3 <= "
    "a.size_bytes "
    "ORDER BY 1 DESC, a.id LIMIT ?2";

static const struct wh_column grouped_columns[] = {
    {"wasted_bytes", WH_COLUMN_BYTES, "unseen", 0},  {"pinned_bytes", WH_COLUMN_BYTES, "pinned", 0},
    {"visible_bytes", WH_COLUMN_BYTES, "seen", 0},   {"amplification", WH_COLUMN_RATIO, "pin", 0},
    {"objects", WH_COLUMN_COUNT, "blocks", 0},       {"creator", WH_COLUMN_TEXT, "created by", 60},
    {"reference", WH_COLUMN_TEXT, "pinned by", 120},
};

static const struct wh_column single_columns[] = {
    {"wasted_bytes", WH_COLUMN_BYTES, "unseen", 0},  {"pinned_bytes", WH_COLUMN_BYTES, "pinned", 0},
    {"visible_bytes", WH_COLUMN_BYTES, "seen", 0},   {"amplification", WH_COLUMN_RATIO, "pin", 0},
    {"address", WH_COLUMN_ADDRESS, NULL, 0},         {"creator", WH_COLUMN_TEXT, "created by", 60},
    {"reference", WH_COLUMN_TEXT, "pinned by", 120},
};

static int print(struct wh_call *call, struct wh_store *store, struct wh_output *out,
                 int64_t snapshot) {
    struct wh_query *q;
    int64_t limit = 0, ratio = 0;
    int single = wh_arguments_has(&call->args, "blocks");
    int rc = wh_arguments_int(&call->args, "limit", 1, INT32_MAX, &limit, &call->error);
    if (!rc)
        rc = wh_arguments_int(&call->args, "ratio", 1, INT32_MAX, &ratio, &call->error);
    if (!rc)
        rc = wh_call_say_snapshot(call, store, out, snapshot);
    if (!rc)
        rc = wh_query_open(store, single ? single_sql : grouped_sql, &q, &call->error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, snapshot);
    wh_query_bind_int(q, 2, limit);
    wh_query_bind_int(q, 3, ratio);
    wh_table_begin(out, "pins", single ? single_columns : grouped_columns,
                   sizeof grouped_columns / sizeof *grouped_columns);
    while ((rc = wh_query_step(q, &call->error)) > 0) {
        for (int i = 0; i < 3; i++)
            wh_table_int(out, wh_query_int(q, i));
        wh_table_real(out, wh_query_real(q, 3));
        wh_table_int(out, wh_query_int(q, 4));
        wh_table_text(out, wh_query_text(q, 5));
        wh_table_text(out, wh_query_text(q, 6));
    }
    wh_table_end(out);
    wh_query_close(q);
    return rc;
}

static int run(struct wh_call *call) {
    struct wh_store *store = NULL;
    struct wh_output out;
    int64_t snapshot = 0;
    int rc = wh_call_open_snapshot(call, 0, &store, &snapshot);
    if (!rc)
        rc = wh_call_need_rows(call, &store, snapshot);
    if (!rc)
        rc = wh_call_output(call, &out);
    if (rc) {
        wh_store_close(store);
        return rc;
    }
    rc = print(call, store, &out, snapshot);
    return wh_call_finish(call, &out, store, rc);
}

const struct wh_command wh_command_pins = {
    .name = "pins",
    .summary = "small references that keep large blocks alive",
    .usage = "[options] FILE",
    .text = "A reference with a length beside it (pointer and length, pointer with length and "
            "capacity, begin and end, "
            "an iovec) can reach only that part of its block, but it keeps all of it. Rows are "
            "blocks whose "
            "references all have known lengths, grouped by path and creator, by the bytes that "
            "nobody can see. "
            "Blocks with a reference of unknown length are left out.\n"
            "\n"
            " whoholds pins trace.db\n"
            " whoholds pins --ratio=100 --blocks trace.db",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
