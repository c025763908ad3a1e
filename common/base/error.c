/* Errors as values: one place where a sentence for the user is formatted. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef wh_fail
#undef wh_fail_errno

int wh_fail(struct wh_error *error, int code, const char *format, ...) {
    if (error) {
        va_list ap;
        va_start(ap, format);
        (void)vsnprintf(error->text, sizeof error->text, format, ap);
        va_end(ap);
        error->code = code;
    }
    return code;
}

int wh_fail_errno(struct wh_error *error, const char *format, ...) {
    int saved = errno;
    if (error) {
        va_list ap;
        va_start(ap, format);
        int n = vsnprintf(error->text, sizeof error->text, format, ap);
        va_end(ap);
        if (n > 0 && (size_t)n < sizeof error->text)
            (void)snprintf(error->text + n, sizeof error->text - (size_t)n, ": %s",
                           strerror(saved));
        error->code = WH_ESYSTEM;
    }
    errno = saved;
    return WH_ESYSTEM;
}

int wh_exit_status(int code) {
    switch (code) {
    case WH_OK:
        return WH_EXIT_OK;
    case WH_EUSAGE:
        return WH_EXIT_USAGE;
    case WH_EINPUT:
        return WH_EXIT_INPUT;
    case WH_ENOTFOUND:
        return WH_EXIT_NOTFOUND;
    default:
        return WH_EXIT_SYSTEM;
    }
}
