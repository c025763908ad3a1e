/* C++ operators new and delete, all forms, generated from the table. A program that links its own
 * allocator may define them past malloc, and a block's kind tells a reader what made it.
 *
 * The library's operators are built on malloc: the plain forms then go straight to the real malloc
 * and free, which is all that libstdc++ does, and to the library only when memory is out, for its
 * handlers and exceptions. Every other form, and every other implementation, is forwarded under the
 * guard so that a malloc beneath is not counted again. An exception passes through our frame
 * without a landing pad: the guard it leaves behind is recognised as stale (state.h). */
#include "real.h"
#include "state.h"

/* The pointer in the table, looked up again when the search order did not have it. */
#define REAL(name)                                                                                 \
    (WH_LIKELY(wh_real.name != NULL) ? wh_real.name                                                \
                                     : (*(void **)&wh_real.name = find(#name), wh_real.name))

static __attribute__((noinline)) void *find(const char *name) {
    wh_start();
    uintptr_t outer = wh_tls.guard;
    wh_tls.guard = WH_FRAME | WH_GUARD_OWN;
    void *address = wh_real_operator(name);
    if (address && !wh_process.operators.bytes)
        wh_operators_are_at((uintptr_t)address);
    wh_tls.guard = outer;
    return address;
}

/* Is the real operator the runtime library's, made of malloc? */
WH_INLINE int on_malloc(int aligned) {
    return !aligned && wh_process.operators_on_malloc;
}

/* As in interpose.c: most of a sampled recording is passed on by a function without a frame. */
#define NEW(name, parameters, arguments, new_kind, aligned)                                        \
    WH_EXPORT void *name parameters;                                                               \
    static __attribute__((noinline)) void *name##_event parameters {                               \
        void *block = NULL;                                                                        \
        if (wh_sample_skips(size) && on_malloc(aligned) &&                                         \
            (block = wh_real.malloc(size ? size : 1)))                                             \
            return block;                                                                          \
        struct wh_scope scope = wh_enter(WH_FRAME, WH_CALLER);                                     \
        if (on_malloc(aligned))                                                                    \
            block = wh_real.malloc(size ? size : 1);                                               \
        if (WH_UNLIKELY(!block)) {                                                                 \
            if (scope.thread)                                                                      \
                wh_level(WH_FRAME, WH_GUARD_OPERATOR);                                             \
            block = REAL(name) ? wh_real.name arguments : wh_real.malloc(size);                    \
        }                                                                                          \
        if (WH_LIKELY(scope.thread != NULL)) {                                                     \
            if (WH_LIKELY(block != NULL)) {                                                        \
                wh_level(WH_FRAME, WH_GUARD_ENCODE);                                               \
                wh_record_alloc(scope.thread, new_kind, block, size, WH_FRAME);                    \
            }                                                                                      \
            wh_leave(scope);                                                                       \
        }                                                                                          \
        return block;                                                                              \
    }                                                                                              \
    static __attribute__((noinline)) void *name##_passed parameters {                              \
        void *block = wh_real.malloc(size ? size : 1);                                             \
        return WH_LIKELY(block != NULL) ? block : name##_event arguments;                          \
    }                                                                                              \
    WH_EXPORT void *name parameters {                                                              \
        if (on_malloc(aligned) && wh_sample_is_far(size))                                          \
            return name##_passed arguments;                                                        \
        return name##_event arguments;                                                             \
    }

#define DELETE(name, parameters, arguments)                                                        \
    WH_EXPORT void name parameters;                                                                \
    static __attribute__((noinline)) void name##_event parameters {                                \
        if (!block || wh_early_owns(block))                                                        \
            return;                                                                                \
        int skips = wh_sample_skips_free(block);                                                   \
        struct wh_scope scope = wh_enter(WH_FRAME, WH_CALLER);                                     \
        if (WH_LIKELY(scope.thread != NULL)) {                                                     \
            wh_level(WH_FRAME, WH_GUARD_ENCODE);                                                   \
            if (!skips)                                                                            \
                wh_record_free(scope.thread, block, WH_FRAME);                                     \
            wh_level(WH_FRAME, WH_GUARD_OPERATOR);                                                 \
        }                                                                                          \
        if (on_malloc(0))                                                                          \
            wh_real.free(block);                                                                   \
        else if (REAL(name))                                                                       \
            wh_real.name arguments;                                                                \
        else                                                                                       \
            wh_real.free(block);                                                                   \
        if (WH_LIKELY(scope.thread != NULL))                                                       \
            wh_leave(scope);                                                                       \
    }                                                                                              \
    WH_EXPORT void name parameters {                                                               \
        if (wh_sample_is_not(block) && on_malloc(0))                                               \
            wh_real.free(block);                                                                   \
        else                                                                                       \
            name##_event arguments;                                                                \
    }

WH_NEW_HOOKS(NEW)
WH_DELETE_HOOKS(DELETE)
