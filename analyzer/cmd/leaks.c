/* whoholds leaks: the classical leaks, live blocks that nothing refers to. */
#include <stdlib.h>

#include "analyzer/holder/holding.h"
#include "analyzer/holder/suppress.h"
#include "analyzer/symbol/frames.h"
#include "base/string.h"
#include "base/units.h"
#include "snapshot_call.h"

static const struct wh_option options[] = {
    WH_OPTION_SNAPSHOT,
    {"suppressions", 0, "FILE", "leave out what LeakSanitizer's suppression file FILE names", NULL},
    {"fail", 0, NULL, "exit with 1 when something is lost", NULL},
    {"limit", 'n', "N", "creator stacks", "30"},
    WH_OPTION_FORMAT,
    {0},
};

/* One row per creator stack: what is lost by itself, in cycles, and below other lost blocks.
 * `frees` counts what hangs below the stack's own roots; of a cycle, only its first block carries
 * it. */
static const char sql[] =
    "SELECT sum(a.size_bytes), count(*), "
    "  sum(CASE WHEN h.state = 'lost' AND h.cycle_objects = 0 THEN 1 ELSE 0 END), "
    "  sum(CASE WHEN h.cycle_objects > 0 THEN 1 ELSE 0 END), "
    "  sum(CASE WHEN h.state = 'lost_indirect' THEN 1 ELSE 0 END), "
    "  sum(CASE WHEN h.state = 'lost' AND h.dominator_id IS NULL THEN h.retained_bytes ELSE 0 "
    "END), "
    "  coalesce(s.creator, '?'), a.stack_id "
    "FROM held h JOIN allocation a ON a.id = h.allocation_id LEFT JOIN stack s ON s.id = "
    "a.stack_id "
    "WHERE h.snapshot_id = ?1 AND h.state IN ('lost', 'lost_indirect') "
    "AND a.id NOT IN (SELECT value FROM json_each(?2)) GROUP BY a.stack_id "
    "ORDER BY 6 DESC, 1 DESC, 7";

static const struct wh_column columns[] = {
    {"bytes", WH_COLUMN_BYTES, NULL, 0},
    {"objects", WH_COLUMN_COUNT, "blocks", 0},
    {"direct_objects", WH_COLUMN_COUNT, "direct", 0},
    {"cycle_objects", WH_COLUMN_COUNT, "in cycles", 0},
    {"indirect_objects", WH_COLUMN_COUNT, "indirect", 0},
    {"retained_bytes", WH_COLUMN_BYTES, "frees", 0},
    {"creator", WH_COLUMN_TEXT, "created by", 60},
    {"stack", WH_COLUMN_TEXT, NULL, 200},
};

struct sums {
    int64_t bytes, objects, hidden_bytes, hidden_objects, stacks;
};

/* The suppressed blocks' ids as a JSON array. */
static int find_hidden(struct wh_call *call, struct wh_store *store, int64_t snapshot,
                       const struct wh_suppressions *suppressions, struct wh_text *ids,
                       struct sums *sums) {
    struct wh_holding *h = NULL;
    unsigned char *marks = NULL;
    wh_text_puts(ids, "[");
    int rc = suppressions->count ? wh_holding_open(store, snapshot, NULL, &h, &call->error) : 0;
    if (!rc && h)
        rc = wh_suppressed_blocks(suppressions, h, &marks, &call->error);
    for (uint32_t b = 0; !rc && h && b < h->graph.blocks; b++) {
        if (!marks[b] || !h->heap.nodes[b].allocation_id)
            continue;
        wh_text_printf(ids, "%s%llu", sums->hidden_objects++ ? "," : "",
                       (unsigned long long)h->heap.nodes[b].allocation_id);
        sums->hidden_bytes += (int64_t)h->heap.nodes[b].size;
    }
    wh_text_puts(ids, "]");
    free(marks);
    wh_holding_close(h);
    return rc || !ids->failed ? rc : wh_fail(&call->error, WH_ESYSTEM, "no memory");
}

static void put_stack(struct wh_output *out, const struct wh_frames *frames, uint32_t stack) {
    struct wh_text text = {0};
    struct wh_frame f;
    for (size_t i = 0; i < wh_frames_depth(frames, stack) && wh_frames_get(frames, stack, i, &f);
         i++)
        wh_text_printf(&text, "%s%s", i ? " < " : "", f.function ? f.function : "?");
    wh_table_text(out, text.data ? text.data : "");
    wh_text_release(&text);
}

static int print_rows(struct wh_call *call, struct wh_query *q, const struct wh_frames *frames,
                      struct wh_output *out, struct sums *sums) {
    int64_t limit = 0;
    int rc = wh_arguments_int(&call->args, "limit", 1, INT32_MAX, &limit, &call->error);
    wh_table_begin(out, "leaks", columns, sizeof columns / sizeof *columns);
    while (!rc && (rc = wh_query_step(q, &call->error)) > 0) {
        uint32_t stack = (uint32_t)wh_query_int(q, 7);
        rc = 0;
        sums->bytes += wh_query_int(q, 0);
        sums->objects += wh_query_int(q, 1);
        if (sums->stacks++ >= limit)
            continue;
        for (int i = 0; i < 6; i++)
            wh_table_int(out, wh_query_int(q, i));
        wh_table_text(out, wh_query_text(q, 6));
        put_stack(out, frames, stack);
    }
    wh_table_end(out);
    return rc;
}

