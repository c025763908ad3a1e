/* The process copies itself for a snapshot, where the recorder is not allowed to stop it.
 *
 * As the recorder would do it: a helper that shares our memory closes what it inherited of the
 * descriptors and makes the copy-on-write copy, then ends and is collected, so that the program has
 * no new child. A tracer's eyes are avoided with CLONE_UNTRACED. The copy allows the recorder to
 * read it, says who it is and waits to be killed. What is hard: between clone and exit the helper
 * runs on this thread's stack, so it must never return; all signals are blocked meanwhile. */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include "state.h"

static void say(long copy) {
    struct wh_process_slot *slot = wh_process.slot;
    uint32_t expected = WH_REQUEST_COPY;
    atomic_store(&slot->request_copy, (int32_t)copy);
    atomic_compare_exchange_strong(&slot->request, &expected, WH_REQUEST_COPIED);
}

/* Ends this process by `number`, which under the filter of a tracer that we are hidden from (strace
 * --seccomp-bpf) is refused: a fault ends it then. */
static _Noreturn void end(long number) {
    wh_sys1(number, 0);
    wh_sys1(SYS_exit_group, 0);
    wh_sys2(SYS_kill, wh_sys0(SYS_getpid), SIGKILL);
    __builtin_trap();
}

static _Noreturn __attribute__((noinline)) void be_copy(void) {
    const struct timespec pause = {0, 100000000};
    uint32_t recorder = atomic_load(&wh_process.session->recorder_pid);
    wh_sys5(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
    wh_sys5(SYS_prctl, PR_SET_PTRACER, recorder, 0, 0, 0);
    say(wh_sys0(SYS_getpid));
    while (wh_sys2(SYS_kill, recorder, 0) == 0)
        wh_sys2(SYS_nanosleep, &pause, NULL);
    end(SYS_exit_group);
}

static _Noreturn __attribute__((noinline)) void be_helper(void) {
    wh_sys3(SYS_close_range, 0, ~0u, 0);
    long copy = wh_sys5(SYS_clone, CLONE_UNTRACED, 0, 0, 0, 0);
    if (copy == 0)
        be_copy();
    if (copy < 0)
        say(copy);
    end(SYS_exit);
}

static __attribute__((noinline)) void make_copy(void) {
    uint64_t all = ~0ull, before = 0;
    wh_sys4(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, &before, 8);
    long helper = wh_sys5(SYS_clone, CLONE_VM | CLONE_VFORK | CLONE_UNTRACED, 0, 0, 0, 0);
    if (helper == 0)
        be_helper();
    if (helper > 0)
        wh_sys4(SYS_wait4, helper, NULL, __WALL, NULL);
    else
        say(helper);
    wh_sys4(SYS_rt_sigprocmask, 2, &before, NULL, 8);
}

void wh_copy_self(void) {
    struct wh_process_slot *slot = wh_process.slot;
    ucontext_t here;
    atomic_store(&slot->request_thread_pointer, (uintptr_t)__builtin_thread_pointer());
    /* The recorder reads them in the copy, where this frame stays. */
    if (!atomic_load(&slot->request_registers) && getcontext(&here) == 0)
        atomic_store(&slot->request_registers, (uintptr_t)here.uc_mcontext.gregs);
    make_copy();
}
