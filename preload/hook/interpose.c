/* The C allocation functions. Each has the same shape: enter (guard), the real call, the event,
 * leave; a free's event comes before the real call, because from then on another thread may get the
 * address (event.h, order). Blocks of early.c are recognised for ever and never reach the real
 * functions. Compiled with a frame pointer: the walk starts from the hook's own frame. */
#include <errno.h>

#include "real.h"
#include "state.h"

/* An allocation function of any signature: `call` gives `block`. */
#define ALLOCATE(kind, size, call)                                                                 \
    if (wh_sample_skips(size))                                                                     \
        return call;                                                                               \
    struct wh_thread *plain = wh_enter_plain(WH_FRAME, WH_CALLER);                                 \
    if (WH_LIKELY(plain != NULL)) {                                                                \
        void *made = call;                                                                         \
        if (WH_LIKELY(made != NULL)) {                                                             \
            wh_level(WH_FRAME, WH_GUARD_ENCODE);                                                   \
            wh_record_alloc(plain, kind, made, size, WH_FRAME);                                    \
        }                                                                                          \
        wh_leave_plain();                                                                          \
        return made;                                                                               \
    }                                                                                              \
    struct wh_scope scope = wh_enter_slow(WH_FRAME, WH_CALLER);                                    \
    void *block = call;                                                                            \
    if (scope.thread) {                                                                            \
        if (block) {                                                                               \
            wh_level(WH_FRAME, WH_GUARD_ENCODE);                                                   \
            wh_record_alloc(scope.thread, kind, block, size, WH_FRAME);                            \
        }                                                                                          \
        wh_leave(scope);                                                                           \
    } else                                                                                         \
        wh_passed(block != NULL, size, 0, WH_CALLER);                                              \
    return block

/* What most programs call most. In a sampled recording nearly all of it is passed on, by a function
 * without a frame; for the rest its caller's frame is the next function's: the call at its end is a
 * jump. */
static __attribute__((noinline)) void *malloc_event(size_t size) {
    ALLOCATE(WH_ALLOC_MALLOC, size, wh_real.malloc(size));
}

WH_EXPORT void *malloc(size_t size) {
    return wh_sample_is_far(size) ? wh_real.malloc(size) : malloc_event(size);
}

static __attribute__((noinline)) void *calloc_event(size_t count, size_t size) {
    ALLOCATE(WH_ALLOC_CALLOC, count * size, wh_real.calloc(count, size));
}

WH_EXPORT void *calloc(size_t count, size_t size) {
    return wh_sample_is_far(count * size) ? wh_real.calloc(count, size) : calloc_event(count, size);
}

WH_EXPORT void *memalign(size_t alignment, size_t size) {
    ALLOCATE(WH_ALLOC_MEMALIGN, size, wh_real.memalign(alignment, size));
}

WH_EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    ALLOCATE(WH_ALLOC_MEMALIGN, size, wh_real.aligned_alloc(alignment, size));
}

WH_EXPORT void *valloc(size_t size) {
    ALLOCATE(WH_ALLOC_MEMALIGN, size, wh_real.valloc(size));
}

WH_EXPORT void *pvalloc(size_t size) {
    ALLOCATE(WH_ALLOC_MEMALIGN, size, wh_real.pvalloc(size));
}

WH_EXPORT int posix_memalign(void **ret, size_t alignment, size_t size) {
    if (wh_sample_skips(size))
        return wh_real.posix_memalign(ret, alignment, size);
    struct wh_scope scope = wh_enter(WH_FRAME, WH_CALLER);
    int error = wh_real.posix_memalign(ret, alignment, size);
    if (scope.thread) {
        if (!error && *ret) {
            wh_level(WH_FRAME, WH_GUARD_ENCODE);
            wh_record_alloc(scope.thread, WH_ALLOC_MEMALIGN, *ret, size, WH_FRAME);
        }
        wh_leave(scope);
    } else
        wh_passed(!error && *ret, size, 0, WH_CALLER);
    return error;
}

/* Writes the free of a block that the real function is about to take. */
WH_INLINE void begin_free(struct wh_thread *t, void *block, uintptr_t frame) {
    wh_level(frame, WH_GUARD_ENCODE);
    wh_record_free(t, block, frame);
    wh_level(frame, WH_GUARD_REAL);
}

#define FREE(block, call)                                                                          \
    if (!block || wh_early_owns(block))                                                            \
        return;                                                                                    \
    if (wh_sample_skips_free(block)) {                                                             \
        call;                                                                                      \
        return;                                                                                    \
    }                                                                                              \
    struct wh_thread *plain = wh_enter_plain(WH_FRAME, WH_CALLER);                                 \
    if (WH_LIKELY(plain != NULL)) {                                                                \
        begin_free(plain, block, WH_FRAME);                                                        \
        call;                                                                                      \
        wh_leave_plain();                                                                          \
        return;                                                                                    \
    }                                                                                              \
    struct wh_scope scope = wh_enter_slow(WH_FRAME, WH_CALLER);                                    \
    if (scope.thread)                                                                              \
        begin_free(scope.thread, block, WH_FRAME);                                                 \
    call;                                                                                          \
    if (scope.thread)                                                                              \
        wh_leave(scope);                                                                           \
    else                                                                                           \
        wh_passed(0, 0, 1, WH_CALLER)

