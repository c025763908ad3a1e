/* whoholds version */
#include <stdio.h>

#include "command.h"

static int run(struct wh_call *call) {
    (void)call;
    printf("whoholds %s, trace schema %d\n", WH_VERSION, WH_SCHEMA_VERSION);
    return 0;
}

const struct wh_command wh_command_version = {
    .name = "version",
    .summary = "print the version of the program and of its trace files",
    .usage = "",
    .text = "Prints the version of whoholds and the newest trace schema that it reads and writes.",
    .run = run,
};
