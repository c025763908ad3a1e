/* Messages between the recorder and the launcher, and the last resort: the target's own stderr. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "record/recorder.h"

uint64_t wh_monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One line in one write, so that lines never mix; what does not fit the pipe at once is dropped. */
static bool send_line(struct wh_recorder *r, const char *line, size_t bytes) {
    if (r->message_fd < 0)
        return false;
    ssize_t n;
    do
        n = write(r->message_fd, line, bytes);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EPIPE) {
        close(r->message_fd);
        r->message_fd = -1;
    }
    return n == (ssize_t)bytes;
}

static bool vsay(struct wh_recorder *r, char kind, const char *format, va_list arguments) {
    char line[1024];
    line[0] = kind;
    int n = vsnprintf(line + 1, sizeof line - 2, format, arguments);
    if (n < 0)
        return false;
    size_t bytes = (size_t)n < sizeof line - 2 ? (size_t)n : sizeof line - 3;
    for (size_t i = 1; i <= bytes; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[bytes + 1] = '\n';
    return send_line(r, line, bytes + 2);
}

void wh_recorder_say(struct wh_recorder *r, char kind, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsay(r, kind, format, arguments);
    va_end(arguments);
}

/* Under a bare preload nobody listens to us, but the first image has a stderr. */
static void warn_on_target(struct wh_recorder *r, const char *text) {
    const struct wh_process *p = wh_recorder_process(r, 1);
    char path[64], line[1100];
    if (!p || p->phase != WH_PHASE_RUNNING)
        return;
    snprintf(path, sizeof path, "/proc/%u/fd/2", p->pid);
    int fd = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    int n = snprintf(line, sizeof line, "whoholds: %s\n", text);
    if (n > 0 && write(fd, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1) < 0)
        errno = 0; /* nothing more can be done */
    close(fd);
}

void wh_recorder_warn(struct wh_recorder *r, const char *format, ...) {
    char text[1000];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    if (!vsay(r, WH_MESSAGE_WARNING, format, arguments)) {
        vsnprintf(text, sizeof text, format, again);
        warn_on_target(r, text);
    }
    va_end(again);
    va_end(arguments);
}

/* "PID STATUS\n": the command's process ended. End of file: the launcher is gone. */
void wh_recorder_listen(struct wh_recorder *r) {
    char line[64];
    if (r->control_fd < 0)
        return;
    ssize_t n = read(r->control_fd, line, sizeof line - 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close(r->control_fd);
        r->control_fd = -1;
        return;
    }
    line[n] = 0;
    unsigned pid;
    int status;
    if (sscanf(line, "%u %d", &pid, &status) == 2) {
        r->main_pid = pid;
        r->main_status = status;
        r->main_ended = true;
    }
}
