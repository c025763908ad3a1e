/* Starting, and what happens off the fast path of wh_enter.
 *
 *   nothing known --first hook or constructor--> resolving --> off (no session, stopped, set-uid)
 *                                                           \-> on  <--> modules changed / paused
 *   on --fork--> wiped (run word 0) --first hook in the child--> on, as a new process row
 *
 * The first hook comes long before our constructor (the loader and other libraries' constructors
 * allocate), so starting may use raw system calls and the loader's lock-free services, no more.
 * What needs more, libunwind and the bare preload's recorder, waits for the constructor. */
#include <dlfcn.h>
#include <link.h>
#include <linux/futex.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "real.h"
#include "state.h"

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));
extern struct r_debug _r_debug __attribute__((weak));
extern void *__libc_stack_end __attribute__((weak));

static _Atomic uint32_t run_before; /* what wh_process.run points to until there is a page */

struct wh_process wh_process = {.run = &run_before};

static int is_bare; /* we made the session ourselves: children are still to be told */
enum { START_NEW, START_BUSY, START_DONE };
static _Atomic uint32_t start_state;

/* The address of a system call followed by a trap: the recorder, having stopped a thread by ptrace,
 * runs system calls in the target with it. */
#if defined(__x86_64__)
__asm__(".pushsection .text\n.hidden wh_agent_syscall\n.globl wh_agent_syscall\n"
        ".type wh_agent_syscall, @function\nwh_agent_syscall:\n\tsyscall\n\tint3\n\tint3\n"
        ".size wh_agent_syscall, .-wh_agent_syscall\n.popsection");
#else
__asm__(".pushsection .text\n.hidden wh_agent_syscall\n.globl wh_agent_syscall\n"
        ".type wh_agent_syscall, @function\nwh_agent_syscall:\n\tsvc #0\n\tbrk #0\n"
        ".size wh_agent_syscall, .-wh_agent_syscall\n.popsection");
#endif
extern const char wh_agent_syscall[] __attribute__((visibility("hidden")));

void wh_disable(const char *why) {
    if (why && wh_process.slot && wh_tls.thread) {
        struct wh_event e = {.kind = WH_EV_NOTE,
                             .detail = WH_NOTE_DISABLED,
                             .text = why,
                             .text_bytes = (uint32_t)wh_length(why)};
        wh_record_event(wh_tls.thread, &e);
    }
    if (wh_process.slot)
        atomic_store(&wh_process.slot->disabled, 1);
    atomic_fetch_or(wh_process.run, WH_RUN_OFF);
}

/* A page whose words the kernel zeroes in a fork child. */
static int make_run_page(void) {
    long page =
        wh_sys6(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page < 0 && page > -4096)
        return 0;
    if (wh_sys3(SYS_madvise, page, 4096, 18 /* MADV_WIPEONFORK */)) {
        wh_sys2(SYS_munmap, page, 4096);
        return 0;
    }
    wh_process.run = (_Atomic uint32_t *)page;
    return 1;
}

static struct wh_process_slot *claim_slot(struct wh_session *s) {
    for (uint32_t i = 0; i < WH_PROCESS_MAX; i++) {
        struct wh_process_slot *slot = wh_session_slot(s, i);
        uint32_t expected = WH_SLOT_FREE;
        if (atomic_load_explicit(&slot->state, memory_order_relaxed) != WH_SLOT_FREE ||
            !atomic_compare_exchange_strong(&slot->state, &expected, WH_SLOT_CLAIMED))
            continue;
        char *from = (char *)&slot->uid, *to = (char *)(slot + 1);
        for (char *p = from; p < to; p++)
            *p = 0;
        uint32_t used = atomic_load(&s->processes_used);
        while (used < i + 1 && !atomic_compare_exchange_weak(&s->processes_used, &used, i + 1))
            continue;
        return slot;
    }
    return NULL;
}

static struct wh_process_slot unlisted; /* counts until there is a slot */

