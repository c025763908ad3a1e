/* A subcommand of `whoholds`: one row of data and one function.
 *
 * To add a command: (1) analyzer/cmd/NAME.c with `const struct wh_command wh_command_NAME`; (2) its
 * row in commands.h, in the order of the overview. Its --help, man page, completion and the refusal
 * of wrong options follow from the table; tests/e2e/command_table.sh fails when one of them is
 * missing. */
#ifndef WH_CMD_COMMAND_H
#define WH_CMD_COMMAND_H

#include "base/arguments.h"
#include "base/error.h"
#include "base/output.h"
#include "schema/store.h"

struct wh_call;

struct wh_command {
    const char *name;
    const char *summary; /* one line for the overview and the man page's NAME; NULL = not listed */
    const char *usage;   /* what follows the name: "[options] FILE [QUERY]" */
    /* Long help: paragraphs separated by an empty line; a line that begins with a space is kept as
     * it is (examples). */
    const char *text;
    const struct wh_option *options; /* ended by {0}; NULL = none. --help is added to all */
    int operands_min, operands_max;  /* -1 = any number */
    unsigned flags;                  /* enum wh_arguments_flag */
    const char
        *exits; /* exit statuses beyond the common ones, one "N  meaning" a line; NULL = none */
    /* Called when the options were wrong, after those before the wrong one; NULL = none. */
    void (*misused)(struct wh_call *call);
    /* 0 = success, < 0 = enum wh_error_code with call->error filled, > 0 = exit status as it is. */
    int (*run)(struct wh_call *call);
};

/* One run of a command. */
struct wh_call {
    const struct wh_command *command;
    struct wh_arguments args;
    struct wh_error error;
};

/* All commands, NULL-terminated, in the order of the overview. */
extern const struct wh_command *const wh_commands[];
const struct wh_command *wh_command_find(const char *name); /* NULL = no such command */

/* The help text, man page (troff) and bash completion made from the table. */
void wh_help_overview(FILE *file);
void wh_help_command(FILE *file, const struct wh_command *command);
void wh_help_man(FILE *file, const struct wh_command *command); /* NULL = whoholds(1) itself */
void wh_help_completion(FILE *file);

/* --- what most commands begin with ---------------------------------------------------------------
 */

/* Opens the trace named by an operand. Refuses one whose recording never finished (no totals yet)
 * with the way out, unless WH_CALL_UNFINISHED is in flags beside the enum wh_store_flag bits. */
#define WH_CALL_UNFINISHED (1u << 16)
int wh_call_open(struct wh_call *call, int operand, unsigned flags, struct wh_store **ret_store);

/* Starts the result on stdout in the --format asked for. */
int wh_call_output(struct wh_call *call, struct wh_output *ret_out);

#endif
