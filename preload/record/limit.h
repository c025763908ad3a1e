/* The file size limit (RLIMIT_FSIZE) is about what the program and the trace write; the shared
 * memory is a file only by its name and must not fall under it. Context: launcher, recorder, one
 * thread. */
#ifndef WH_RECORD_LIMIT_H
#define WH_RECORD_LIMIT_H

#include <stdbool.h>
#include <sys/resource.h>

struct wh_file_limit {
    struct rlimit before;
    bool is_raised;
};

/* As far up as we may. */
static inline struct wh_file_limit wh_file_limit_raise(void) {
    struct wh_file_limit l = {.is_raised = false};
    if (getrlimit(RLIMIT_FSIZE, &l.before) != 0 || l.before.rlim_cur == RLIM_INFINITY)
        return l;
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    const struct rlimit hard = {l.before.rlim_max, l.before.rlim_max};
    l.is_raised = setrlimit(RLIMIT_FSIZE, &none) == 0 || setrlimit(RLIMIT_FSIZE, &hard) == 0;
    return l;
}

static inline void wh_file_limit_restore(const struct wh_file_limit *l) {
    if (l->is_raised)
        (void)setrlimit(RLIMIT_FSIZE, &l->before);
}

#endif
