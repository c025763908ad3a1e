/* What people call a program. */
#include <string.h>

#include "base/string.h"
#include "report.h"

static const char *after_slash(const char *start, size_t length) {
    const char *slash = memrchr(start, '/', length);
    return slash ? slash + 1 : start;
}

const char *wh_report_program(char *text, size_t size, const char *exe, const char *command_line) {
    const char *word = command_line ? command_line : "";
    size_t length = strcspn(word, " ");
    const char *name = after_slash(word, length);
    size_t name_length = length - (size_t)(name - word);
    if (name_length && *name == '-') { /* a login shell */
        name++;
        name_length--;
    }
    if (!name_length) {
        name = exe ? after_slash(exe, strlen(exe)) : "";
        name_length = strlen(name);
    }
    return name_length ? wh_text_sanitize(text, size, name, name_length) : "(unknown)";
}