static void count_own(struct wh_process_slot *slot, uint64_t made, uint64_t bytes, uint64_t freed) {
    atomic_fetch_add_explicit(&slot->own_objects, made, memory_order_relaxed);
    atomic_fetch_add_explicit(&slot->own_bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&slot->own_frees, freed, memory_order_relaxed);
}

void wh_passed_slow(int made, size_t size, int freed, uintptr_t caller) {
    if ((wh_tls.guard & WH_GUARD_LEVELS) == WH_GUARD_OWN || wh_in(&wh_process.unwinder, caller))
        count_own(wh_process.slot ? wh_process.slot : &unlisted, made ? 1 : 0, made ? size : 0,
                  freed ? 1 : 0);
}

static void fill_slot(struct wh_session *s, struct wh_process_slot *slot) {
    count_own(slot, atomic_exchange(&unlisted.own_objects, 0),
              atomic_exchange(&unlisted.own_bytes, 0), atomic_exchange(&unlisted.own_frees, 0));
    wh_process.uid = atomic_fetch_add(&s->next_process_uid, 1);
    atomic_store(&slot->uid, wh_process.uid);
    atomic_store(&slot->pid, wh_process.pid);
    atomic_store(&slot->start_ticks, wh_session_clock(s->clock));
    slot->agent_syscall = (uint64_t)(uintptr_t)wh_agent_syscall;
    slot->library_start = wh_process.self.start;
    slot->library_end = wh_process.self.start + wh_process.self.bytes;
    wh_memory_describe(slot);
    wh_process.slot = slot;
    atomic_store_explicit(&slot->state, WH_SLOT_LIVE, memory_order_release);
}

static void say_image(struct wh_thread *t) {
    char exe[1024], line[4096];
    long n = wh_sys4(SYS_readlinkat, -100, "/proc/self/exe", exe, sizeof exe);
    long bytes = wh_read_file("/proc/self/cmdline", line, sizeof line);
    while (bytes > 0 && !line[bytes - 1])
        bytes--;
    struct wh_event e = {.kind = WH_EV_IMAGE,
                         .number = wh_process.pid,
                         .number2 = (uint64_t)wh_sys0(SYS_getppid),
                         .text = exe,
                         .text_bytes = n > 0 ? (uint32_t)n : 0,
                         .text2 = line,
                         .text2_bytes = bytes > 0 ? (uint32_t)bytes : 0};
    wh_record_event(t, &e);
}

static void say_note(struct wh_thread *t, uint8_t note, const char *text) {
    struct wh_event e = {
        .kind = WH_EV_NOTE, .detail = note, .text = text, .text_bytes = (uint32_t)wh_length(text)};
    wh_record_event(t, &e);
}

/* A program at a fixed address that only mentions malloc as a pointer has an entry of its own for
 * it, which jumps to ours; its symbol says that it defines nothing. */
static int is_definition(void *function) {
#ifdef __GLIBC__
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    return !dladdr1(function, &info, (void **)(uintptr_t)&symbol, RTLD_DL_SYMENT) || !symbol ||
           symbol->st_shndx != SHN_UNDEF;
#else
    return function != NULL;
#endif
}

/* The C++ runtime's, at the start, or once a plugin has brought one along. */
void wh_operators_are_at(uintptr_t operator_new) {
    const char *runtime = wh_module_path(operator_new);
    wh_process.operators = wh_module_of(operator_new);
    wh_process.operators_on_malloc =
        wh_contains(runtime, "/libstdc++.so") || wh_contains(runtime, "/libc++.so");
}

