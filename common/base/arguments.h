/* Command lines described as data: one table of options drives parsing (getopt_long underneath),
 * the help text, the man page and the completion.
 *
 * Life: wh_arguments_parse() fills, wh_arguments_release() empties; texts point into argv. Unknown
 * options are answered with the nearest known one, wrong numbers of operands are refused. Context:
 * any one thread at a time (getopt is global). */
#ifndef WH_BASE_ARGUMENTS_H
#define WH_BASE_ARGUMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct wh_option {
    const char *name;     /* long name without the dashes; NULL ends a table */
    char letter;          /* short form; 0 = none */
    const char *argument; /* name of its argument in the help, "N", "FILE"; NULL = a switch */
    const char *help;     /* one sentence or more, lower case start, no full stop needed */
    const char *fallback; /* value when not given; NULL = absent */
};

/* The option every command with a table as its result has. */
#define WH_OPTION_FORMAT                                                                           \
    {                                                                                              \
        "format", 'f', "text|json|csv",                                                            \
            "how the result is written; json and csv carry raw numbers", "text"                    \
    }

struct wh_argument {
    const struct wh_option *option;
    const char *value; /* NULL for a switch */
};

struct wh_arguments {
    const struct wh_option *options;
    struct wh_argument *given; /* in the order of the command line */
    int given_count;
    char **operands; /* what is no option: points into argv */
    int operand_count;
    int help; /* --help or -h was given: nothing else was checked */
};

enum wh_arguments_flag {
    WH_ARGUMENTS_REST = 1u << 0, /* the first operand ends the options: `record CMD -x` */
};

/* Parses argv[1..]; argv may be reordered. Operands must number operands_min..operands_max (-1 = no
 * bound). WH_EUSAGE with a sentence when something is wrong. */
int wh_arguments_parse(struct wh_arguments *ret_args, const struct wh_option *options,
                       unsigned flags, int operands_min, int operands_max, int argc, char **argv,
                       struct wh_error *error);
void wh_arguments_release(struct wh_arguments *args);

/* Was the option given? */
int wh_arguments_has(const struct wh_arguments *args, const char *name);

/* Its last value, else its fallback, else NULL. */
const char *wh_arguments_text(const struct wh_arguments *args, const char *name);

/* The value of its index-th appearance, NULL when it appears less often: for repeatable options. */
const char *wh_arguments_nth(const struct wh_arguments *args, const char *name, int index0);

/* As wh_arguments_text, read as a whole number in min..max, a size ("512KiB") or a duration
 * ("10s"). WH_EUSAGE names the option; *ret_value is left alone when there is neither value nor
 * fallback. */
int wh_arguments_int(const struct wh_arguments *args, const char *name, int64_t min, int64_t max,
                     int64_t *ret_value, struct wh_error *error);
int wh_arguments_size(const struct wh_arguments *args, const char *name, int64_t *ret_bytes,
                      struct wh_error *error);
int wh_arguments_duration(const struct wh_arguments *args, const char *name, int64_t *ret_ns,
                          struct wh_error *error);

/* Index of the value in a NULL-terminated list of words. WH_EUSAGE lists them when it is none. */
int wh_arguments_choice(const struct wh_arguments *args, const char *name, const char *const *words,
                        int *ret_index, struct wh_error *error);

/* The word of a NULL-terminated list that `word` was probably meant to be; NULL = none is near. */
const char *wh_nearest_word(const char *word, const char *const *words);

#endif
