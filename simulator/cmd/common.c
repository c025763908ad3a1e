/* What the commands share: how they fail and how they end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/commands.h"
#include "scenario/nearest.h"

int command_fail(const struct wh_error *error) {
    fprintf(stderr, "whoholds-sim: %s\n", error->text);
    return wh_exit_status(error->code);
}

int command_unknown(const char *option, const char *const *known) {
    int count = 0;
    while (known[count])
        count++;
    const char *near = nearest(option, known, count);
    size_t length = strcspn(near, "=");
    if (strncmp(option, near, length) == 0 && strlen(option) <= length + 1)
        fprintf(stderr, "whoholds-sim: '%s' needs a value, see --help\n", option);
    else
        fprintf(stderr, "whoholds-sim: unknown argument '%s'; nearest: '%s'\n", option, near);
    return WH_EXIT_USAGE;
}

void command_print_wrapped(int indent, int used, const char *text) {
    enum { WIDTH = 100 };
    int column = used;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column > indent && column + 1 + length > WIDTH) {
            putchar('\n');
            column = 0;
        }
        column += column < indent ? printf("%*s%.*s", indent - column, "", length, text)
                                  : printf("%s%.*s", column > indent ? " " : "", length, text);
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

int command_finish(void) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return WH_EXIT_OK;
    fprintf(stderr, "whoholds-sim: cannot write the output: %s\n", strerror(errno));
    return WH_EXIT_SYSTEM;
}
