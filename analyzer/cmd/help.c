/* whoholds help: the overview, or a command's help. Its switches print what the installation needs:
 * man pages and the completion script. */
#include <stdio.h>
#include <string.h>

#include "command.h"

static const struct wh_option options[] = {
    {"man", 0, NULL,
     "print the manual page (troff) instead; without COMMAND that of whoholds itself", NULL},
    {"completion", 0, NULL, "print the bash completion script", NULL},
    {"list", 0, NULL, "print the names of the commands, one a line", NULL},
    {0},
};

static int run(struct wh_call *call) {
    const struct wh_arguments *args = &call->args;
    const struct wh_command *command = NULL;
    if (wh_arguments_has(args, "completion")) {
        wh_help_completion(stdout);
        return 0;
    }
    if (wh_arguments_has(args, "list")) {
        for (int i = 0; wh_commands[i]; i++)
            if (wh_commands[i]->summary)
                puts(wh_commands[i]->name);
        return 0;
    }
    if (args->operand_count == 1) {
        command = wh_command_find(args->operands[0]);
        if (!command)
            return wh_fail(&call->error, WH_EUSAGE, "no command '%s'", args->operands[0]);
    }
    if (wh_arguments_has(args, "man"))
        wh_help_man(stdout, command);
    else if (command)
        wh_help_command(stdout, command);
    else
        wh_help_overview(stdout);
    return 0;
}

const struct wh_command wh_command_help = {
    .name = "help",
    .summary = "explain whoholds or one of its commands",
    .usage = "[options] [COMMAND]",
    .text = "Without COMMAND, lists the commands. `whoholds COMMAND --help` says the same as "
            "`whoholds help COMMAND`.",
    .options = options,
    .operands_max = 1,
    .run = run,
};