static void print_sums(struct wh_output *out, const struct sums *s) {
    char bytes[WH_UNITS_TEXT], objects[WH_UNITS_TEXT];
    wh_output_fact_number(out, "lost_bytes", NULL, WH_COLUMN_BYTES, s->bytes);
    wh_output_fact_number(out, "lost_objects", NULL, WH_COLUMN_COUNT, s->objects);
    wh_output_fact_number(out, "suppressed_bytes", NULL, WH_COLUMN_BYTES, s->hidden_bytes);
    if (s->objects)
        wh_output_say(out,
                      "No holder found: %s in %s block%s from %lld creator stack%s. They are lost, "
                      "or\nkept by a pointer that is encoded (XOR, offset, handle): only the "
                      "program knows.\n",
                      wh_format_bytes(bytes, s->bytes), wh_format_count(objects, s->objects),
                      s->objects == 1 ? "" : "s", (long long)s->stacks, s->stacks == 1 ? "" : "s");
    else
        wh_output_say(out,
                      "Nothing is lost: every live block is reachable. What is held too long is in "
                      "`whoholds gap`.\n");
    if (s->hidden_objects)
        wh_output_say(
            out, "Suppressed: %s in %s block%s.\n", wh_format_bytes(bytes, s->hidden_bytes),
            wh_format_count(objects, s->hidden_objects), s->hidden_objects == 1 ? "" : "s");
}

static int run(struct wh_call *call) {
    struct wh_store *store = NULL;
    struct wh_suppressions suppressions = {0};
    struct wh_frames *frames = NULL;
    struct wh_query *q = NULL;
    struct wh_output out;
    struct sums sums = {0};
    int64_t snapshot = 0;
    struct wh_text hidden = {0};
    const char *file = wh_arguments_text(&call->args, "suppressions");
    int rc = file ? wh_suppressions_load(file, &suppressions, &call->error) : 0;
    if (!rc)
        rc = wh_call_open_snapshot(call, 0, &store, &snapshot);
    if (!rc)
        rc = wh_call_need_rows(call, &store, snapshot);
    if (!rc)
        rc = wh_frames_load(store, &frames, &call->error);
    if (!rc)
        rc = find_hidden(call, store, snapshot, &suppressions, &hidden, &sums);
    if (!rc)
        rc = wh_query_open(store, sql, &q, &call->error);
    if (!rc)
        rc = wh_call_output(call, &out);
    if (!rc) {
        wh_query_bind_int(q, 1, snapshot);
        wh_query_bind_text(q, 2, hidden.data);
        rc = wh_call_say_snapshot(call, store, &out, snapshot);
        if (!rc)
            rc = print_rows(call, q, frames, &out, &sums);
        if (!rc)
            print_sums(&out, &sums);
        if (!rc && suppressions.others)
            wh_output_say(&out, "%zu suppression%s for other sanitizers: not used.\n",
                          suppressions.others, suppressions.others == 1 ? "" : "s");
        int finished = wh_output_finish(&out, rc ? NULL : &call->error);
        rc = rc ? rc : finished;
    }
    wh_query_close(q);
    wh_frames_free(frames);
    wh_suppressions_release(&suppressions);
    wh_text_release(&hidden);
    wh_store_close(store);
    if (!rc && sums.objects && wh_arguments_has(&call->args, "fail"))
        return WH_EXIT_FINDING;
    return rc;
}

const struct wh_command wh_command_leaks = {
    .name = "leaks",
    .summary = "lost blocks: live, and nothing refers to them",
    .usage = "[options] FILE",
    .text = "One row per creator stack: blocks that nothing refers to (direct), blocks that only "
            "refer to one "
            "another (in cycles), and blocks that other lost blocks refer to (indirect); `frees` "
            "is what fixing "
            "the stack's own leaks would free. A block that only a suspect word points to (left "
            "over in a "
            "dead part of a stack or buffer) is lost too. Blocks whose address a program hides "
            "(XOR, compressed "
            "handles) look lost and are not. A word that was left over in memory that malloc gave "
            "out again can hide "
            "a leak: GLIBC_TUNABLES=glibc.malloc.perturb=85:glibc.malloc.tcache_count=0 in the "
            "program's "
            "environment overwrites such words.\n"
            "\n"
            "Suppression files are LeakSanitizer's: lines leak:PATTERN, where PATTERN is a part of "
            "the name of a function, source file or module of any frame of the creator stack; * "
            "is any run, ^ the beginning, $ the end, # at the beginning of a line a comment. What "
            "suppressed blocks refer to is left out with them.\n"
            "\n"
            " whoholds leaks trace.db\n"
            " whoholds leaks --fail --suppressions=lsan.supp trace.db",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .exits = "1  --fail was given and something is lost",
    .run = run,
};
