/* libunwind, the authority: walks what the fast walk cannot, and checks it in verify mode. It is
 * loaded privately (RTLD_LOCAL): a libunwind in the global scope takes over the program's C++
 * exceptions. It is loaded and warmed up while the program starts, never inside a hook, because
 * loading takes the loader's lock and libunwind's first use takes one of its own. Its cache is per
 * thread (a shared one is locked); when it asks for the modules it gets our lock-free list
 * (modules.c).
 *
 * It must not read memory its own way: it would test addresses through a pipe, two descriptors that
 * the program would see, could close, and could get back as files of its own into which the test
 * then writes. It reads through read_memory() below, and its pipe is closed. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "real.h"
#include "state.h"

#define NAME_(x)   #x
#define NAME(x)    NAME_(x)
#define SYMBOL(fn) NAME(fn)
#if defined(__x86_64__) /* one function for all address spaces, whatever UNW_LOCAL_ONLY says */
#define ACCESSORS "_Ux86_64_get_accessors"
#else
#define ACCESSORS "_Uaarch64_get_accessors"
#endif

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

/* A word of the target's memory. The stacks we know are read as they are; anything else the kernel
 * is asked for, so that a wrong address is an error and no fault. */
static int read_memory(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write,
                       void *arg) {
    (void)space;
    (void)arg;
    if (write)
        return -UNW_EINVAL;
    const struct wh_thread *t = wh_tls.thread;
    if (t &&
        ((address >= t->own_stack.low && address + sizeof *value <= t->own_stack.high) ||
         (address >= t->foreign_stack.low && address + sizeof *value <= t->foreign_stack.high))) {
        *value = *(const unw_word_t *)address;
        return 0;
    }
    struct iovec here = {value, sizeof *value}, there = {(void *)address, sizeof *value};
    long n = wh_sys6(SYS_process_vm_readv, wh_sys0(SYS_getpid), (long)&here, 1, (long)&there, 1, 0);
    return n == (long)sizeof *value ? 0 : -UNW_EINVAL;
}

/* The two descriptors that a pipe made now would get. */
static void next_descriptors(long ret_fds[2]) {
    for (int i = 0; i < 2; i++)
        ret_fds[i] = wh_sys4(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_CLOEXEC, 0);
    for (int i = 0; i < 2; i++)
        if (ret_fds[i] >= 0)
            wh_sys1(SYS_close, ret_fds[i]);
}

/* Closes them if they have become the two ends of one pipe. */
static void close_pipe(const long fds[2]) {
    struct stat ends[2];
    for (int i = 0; i < 2; i++)
        if (fds[i] < 0 || wh_sys2(SYS_fstat, fds[i], &ends[i]) || !S_ISFIFO(ends[i].st_mode))
            return;
    if (ends[0].st_ino == ends[1].st_ino && ends[0].st_dev == ends[1].st_dev)
        for (int i = 0; i < 2; i++)
            wh_sys1(SYS_close, fds[i]);
}

int wh_deep_ready(void) {
    return atomic_load_explicit(&deep.ready, memory_order_acquire);
}

void wh_deep_init(void) {
    long fds[2];
    if (!wh_real.dlopen) /* libc itself is the program: nothing comes after us */
        return;
    next_descriptors(fds);
    void *library = wh_real.dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
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
    unw_accessors_t *(*accessors)(unw_addr_space_t);
    *(void **)&accessors = dlsym(library, ACCESSORS);
    if (!deep.init || !deep.step || !deep.get || !deep.is_signal || !deep.flush || !deep.policy ||
        !deep.space || !accessors)
        return;
    wh_modules_scan(wh_tls.thread);
    wh_process.unwinder = wh_module_of((uintptr_t)deep.step);
    deep.policy(*deep.space, UNW_CACHE_PER_THREAD);
    uint64_t ips[4];
    int complete;
    accessors(*deep.space)->access_mem = read_memory;
    atomic_store_explicit(&deep.ready, 1, memory_order_release);
    wh_deep_walk(WH_FRAME, ips, 4, &complete);
    accessors(*deep.space)->access_mem = read_memory; /* the first use sets its own */
    close_pipe(fds);
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
