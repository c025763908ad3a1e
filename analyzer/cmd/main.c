/* The `whoholds` command: finds the subcommand, parses its options, runs it, and turns errors into
 * one line and an exit status. Everything a command says about itself lives in its table row. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/string.h"
#include "command.h"

/* The sentence may quote paths and symbols: nothing in it may reach the terminal as a command. */
static void complain(const char *text) {
    char clean[512];
    fprintf(stderr, "whoholds: %s\n", wh_text_sanitize(clean, sizeof clean, text, strlen(text)));
}

static int unknown_command(const char *name) {
    const char *names[64];
    size_t n = 0;
    for (int i = 0; wh_commands[i] && n < 63; i++)
        if (wh_commands[i]->summary)
            names[n++] = wh_commands[i]->name;
    names[n] = NULL;
    const char *nearest = wh_nearest_word(name, names);
    char text[256];
    if (nearest)
        snprintf(text, sizeof text, "no command '%s', did you mean '%s'?", name, nearest);
    else
        snprintf(text, sizeof text, "no command '%s', `whoholds help` lists them", name);
    complain(text);
    return WH_EXIT_USAGE;
}

/* A full disk behind stdout must not look like success. */
static int close_stdout(int status) {
    if (ferror(stdout) || fflush(stdout) != 0) {
        if (status == WH_EXIT_OK) {
            char text[128];
            snprintf(text, sizeof text, "cannot write the result: %s", strerror(errno));
            complain(text);
            return WH_EXIT_SYSTEM;
        }
    }
    return status;
}

static int run(const struct wh_command *command, int argc, char **argv) {
    static const struct wh_option none[] = {{0}};
    struct wh_call call = {.command = command};
    int rc =
        wh_arguments_parse(&call.args, command->options ? command->options : none, command->flags,
                           command->operands_min, command->operands_max, argc, argv, &call.error);
    if (rc && command->misused)
        command->misused(&call);
    if (rc == 0 && call.args.help)
        wh_help_command(stdout, command);
    else if (rc == 0)
        rc = command->run(&call);
    wh_arguments_release(&call.args);
    if (rc > 0)
        return rc;
    if (rc < 0) {
        complain(call.error.text[0] ? call.error.text : "failed");
        if (rc == WH_EUSAGE)
            fprintf(stderr, "usage: whoholds %s %s\n", command->name, command->usage);
        return wh_exit_status(rc);
    }
    return WH_EXIT_OK;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        wh_help_overview(stderr);
        return WH_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    const struct wh_command *command = wh_command_find(name);
    if (!command)
        return unknown_command(name);
    return close_stdout(run(command, argc - 1, argv + 1));
}
