/* whoholds-sim: dispatch. The commands are in cmd/, the models in scenario/, what they are made of
 * in runtime/, sync/, mcache/, gopool/, netpoll/, kitex/, sonic/, their network in peer/. */
#include <stdio.h>
#include <string.h>

#include "cmd/commands.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} commands[] = {
    {"list", command_list, "[--format json]   the scenarios"},
    {"describe", command_describe, "NAME [--language en|zh]   the case in plain words"},
    {"run", command_run, "NAME [--fixed] [--set KEY=VALUE]...   run it and show what stays alive"},
    {"verify", command_verify,
     "[NAME...] [--format json]   record each and compare with the truth"},
    {"replay", command_replay, "TRACE   carry out its allocations with this process's allocator"},
};

static void print_help(void) {
    puts(
        "usage: whoholds-sim COMMAND ...\n"
        "\n"
        "Programs with known leaks: the memory leak handbook of CloudWeGo, in C, with memory that\n"
        "works like Go's. Record one with: whoholds record -o trace.db -- whoholds-sim run NAME\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].what);
    puts("\nwhoholds-sim COMMAND --help says more.");
}

int main(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        puts("whoholds-sim " WH_VERSION);
        return command_finish();
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return argc < 2 ? WH_EXIT_USAGE : command_finish();
    }
    const char *names[sizeof(commands) / sizeof(*commands) + 1] = {0};
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        names[i] = commands[i].name;
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    return command_unknown(argv[1], names);
}
