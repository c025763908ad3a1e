/* LeakSanitizer's suppression files: lines "leak:PATTERN". A leak is suppressed when a pattern is
 * found in the name of a function, source file or module of any frame of its creator stack. In a
 * pattern '*' matches any run, '^' anchors at the beginning and '$' at the end. '#' begins a
 * comment line. Context: one thread. */
#ifndef WH_HOLDER_SUPPRESS_H
#define WH_HOLDER_SUPPRESS_H

#include <stddef.h>

#include "base/error.h"

struct wh_suppressions {
    char **patterns;
    size_t count, room;
};

/* WH_EINPUT names the line that is none; lines of other kinds ("race:...") are skipped. */
int wh_suppressions_load(const char *path, struct wh_suppressions *ret, struct wh_error *error);
void wh_suppressions_release(struct wh_suppressions *s);

int wh_suppression_matches(const char *pattern, const char *text); /* text NULL: no */
int wh_suppressions_match(const struct wh_suppressions *s, const char *function, const char *file,
                          const char *module);

#endif