static __attribute__((noinline)) void free_event(void *block) {
    FREE(block, wh_real.free(block));
}

WH_EXPORT void free(void *block) {
    if (wh_sample_is_not(block))
        wh_real.free(block);
    else
        free_event(block);
}

WH_EXPORT void cfree(void *block) {
    FREE(block, wh_real.cfree(block));
}

WH_EXPORT void free_sized(void *block, size_t size) {
    FREE(block, wh_real.free_sized(block, size));
}

WH_EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size) {
    FREE(block, wh_real.free_aligned_sized(block, alignment, size));
}

WH_EXPORT size_t malloc_usable_size(void *block) {
    if (wh_early_owns(block))
        return wh_early_size(block);
    return wh_real.malloc_usable_size(block);
}

/* An early block moves to the real allocator when it is resized. */
static void *move_early(void *block, size_t size) {
    size_t bytes = wh_early_size(block);
    char *fresh = wh_real.malloc(size);
    for (size_t i = 0; fresh && i < bytes && i < size; i++)
        fresh[i] = ((const char *)block)[i];
    return fresh;
}

/* The one event of a realloc whose old block is known. size == 0 may mean free. */
static void end_realloc(struct wh_scope scope, struct wh_realloc begun, uintptr_t old_block,
                        const void *block, size_t size) {
    if (block)
        wh_record_realloc_end(scope.thread, begun, WH_ALLOC_REALLOC, old_block, block, size);
    else if (size == 0)
        wh_record_realloc_freed(scope.thread, begun, old_block);
    else
        wh_record_realloc_failed(scope.thread);
}

/* Sampled mode: either end of a realloc may be a sample. The old block leaves the set before the
 * call gives its address away. */
static void *realloc_sampled(void *old, size_t size, uintptr_t frame, uintptr_t caller) {
    int due = !wh_sample_skips(size) && wh_tls.sample_due, was = wh_sample_remove(old);
    wh_tls.sample_due = 0;
    struct wh_scope scope = {NULL, 0};
    if (due || was)
        scope = wh_enter(frame, caller);
    if (!scope.thread)
        return wh_real.realloc(old, size);
    wh_level(frame, WH_GUARD_ENCODE);
    uintptr_t old_block = (uintptr_t)old;
    struct wh_realloc begun = wh_record_realloc_begin(scope.thread, frame);
    void *fresh = wh_real.realloc(old, size);
    int added = fresh && due && wh_sample_add(fresh);
    if (!fresh && size) {
        if (was)
            (void)wh_sample_add((void *)old_block);
        wh_record_realloc_failed(scope.thread);
    } else if (added)
        wh_record_realloc_end(scope.thread, begun, WH_ALLOC_REALLOC, was ? old_block : 0, fresh,
                              size);
    else if (was)
        wh_record_realloc_freed(scope.thread, begun, old_block);
    else
        wh_record_realloc_failed(scope.thread);
    wh_leave(scope);
    return fresh;
}

#define REALLOCATE(old, bytes, call)                                                               \
    if (wh_early_owns(old)) {                                                                      \
        size_t early_bytes = bytes;                                                                \
        ALLOCATE(WH_ALLOC_REALLOC, early_bytes, move_early(old, early_bytes));                     \
    }                                                                                              \
    if (!old) {                                                                                    \
        ALLOCATE(WH_ALLOC_REALLOC, bytes, call);                                                   \
    }                                                                                              \
    if (WH_UNLIKELY(wh_process.sample_bytes))                                                      \
        return realloc_sampled(old, bytes, WH_FRAME, WH_CALLER);                                   \
    struct wh_scope outer = wh_enter(WH_FRAME, WH_CALLER);                                         \
    if (!outer.thread) {                                                                           \
        void *passed = call;                                                                       \
        wh_passed(passed != NULL, bytes, passed || !bytes, WH_CALLER);                             \
        return passed;                                                                             \
    }                                                                                              \
    wh_level(WH_FRAME, WH_GUARD_ENCODE);                                                           \
    uintptr_t old_block = (uintptr_t)old;                                                          \
    struct wh_realloc begun = wh_record_realloc_begin(outer.thread, WH_FRAME);                     \
    void *fresh = call;                                                                            \
    end_realloc(outer, begun, old_block, fresh, bytes);                                            \
    wh_leave(outer);                                                                               \
    return fresh

static __attribute__((noinline)) void *realloc_event(void *old, size_t size) {
    REALLOCATE(old, size, wh_real.realloc(old, size));
}

WH_EXPORT void *realloc(void *old, size_t size) {
    return wh_sample_is_not(old) && wh_sample_is_far(size) ? wh_real.realloc(old, size)
                                                           : realloc_event(old, size);
}

WH_EXPORT void *reallocarray(void *old, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    REALLOCATE(old, bytes, wh_real.reallocarray(old, count, size));
}
