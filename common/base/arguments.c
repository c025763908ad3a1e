/* Option tables over getopt_long, and the nearest word for a misspelt one. */
#include "base/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define OPTIONS_MAX 64
#define HELP        1000

/* --- did you mean -------------------------------------------------------------------------------
 */

/* Edits (insert, delete, replace, swap neighbours) from a to b; both at most 31 bytes. */
static int distance(const char *a, const char *b) {
    enum { MAX = 32 };
    size_t n = strlen(a), m = strlen(b);
    if (n >= MAX || m >= MAX)
        return MAX;
    int d[MAX][MAX];
    for (size_t i = 0; i <= n; i++)
        d[i][0] = (int)i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

const char *wh_nearest_word(const char *word, const char *const *words) {
    const char *nearest = NULL;
    int best = strlen(word) > 5 ? 3 : strlen(word) > 2 ? 2 : 1;
    best++;
    for (; *words; words++) {
        int d = strncmp(word, *words, strlen(word)) == 0 ? 1 : distance(word, *words);
        if (d < best) {
            best = d;
            nearest = *words;
        }
    }
    return nearest;
}

/* --- parsing ------------------------------------------------------------------------------------
 */

static int unknown_option(const struct wh_option *options, const char *given,
                          struct wh_error *error) {
    if (given[0] == '-' && given[1] == '-') {
        const char *names[OPTIONS_MAX + 1] = {0};
        for (int i = 0; options[i].name && i < OPTIONS_MAX; i++)
            names[i] = options[i].name;
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(given + 2, "="), given + 2);
        const char *nearest = wh_nearest_word(word, names);
        if (nearest)
            return wh_fail(error, WH_EUSAGE, "no option '--%s', did you mean '--%s'?", word,
                           nearest);
        return wh_fail(error, WH_EUSAGE, "no option '--%s'", word);
    }
    return wh_fail(error, WH_EUSAGE, "no option '%s'", given);
}

struct tables {
    struct option longs[OPTIONS_MAX + 2];
    char shorts[OPTIONS_MAX * 2 + 8];
};

/* getopt's two tables out of ours. The value of a long option is its index + HELP + 1. */
static void make_tables(const struct wh_option *options, unsigned flags, struct tables *t) {
    size_t s = 0;
    if (flags & WH_ARGUMENTS_REST)
        t->shorts[s++] = '+';
    t->shorts[s++] = ':';
    t->shorts[s++] = 'h';
    int i;
    for (i = 0; options[i].name && i < OPTIONS_MAX; i++) {
        t->longs[i] =
            (struct option){options[i].name, options[i].argument ? required_argument : no_argument,
                            NULL, HELP + 1 + i};
        if (options[i].letter) {
            t->shorts[s++] = options[i].letter;
            if (options[i].argument)
                t->shorts[s++] = ':';
        }
    }
    t->longs[i++] = (struct option){"help", no_argument, NULL, 'h'};
    t->longs[i] = (struct option){0};
    t->shorts[s] = '\0';
}

static const struct wh_option *find_option(const struct wh_option *options, int value) {
    if (value > HELP)
        return &options[value - HELP - 1];
    for (; options->name; options++)
        if (options->letter == value)
            return options;
    return NULL;
}

static int check_operands(const struct wh_arguments *args, int min, int max,
                          struct wh_error *error) {
    if (args->operand_count < min)
        return wh_fail(error, WH_EUSAGE, "something is missing on the command line");
    if (max >= 0 && args->operand_count > max)
        return wh_fail(error, WH_EUSAGE, "'%s' is one argument too many", args->operands[max]);
    return 0;
}

