/* LeakSanitizer's suppression files: lines "leak:PATTERN". A leak is suppressed when a pattern is
 * found in the name of a function, source file or module (its path) of any frame of its creator
 * stack, and so is what other suppressed blocks refer to. In a pattern '*' matches any run, '^'
 * anchors at the beginning and '$' at the end. '#' begins a comment line. Our functions' names have
 * no parameters: a pattern's are taken off. Context: one thread. */
#ifndef WH_HOLDER_SUPPRESS_H
#define WH_HOLDER_SUPPRESS_H

#include <stddef.h>

#include "base/error.h"

struct wh_holding;

struct wh_suppressions {
    char **patterns;
    size_t count, room;
    size_t others; /* lines for other sanitizers ("race:..."), not used */
};

/* WH_EINPUT names the line that is none. */
int wh_suppressions_load(const char *path, struct wh_suppressions *ret, struct wh_error *error);
void wh_suppressions_release(struct wh_suppressions *s);

int wh_suppression_matches(const char *pattern, const char *text); /* text NULL: no */
/* The lost blocks that are suppressed: *ret is one byte a block, malloc'ed, nonzero = suppressed.
 */
int wh_suppressed_blocks(const struct wh_suppressions *s, const struct wh_holding *h,
                         unsigned char **ret, struct wh_error *error);

#endif