/* Who is who among the modules: calls from here mean something. */
static void place_modules(struct wh_thread *t) {
    struct wh_module_range libc = wh_module_of((uintptr_t)wh_real.fork);
    wh_process.libc = libc;
    wh_process.loader = wh_module_of((uintptr_t)&_r_debug);
    wh_append(wh_process.preload, wh_process.preload + sizeof wh_process.preload,
              wh_module_path((uintptr_t)__ehdr_start));
    if (wh_process.loader.start == libc.start) /* musl: one file, nothing to tell them apart by */
        wh_process.loader.bytes = 0;
    wh_process.allocator = wh_module_of((uintptr_t)wh_real.malloc);
    wh_operators_are_at((uintptr_t)wh_real._Znwm);
    say_note(t, WH_NOTE_ALLOCATOR, wh_module_path((uintptr_t)wh_real.malloc));
    if (wh_process.allocator.start == libc.start)
        wh_process.allocator.bytes = 0;
    void *first = dlsym(RTLD_DEFAULT, "malloc");
    if (first && !wh_in(&wh_process.self, (uintptr_t)first) && is_definition(first))
        say_note(t, WH_NOTE_UNHOOKED_MODULE, wh_module_path((uintptr_t)first));
}

static int may_record(struct wh_session *s) {
    uint32_t none = 0;
    atomic_compare_exchange_strong(&s->first_pid, &none, wh_process.pid);
    return !(s->flags & WH_SESSION_NO_CHILDREN) || atomic_load(&s->first_pid) == wh_process.pid;
}

/* Enters this process into the session: an image, or a fork child when parent_uid is set. */
static int enlist(struct wh_session *s, uint64_t token, uint32_t parent_uid, uint32_t nodes) {
    wh_process.pid = (uint32_t)wh_sys0(SYS_getpid);
    if (!may_record(s))
        return 0;
    struct wh_process_slot *slot = claim_slot(s);
    if (!slot) {
        atomic_fetch_add(&s->untraced_images, 1);
        return 0;
    }
    fill_slot(s, slot);
    /* Yama's restricted mode: to a process that preloaded us by itself the recorder is a stranger.
     */
    if (atomic_load(&s->recorder_pid))
        wh_sys2(SYS_prctl, PR_SET_PTRACER, atomic_load(&s->recorder_pid));
    wh_process.image++;
    struct wh_thread *t = wh_tls.thread;
    if (parent_uid)
        wh_thread_forked();
    if (!t && !(t = wh_thread_claim())) {
        atomic_store(&slot->disabled, 1);
        return 0;
    }
    wh_tls.thread = t;
    if (parent_uid) {
        struct wh_event e = {.kind = WH_EV_FORK,
                             .detail = 2,
                             .number = token,
                             .number2 = parent_uid,
                             .number3 = wh_process.pid,
                             .node = nodes};
        wh_record_event(t, &e);
    } else {
        say_image(t);
        wh_modules_scan(t);
        place_modules(t);
    }
    wh_thread_rename(t);
    return 1;
}

static void use_session(const char *path) {
    struct wh_session *s;
    if (wh_session_map(path, &s))
        return;
    wh_append(wh_process.session_path, wh_process.session_path + sizeof wh_process.session_path,
              path);
    wh_process.session = s;
    wh_process.clock = s->clock;
    wh_process.tick_shift = s->tick_shift;
    wh_process.depth_max = s->depth_max < 2                ? 2
                           : s->depth_max > WH_DEPTH_LIMIT ? WH_DEPTH_LIMIT
                                                           : s->depth_max;
    wh_process.free_stacks = s->flags & WH_SESSION_FREE_STACKS;
    wh_process.verify = s->flags & WH_SESSION_VERIFY_UNWIND;
    if (s->sample_bytes &&
        !wh_sample_init(s->sample_bytes, wh_environment(wh_environment_now(), WH_ENV_SEED))) {
        atomic_fetch_or(wh_process.run, WH_RUN_OFF);
        return;
    }
    atomic_store(&wh_process.next_serial, 1);
    atomic_store(&wh_process.generation, 1);
    if (wh_sys5(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) > 0 ||
        wh_sys5(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) > 0)
        atomic_store(&wh_process.may_be_filtered, 1); /* of whoever started this image */
    if (&__libc_stack_end)
        wh_process.main_stack_end = (uintptr_t)__libc_stack_end;
    if (wh_intern_init() && wh_rules_init() && make_run_page() && enlist(s, 0, 0, 0))
        atomic_store(wh_process.run, WH_RUN_ON);
    else
        atomic_fetch_or(wh_process.run, WH_RUN_OFF);
}

