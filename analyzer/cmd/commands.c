/* The table of commands. */
#include <string.h>

#include "command.h"

#define X(name) extern const struct wh_command wh_command_##name;
#include "commands.h"
#undef X

const struct wh_command *const wh_commands[] = {
#define X(name) &wh_command_##name,
#include "commands.h"
#undef X
    NULL};

const struct wh_command *wh_command_find(const char *name) {
    for (int i = 0; wh_commands[i]; i++)
        if (strcmp(wh_commands[i]->name, name) == 0)
            return wh_commands[i];
    return NULL;
}