int wh_arguments_parse(struct wh_arguments *ret_args, const struct wh_option *options,
                       unsigned flags, int operands_min, int operands_max, int argc, char **argv,
                       struct wh_error *error) {
    struct tables tables;
    make_tables(options, flags, &tables);
    *ret_args = (struct wh_arguments){.options = options};
    ret_args->given = calloc((size_t)argc + 1, sizeof *ret_args->given);
    if (!ret_args->given)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    opterr = 0;
    optind = 0; /* GNU: start over, forget the previous command line */
    for (;;) {
        int before = optind ? optind : 1;
        int value = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);
        if (value == -1)
            break;
        if (value == 'h') {
            ret_args->help = 1;
            return 0;
        }
        if (value == ':') {
            const struct wh_option *o = find_option(options, optopt);
            return wh_fail(error, WH_EUSAGE, "option '--%s' needs a value: %s", o ? o->name : "?",
                           o ? o->argument : "");
        }
        if (value == '?') {
            char letter[3] = {'-', (char)optopt, '\0'};
            if (optopt > HELP) /* a known switch with a value */
                return wh_fail(error, WH_EUSAGE, "option '--%s' takes no value",
                               options[optopt - HELP - 1].name);
            const char *given = optopt ? letter : argv[optind > before ? optind - 1 : before];
            return unknown_option(options, given, error);
        }
        ret_args->given[ret_args->given_count++] =
            (struct wh_argument){find_option(options, value), optarg};
    }
    ret_args->operands = argv + optind;
    ret_args->operand_count = argc - optind;
    return check_operands(ret_args, operands_min, operands_max, error);
}

void wh_arguments_release(struct wh_arguments *args) {
    free(args->given);
    *args = (struct wh_arguments){0};
}

/* --- values -------------------------------------------------------------------------------------
 */

const char *wh_arguments_nth(const struct wh_arguments *args, const char *name, int index0) {
    for (int i = 0; i < args->given_count; i++)
        if (strcmp(args->given[i].option->name, name) == 0 && index0-- == 0)
            return args->given[i].value ? args->given[i].value : "";
    return NULL;
}

int wh_arguments_has(const struct wh_arguments *args, const char *name) {
    return wh_arguments_nth(args, name, 0) != NULL;
}

const char *wh_arguments_text(const struct wh_arguments *args, const char *name) {
    for (int i = args->given_count - 1; i >= 0; i--)
        if (strcmp(args->given[i].option->name, name) == 0)
            return args->given[i].value;
    for (const struct wh_option *o = args->options; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o->fallback;
    return NULL;
}

int wh_arguments_int(const struct wh_arguments *args, const char *name, int64_t min, int64_t max,
                     int64_t *ret_value, struct wh_error *error) {
    const char *text = wh_arguments_text(args, name);
    int64_t value;
    if (!text)
        return 0;
    if (wh_parse_int(text, &value) != 0 || value < min || value > max)
        return wh_fail(error, WH_EUSAGE, "'--%s=%s' is not a whole number from %lld to %lld", name,
                       text, (long long)min, (long long)max);
    *ret_value = value;
    return 0;
}

int wh_arguments_size(const struct wh_arguments *args, const char *name, int64_t *ret_bytes,
                      struct wh_error *error) {
    const char *text = wh_arguments_text(args, name);
    if (text && wh_parse_bytes(text, ret_bytes) != 0)
        return wh_fail(error, WH_EUSAGE, "'--%s=%s' is not a size like 4096, 512KiB or 2G", name,
                       text);
    return 0;
}

int wh_arguments_duration(const struct wh_arguments *args, const char *name, int64_t *ret_ns,
                          struct wh_error *error) {
    const char *text = wh_arguments_text(args, name);
    if (text && wh_parse_ns(text, ret_ns) != 0)
        return wh_fail(error, WH_EUSAGE, "'--%s=%s' is not a duration like 250ms, 10s or 2m", name,
                       text);
    return 0;
}

int wh_arguments_choice(const struct wh_arguments *args, const char *name, const char *const *words,
                        int *ret_index, struct wh_error *error) {
    const char *text = wh_arguments_text(args, name);
    if (!text)
        return 0;
    char list[256] = "";
    size_t n = 0;
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0) {
            *ret_index = i;
            return 0;
        }
        if (n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", words[i]);
    }
    return wh_fail(error, WH_EUSAGE, "'--%s=%s' is none of %s", name, text, list);
}