/* Caller holds the guard, so everything below is forwarded when it comes back through a hook. */
static void start(void) {
    uint32_t expected = START_NEW;
    if (!atomic_compare_exchange_strong(&start_state, &expected, START_BUSY))
        return;
    wh_process.self = (struct wh_module_range){(uintptr_t)__ehdr_start,
                                               (uintptr_t)_end - (uintptr_t)__ehdr_start};
    wh_real_resolve();
    wh_thread_key();
    char **environment = wh_environment_now();
    const char *path = wh_environment(environment, WH_ENV_SESSION);
    atomic_store(wh_process.run, 0);
    int secure = getauxval(AT_SECURE) != 0;
    const char *bare = NULL;
    if (!path && !secure && wh_environment(environment, WH_ENV_OUTPUT))
        path = bare = wh_bare_start(environment);
    if (path && !secure)
        use_session(path);
    is_bare = bare != NULL;
    if (atomic_load(wh_process.run) == WH_RUN_ON &&
        wh_process.session->flags & WH_SESSION_SNAPSHOT_EXIT)
        wh_last_signals_arm();
    if (atomic_load(wh_process.run) != WH_RUN_ON)
        atomic_fetch_or(wh_process.run, WH_RUN_OFF);
    atomic_store(&start_state, START_DONE);
}

void wh_start(void) {
    struct wh_tls *tls = &wh_tls;
    if (atomic_load(&start_state) != START_NEW || tls->guard)
        return;
    tls->guard = WH_FRAME | WH_GUARD_OWN;
    start();
    tls->guard = 0;
}

/* The run word was wiped: this is a fork child at its first hook. */
static void start_child(void) {
    uint32_t parent = wh_process.uid, nodes = wh_intern_count();
    uint64_t token = wh_tls.thread ? wh_tls.thread->fork_token : 0;
    wh_modules_forked();
    wh_mappings_forked();
    wh_intern_forked();
    wh_rules_forked();
    wh_process_forked();
    int on =
        !atomic_load(&wh_process.session->stop) && enlist(wh_process.session, token, parent, nodes);
    wh_sample_forked();
    uint32_t paused = atomic_load(&wh_process.paused) ? WH_RUN_PAUSED : 0;
    atomic_store(wh_process.run, on ? WH_RUN_ON | paused : WH_RUN_OFF);
}

/* A fork out of a signal handler that interrupted the encoder: the child comes back into the middle
 * of a record of its parent's block. It is let run out into nowhere, and the child goes untraced.
 */
static void abandon_child(void) {
    static struct wh_block nowhere;
    for (struct wh_thread *t = wh_tls.thread; t; t = t->outer)
        t->block = &nowhere;
    atomic_fetch_add(&wh_process.session->untraced_images, 1);
    atomic_store(wh_process.run, WH_RUN_OFF);
}

void wh_start_forked(void) {
    struct wh_tls *tls = &wh_tls;
    if (atomic_load(wh_process.run) || !wh_process.session)
        return;
    uintptr_t outer = tls->guard;
    if (tls->thread && ((outer & WH_GUARD_LEVELS) == WH_GUARD_ENCODE || tls->thread->outer)) {
        abandon_child();
        return;
    }
    tls->guard = WH_FRAME | WH_GUARD_ENCODE;
    start_child();
    tls->guard = outer;
}

/* The recorder holds the gate for a snapshot: wait outside, 50 ms at most. */
static void wait_at_gate(void) {
    struct wh_process_slot *slot = wh_process.slot;
    const struct timespec pause = {0, 1000000};
    for (int i = 0; i < 50 && atomic_load(&slot->gate); i++)
        wh_sys4(SYS_futex, &slot->gate, FUTEX_WAIT, 1, &pause);
}

