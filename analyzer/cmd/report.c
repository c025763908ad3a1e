/* whoholds report: the first look at a trace. */
#include <stdlib.h>
#include <string.h>

#include "analyzer/report/report.h"
#include "base/units.h"
#include "command.h"

static const struct wh_option options[] = {
    {"process", 'p', "N", "only this process: its id in the first table, or a pid", NULL},
    {"at", 0, "NS|peak|end",
     "the moment that live blocks are counted: nanoseconds since the start (1.5s works too), the "
     "peak of each process, or its end",
     "end"},
    {"limit", 'n', "N", "rows per table", "10"},
    WH_OPTION_FORMAT,
    {0},
};

static int parse_moment(struct wh_call *call, struct wh_store *store,
                        struct wh_report_options *ret_options) {
    const char *text = wh_arguments_text(&call->args, "at");
    if (strcmp(text, "end") == 0) {
        ret_options->moment = WH_AT_END;
        return 0;
    }
    if (strcmp(text, "peak") == 0) {
        ret_options->moment = WH_AT_PEAK;
        return 0;
    }
    ret_options->moment = WH_AT_NS;
    if (wh_parse_int(text, &ret_options->at_ns) != 0 && wh_parse_ns(text, &ret_options->at_ns) != 0)
        return wh_fail(&call->error, WH_EUSAGE,
                       "'--at=%s' is neither nanoseconds, a duration like 1.5s, peak nor end",
                       text);
    char *rows = NULL;
    int rc = wh_store_get_text(store, "allocation_rows", &rows, NULL);
    int all = rc == 0 && strcmp(rows, "all") == 0;
    free(rows);
    if (!all)
        return wh_fail(&call->error, WH_ENOTFOUND,
                       "short lifetimes of '%s' are folded: `whoholds expand` first, then --at=%s",
                       wh_store_path(store), text);
    return 0;
}

static int write_report(struct wh_call *call, struct wh_store *store,
                        const struct wh_report_options *o) {
    struct wh_output out;
    int rc = wh_call_output(call, &out);
    if (rc)
        return rc;
    rc = wh_report_header(store, &out, &call->error);
    if (!rc)
        rc = wh_report_estimates(store, o, &out, &call->error);
    if (!rc)
        rc = wh_report_gap(store, o, &out, &call->error);
    if (!rc)
        rc = wh_report_processes(store, o, &out, &call->error);
    if (!rc)
        rc = wh_report_creators(store, o, &out, &call->error);
    int finished = wh_output_finish(&out, rc ? NULL : &call->error);
    return rc ? rc : finished;
}

static int run(struct wh_call *call) {
    struct wh_report_options o = {0};
    int64_t process = 0;
    int rc = wh_arguments_int(&call->args, "process", 1, INT32_MAX, &process, &call->error);
    if (!rc)
        rc = wh_arguments_int(&call->args, "limit", 1, INT32_MAX, &o.limit, &call->error);
    struct wh_store *store = NULL;
    if (!rc)
        rc = wh_call_open(call, 0, WH_STORE_READ, &store);
    if (!rc && process)
        rc = wh_report_find_process(store, process, &o.process_id, &call->error);
    if (!rc)
        rc = parse_moment(call, store, &o);
    if (!rc)
        rc = write_report(call, store, &o);
    wh_store_close(store);
    return rc;
}

const struct wh_command wh_command_report = {
    .name = "report",
    .summary =
        "what was allocated, when it peaked, who created it and, after a snapshot, who holds it",
    .usage = "[options] FILE",
    .text =
        "Prints what FILE says at a glance. The first lines say how complete the recording is: "
        "events, lost events, stacks that were cut or not resolved, memory that the hooks could "
        "not "
        "see. Then, where a snapshot was analyzed, creator against holder; the tree of processes "
        "with "
        "the traced live bytes beside the allocator's own figure and the resident set; and per "
        "process the creators by live bytes, by allocations and by temporary allocations.\n"
        "\n"
        "A creator is the first frame of an allocation's stack outside allocators, their wrappers "
        "and "
        "language runtimes. In text only the five processes with the largest peaks are shown in "
        "detail; --process shows any, json and csv have all.\n"
        "\n"
        "json is one object: facts such as events, lost_events and complete, and the arrays notes, "
        "gap, "
        "processes, creators_live, creators_allocations and creators_temporary, of which an empty "
        "one may "
        "be absent. Sizes are bytes, times nanoseconds, shares fractions of 1. csv has the same as "
        "blocks "
        "named by a line '# NAME'. Keys may be added in later versions; none is renamed.\n"
        "\n"
        " whoholds report trace.db\n"
        " whoholds report --at=peak --process=2 trace.db\n"
        " whoholds report --format=json trace.db | jq .creators_live",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
