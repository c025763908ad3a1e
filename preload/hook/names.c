/* A thread that names itself says so at once; one that is named by another says it at its next
 * block or at its end (thread.c). */
#include "real.h"
#include "state.h"

WH_EXPORT int pthread_setname_np(pthread_t thread, const char *name) {
    wh_start();
    if (!wh_real.pthread_setname_np)
        return 38; /* ENOSYS */
    int result = wh_real.pthread_setname_np(thread, name);
    if (result || !pthread_equal(thread, pthread_self()))
        return result;
    struct wh_scope scope = wh_enter(WH_FRAME, WH_CALLER);
    if (scope.thread) {
        wh_level(WH_FRAME, WH_GUARD_ENCODE);
        wh_thread_rename(scope.thread);
        wh_leave(scope);
    }
    return result;
}