/* Did whoever holds the guard leave without releasing it (exception, longjmp)? */
static int holder_is_gone(uintptr_t holder, uintptr_t frame) {
    const struct wh_thread *t = wh_tls.thread;
    return t && frame > holder && holder >= t->own_stack.low && frame < t->own_stack.high &&
           holder < t->own_stack.high;
}

/* After that: what was being written is dropped. The block ends with its last whole record, as the
 * writer's bases may be those of the one that was not finished. */
static void recover(struct wh_tls *tls) {
    for (struct wh_thread *t = tls->thread; t; t = t->outer) {
        tls->thread = t;
        wh_block_seal(t);
        t->generation = 0; /* nothing it remembers is sure to be whole */
    }
}

/* Is a hook that is called inside another hook the allocator's own doing, or ours? */
static int is_inner(uintptr_t level, uintptr_t caller) {
    return level == WH_GUARD_OWN || wh_in(&wh_process.self, caller) ||
           wh_in(&wh_process.allocator, caller) || wh_in(&wh_process.unwinder, caller) ||
           (level == WH_GUARD_OPERATOR && wh_in(&wh_process.operators, caller));
}

struct wh_scope wh_enter_slow(uintptr_t frame, uintptr_t caller) {
    struct wh_tls *tls = &wh_tls;
    struct wh_scope none = {NULL, 0};
    uint32_t word = atomic_load_explicit(wh_process.run, memory_order_relaxed);
    if (WH_LIKELY(word & WH_RUN_OFF))
        return none;
    if (atomic_load(&start_state) != START_DONE) {
        wh_start();
        if (atomic_load(&start_state) != START_DONE)
            return none;
    }
    uintptr_t outer = tls->guard, level = outer & WH_GUARD_LEVELS;
    if (outer && holder_is_gone(outer & ~(uintptr_t)WH_GUARD_LEVELS, frame)) {
        if (level == WH_GUARD_ENCODE)
            recover(tls);
        outer = level = 0;
    }
    if (level && is_inner(level, caller))
        return none;
    if (level == WH_GUARD_ENCODE) {
        struct wh_thread *nested = tls->thread ? wh_thread_nested(tls->thread) : NULL;
        if (!nested) {
            wh_record_lost(NULL);
            return none;
        }
        tls->thread = nested;
    }
    tls->guard = frame | WH_GUARD_ENCODE;
    word = atomic_load_explicit(wh_process.run, memory_order_relaxed);
    if (!word) {
        start_child();
        word = atomic_load(wh_process.run);
    }
    int in_loader = wh_in(&wh_process.loader, caller);
    struct wh_thread *t = tls->thread;
    if (!(word & (WH_RUN_OFF | WH_RUN_PAUSED)) && !t)
        t = wh_thread_start();
    if (in_loader) {
        wh_modules_check(t);
        atomic_fetch_or(wh_process.run, WH_RUN_MODULES);
    } else if ((word & WH_RUN_MODULES) && t && !(word & WH_RUN_OFF)) {
        atomic_fetch_and(wh_process.run, ~(uint32_t)WH_RUN_MODULES);
        wh_modules_scan(t);
    }
    if ((word & (WH_RUN_OFF | WH_RUN_PAUSED)) || !t) {
        if (!t && !(word & (WH_RUN_OFF | WH_RUN_PAUSED)))
            wh_record_lost(NULL);
        if (level == WH_GUARD_ENCODE)
            tls->thread = tls->thread->outer;
        tls->guard = outer;
        return none;
    }
    if (atomic_load(&wh_process.slot->gate))
        wait_at_gate();
    tls->guard = frame | WH_GUARD_REAL;
    return (struct wh_scope){t, outer};
}

__attribute__((constructor)) static void construct(void) {
    wh_start();
    if (!(atomic_load(wh_process.run) & WH_RUN_OFF)) {
        uintptr_t outer = wh_tls.guard;
        wh_tls.guard = WH_FRAME | WH_GUARD_OWN;
        wh_deep_init();
        if (is_bare)
            wh_bare_announce(wh_process.session_path);
        wh_tls.guard = outer;
    }
}
