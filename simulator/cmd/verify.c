/* whoholds-sim verify: records every scenario, leaking and fixed, and compares what whoholds found
 * with the truth. One table, pprof's answer beside whoholds'; status 1 if a row is off. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/commands.h"
#include "cmd/measure.h"
#include "scenario/nearest.h"

#define SETS_MAX 32

extern char **environ;

static const char help[] =
    "usage: whoholds-sim verify [NAME|FILE.scn]... [--leaking|--fixed] [--format text|json] "
    "[--all]\n"
    "\n"
    "Records each scenario with whoholds, leaking and fixed, and compares creator, holder, objects "
    "and\n"
    "bytes with what the scenario's formulas say. Status 1 if a row is off.\n"
    "\n"
    "  --leaking, --fixed  only these runs\n"
    "  --all               also the rows that compare all objects, at every phase\n"
    "  --variant NAME      only this one; default: the usual parameters\n"
    "  --set KEY=VALUE     passed on to the runs; variants and measured figures are then left out\n"
    "  --keep DIR          keep the traces there, as NAME.leaking.db and NAME.fixed.db\n"
    "  --format json       one object per row\n";

static const char *const options_known[] = {
    "--leaking", "--fixed", "--variant", "--format", "--all", "--keep", "--set", "--help", NULL};

struct verify {
    bool leaking, fixed, is_json, shows_all;
    const char *keep, *variant;
    char *sets[SETS_MAX]; /* KEY=VALUE */
    int set_count;
    char directory[PATH_MAX], whoholds[PATH_MAX], self[PATH_MAX];
    int rows, wrong;
    int left_out; /* phases whose sum over all objects was not compared */
};

/* --- recording --- */

