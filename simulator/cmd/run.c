/* whoholds-sim run: builds the world, runs the model, leaves alive what the model leaves alive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/commands.h"
#include "cmd/truth.h"
#include "scenario/expression.h"
#include "scenario/model.h"
#include "scenario/nearest.h"
#include "scenario/world.h"

static const char help[] =
    "usage: whoholds-sim run NAME|FILE.scn [--fixed] [--set KEY=VALUE]... [options]\n"
    "\n"
    "Runs a scenario, leaking unless --fixed, and prints what is alive after each phase.\n"
    "\n"
    "  --fixed             the repaired program\n"
    "  --variant NAME      the case with other parameters that its file names\n"
    "  --set KEY=VALUE     a parameter (see whoholds-sim describe NAME); sizes take k, KiB, M, "
    "MiB\n"
    "  --io=KIND           unix (default), tcp, or memory: connections without descriptors\n"
    "  --no-annotations    do not tell the tracer what the pools do\n"
    "  --snapshots=LABEL,...  only at the end of these phases; without labels: at none\n"
    "  --no-rounding       objects take what was asked for, not Go's size classes\n"
    "  --procs=N           GOMAXPROCS of the pools (default 2)\n"
    "  --truth FILE        write what must be found, for whoholds-sim verify\n"
    "  --quiet             no table\n";

static const char *const options_known[] = {"--fixed",
                                            "--variant",
                                            "--set",
                                            "--io=unix",
                                            "--io=tcp",
                                            "--io=memory",
                                            "--no-annotations",
                                            "--snapshots=gc2",
                                            "--no-rounding",
                                            "--procs=2",
                                            "--truth",
                                            "--quiet",
                                            "--help",
                                            NULL};

struct run_options {
    struct world_options world;
    const char *name, *truth, *variant;
    bool is_fixed;
};

static int parse_io(const char *text, enum peer_io *ret_io) {
    static const char *const kinds[] = {"unix", "tcp", "memory"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, kinds[i]) == 0) {
            *ret_io = (enum peer_io)i;
            return 0;
        }
    fprintf(stderr, "whoholds-sim: no kind of I/O '%s'; nearest: '%s'\n", text,
            nearest(text, kinds, 3));
    return WH_EXIT_USAGE;
}

/* Everything but --set, which needs the scenario. */
static int parse(int argc, char **argv, struct run_options *o) {
    int status = 0;
    for (int i = 1; i < argc && !status; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--fixed") == 0)
            o->is_fixed = true;
        else if (strcmp(a, "--no-annotations") == 0)
            o->world.has_annotations = false;
        else if (strncmp(a, "--snapshots=", 12) == 0)
            o->world.snapshots = a + 12;
        else if (strcmp(a, "--no-rounding") == 0)
            o->world.is_rounding = false;
        else if (strcmp(a, "--quiet") == 0)
            o->world.is_quiet = true;
        else if (strncmp(a, "--io=", 5) == 0)
            status = parse_io(a + 5, &o->world.io);
        else if (strncmp(a, "--procs=", 8) == 0 && strtol(a + 8, NULL, 10) >= 1 &&
                 strtol(a + 8, NULL, 10) <= 64)
            o->world.procs = (int)strtol(a + 8, NULL, 10);
        else if (strcmp(a, "--truth") == 0 && i + 1 < argc)
            o->truth = argv[++i];
        else if (strcmp(a, "--variant") == 0 && i + 1 < argc)
            o->variant = argv[++i];
        else if (strcmp(a, "--set") == 0 && i + 1 < argc)
            i++;
        else if (strncmp(a, "--set=", 6) == 0)
            continue;
        else if (a[0] == '-' || o->name)
            status = command_unknown(a, options_known);
        else
            o->name = a;
    }
    if (!status && !o->name) {
        fprintf(stderr, "whoholds-sim: run needs the name of a scenario; see whoholds-sim list\n");
        status = WH_EXIT_USAGE;
    }
    return status;
}

static int apply_sets(int argc, char **argv, struct scenario *s, struct wh_error *error) {
    int status = 0;
    for (int i = 1; i < argc && !status; i++) {
        if (strncmp(argv[i], "--set", 5) == 0)
            s->variant[0] = 0;
        if (strncmp(argv[i], "--set=", 6) == 0)
            status = scenario_set(s, argv[i] + 6, error);
        else if (strcmp(argv[i], "--set") == 0)
            status = scenario_set(s, argv[++i], error);
        else if (strcmp(argv[i], "--truth") == 0 || strcmp(argv[i], "--variant") == 0)
            i++;
    }
    return status;
}

/* What whoholds must find at the end, in words: the formulas of the scenario with this run's
 * numbers. */
static int print_expected(const struct scenario *s, struct wh_error *error) {
    int status = 0;
    puts("\nmust be found at exit");
    for (int i = 0; i < s->expect_count && !status; i++) {
        const struct scenario_expect *e = &s->expect[i];
        int64_t bytes;
        if (!scenario_expects(s, e) || strcmp(e->at, "exit") != 0)
            continue;
        status = expression_evaluate(e->bytes, s, &bytes, error);
        if (!status && bytes >= 0) {
            printf("%15lld bytes created by %s, held by %s\n", (long long)bytes, e->creator,
                   e->holder);
            command_print_wrapped(16, 0, e->why);
        }
    }
    return status;
}

int command_run(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return command_finish();
    }
    struct run_options o = {
        .world = {.io = PEER_IO_UNIX, .has_annotations = true, .is_rounding = true, .procs = 2}};
    int status = parse(argc, argv, &o);
    if (status)
        return status;
    static struct scenario s;
    struct wh_error error;
    int failed = scenario_open(o.name, &s, &error);
    if (!failed && o.is_fixed)
        scenario_use_fixed(&s);
    if (!failed && o.variant)
        failed = scenario_use_variant(&s, o.variant, &error);
    if (!failed)
        failed = apply_sets(argc, argv, &s, &error);
    if (failed)
        return command_fail(&error);
    world_start(&o.world, &s);
    model_find(s.model)->run(&s);
    world_end();
    if (!o.world.is_quiet && print_expected(&s, &error))
        return command_fail(&error);
    if (o.truth && truth_write(o.truth, &s, &error))
        return command_fail(&error);
    return command_finish();
}
