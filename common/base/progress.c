/* The progress line: on stderr, on a terminal, at most ten times a second. */
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "base/output.h"

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void wh_progress_init(struct wh_progress *p, int quiet) {
    *p = (struct wh_progress){.active = !quiet && isatty(STDERR_FILENO)};
}

void wh_progress_show(struct wh_progress *p, const char *format, ...) {
    if (!p->active)
        return;
    int64_t now = now_ns();
    if (p->shown && now - p->last_ns < 100000000)
        return;
    p->last_ns = now;
    p->shown = 1;
    va_list ap;
    va_start(ap, format);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, ap);
    fflush(stderr);
    va_end(ap);
}

void wh_progress_clear(struct wh_progress *p) {
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = 0;
}
