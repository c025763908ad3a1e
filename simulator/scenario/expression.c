/* Formulas, see expression.h: recursive descent, the state is one cursor. */
#include "scenario/expression.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mcache/mcache.h"
#include "runtime/runtime.h"
#include "scenario/nearest.h"

#define ARGUMENTS_MAX 3
#define POLL_FIRST    128

struct cursor {
    const char *at;
    const struct scenario *scenario;
    struct wh_error *error;
    int status;
};

static int64_t comparison(struct cursor *c);

static void blanks(struct cursor *c) {
    while (isspace((unsigned char)*c->at))
        c->at++;
}

static bool accept(struct cursor *c, const char *token) {
    blanks(c);
    size_t n = strlen(token);
    if (strncmp(c->at, token, n) != 0)
        return false;
    c->at += n;
    return true;
}

static int64_t wrong(struct cursor *c, const char *what) {
    if (!c->status)
        c->status = wh_fail(c->error, WH_EUSAGE, "%s at '%.20s'", what, c->at);
    return 0;
}

static const char *const functions[] = {"size", "class", "slots", "min", "max", "if"};

static int64_t slots(int64_t events) {
    int64_t size = POLL_FIRST;
    while (size <= events)
        size *= 2;
    return size;
}

static int64_t call(struct cursor *c, const char *name) {
    int64_t a[ARGUMENTS_MAX] = {0};
    int n = 0;
    do {
        if (n == ARGUMENTS_MAX)
            return wrong(c, "too many arguments");
        a[n++] = comparison(c);
    } while (!c->status && accept(c, ","));
    if (c->status)
        return 0;
    if (!accept(c, ")"))
        return wrong(c, "')' expected");
    static const int wanted[] = {1, 1, 1, 2, 2, 3};
    for (int i = 0; i < 6; i++) {
        if (strcmp(name, functions[i]) != 0)
            continue;
        if (n != wanted[i])
            return wrong(c, "wrong number of arguments");
        switch (i) {
        case 0:
            return (int64_t)runtime_roundupsize((size_t)a[0]);
        case 1:
            return (int64_t)1 << mcache_class(a[0]);
        case 2:
            return slots(a[0]);
        case 3:
            return a[0] < a[1] ? a[0] : a[1];
        case 4:
            return a[0] > a[1] ? a[0] : a[1];
        default:
            return a[0] ? a[1] : a[2];
        }
    }
    if (!c->status)
        c->status = wh_fail(c->error, WH_EUSAGE, "no function '%s'; nearest: '%s'", name,
                            nearest(name, functions, 6));
    return 0;
}

static int64_t variable(struct cursor *c, const char *name) {
    const char *names[SCENARIO_PARAMETERS_MAX];
    for (int i = 0; i < c->scenario->parameter_count; i++) {
        names[i] = c->scenario->parameters[i].name;
        if (strcmp(names[i], name) == 0)
            return c->scenario->parameters[i].value;
    }
    const char *near = nearest(name, names, c->scenario->parameter_count);
    if (!c->status)
        c->status = wh_fail(c->error, WH_EUSAGE, "no parameter '%s'%s%s%s", name,
                            near ? "; nearest: '" : "", near ? near : "", near ? "'" : "");
    return 0;
}

static int64_t primary(struct cursor *c) {
    blanks(c);
    if (accept(c, "(")) {
        int64_t value = comparison(c);
        return accept(c, ")") ? value : wrong(c, "')' expected");
    }
    if (accept(c, "-"))
        return -primary(c);
    if (isdigit((unsigned char)*c->at)) {
        char *end;
        int64_t value = strtoll(c->at, &end, 10);
        c->at = end;
        return value;
    }
    char name[40];
    size_t n = 0;
    while ((isalnum((unsigned char)*c->at) || *c->at == '_') && n < sizeof(name) - 1)
        name[n++] = *c->at++;
    name[n] = 0;
    if (n == 0)
        return wrong(c, "a number or a name expected");
    return accept(c, "(") ? call(c, name) : variable(c, name);
}

static int64_t product(struct cursor *c) {
    int64_t value = primary(c);
    for (;;) {
        if (accept(c, "*")) {
            value *= primary(c);
        } else if (accept(c, "/")) {
            int64_t by = primary(c);
            if (by == 0)
                return wrong(c, "division by zero");
            value /= by;
        } else {
            return value;
        }
    }
}

static int64_t sum(struct cursor *c) {
    int64_t value = product(c);
    for (;;) {
        if (accept(c, "+"))
            value += product(c);
        else if (accept(c, "-"))
            value -= product(c);
        else
            return value;
    }
}

static int64_t comparison(struct cursor *c) {
    int64_t value = sum(c);
    if (accept(c, "<"))
        return value < sum(c);
    if (accept(c, ">"))
        return value > sum(c);
    return value;
}

int expression_evaluate(const char *text, const struct scenario *s, int64_t *ret_value,
                        struct wh_error *error) {
    struct cursor c = {text, s, error, 0};
    *ret_value = comparison(&c);
    blanks(&c);
    if (!c.status && *c.at)
        wrong(&c, "operator expected");
    return c.status;
}
