/* whoholds snapshots: the list of a trace's snapshots. */
#include "analyzer/report/report.h"
#include "command.h"

static const struct wh_option options[] = {WH_OPTION_FORMAT, {0}};

static int run(struct wh_call *call) {
    struct wh_store *store;
    struct wh_output out;
    int rc = wh_call_open(call, 0, WH_STORE_READ | WH_CALL_UNFINISHED, &store);
    if (rc)
        return rc;
    rc = wh_call_output(call, &out);
    if (!rc) {
        rc = wh_report_snapshots(store, &out, &call->error);
        int finished = wh_output_finish(&out, rc ? NULL : &call->error);
        rc = rc ? rc : finished;
    }
    wh_store_close(store);
    return rc;
}

const struct wh_command wh_command_snapshots = {
    .name = "snapshots",
    .summary = "list the snapshots of a trace",
    .usage = "[options] FILE",
    .text = "One row per snapshot of the reference graph: when and why it was taken, how long the "
            "process stood still, what was live and which part of the process's peak that was, "
            "what was held and lost, and the attribution gap: the share of "
            "the held bytes whose keeper the creator's stack does not explain.",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
