/* whoholds snapshot: one now, of a process that is being recorded. */
#include <limits.h>

#include "base/units.h"
#include "command.h"
#include "record/request.h"

static const struct wh_option options[] = {
    {"label", 'l', "TEXT", "a name for it, at most 63 bytes are kept", NULL},
    {0},
};

static int run(struct wh_call *call) {
    int64_t pid;
    if (wh_parse_int(call->args.operands[0], &pid) || pid <= 0 || pid > INT_MAX)
        return wh_fail(&call->error, WH_EUSAGE, "'%s' is no process id", call->args.operands[0]);
    return wh_snapshot_request((pid_t)pid, wh_arguments_text(&call->args, "label"), &call->error);
}

const struct wh_command wh_command_snapshot = {
    .name = "snapshot",
    .summary = "take a snapshot of a process that is being recorded",
    .usage = "[options] PID",
    .text = "Takes a snapshot of who holds what in the process now and returns when the process "
            "runs on. It goes into the trace that is being recorded.\n\n"
            "  whoholds snapshot --label before $(pidof server)",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
