/* A last snapshot when a signal ends the program whose default action nobody changed.
 *
 * Where the disposition is SIG_DFL the kernel is given our handler instead. It asks for a snapshot,
 * restores SIG_DFL and sends the same siginfo again, to be taken the moment it returns: the program
 * dies as it would have died, its registers those of the interrupted code. A handler that always
 * ends the process can interrupt no call, and exec resets it by itself.
 *
 * What is hard is not being there: the kernel's table is the only memory of who handles what, so
 * that vfork children, libc's own calls and handlers that change handlers stay right; the functions
 * below show SIG_DFL where our handler is. A program that asks the kernel by a raw system call sees
 * the handler, as does /proc/PID/status. */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "real.h"
#include "state.h"

static const int ends[] = {SIGINT, SIGTERM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

static int is_armed;                   /* the session wants a last snapshot */
static struct sigaction instead[NSIG]; /* what the kernel had where our handler is now */
static _Atomic int first;              /* the signal that ends the process */
static siginfo_t first_info;

struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

/* The default action, for the signal that came first: the next thing this thread does is die. */
static void die(int number, siginfo_t *info, ucontext_t *context) {
    struct kernel_action by_default = {0};
    long pid = wh_sys0(SYS_getpid), tid = wh_sys0(SYS_gettid);
    wh_sys4(SYS_rt_sigaction, number, &by_default, NULL, 8);
    /* Whatever the interrupted code blocks, and whatever else waits: only this one is taken. */
    sigfillset(&context->uc_sigmask);
    sigdelset(&context->uc_sigmask, number);
    if (wh_sys4(SYS_rt_tgsigqueueinfo, pid, tid, number, info) &&
        wh_sys3(SYS_tgkill, pid, tid, number))
        wh_sys1(SYS_exit_group, 128 + number);
}

static void on_last_signal(int number, siginfo_t *info, void *context) {
    int none = 0;
    if (wh_is_vforked()) {
        die(number, info, context);
        return;
    }
    if (atomic_compare_exchange_strong(&first, &none, number)) {
        first_info = *info;
        wh_request_last_snapshot(number, ((ucontext_t *)context)->uc_mcontext.gregs);
        die(number, info, context);
    } else { /* the second one waits no longer, but the first one counts */
        siginfo_t copy = first_info;
        die(none, &copy, context);
    }
}

static int is_ours(const struct sigaction *action) {
    return action->sa_sigaction == on_last_signal;
}

/* Puts our handler where the default is. errno is kept. */
static void arm(int number) {
    struct sigaction now;
    int watched = 0, before = errno;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        watched |= ends[i] == number;
    if (!is_armed || !watched || wh_is_vforked() || wh_real.sigaction(number, NULL, &now) ||
        now.sa_handler != SIG_DFL)
        return;
    struct sigaction ours = {.sa_sigaction = on_last_signal,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigfillset(&ours.sa_mask);
    instead[number] = now;
    wh_real.sigaction(number, &ours, NULL);
    errno = before;
}

void wh_last_signals_arm(void) {
    is_armed = wh_real.sigaction && wh_process.pid != 1; /* init: the kernel protects it */
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        arm(ends[i]);
}

void wh_last_signals_forked(void) {
    atomic_store(&first, 0);
}

/* ---- the program's view
 * ---------------------------------------------------------------------------------- */

static int change(int number, const struct sigaction *action, struct sigaction *old) {
    wh_start();
    int is_default = action && action->sa_handler == SIG_DFL;
    int result = wh_real.sigaction(number, action, old);
    if (result == 0 && old && is_ours(old))
        *old = instead[number];
    if (result == 0 && is_default)
        arm(number);
    return result;
}

WH_EXPORT int sigaction(int number, const struct sigaction *restrict action,
                        struct sigaction *restrict old) {
    return change(number, action, old);
}

WH_EXPORT int __sigaction(int number, const struct sigaction *action, struct sigaction *old);
WH_EXPORT int __sigaction(int number, const struct sigaction *action, struct sigaction *old) {
    return change(number, action, old);
}

typedef void (*handler_fn)(int);

/* One of libc's simple forms of sigaction. */
static handler_fn set(handler_fn (*real)(int, handler_fn), int number, handler_fn handler) {
    handler_fn old = real(number, handler);
    if (old == (handler_fn)(void (*)(void))on_last_signal)
        old = SIG_DFL;
    if (handler == SIG_DFL && old != SIG_ERR)
        arm(number);
    return old;
}

#define SIMPLE_FORM(name)                                                                          \
    WH_EXPORT handler_fn name(int number, handler_fn handler);                                     \
    WH_EXPORT handler_fn name(int number, handler_fn handler) {                                    \
        wh_start();                                                                                \
        return set(wh_real.name, number, handler);                                                 \
    }
SIMPLE_FORM(signal)
SIMPLE_FORM(bsd_signal)
SIMPLE_FORM(ssignal)
SIMPLE_FORM(sysv_signal)
SIMPLE_FORM(__sysv_signal)
SIMPLE_FORM(sigset)
