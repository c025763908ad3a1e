/* whoholds.h: what a program can tell whoholds. Free when it is not recorded: the functions are
 * weak and resolve to nothing, so no library is linked. Valid from C and C++.
 *
 * Context: any thread, not from a signal handler. */
#ifndef WHOHOLDS_H
#define WHOHOLDS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Implemented by libwhoholds.so when it is preloaded. Call the whoholds_* wrappers below. */
__attribute__((weak)) void whoholds_acquire_(const void *block, size_t size, const char *pool);
__attribute__((weak)) void whoholds_release_(const void *block);
__attribute__((weak)) void whoholds_snapshot_(const char *label);
__attribute__((weak)) void whoholds_pause_(void);
__attribute__((weak)) void whoholds_resume_(void);

/* `block` was taken out of `pool` by the caller: from now on it has an acquirer beside its creator.
 */
static inline void whoholds_acquire(const void *block, size_t size, const char *pool) {
    if (whoholds_acquire_)
        whoholds_acquire_(block, size, pool);
}

/* `block` went back into its pool: who still refers to it does not use it until it is acquired
 * again.
 */
static inline void whoholds_release(const void *block) {
    if (whoholds_release_)
        whoholds_release_(block);
}

/* Takes a snapshot of the reference graph now; returns when the program may run on. label: shown in
 * reports, at most 63 bytes are kept. */
static inline void whoholds_snapshot(const char *label) {
    if (whoholds_snapshot_)
        whoholds_snapshot_(label);
}

/* Between pause and resume this process's events are not recorded. Calls nest. */
static inline void whoholds_pause(void) {
    if (whoholds_pause_)
        whoholds_pause_();
}
static inline void whoholds_resume(void) {
    if (whoholds_resume_)
        whoholds_resume_();
}

#ifdef __cplusplus
}
#endif
#endif
