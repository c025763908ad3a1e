/* dl_iterate_phdr takes the loader's lock. When libunwind calls it from inside a hook it gets our
 * own list instead, so that a thread that allocates can never wait for one that is in dlopen;
 * everybody else gets the real one. */
#include "real.h"
#include "state.h"

WH_EXPORT int dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data) {
    if (wh_in(&wh_process.self, (uintptr_t)callback) || !wh_real.dl_iterate_phdr ||
        (wh_tls.guard & WH_GUARD_LEVELS) == WH_GUARD_ENCODE)
        return wh_modules_iterate(callback, data);
    return wh_real.dl_iterate_phdr(callback, data);
}
