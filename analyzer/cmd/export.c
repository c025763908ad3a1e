/* whoholds export: what a trace knows, for the viewers of stacks. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/export/profile.h"
#include "analyzer/report/report.h"
#include "snapshot_call.h"

static const char *const by_words[] = {"creator", "holder", NULL};
static const char *const format_words[] = {"collapsed", "pprof", NULL};
enum { BY_CREATOR, BY_HOLDER };
enum { COLLAPSED, PPROF };

static const struct wh_option options[] = {
    {"by", 'b', "creator|holder",
     "what the stacks are: those of the allocations, or the paths that keep blocks reachable, from "
     "the root variable down, and at their end who created the blocks",
     "creator"},
    {"format", 'f', "collapsed|pprof",
     "a line of text for each stack, or pprof's format with all metrics", "collapsed"},
    {"metric", 'm',
     "alloc_objects|alloc_space|inuse_objects|inuse_space|peak_objects|peak_space|temporary_"
     "objects",
     "the number at the end of a collapsed line; --by=holder has the inuse ones", "inuse_space"},
    {"process", 'p', "N", "--by=creator: only this process, its id in `whoholds report`, or a pid",
     NULL},
    WH_OPTION_SNAPSHOT,
    {"output", 'o', "FILE", "where it is written, instead of standard output", NULL},
    {0},
};

struct wishes {
    int by, format, metric;
    int64_t process;
    const char *output;
};

static int read_wishes(struct wh_call *call, struct wishes *w) {
    const struct wh_arguments *args = &call->args;
    int rc = wh_arguments_choice(args, "by", by_words, &w->by, &call->error);
    if (!rc)
        rc = wh_arguments_choice(args, "format", format_words, &w->format, &call->error);
    if (!rc)
        rc = wh_arguments_choice(args, "metric", wh_top_metric_words, &w->metric, &call->error);
    if (!rc)
        rc = wh_arguments_int(args, "process", 1, INT32_MAX, &w->process, &call->error);
    w->output = wh_arguments_text(args, "output");
    if (rc)
        return rc;
    if (w->by == BY_HOLDER && w->process)
        return wh_fail(&call->error, WH_EUSAGE,
                       "--process goes with --by=creator; a snapshot is of one process: "
                       "--snapshot chooses it");
    if (w->by == BY_CREATOR && wh_arguments_has(args, "snapshot"))
        return wh_fail(&call->error, WH_EUSAGE, "--snapshot goes with --by=holder");
    if (w->format == PPROF && wh_arguments_has(args, "metric"))
        return wh_fail(&call->error, WH_EUSAGE,
                       "--metric goes with --format=collapsed; pprof's format has all of them");
    if (w->format == PPROF && !w->output && isatty(STDOUT_FILENO))
        return wh_fail(&call->error, WH_EUSAGE,
                       "pprof's format is not for a terminal: give --output=FILE");
    return 0;
}

static int read_profile(struct wh_call *call, const struct wishes *w, struct wh_profile *profile) {
    struct wh_store *store = NULL;
    int64_t process = 0, snapshot = 0;
    int rc;
    if (w->by == BY_HOLDER) {
        rc = wh_call_open_snapshot(call, 0, &store, &snapshot);
        if (!rc)
            rc = wh_profile_read_holders(store, snapshot, profile, &call->error);
    } else {
        rc = wh_call_open(call, 0, WH_STORE_READ, &store);
        if (!rc && w->process)
            rc = wh_report_find_process(store, w->process, &process, &call->error);
        if (!rc)
            rc = wh_profile_read_creators(store, process, profile, &call->error);
    }
    wh_store_close(store);
    if (!rc && w->format == COLLAPSED && !(profile->values & 1u << w->metric))
        rc = wh_fail(&call->error, WH_ENOTFOUND, "%s is not known %s",
                     wh_top_metric_words[w->metric],
                     w->by == BY_HOLDER ? "by holder: inuse_space and inuse_objects are"
                                        : "of a sampled recording");
    return rc;
}

static int write_profile(struct wh_call *call, const struct wishes *w,
                         const struct wh_profile *profile) {
    FILE *file = w->output ? fopen(w->output, "we") : stdout;
    if (!file)
        return wh_fail_errno(&call->error, "cannot write '%s'", w->output);
    int rc = w->format == PPROF ? wh_profile_write_pprof(profile, file, &call->error)
                                : wh_profile_write_collapsed(profile, (enum wh_top_metric)w->metric,
                                                             file, &call->error);
    int failed = ferror(file);
    if ((w->output ? fclose(file) : fflush(file)) != 0 || failed)
        return rc ? rc
                  : wh_fail_errno(&call->error, "cannot write '%s'",
                                  w->output ? w->output : "standard output");
    return rc;
}

static int run(struct wh_call *call) {
    struct wishes w = {0};
    struct wh_profile profile = {0};
    int rc = read_wishes(call, &w);
    if (!rc)
        rc = read_profile(call, &w, &profile);
    if (!rc)
        rc = write_profile(call, &w, &profile);
    for (size_t i = 0; !rc && i < profile.note_count; i++)
        fprintf(stderr, "whoholds: note: %s\n", profile.notes[i]);
    wh_profile_release(&profile);
    return rc;
}

const struct wh_command wh_command_export = {
    .name = "export",
    .summary = "stacks of creators or paths of holders for flame graphs and pprof",
    .usage = "[options] FILE",
    .text =
        "Writes what the trace knows for other viewers: collapsed stacks, one line each, for "
        "flamegraph.pl, inferno and speedscope, or pprof's format.\n"
        "\n"
        "--by=creator has the allocation stacks with the metrics of `whoholds top`; with several "
        "processes in the trace each is the first frame of its stacks, in pprof's format a label. "
        "--by=holder has the rows of `whoholds gap` as stacks: the root variable is the first "
        "frame, the steps of the path follow, `[created by NAME]` is the last, so that a flame "
        "graph shows who keeps the memory; what is shared or lost stands beside the variables. Its "
        "lines add up to the live bytes of the snapshot.\n"
        "\n"
        "What makes the numbers less than exact, lost events or sampling, is said on standard "
        "error and in pprof's comments.\n"
        "\n"
        " whoholds export trace.db | flamegraph.pl --countname=bytes > creators.svg\n"
        " whoholds export --by=holder trace.db | flamegraph.pl --countname=bytes > holders.svg\n"
        " whoholds export --format=pprof -o trace.pb.gz trace.db && go tool pprof -http=: "
        "trace.pb.gz",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
