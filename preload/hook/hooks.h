/* The one table of what is interposed. It declares the pointers to the real functions (struct
 * wh_real), resolves them (init.c) and, by the shape of each entry, generates the interposer
 * (interpose.c, operators.c). To hook another allocation function, add a line.
 *
 * WH_C_HOOKS: X(name, result, parameters). WH_NEW_HOOKS: X(mangled name, parameters, arguments,
 * kind, aligned). WH_DELETE_HOOKS: X(mangled name, parameters, arguments). */
#ifndef WH_HOOK_HOOKS_H
#define WH_HOOK_HOOKS_H

#include <stddef.h>

#define WH_C_HOOKS(X)                                                                              \
    X(malloc, void *, (size_t))                                                                    \
    X(free, void, (void *))                                                                        \
    X(calloc, void *, (size_t, size_t))                                                            \
    X(realloc, void *, (void *, size_t))                                                           \
    X(reallocarray, void *, (void *, size_t, size_t))                                              \
    X(posix_memalign, int, (void **, size_t, size_t))                                              \
    X(aligned_alloc, void *, (size_t, size_t))                                                     \
    X(memalign, void *, (size_t, size_t))                                                          \
    X(valloc, void *, (size_t))                                                                    \
    X(pvalloc, void *, (size_t))                                                                   \
    X(malloc_usable_size, size_t, (void *))                                                        \
    X(cfree, void, (void *))                                                                       \
    X(free_sized, void, (void *, size_t))                                                          \
    X(free_aligned_sized, void, (void *, size_t, size_t))

#define WH_NEW_HOOKS(X)                                                                            \
    X(_Znwm, (size_t size), (size), WH_ALLOC_NEW, 0)                                               \
    X(_Znam, (size_t size), (size), WH_ALLOC_NEW_ARRAY, 0)                                         \
    X(_ZnwmRKSt9nothrow_t, (size_t size, const void *tag), (size, tag), WH_ALLOC_NEW, 0)           \
    X(_ZnamRKSt9nothrow_t, (size_t size, const void *tag), (size, tag), WH_ALLOC_NEW_ARRAY, 0)     \
    X(_ZnwmSt11align_val_t, (size_t size, size_t align), (size, align), WH_ALLOC_NEW, 1)           \
    X(_ZnamSt11align_val_t, (size_t size, size_t align), (size, align), WH_ALLOC_NEW_ARRAY, 1)     \
    X(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t align, const void *tag),            \
      (size, align, tag), WH_ALLOC_NEW, 1)                                                         \
    X(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t align, const void *tag),            \
      (size, align, tag), WH_ALLOC_NEW_ARRAY, 1)

#define WH_DELETE_HOOKS(X)                                                                         \
    X(_ZdlPv, (void *block), (block))                                                              \
    X(_ZdaPv, (void *block), (block))                                                              \
    X(_ZdlPvm, (void *block, size_t size), (block, size))                                          \
    X(_ZdaPvm, (void *block, size_t size), (block, size))                                          \
    X(_ZdlPvRKSt9nothrow_t, (void *block, const void *tag), (block, tag))                          \
    X(_ZdaPvRKSt9nothrow_t, (void *block, const void *tag), (block, tag))                          \
    X(_ZdlPvSt11align_val_t, (void *block, size_t align), (block, align))                          \
    X(_ZdaPvSt11align_val_t, (void *block, size_t align), (block, align))                          \
    X(_ZdlPvmSt11align_val_t, (void *block, size_t size, size_t align), (block, size, align))      \
    X(_ZdaPvmSt11align_val_t, (void *block, size_t size, size_t align), (block, size, align))      \
    X(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *block, size_t align, const void *tag),           \
      (block, align, tag))                                                                         \
    X(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *block, size_t align, const void *tag),           \
      (block, align, tag))

/* Other functions of libc that are wrapped, each for its own reason (mallinfo2 is only called).
 * X(name, result, parameters) */
#define WH_OTHER_HOOKS(X)                                                                          \
    X(mmap, void *, (void *, size_t, int, int, int, off_t))                                        \
    X(munmap, int, (void *, size_t))                                                               \
    X(mremap, void *, (void *, size_t, size_t, int, ...))                                          \
    X(fork, pid_t, (void))                                                                         \
    X(_Fork, pid_t, (void))                                                                        \
    X(exit, void, (int))                                                                           \
    X(_exit, void, (int))                                                                          \
    X(quick_exit, void, (int))                                                                     \
    X(mallinfo2, struct mallinfo2, (void))                                                         \
    X(execve, int, (const char *, char *const[], char *const[]))                                   \
    X(execvpe, int, (const char *, char *const[], char *const[]))                                  \
    X(fexecve, int, (int, char *const[], char *const[]))                                           \
    X(execveat, int, (int, const char *, char *const[], char *const[], int))                       \
    X(posix_spawn, int,                                                                            \
      (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,       \
       char *const[], char *const[]))                                                              \
    X(posix_spawnp, int,                                                                           \
      (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,       \
       char *const[], char *const[]))                                                              \
    X(dlopen, void *, (const char *, int))                                                         \
    X(dlmopen, void *, (Lmid_t, const char *, int))                                                \
    X(pthread_setname_np, int, (pthread_t, const char *))                                          \
    X(prctl, int, (int, ...))                                                                      \
    X(dl_iterate_phdr, int, (int (*)(struct dl_phdr_info *, size_t, void *), void *))              \
    X(sigaction, int, (int, const struct sigaction *, struct sigaction *))                         \
    X(signal, sighandler_t, (int, sighandler_t))                                                   \
    X(bsd_signal, sighandler_t, (int, sighandler_t))                                               \
    X(ssignal, sighandler_t, (int, sighandler_t))                                                  \
    X(sysv_signal, sighandler_t, (int, sighandler_t))                                              \
    X(__sysv_signal, sighandler_t, (int, sighandler_t))                                            \
    X(sigset, sighandler_t, (int, sighandler_t))                                                   \
    X(__libc_start_main, int,                                                                      \
      (int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),               \
       void (*)(void), void *))

#endif
