/* whoholds top: one table, by one grouping and one metric. */
#include "analyzer/report/report.h"
#include "command.h"

static const struct wh_option options[] = {
    {"by", 'b', "creator|module|thread|size",
     "what to add up: creator functions, their modules, allocating threads, or powers of two of "
     "the "
     "requested size",
     "creator"},
    {"metric", 'm',
     "alloc_objects|alloc_space|inuse_objects|inuse_space|peak_objects|peak_space|temporary_"
     "objects",
     "the column to sort by and to show shares of", "inuse_space"},
    {"process", 'p', "N", "only this process: its id in `whoholds report`, or a pid", NULL},
    {"limit", 'n', "N", "rows", "20"},
    WH_OPTION_FORMAT,
    {0},
};

static int run(struct wh_call *call) {
    int by = WH_TOP_CREATOR, metric = WH_TOP_INUSE_SPACE;
    int64_t process = 0, process_id = 0, limit = 0;
    const struct wh_arguments *args = &call->args;
    int rc = wh_arguments_choice(args, "by", wh_top_by_words, &by, &call->error);
    if (!rc)
        rc = wh_arguments_choice(args, "metric", wh_top_metric_words, &metric, &call->error);
    if (!rc)
        rc = wh_arguments_int(args, "process", 1, INT32_MAX, &process, &call->error);
    if (!rc)
        rc = wh_arguments_int(args, "limit", 1, INT32_MAX, &limit, &call->error);
    struct wh_store *store = NULL;
    if (!rc)
        rc = wh_call_open(call, 0, WH_STORE_READ, &store);
    if (!rc && process)
        rc = wh_report_find_process(store, process, &process_id, &call->error);
    struct wh_output out;
    if (!rc)
        rc = wh_call_output(call, &out);
    if (!rc) {
        rc = wh_report_top(store, process_id, (enum wh_top_by)by, (enum wh_top_metric)metric, limit,
                           &out, &call->error);
        int finished = wh_output_finish(&out, rc ? NULL : &call->error);
        rc = rc ? rc : finished;
    }
    wh_store_close(store);
    return rc;
}

const struct wh_command wh_command_top = {
    .name = "top",
    .summary = "the largest creators, modules, threads or sizes by any metric",
    .usage = "[options] FILE",
    .text =
        "Prints one table, largest first. The metrics have pprof's names: alloc_* counts every "
        "block ever allocated, inuse_* what was live at the end, peak_* what was live at each "
        "process's own peak; *_objects are blocks, *_space are requested bytes. "
        "temporary_objects were freed by the same thread's very next event. All sums are exact, "
        "also where short lifetimes have no rows of their own.\n"
        "\n"
        " whoholds top trace.db\n"
        " whoholds top --by=module --metric=alloc_objects trace.db\n"
        " whoholds top --by=size --metric=peak_space --format=csv trace.db",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
