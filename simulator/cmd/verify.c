/* whoholds-sim verify: records every scenario, leaking and fixed, and compares what whoholds found
 * with the truth. One table, pprof's answer beside whoholds'; status 1 if a row is off. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    "  --all               also the rows that compare all objects of each phase\n"
    "  --set KEY=VALUE     passed on to the runs; measured figures are then left out\n"
    "  --keep DIR          keep the traces there, as NAME.leaking.db and NAME.fixed.db\n"
    "  --format json       one object per row\n";

static const char *const options_known[] = {"--leaking", "--fixed", "--format", "--all",
                                            "--keep",    "--set",   "--help",   NULL};

struct verify {
    bool leaking, fixed, is_json, shows_all;
    const char *keep;
    char *sets[SETS_MAX]; /* KEY=VALUE */
    int set_count;
    char directory[PATH_MAX], whoholds[PATH_MAX], self[PATH_MAX];
    int rows, wrong;
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
        return 0;
    }
    const char *temporary = getenv("TMPDIR");
    snprintf(v->directory, sizeof(v->directory), "%s/whoholds-sim.XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    return mkdtemp(v->directory) ? 0 : wh_fail_errno(error, "cannot make '%s'", v->directory);
}

static int record(const struct verify *v, const char *name, bool is_fixed, char *trace, char *truth,
                  struct wh_error *error) {
    char *arguments[2 * SETS_MAX + 16] = {
        (char *)v->whoholds, "record", "--force",    "-o",      trace,     "--",
        (char *)v->self,     "run",    (char *)name, "--quiet", "--truth", truth};
    int count = 12;
    if (is_fixed)
        arguments[count++] = "--fixed";
    for (int i = 0; i < v->set_count; i++) {
        arguments[count++] = "--set";
        arguments[count++] = v->sets[i];
    }
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
        return wh_fail(error, WH_ESYSTEM, "recording '%s' failed with status %d", name,
                       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
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

static void print_row(struct verify *v, const char *name, bool is_fixed, const struct truth_row *r,
                      const struct measure *m, bool right) {
    const char *variant = is_fixed ? "fixed" : "leaking";
    if (v->is_json) {
        fputs(v->rows ? ",\n {" : "[\n {", stdout);
        print_json_text("scenario", name);
        print_json_text("variant", variant);
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
        printf("%-4s%-24s%-8s%-10s%9s%10s%13s%13s  %-35s%s\n", "", "scenario", "", "at", "objects",
               "expected", "bytes", "expected", "pprof: created by", "whoholds: held by");
    printf("%-4s%-24s%-8s%-10s%9lld%10s%13lld%13lld  %-35s%s\n", right ? "ok" : "OFF", name,
           variant, r->at, (long long)m->objects, objects, (long long)m->bytes, (long long)r->bytes,
           *m->creator ? m->creator : "-", *m->holder ? m->holder : "-");
    if (!right)
        printf("    ^ %s: creator %s, holder %s\n", r->name, r->creator, r->holder);
}

/* After a collection nothing the simulator made may be unreachable, for whoholds as for LSan. */
static void check_lost(struct verify *v, const char *name, bool is_fixed, const struct truth_row *r,
                       const struct measure *m) {
    if (strncmp(r->at, "gc", 2) != 0 || m->lost_objects == 0)
        return;
    struct truth_row none = {.objects = 0, .bytes = 0};
    struct measure lost = {.objects = m->lost_objects, .bytes = m->lost_bytes, .holder = "lost"};
    snprintf(none.name, sizeof(none.name), "nothing is lost");
    snprintf(none.at, sizeof(none.at), "%s", r->at);
    print_row(v, name, is_fixed, &none, &lost, false);
    v->rows++;
    v->wrong++;
}

static int compare(struct verify *v, const char *name, bool is_fixed, const char *trace,
                   const char *truth_path, struct wh_error *error) {
    static struct truth truth;
    struct measure_trace *open = NULL;
    int status = truth_read(truth_path, &truth, error);
    if (!status)
        status = measure_open(trace, &open, error);
    for (int i = 0; i < truth.count && !status; i++) {
        const struct truth_row *r = &truth.rows[i];
        struct measure m;
        status = measure_row(open, r, &m, error);
        if (status)
            break;
        bool right = is_right(r, &m);
        if (r->kind == TRUTH_TOTAL)
            check_lost(v, name, is_fixed, r, &m);
        if (r->kind == TRUTH_TOTAL && right && !v->shows_all)
            continue;
        print_row(v, name, is_fixed, r, &m, right);
        v->rows++;
        v->wrong += !right;
    }
    measure_close(open);
    return status;
}

static int verify_one(struct verify *v, const char *name, bool is_fixed, struct wh_error *error) {
    static struct scenario s;
    char trace[PATH_MAX + 80], truth[PATH_MAX + 80];
    int status = scenario_open(name, &s, error);
    if (status)
        return status;
    const char *variant = is_fixed ? "fixed" : "leaking";
    snprintf(trace, sizeof(trace), "%s/%s.%s.db", v->directory, s.name, variant);
    snprintf(truth, sizeof(truth), "%s/%s.%s.truth", v->directory, s.name, variant);
    status = record(v, name, is_fixed, trace, truth, error);
    if (!status)
        status = compare(v, s.name, is_fixed, trace, truth, error);
    if (!v->keep) {
        unlink(trace);
        unlink(truth);
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
    for (int i = 0; i < count && !status; i++) {
        if (v.leaking)
            status = verify_one(&v, names[i], false, &error);
        if (v.fixed && !status)
            status = verify_one(&v, names[i], true, &error);
        fflush(stdout);
    }
    if (!v.keep)
        rmdir(v.directory);
    if (status)
        return command_fail(&error);
    if (v.is_json)
        puts(v.rows ? "\n]" : "[]");
    else
        printf("%d rows, %d off\n", v.rows, v.wrong);
    status = command_finish();
    return status ? status : v.wrong ? WH_EXIT_FINDING : WH_EXIT_OK;
}
