/* whoholds record: its options, and the launcher. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"
#include "command.h"
#include "record/record.h"
#include "session_options.h"

static const struct wh_option options[] = {
    {"output", 'o', "FILE",
     "the trace file; %e is replaced by the program's name, %p by its process id, %% by %; "
     "default whoholds.%e.%p.db",
     NULL},
    {"force", 0, NULL, "replace an existing file", NULL},
    {"materialize", 0, "auto|all|none",
     "which lifetimes get a row of their own: all of them up to 2 million, above that "
     "those of blocks live at the end, at their process's peak or at a snapshot (auto), all (all), "
     "or "
     "only those of blocks live at the end or at a snapshot (none)",
     "auto"},
    {"snapshot", 0, "WHEN",
     "when to take snapshots of who holds what: exit; peak: one, as near to the highest live bytes "
     "as can be; every:10s; none; several separated by commas",
     "exit"},
    WH_SESSION_OPTIONS,
    {"quiet", 'q', NULL, "print nothing but errors", NULL},
    {0},
};

static const char *const overflow_words[] = {"wait", "drop", NULL};
static const char *const materialize_words[] = {"auto", "all", "none", NULL};

int wh_session_options_read(struct wh_call *call, struct wh_session_options *o) {
    const struct wh_arguments *args = &call->args;
    struct wh_snapshot_plan plan = {0};
    int64_t depth = 128, memory = 0, mmap_min = 0, sample = 0;
    int overflow = 0;
    int rc = wh_arguments_int(args, "depth", 1, 1024, &depth, &call->error);
    if (!rc)
        rc = wh_arguments_size(args, "memory", &memory, &call->error);
    if (!rc)
        rc = wh_arguments_size(args, "mmap-min", &mmap_min, &call->error);
    if (!rc)
        rc = wh_arguments_size(args, "sample", &sample, &call->error);
    if (!rc)
        rc = wh_arguments_choice(args, "overflow", overflow_words, &overflow, &call->error);
    if (!rc)
        rc = wh_snapshot_plan_parse(wh_arguments_text(args, "snapshot"), &plan, &call->error);
    if (rc)
        return rc;
    *o = wh_session_options_default();
    o->flags = (wh_arguments_has(args, "free-stacks") ? WH_SESSION_FREE_STACKS : 0u) |
               (wh_arguments_has(args, "no-children") ? WH_SESSION_NO_CHILDREN : 0u) |
               (wh_arguments_has(args, "go-scaling") ? WH_SESSION_GO_SCALING : 0u) |
               (plan.at_exit || plan.at_peak ? WH_SESSION_SNAPSHOT_EXIT : 0u);
    const char *verify = getenv("WHOHOLDS_VERIFY");
    if (verify && strcmp(verify, "unwind") == 0)
        o->flags |= WH_SESSION_VERIFY_UNWIND;
    o->overflow = (uint32_t)overflow;
    o->depth_max = (uint32_t)depth;
    o->mmap_bytes_min = (uint64_t)mmap_min;
    o->sample_bytes = (uint64_t)sample;
    o->blocks_limit =
        memory / WH_BLOCK_BYTES > WH_BLOCK_MAX ? WH_BLOCK_MAX : (uint32_t)(memory / WH_BLOCK_BYTES);
    if (o->blocks_limit < o->blocks_first)
        o->blocks_limit = o->blocks_first;
    o->directory = getenv("TMPDIR");
    return 0;
}

static int complain(const struct wh_error *error, int status) {
    char clean[sizeof error->text + 1];
    fprintf(stderr, "whoholds: %s\n",
            wh_text_sanitize(clean, sizeof clean, error->text, strlen(error->text)));
    return status;
}

static int run(struct wh_call *call) {
    const struct wh_arguments *args = &call->args;
    struct wh_launch_options o = {
        .output = wh_arguments_text(args, "output"),
        .materialize = wh_arguments_text(args, "materialize"),
        .snapshot = wh_arguments_text(args, "snapshot"),
        .force = wh_arguments_has(args, "force"),
        .quiet = wh_arguments_has(args, "quiet"),
        .argv = args->operands,
    };
    int word = 0, status = WH_EXIT_RECORD;
    int rc = wh_arguments_choice(args, "materialize", materialize_words, &word, &call->error);
    if (!rc)
        rc = wh_session_options_read(call, &o.session);
    if (!rc && o.session.sample_bytes) /* few, and each is needed for the estimates */
        o.materialize = "all";
    if (rc)
        return complain(&call->error, WH_EXIT_USAGE);
    fflush(NULL);
    rc = wh_launch(&o, &status, &call->error);
    return rc ? complain(&call->error, status) : status;
}

const struct wh_command wh_command_record = {
    .name = "record",
    .summary = "run a command and record its allocations and its processes' into a trace",
    .usage = "[options] -- COMMAND [ARGS...]",
    .text =
        "Runs COMMAND and writes one trace of it and of every process that it starts. Input, "
        "output, terminal, signals and the exit status are the command's own, so `whoholds record "
        "-- COMMAND` can stand where COMMAND stood.\n\n"
        "When the command has ended and other processes of it still run, record returns; the "
        "recording goes on until the last of them has ended.\n\n"
        "Programs that are statically linked or run with other privileges do not load the library: "
        "this is said, and they run unrecorded. To record without changing a command line, set "
        "LD_PRELOAD to libwhoholds.so and WHOHOLDS_OUTPUT to the trace file, where %e and %p are "
        "replaced as above; WHOHOLDS_OPTIONS may hold options, separated by spaces.\n\n"
        "With --sample the program runs at nearly full speed: an allocation of s bytes is recorded "
        "with probability 1 - exp(-s / SIZE), each with its free, and reports show estimates with "
        "their 95 % intervals. Own mappings are recorded all. A program may be given "
        "WHOHOLDS_SEED=N to draw the same samples again.\n\n"
        "  whoholds record -o trace.db -- ./server --port 8080\n"
        "  whoholds record --snapshot exit,every:10s -- python3 job.py\n"
        "  LD_PRELOAD=/usr/lib/libwhoholds.so WHOHOLDS_OUTPUT=/var/tmp/%e.%p.db \\\n"
        "      WHOHOLDS_OPTIONS='--sample=512KiB --force' ./server",
    .options = options,
    .operands_min = 1,
    .operands_max = -1,
    .flags = WH_ARGUMENTS_REST,
    .exits = "125  whoholds itself failed before the command ran\n"
             "126  the command was found but cannot be run\n"
             "127  the command was not found\n"
             "128+N  the command was ended by signal N; otherwise its own exit status",
    .run = run,
};
