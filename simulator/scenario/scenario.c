/* Scenarios by name, their directory, and parameter values. */
#include "scenario/scenario.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/runtime.h"
#include "scenario/nearest.h"

static const char *const names[] = {
    "pool-reuse",
    "barrier-request",
    "barrier-response-nocopy",
    "barrier-response-copy",
    "retained-request-field",
    "idle-connections",
    "oversized-request",
    "many-clients",
    "retained-response-field",
    "string-alias",
    "span-cache",
    "stale-slice-tail",
    "peek-cache",
    "goroutine-local-holder",
    NULL,
};

const char *const *scenario_names(void) {
    return names;
}

const char *scenario_directory(void) {
    static char directory[PATH_MAX + 64];
    const char *given = getenv("WHOHOLDS_SCENARIOS");
    if (given && *given)
        return given;
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = 0;
        char *slash = strrchr(self, '/');
        *slash = 0;
        snprintf(directory, sizeof(directory), "%s/../share/whoholds/scenarios", self);
        if (access(directory, R_OK) == 0)
            return directory;
    }
    return WH_SCENARIO_DIR; /* the source tree this was built from */
}

int scenario_open(const char *name, struct scenario *ret_scenario, struct wh_error *error) {
    size_t length = strlen(name);
    if (strchr(name, '/') || (length > 4 && strcmp(name + length - 4, ".scn") == 0))
        return scenario_load(name, ret_scenario, error);
    int count = 0;
    for (; names[count]; count++)
        if (strcmp(names[count], name) == 0) {
            char path[PATH_MAX + 128];
            snprintf(path, sizeof(path), "%s/%s.scn", scenario_directory(), name);
            return scenario_load(path, ret_scenario, error);
        }
    return wh_fail(error, WH_EUSAGE, "no scenario '%s'; nearest: '%s'", name,
                   nearest(name, names, count));
}

bool scenario_parse_value(const char *text, int64_t *ret_value) {
    static const struct {
        const char *suffix;
        int64_t factor;
    } units[] = {{"", 1},        {"k", 1024},      {"K", 1024},    {"KiB", 1024},  {"m", 1 << 20},
                 {"M", 1 << 20}, {"MiB", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30}, {"GiB", 1 << 30},
                 {"B", 1},       {"kB", 1000},     {"MB", 1000000}};
    char *end;
    long long number = strtoll(text, &end, 10);
    if (end == text)
        return false;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (strcmp(end, units[i].suffix) == 0)
            return !__builtin_mul_overflow((int64_t)number, units[i].factor, ret_value);
    return false;
}

int scenario_set(struct scenario *s, const char *assignment, struct wh_error *error) {
    const char *equals = strchr(assignment, '=');
    if (!equals)
        return wh_fail(error, WH_EUSAGE, "'%s' is not key=value", assignment);
    const char *keys[SCENARIO_PARAMETERS_MAX];
    char key[64];
    snprintf(key, sizeof(key), "%.*s", (int)(equals - assignment), assignment);
    for (int i = 0; i < s->parameter_count; i++) {
        struct scenario_parameter *p = &s->parameters[i];
        keys[i] = p->name;
        if (strcmp(p->name, key) != 0)
            continue;
        int64_t value;
        if (!scenario_parse_value(equals + 1, &value))
            return wh_fail(error, WH_EUSAGE,
                           "'%s' of %s is not a number (suffixes: k KiB M MiB G GiB kB MB)",
                           equals + 1, key);
        if (value < p->min || value > p->max)
            return wh_fail(error, WH_EUSAGE, "%s = %lld is out of range %lld..%lld (%s)", key,
                           (long long)value, (long long)p->min, (long long)p->max, p->unit);
        p->value = value;
        return 0;
    }
    const char *near = nearest(key, keys, s->parameter_count);
    return wh_fail(error, WH_EUSAGE, "scenario '%s' has no parameter '%s'; nearest: '%s'", s->name,
                   key, near ? near : "none");
}

void scenario_use_fixed(struct scenario *s) {
    s->is_fixed = true;
    for (int i = 0; i < s->parameter_count; i++)
        if (s->parameters[i].has_fixed_value)
            s->parameters[i].value = s->parameters[i].fixed_value;
}

int scenario_use_variant(struct scenario *s, const char *name, struct wh_error *error) {
    const char *known[SCENARIO_VARIANTS_MAX + 1] = {"default"};
    snprintf(s->variant, sizeof(s->variant), "%s", name);
    if (strcmp(name, known[0]) == 0)
        return 0;
    for (int i = 0; i < s->variant_count; i++) {
        const struct scenario_variant *v = &s->variants[i];
        known[i + 1] = v->name;
        if (strcmp(v->name, name) != 0)
            continue;
        char copy[sizeof(v->set)], *rest = copy;
        snprintf(copy, sizeof(copy), "%s", v->set);
        int status = 0;
        for (char *word = strtok_r(copy, " ", &rest); word && !status;
             word = strtok_r(NULL, " ", &rest))
            status = scenario_set(s, word, error);
        return status;
    }
    return wh_fail(error, WH_EUSAGE, "scenario '%s' has no variant '%s'; nearest: '%s'", s->name,
                   name, nearest(name, known, s->variant_count + 1));
}

bool scenario_expects(const struct scenario *s, const struct scenario_expect *e) {
    unsigned when = s->is_fixed ? SCENARIO_FIXED : SCENARIO_LEAKING;
    return (e->when & when) && (!*e->variant || strcmp(e->variant, s->variant) == 0);
}

int64_t scenario_get(const struct scenario *s, const char *name) {
    for (int i = 0; i < s->parameter_count; i++)
        if (strcmp(s->parameters[i].name, name) == 0)
            return s->parameters[i].value;
    runtime_throw("the model asks for the parameter '%s', which '%s' does not have", name, s->path);
}
