/* whoholds diff: what grew between two snapshots, of one run or of two. */
#include "analyzer/holder/diff.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "snapshot_call.h"

static const struct wh_option options[] = {
    {"all", 'a', NULL, "unchanged rows too", NULL},
    {"limit", 'n', "N", "rows", "30"},
    WH_OPTION_FORMAT,
    {0},
};

static const struct wh_column columns[] = {
    {"growth_bytes", WH_COLUMN_BYTES, "growth", 0},
    {"growth_objects", WH_COLUMN_COUNT, "blocks", 0},
    {"before_bytes", WH_COLUMN_BYTES, "before", 0},
    {"after_bytes", WH_COLUMN_BYTES, "after", 0},
    {"creator", WH_COLUMN_TEXT, "created by", 60},
    {"path", WH_COLUMN_TEXT, "held by", 120},
    {"stack", WH_COLUMN_TEXT, NULL, 120},
};

static int open_complete(struct wh_call *call, const char *path, const char *wanted,
                         struct wh_store **store, int64_t *snapshot) {
    int rc = wh_call_open_snapshot_of(call, path, wanted, store, snapshot);
    return rc ? rc : wh_call_need_rows(call, store, *snapshot);
}

/* "FILE:SNAP"; a file that has the whole text as its name wins.
 */
static int open_side(struct wh_call *call, const char *operand, struct wh_store **store,
                     int64_t *snapshot) {
    const char *colon = strrchr(operand, ':');
    if (!colon || access(operand, F_OK) == 0)
        return open_complete(call, operand, NULL, store, snapshot);
    char *path = strndup(operand, (size_t)(colon - operand));
    if (!path)
        return wh_fail(&call->error, WH_ESYSTEM, "no memory");
    int rc = open_complete(call, path, colon[1] ? colon + 1 : NULL, store, snapshot);
    free(path);
    return rc;
}

static void print_rows(struct wh_output *out, const struct wh_diff *d, int64_t limit, int all) {
    wh_table_begin(out, "diff", columns, sizeof columns / sizeof *columns);
    for (uint32_t i = 0; i < d->count && i < limit; i++) {
        const struct wh_diff_row *r = &d->rows[i];
        if (!all && r->bytes[0] == r->bytes[1] && r->objects[0] == r->objects[1])
            continue;
        wh_table_int(out, (int64_t)(r->bytes[1] - r->bytes[0]));
        wh_table_int(out, (int64_t)(r->objects[1] - r->objects[0]));
        wh_table_int(out, (int64_t)r->bytes[0]);
        wh_table_int(out, (int64_t)r->bytes[1]);
        wh_table_text(out, r->creator);
        wh_table_text(out, r->path);
        wh_table_text(out, r->stack);
    }
    wh_table_end(out);
}

static int run(struct wh_call *call) {
    struct wh_store *stores[2] = {NULL, NULL};
    struct wh_diff d = {0};
    struct wh_output out;
    int64_t snapshots[2] = {0, 0}, limit = 0;
    int rc = wh_arguments_int(&call->args, "limit", 1, INT32_MAX, &limit, &call->error);
    for (int i = 0; i < 2 && !rc; i++)
        rc = open_side(call, call->args.operands[i], &stores[i], &snapshots[i]);
    if (!rc)
        rc = wh_diff(stores, snapshots, &d, &call->error);
    if (!rc)
        rc = wh_call_output(call, &out);
    static const char *const names[2] = {"before_snapshot_id", "after_snapshot_id"};
    static const char *const titles[2] = {"Before", "After"};
    for (int i = 0; i < 2 && !rc; i++)
        rc = wh_call_say_snapshot_as(call, stores[i], &out, snapshots[i], names[i], titles[i],
                                     "FILE:SNAPSHOT");
    if (!rc) {
        char before[WH_UNITS_TEXT], after[WH_UNITS_TEXT];
        wh_output_fact_number(&out, "before_bytes", NULL, WH_COLUMN_BYTES, (int64_t)d.bytes[0]);
        wh_output_fact_number(&out, "after_bytes", NULL, WH_COLUMN_BYTES, (int64_t)d.bytes[1]);
        wh_output_say(&out, "Snapshot %lld: %s live; snapshot %lld: %s live.\n",
                      (long long)snapshots[0], wh_format_bytes(before, (int64_t)d.bytes[0]),
                      (long long)snapshots[1], wh_format_bytes(after, (int64_t)d.bytes[1]));
        print_rows(&out, &d, limit, wh_arguments_has(&call->args, "all"));
        rc = wh_output_finish(&out, &call->error);
    }
    wh_diff_release(&d);
    wh_store_close(stores[0]);
    wh_store_close(stores[1]);
    return rc;
}

const struct wh_command wh_command_diff = {
    .name = "diff",
    .summary = "what grew between two snapshots, of one run or of two",
    .usage = "[options] FILE[:SNAPSHOT] FILE[:SNAPSHOT]",
    .text =
        "Compares two snapshots by fingerprint: the grouped path that holds a block, without "
        "addresses and indices, "
        "and the names on its creator's stack. So the two may be of one recording or of two "
        "runs. Rows are in the "
        "order of how much they changed. "
        "SNAPSHOT is a number, label or reason as for the other commands; without it the one that "
        "they show.\n"
        "\n"
        " whoholds diff trace.db:warm trace.db:exit\n"
        " whoholds diff monday.db tuesday.db",
    .options = options,
    .operands_min = 2,
    .operands_max = 2,
    .run = run,
};