static int find_programs(struct verify *v, struct wh_error *error) {
    ssize_t n = readlink("/proc/self/exe", v->self, sizeof(v->self) - 1);
    if (n <= 0)
        return wh_fail_errno(error, "cannot find this program");
    v->self[n] = 0;
    snprintf(v->whoholds, sizeof(v->whoholds), "%.*s/whoholds",
             (int)(strrchr(v->self, '/') - v->self), v->self);
    if (access(v->whoholds, X_OK) < 0)
        snprintf(v->whoholds, sizeof(v->whoholds), "whoholds");
    if (v->keep) {
        snprintf(v->directory, sizeof(v->directory), "%s", v->keep);
        if (mkdir(v->keep, 0777) < 0 && errno != EEXIST)
            return wh_fail_errno(error, "cannot make '%s'", v->keep);
        return 0;
    }
    const char *temporary = getenv("TMPDIR");
    snprintf(v->directory, sizeof(v->directory), "%s/whoholds-sim.XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    return mkdtemp(v->directory) ? 0 : wh_fail_errno(error, "cannot make '%s'", v->directory);
}

/* One recording: a scenario, one of its variants, leaking or fixed. */
struct round {
    const char *name, *variant;
    char snapshots[40 * (SCENARIO_EXPECT_MAX + 1)]; /* option of run; "" = all phases */
    bool is_fixed;
};

/* Runs a program without its output. */
static int run_quietly(const struct verify *v, char **arguments, struct wh_error *error) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int status, failed = posix_spawnp(&pid, v->whoholds, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        return wh_fail(error, WH_ESYSTEM, "cannot run '%s': %s", v->whoholds, strerror(failed));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return wh_fail_errno(error, "waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return wh_fail(error, WH_ESYSTEM, "'whoholds %s' failed with status %d", arguments[1],
                       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}

static int record(const struct verify *v, struct round *round, char *trace, char *truth,
                  struct wh_error *error) {
    char *arguments[2 * SETS_MAX + 20] = {
        (char *)v->whoholds, "record", "--force",           "-o",      trace,     "--",
        (char *)v->self,     "run",    (char *)round->name, "--quiet", "--truth", truth};
    int count = 12;
    if (round->is_fixed)
        arguments[count++] = "--fixed";
    if (*round->snapshots)
        arguments[count++] = round->snapshots;
    if (round->variant) {
        arguments[count++] = "--variant";
        arguments[count++] = (char *)round->variant;
    }
    for (int i = 0; i < v->set_count; i++) {
        arguments[count++] = "--set";
        arguments[count++] = v->sets[i];
    }
    return run_quietly(v, arguments, error);
}

/* Of large snapshots before the last one the blocks' rows are made when a command needs them. */
static int complete(const struct verify *v, char *trace, char *at, struct wh_error *error) {
    char *arguments[] = {(char *)v->whoholds, "leaks", "--snapshot", at,
                         "--limit",           "1",     trace,        NULL};
    return run_quietly(v, arguments, error);
}

/* --- comparing --- */

static bool is_within(int64_t found, int64_t wanted, double percent) {
    double off = (double)(found > wanted ? found - wanted : wanted - found);
    return off <= (double)wanted * percent / 100.0;
}

static bool is_right(const struct truth_row *r, const struct measure *m) {
    if (!is_within(m->bytes, r->bytes, r->tolerance))
        return false;
    if (r->objects >= 0 && !is_within(m->objects, r->objects, r->tolerance))
        return false;
    return !r->visible_percent || m->visible_bytes * 100 <= m->bytes * r->visible_percent;
}

static void print_json_text(const char *key, const char *text) {
    printf("\"%s\": \"", key);
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            putchar(*text);
    printf("\", ");
}

static void print_row(struct verify *v, const struct round *round, const struct truth_row *r,
                      const struct measure *m, bool right) {
    const char *state = round->is_fixed ? "fixed" : "leaking";
    const char *variant = round->variant ? round->variant : "";
    if (v->is_json) {
        fputs(v->rows ? ",\n {" : "[\n {", stdout);
        print_json_text("scenario", round->name);
        print_json_text("variant", variant);
        print_json_text("state", state);
        print_json_text("at", r->at);
        print_json_text("expectation", r->name);
        print_json_text("created_by", m->creator);
        print_json_text("held_by", m->holder);
        printf("\"objects\": %lld, \"objects_expected\": ", (long long)m->objects);
        if (r->objects < 0)
            fputs("null", stdout);
        else
            printf("%lld", (long long)r->objects);
        printf(
            ", \"bytes\": %lld, \"bytes_expected\": %lld, \"visible_bytes\": %lld, \"right\": %s}",
            (long long)m->bytes, (long long)r->bytes, (long long)m->visible_bytes,
            right ? "true" : "false");
        return;
    }
    char objects[32] = "any";
    if (r->objects >= 0)
        snprintf(objects, sizeof(objects), "%lld", (long long)r->objects);
    if (v->rows == 0)
        printf("%-4s%-24s%-14s%-8s%-8s%9s%10s%13s%13s  %-27s%s\n", "", "scenario", "variant", "",
               "at", "objects", "expected", "bytes", "expected", "pprof: created by",
               "whoholds: held by");
    printf("%-4s%-24s%-14s%-8s%-8s%9lld%10s%13lld%13lld  %-27s%s\n", right ? "ok" : "OFF",
           round->name, variant, state, r->at, (long long)m->objects, objects, (long long)m->bytes,
           (long long)r->bytes, *m->creator ? m->creator : "-", *m->holder ? m->holder : "-");
    if (!right)
        printf("    ^ %s: creator %s, holder %s\n", r->name, r->creator, r->holder);
}

/* After a collection nothing may be unreachable, for whoholds as for LSan. */
static void check_lost(struct verify *v, const struct round *round, const struct truth_row *r,
                       const struct measure *m) {
    if (r->kind != TRUTH_COLLECTED || m->lost_bytes == 0)
        return;
    struct truth_row none = {.objects = -1, .bytes = 0};
    struct measure lost = {.bytes = m->lost_bytes, .holder = "lost"};
    snprintf(none.name, sizeof(none.name), "nothing is lost");
    snprintf(none.at, sizeof(none.at), "%s", r->at);
    print_row(v, round, &none, &lost, false);
    v->rows++;
    v->wrong++;
}

static int compare_row(struct verify *v, const struct round *round, struct truth_row *r,
                       char *trace, struct measure_trace **open, struct wh_error *error) {
    struct measure m;
    int status = measure_row(*open, r, &m, error);
    bool is_total = r->kind != TRUTH_EXPECT;
    if (!status)
        check_lost(v, round, r, &m);
    if (!status && !m.has_blocks) {
        v->left_out += is_total;
        if (is_total)
            return 0;
        measure_close(*open);
        *open = NULL;
        status = complete(v, trace, r->at, error);
        if (!status)
            status = measure_open(trace, open, error);
        if (!status)
            status = measure_row(*open, r, &m, error);
    }
    bool right = !status && is_right(r, &m);
    if (status || (is_total && right && !v->shows_all))
        return status;
    print_row(v, round, r, &m, right);
    v->rows++;
    v->wrong += !right;
    return 0;
}

static int compare(struct verify *v, const struct round *round, char *trace, const char *truth_path,
                   struct wh_error *error) {
    static struct truth truth;
    struct measure_trace *open = NULL;
    int status = truth_read(truth_path, &truth, error);
    if (!status)
        status = measure_open(trace, &open, error);
    for (int i = 0; i < truth.count && !status; i++)
        status = compare_row(v, round, &truth.rows[i], trace, &open, error);
    measure_close(open);
    return status;
}

static int verify_round(struct verify *v, const char *argument, struct round *round,
                        struct wh_error *error) {
    char trace[PATH_MAX + 80], truth[PATH_MAX + 80], base[PATH_MAX + 64];
    snprintf(base, sizeof(base), "%s/%s%s%s.%s", v->directory, round->name,
             round->variant ? "." : "", round->variant ? round->variant : "",
             round->is_fixed ? "fixed" : "leaking");
    snprintf(trace, sizeof(trace), "%s.db", base);
    snprintf(truth, sizeof(truth), "%s.truth", base);
    struct round recorded = *round;
    recorded.name = argument; /* perhaps a path */
    int status = record(v, &recorded, trace, truth, error);
    if (!status)
        status = compare(v, round, trace, truth, error);
    fflush(stdout);
    if (!v->keep) {
        unlink(trace);
        unlink(truth);
    }
    return status;
}

/* Only the snapshots that a row is about, unless all are compared. */
static void choose_snapshots(const struct verify *v, const struct scenario *s,
                             struct round *round) {
    size_t used = (size_t)snprintf(round->snapshots, sizeof(round->snapshots), "--snapshots=");
    for (int i = 0; i < s->expect_count; i++)
        if (scenario_expects(s, &s->expect[i]))
            used += (size_t)snprintf(round->snapshots + used, sizeof(round->snapshots) - used,
                                     "%s,", s->expect[i].at);
    if (v->shows_all)
        round->snapshots[0] = 0;
}

/* The usual parameters leaking and fixed; the variants only where an expectation is theirs. */
static int verify_one(struct verify *v, const char *argument, struct wh_error *error) {
    static struct scenario s;
    int status = scenario_open(argument, &s, error);
    if (!status && v->variant)
        status = scenario_use_variant(&s, v->variant, error);
    for (int i = -1; i < s.variant_count && !status; i++) {
        const char *variant = i < 0 ? "default" : s.variants[i].name;
        if (v->variant ? strcmp(v->variant, variant) != 0 : i >= 0 && v->set_count)
            continue;
        unsigned said = i < 0 ? SCENARIO_LEAKING | SCENARIO_FIXED : 0;
        for (int e = 0; e < s.expect_count; e++)
            if (strcmp(s.expect[e].variant, variant) == 0)
                said |= s.expect[e].when;
        struct round round = {.name = s.name, .variant = i < 0 ? NULL : variant};
        snprintf(s.variant, sizeof(s.variant), "%s", v->set_count ? "" : variant);
        for (int fixed = 0; fixed < 2 && !status; fixed++) {
            round.is_fixed = s.is_fixed = fixed != 0;
            choose_snapshots(v, &s, &round);
            if ((fixed ? v->fixed : v->leaking) &&
                (said & (fixed ? SCENARIO_FIXED : SCENARIO_LEAKING)))
                status = verify_round(v, argument, &round, error);
        }
    }
    return status;
}

int command_verify(int argc, char **argv) {
    static struct verify v;
    const char *names[64];
    int count = 0;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--help") == 0) {
            fputs(help, stdout);
            return command_finish();
        }
        if (strcmp(a, "--leaking") == 0)
            v.leaking = true;
        else if (strcmp(a, "--fixed") == 0)
            v.fixed = true;
        else if (strcmp(a, "--all") == 0)
            v.shows_all = true;
        else if (strcmp(a, "--set") == 0 && i + 1 < argc && v.set_count < SETS_MAX)
            v.sets[v.set_count++] = argv[++i];
        else if (strcmp(a, "--variant") == 0 && i + 1 < argc)
            v.variant = argv[++i];
        else if (strcmp(a, "--keep") == 0 && i + 1 < argc)
            v.keep = argv[++i];
        else if (strcmp(a, "--format") == 0 && i + 1 < argc &&
                 (strcmp(argv[i + 1], "json") == 0 || strcmp(argv[i + 1], "text") == 0))
            v.is_json = strcmp(argv[++i], "json") == 0;
        else if (a[0] == '-' || count == 63)
            return command_unknown(a, options_known);
        else
            names[count++] = a;
    }
    if (!v.leaking && !v.fixed)
        v.leaking = v.fixed = true;
    if (count == 0)
        for (; scenario_names()[count]; count++)
            names[count] = scenario_names()[count];
    struct wh_error error;
    int status = find_programs(&v, &error);
    for (int i = 0; i < count && !status; i++)
        status = verify_one(&v, names[i], &error);
    if (!v.keep)
        rmdir(v.directory);
    if (status)
        return command_fail(&error);
    if (v.is_json)
        puts(v.rows ? "\n]" : "[]");
    else
        printf("%d rows, %d off\n", v.rows, v.wrong);
    if (v.left_out && !v.is_json)
        printf(
            "%d sums over all objects left out: of large snapshots the trace has no row a block\n",
            v.left_out);
    status = command_finish();
    return status ? status : v.wrong ? WH_EXIT_FINDING : WH_EXIT_OK;
}
