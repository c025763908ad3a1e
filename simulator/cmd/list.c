/* whoholds-sim list: the scenarios, one line each. */
#include <stdio.h>
#include <string.h>

#include "cmd/commands.h"
#include "scenario/scenario.h"

static const char help[] = "usage: whoholds-sim list [--format text|json]\n"
                           "\n"
                           "The canned scenarios in the handbook's order.\n";
static const char *const options_known[] = {"--format", "--help", NULL};

int command_list(int argc, char **argv) {
    bool is_json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return command_finish();
        }
        if (strcmp(argv[i], "--format") != 0 || i + 1 >= argc ||
            (strcmp(argv[i + 1], "json") != 0 && strcmp(argv[i + 1], "text") != 0))
            return command_unknown(argv[i], options_known);
        is_json = strcmp(argv[++i], "json") == 0;
    }
    static struct scenario s;
    struct wh_error error;
    for (int i = 0; scenario_names()[i]; i++) {
        if (scenario_open(scenario_names()[i], &s, &error))
            return command_fail(&error);
        if (is_json)
            printf(
                "%s{\"name\": \"%s\", \"title\": \"%s\", \"handbook\": \"%s\", \"file\": \"%s\"}",
                i ? ",\n " : "[\n ", s.name, s.title, s.handbook, s.path);
        else
            printf("%-24s %s\n", s.name, s.title);
    }
    if (is_json)
        puts("\n]");
    return command_finish();
}
