/* whoholds.h in a recorded program: what the wrappers there call when this library is preloaded. */
#include "state.h"

WH_EXPORT void whoholds_acquire_(const void *block, size_t size, const char *pool);
WH_EXPORT void whoholds_release_(const void *block);
WH_EXPORT void whoholds_snapshot_(const char *label);
WH_EXPORT void whoholds_pause_(void);
WH_EXPORT void whoholds_resume_(void);

/* Writes *e, with the caller's stack if it wants one. */
static void say(struct wh_event *e, int with_stack, uintptr_t frame, uintptr_t caller) {
    struct wh_scope scope = wh_enter(frame, caller);
    if (!scope.thread)
        return;
    wh_level(frame, WH_GUARD_ENCODE);
    if (with_stack)
        e->stack = wh_unwind(scope.thread, frame);
    if (!wh_record_event(scope.thread, e))
        wh_record_lost(scope.thread);
    wh_leave(scope);
}

WH_EXPORT void whoholds_acquire_(const void *block, size_t size, const char *pool) {
    size_t length = pool ? wh_length(pool) : 0;
    struct wh_event e = {.kind = WH_EV_POOL,
                         .address = (uintptr_t)block,
                         .size = size,
                         .text = pool,
                         .text_bytes = length < 255 ? (uint32_t)length : 255};
    say(&e, 1, WH_FRAME, WH_CALLER);
}

WH_EXPORT void whoholds_release_(const void *block) {
    struct wh_event e = {.kind = WH_EV_POOL, .detail = 1, .address = (uintptr_t)block};
    say(&e, 0, WH_FRAME, WH_CALLER);
}

WH_EXPORT void whoholds_snapshot_(const char *label) {
    wh_start();
    if (!wh_is_vforked())
        wh_request_snapshot(WH_SNAP_API, label ? label : "");
}

WH_EXPORT void whoholds_pause_(void) {
    struct wh_event e = {.kind = WH_EV_PAUSE, .detail = 1};
    if (atomic_fetch_add(&wh_process.paused, 1) != 0)
        return;
    say(&e, 0, WH_FRAME, WH_CALLER);
    atomic_fetch_or(wh_process.run, WH_RUN_PAUSED);
}

WH_EXPORT void whoholds_resume_(void) {
    struct wh_event e = {.kind = WH_EV_PAUSE, .detail = 0};
    uint32_t depth = atomic_load(&wh_process.paused);
    while (depth && !atomic_compare_exchange_weak(&wh_process.paused, &depth, depth - 1))
        continue;
    if (depth != 1)
        return;
    atomic_fetch_and(wh_process.run, ~(uint32_t)WH_RUN_PAUSED);
    say(&e, 0, WH_FRAME, WH_CALLER);
}
