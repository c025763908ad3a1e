/* libunwind, the authority: walks what the fast walk cannot, and checks it in verify mode. It is
 * loaded privately (RTLD_LOCAL): a libunwind in the global scope takes over the program's C++
 * exceptions. It is loaded and warmed up while the program starts, never inside a hook, because
 * loading takes the loader's lock and libunwind's first use takes one of its own. Its cache is per
 * thread (a shared one is locked); when it asks for the modules it gets our lock-free list
 * (modules.c). */
#include <dlfcn.h>
#include <errno.h>
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "state.h"

#define NAME_(x)   #x
#define NAME(x)    NAME_(x)
#define SYMBOL(fn) NAME(fn)

static struct {
    int (*capture)(unw_context_t *);
    int (*init)(unw_cursor_t *, unw_context_t *);
    int (*step)(unw_cursor_t *);
    int (*get)(unw_cursor_t *, unw_regnum_t, unw_word_t *);
    int (*is_signal)(unw_cursor_t *);
    void (*flush)(unw_addr_space_t, unw_word_t, unw_word_t);
    int (*policy)(unw_addr_space_t, unw_caching_policy_t);
    unw_addr_space_t *space;
    uint32_t generation;
    _Atomic int ready;
} deep;

int wh_deep_ready(void) {
    return atomic_load_explicit(&deep.ready, memory_order_acquire);
}

void wh_deep_init(void) {
    void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
#if defined(__x86_64__)
    *(void **)&deep.capture = dlsym(library, SYMBOL(unw_tdep_getcontext));
    if (!deep.capture)
        return;
#endif
    *(void **)&deep.init = dlsym(library, SYMBOL(unw_init_local));
    *(void **)&deep.step = dlsym(library, SYMBOL(unw_step));
    *(void **)&deep.get = dlsym(library, SYMBOL(unw_get_reg));
    *(void **)&deep.is_signal = dlsym(library, SYMBOL(unw_is_signal_frame));
    *(void **)&deep.flush = dlsym(library, SYMBOL(unw_flush_cache));
    *(void **)&deep.policy = dlsym(library, SYMBOL(unw_set_caching_policy));
    *(void **)&deep.space = dlsym(library, SYMBOL(unw_local_addr_space));
    if (!deep.init || !deep.step || !deep.get || !deep.is_signal || !deep.flush || !deep.policy ||
        !deep.space)
        return;
    wh_modules_scan(wh_tls.thread);
    wh_process.unwinder = wh_module_of((uintptr_t)deep.step);
    deep.policy(*deep.space, UNW_CACHE_PER_THREAD);
    uint64_t ips[4];
    int complete;
    atomic_store_explicit(&deep.ready, 1, memory_order_release);
    wh_deep_walk(WH_FRAME, ips, 4, &complete);
}

uint32_t wh_deep_walk(uintptr_t frame, uint64_t *ret_ips, uint32_t max, int *ret_complete) {
    unw_context_t context;
    unw_cursor_t cursor;
    unw_word_t ip = 0, sp = 0;
    uint32_t n = 0;
    int saved = errno, more = 1;
    uint32_t generation = atomic_load(&wh_process.generation);
    if (generation != deep.generation) {
        deep.generation = generation;
        deep.flush(*deep.space, 0, 0);
    }
    *ret_complete = 0;
#if defined(__x86_64__)
    deep.capture(&context);
#else
    unw_getcontext(&context);
#endif
    if (deep.init(&cursor, &context) == 0)
        while (n < max && (more = deep.step(&cursor)) > 0) {
            if (deep.get(&cursor, UNW_REG_IP, &ip) != 0 ||
                deep.get(&cursor, UNW_REG_SP, &sp) != 0 || !ip)
                break;
            /* The caller of the hook is the first frame whose stack pointer lies above the hook's.
             */
            if (n || sp >= frame + 16)
                ret_ips[n++] = ip + (deep.is_signal(&cursor) > 0 ? 1 : 0);
        }
    *ret_complete = more == 0 || (more > 0 && !ip);
    errno = saved;
    return n;
}
