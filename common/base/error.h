/* Errors and exit codes of everything outside the hook.
 *
 * A function that can fail returns 0 or a negative enum wh_error_code and, when it takes one, fills
 * a struct wh_error with a sentence for the user: lower case, subject quoted, no full stop.
 * Libraries never print; the command prints the sentence once as "whoholds: <text>". */
#ifndef WH_BASE_ERROR_H
#define WH_BASE_ERROR_H

enum wh_error_code {
    WH_OK = 0,
    WH_EUSAGE = -2,    /* the command line or a scenario file is wrong */
    WH_EINPUT = -3,    /* a file is not a trace, is corrupt, or of a newer version */
    WH_ESYSTEM = -4,   /* the system refused: I/O, memory, permissions, disk full */
    WH_ENOTFOUND = -5, /* what was asked for is not in the trace */
};

/* Exit status of every command; `record` instead returns its target's status, or 125-127. */
enum wh_exit {
    WH_EXIT_OK = 0,
    WH_EXIT_FINDING = 1, /* check: a finding at or above --fail-on */
    WH_EXIT_USAGE = 2,
    WH_EXIT_INPUT = 3,
    WH_EXIT_SYSTEM = 4,
    WH_EXIT_NOTFOUND = 5,
    WH_EXIT_RECORD = 125,     /* record: whoholds itself failed before the target ran */
    WH_EXIT_CANNOT_RUN = 126, /* record: the command was found but could not be executed */
    WH_EXIT_NO_COMMAND = 127, /* record: command not found */
};

struct wh_error {
    int code; /* enum wh_error_code */
    char text[400];
};

/* Sets *error (NULL is allowed) and returns code, so that `return wh_fail(error, ...)` reads well.
 */
int wh_fail(struct wh_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As wh_fail with WH_ESYSTEM and ": <strerror(errno)>" appended; errno is read first. */
int wh_fail_errno(struct wh_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__ /* it cannot see that these return what they are given, never 0 */
void wh_analyzed(const char *format, ...);
#define wh_fail(error, code, ...) ((void)(error), wh_analyzed(__VA_ARGS__), (code))
#define wh_fail_errno(error, ...) ((void)(error), wh_analyzed(__VA_ARGS__), WH_ESYSTEM)
#endif

/* The exit status for an error code. */
int wh_exit_status(int code);

#endif
