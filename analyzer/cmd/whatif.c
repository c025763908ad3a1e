/* whoholds whatif: what would be freed if a holder were gone. */
#include "analyzer/holder/whatif.h"
#include "base/units.h"
#include "snapshot_call.h"

#define DROPS_MAX 32

static const struct wh_option options[] = {
    WH_OPTION_SNAPSHOT,
    {"drop", 'd', "HOLDER",
     "a root variable or a grouped path, as reports print it; may be repeated", NULL},
    {"limit", 'n', "N", "rows per table", "20"},
    WH_OPTION_FORMAT,
    {0},
};

static const struct wh_column columns[] = {
    {"bytes", WH_COLUMN_BYTES, NULL, 0},
    {"objects", WH_COLUMN_COUNT, "blocks", 0},
    {"name", WH_COLUMN_TEXT, NULL, 120},
};

static void print_rows(struct wh_output *out, const char *name, const struct wh_whatif_row *rows,
                       uint32_t count, int64_t limit) {
    wh_table_begin(out, name, columns, sizeof columns / sizeof *columns);
    for (uint32_t i = 0; i < count && i < limit; i++) {
        wh_table_int(out, (int64_t)rows[i].bytes);
        wh_table_int(out, rows[i].objects);
        wh_table_text(out, rows[i].name);
    }
    wh_table_end(out);
}

static void print(struct wh_output *out, const struct wh_whatif *w, int64_t limit) {
    char freed[WH_UNITS_TEXT], through[WH_UNITS_TEXT], blocks[WH_UNITS_TEXT];
    wh_output_fact_number(out, "freed_bytes", NULL, WH_COLUMN_BYTES, (int64_t)w->freed_bytes);
    wh_output_fact_number(out, "freed_objects", NULL, WH_COLUMN_COUNT, w->freed_objects);
    wh_output_fact_number(out, "held_bytes", NULL, WH_COLUMN_BYTES, (int64_t)w->through_bytes);
    wh_output_say(
        out,
        "Held there now: %s. Without it (%u root variable%s, %u reference%s dropped) %s in "
        "%s block%s would be freed.\n",
        wh_format_bytes(through, (int64_t)w->through_bytes), w->variables,
        w->variables == 1 ? "" : "s", w->edges, w->edges == 1 ? "" : "s",
        wh_format_bytes(freed, (int64_t)w->freed_bytes), wh_format_count(blocks, w->freed_objects),
        w->freed_objects == 1 ? "" : "s");
    if (w->freed_count || out->format != WH_FORMAT_TEXT) {
        wh_output_title(out, "Freed, by creator");
        print_rows(out, "freed", w->freed, w->freed_count, limit);
    }
    if (w->kept_count || out->format != WH_FORMAT_TEXT) {
        wh_output_title(out, "Stays although it was held there, by what keeps it then");
        print_rows(out, "kept", w->kept, w->kept_count, limit);
    }
}

/* The answer's names live in the holding. */
static int ask(struct wh_call *call, struct wh_store *store, int64_t snapshot,
               struct wh_holding **h, struct wh_whatif *ret) {
    const char *drops[DROPS_MAX];
    int count = 0;
    while (count < DROPS_MAX &&
           (drops[count] = wh_arguments_nth(&call->args, "drop", count)) != NULL)
        count++;
    if (!count)
        return wh_fail(&call->error, WH_EUSAGE, "without what? give --drop=HOLDER");
    int rc = wh_holding_open(store, snapshot, NULL, h, &call->error);
    return rc ? rc : wh_whatif(*h, drops, (uint32_t)count, ret, &call->error);
}

static int run(struct wh_call *call) {
    struct wh_store *store = NULL;
    struct wh_holding *h = NULL;
    struct wh_whatif w = {0};
    struct wh_output out;
    int64_t snapshot = 0, limit = 0;
    int rc = wh_arguments_int(&call->args, "limit", 1, INT32_MAX, &limit, &call->error);
    if (!rc)
        rc = wh_call_open_snapshot(call, 0, &store, &snapshot);
    if (!rc)
        rc = ask(call, store, snapshot, &h, &w);
    if (!rc)
        rc = wh_call_output(call, &out);
    if (!rc) {
        rc = wh_call_say_snapshot(call, store, &out, snapshot);
        if (!rc)
            print(&out, &w, limit);
        int finished = wh_output_finish(&out, rc ? NULL : &call->error);
        rc = rc ? rc : finished;
    }
    wh_whatif_release(&w);
    wh_holding_close(h);
    wh_store_close(store);
    return rc;
}

const struct wh_command wh_command_whatif = {
    .name = "whatif",
    .summary = "what would be freed if a holder were gone",
    .usage = "--drop=HOLDER [options] FILE",
    .text =
        "Drops root variables or all references that read as a grouped path, and computes anew "
        "what stays "
        "reachable, over weak references too: what is also kept by something else is not freed, "
        "and it says by what. "
        "This is exact where `exclusive` of `whoholds holders` is only the least that would go.\n"
        "\n"
        " whoholds whatif --drop=cache trace.db\n"
        " whoholds whatif --drop='pollmanager.polls[*].barriers[*].bs[*]' trace.db",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
