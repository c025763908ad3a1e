/* The commands of whoholds-sim: one row each in main.c, one file each here.
 * argv[0] is the command's name. Returns the exit status (enum wh_exit). Context: once per process.
 */
#ifndef WH_SIM_CMD_COMMANDS_H
#define WH_SIM_CMD_COMMANDS_H

#include "base/error.h"

int command_list(int argc, char **argv);
int command_describe(int argc, char **argv);
int command_run(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_replay(int argc, char **argv);

/* Prints "whoholds-sim: <text>" and returns the status for it. */
int command_fail(const struct wh_error *error);
/* An option nobody knows: names the nearest of `known` (NULL-terminated). Status 2. */
int command_unknown(const char *option, const char *const *known);
/* Prints prose broken at words, every line indented; `used`: columns of the first that are taken.
 */
void command_print_wrapped(int indent, int used, const char *text);
/* Status 0, or 4 if standard output could not be written. */
int command_finish(void);

#endif
