/* Small strings, files and messages by own means: a hook may run before libc is initialised, with
 * no environ yet, inside a signal handler, or with stdio's locks held. */
#include <fcntl.h>
#include <unistd.h>

#include "state.h"

/* The loader's record of the first stack pointer: argc, argv, NULL, envp. Present in glibc. */
extern void *__libc_stack_end __attribute__((weak));

size_t wh_length(const char *text) {
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

int wh_same(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

int wh_starts(const char *text, const char *prefix) {
    while (*prefix)
        if (*text++ != *prefix++)
            return 0;
    return 1;
}

int wh_contains(const char *text, const char *part) {
    for (; *text; text++)
        if (wh_starts(text, part))
            return 1;
    return 0;
}

char *wh_append(char *p, const char *end, const char *text) {
    while (*text && p + 1 < end)
        *p++ = *text++;
    *p = 0;
    return p;
}

char *wh_append_number(char *p, const char *end, uint64_t value) {
    char digits[21];
    unsigned n = sizeof digits;
    digits[--n] = 0;
    do
        digits[--n] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    return wh_append(p, end, digits + n);
}

const char *wh_environment(char **environment, const char *name) {
    size_t length = wh_length(name);
    for (; environment && *environment; environment++)
        if (wh_starts(*environment, name) && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

char **wh_environment_now(void) {
    if (environ)
        return environ;
    if (!&__libc_stack_end || !__libc_stack_end)
        return NULL;
    long *stack = __libc_stack_end;
    return (char **)(stack + 1 + stack[0] + 1);
}

long wh_read_file(const char *path, char *buffer, size_t size) {
    long fd = wh_sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    long total = 0;
    while ((size_t)total < size) {
        long n = wh_sys3(SYS_read, fd, buffer + total, size - (size_t)total);
        if (n <= 0)
            break;
        total += n;
    }
    wh_sys1(SYS_close, fd);
    return total;
}

void wh_say(const char *text, const char *detail) {
    char line[512] = "";
    const char *end = line + sizeof line - 1;
    char *p = wh_append(line, end, "whoholds: ");
    p = wh_append(p, end, text);
    p = wh_append(p, end, detail);
    *p++ = '\n';
    wh_sys3(SYS_write, 2, line, p - line);
}
