/* whoholds recorder: the recorder process, started by `record` and by the library under a bare
 * preload. Not listed in the help: nobody types it. */
#include <string.h>
#include <sys/prctl.h>

#include "analyzer/holder/holder.h"
#include "analyzer/symbol/symbol.h"
#include "command.h"
#include "record/record.h"
#include "session_options.h"

static const struct wh_option options[] = {
    {"session", 0, "FILE", "the memory shared with the recorded processes", NULL},
    {"output", 'o', "FILE", "the trace file", NULL},
    {"materialize", 0, "auto|all|none", "as for record", "auto"},
    {"snapshot", 0, "WHEN", "as for record", "exit"},
    {"obstacle", 0, "TEXT", "why the command itself will not be in the trace", NULL},
    {"force", 0, NULL, "replace an existing file", NULL},
    {"quiet", 'q', NULL, "as for record", NULL},
    WH_SESSION_OPTIONS,
    {"message-fd", 0, "N", "where the launcher listens", NULL},
    {"control-fd", 0, "N", "where the launcher speaks", NULL},
    {0},
};

static const char *const materialize_words[] = {"auto", "all", "none", NULL};

/* Is there a snapshot whose graph takes much memory? Blocks and edges. */
#define LARGE_GRAPH "300000"
static bool has_large_snapshot(struct wh_store *store) {
    struct wh_query *q;
    bool is_large = false;
    if (wh_query_open(store,
                      "SELECT 1 FROM snapshot_chunk WHERE part IN (0, 2) GROUP BY snapshot_id"
                      " HAVING sum(count) > " LARGE_GRAPH " LIMIT 1",
                      &q, NULL) == 0) {
        is_large = wh_query_step(q, NULL) == 1;
        wh_query_close(q);
    }
    return is_large;
}

/* Names now, while the modules are still what was recorded: plain SQL then sees functions. What is
 * read of their files for the stacks serves the holders, too; but it takes 30 MB beside those of a
 * large graph. */
static int resolve(struct wh_store *store, struct wh_error *error) {
    struct wh_symbols *symbols = NULL;
    int rc = has_large_snapshot(store) ? wh_symbol_resolve(store, error)
                                       : wh_symbols_open(store, &symbols, error);
    if (!rc && symbols)
        rc = wh_symbol_resolve_with(store, symbols, error);
    if (!rc)
        rc = wh_holder_resolve_with(store, symbols, error);
    wh_symbols_close(symbols);
    return rc;
}

/* What is wrong is said by the process that waits for us. */
static void refuse(struct wh_call *call) {
    const char *session = wh_arguments_text(&call->args, "session");
    if (session)
        wh_serve_refuse(session, call->error.text);
}

static int run(struct wh_call *call) {
    const struct wh_arguments *args = &call->args;
    struct wh_session_options session_options;
    struct wh_serve_options o = {
        .session = wh_arguments_text(args, "session"),
        .output = wh_arguments_text(args, "output"),
        .force = wh_arguments_has(args, "force"),
        .materialize_text = wh_arguments_text(args, "materialize"),
        .snapshot_text = wh_arguments_text(args, "snapshot"),
        .obstacle = wh_arguments_text(args, "obstacle"),
        .resolve = resolve,
    };
    int64_t message = -1, control = -1;
    int materialize = 0;
    (void)prctl(PR_SET_NAME, "whoholds"); /* started as /proc/self/exe, top would show "exe" */
    if (!o.session || !o.output)
        return wh_fail(&call->error, WH_EUSAGE, "--session and --output are needed");
    int rc = wh_arguments_int(args, "message-fd", 0, 1023, &message, &call->error);
    if (!rc)
        rc = wh_arguments_int(args, "control-fd", 0, 1023, &control, &call->error);
    if (!rc)
        rc =
            wh_arguments_choice(args, "materialize", materialize_words, &materialize, &call->error);
    if (!rc)
        rc = wh_snapshot_plan_parse(wh_arguments_text(args, "snapshot"), &o.plan, &call->error);
    if (!rc)
        rc = wh_session_options_read(call, &session_options);
    if (rc) {
        refuse(call);
        return rc;
    }
    if (message < 0) { /* without a launcher the options are for us to set */
        o.session_options = &session_options;
        if (session_options.sample_bytes) {
            materialize = WH_MATERIALIZE_ALL;
            o.materialize_text = "all";
        }
    }
    o.message_fd = (int)message;
    o.control_fd = (int)control;
    o.materialize = (enum wh_materialize)materialize;
    return wh_serve(&o, &call->error);
}

const struct wh_command wh_command_recorder = {
    .name = "recorder",
    .usage = "--session FILE --output FILE [options]",
    .text = "Drains the shared memory of recorded processes into a trace until the last of them "
            "has ended. Started by `whoholds record` and by the library.",
    .options = options,
    .operands_max = 0,
    .misused = refuse,
    .run = run,
};
