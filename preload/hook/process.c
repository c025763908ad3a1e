/* The ends and beginnings of a process: fork, exit in its forms, and main, which is wrapped to know
 * the value it returns. vfork is never wrapped (its child returns through our frame); a vfork child
 * borrows this process's memory, so what it does is written as this process's, except its end.
 *
 * The exit snapshot is taken where exit() begins: what atexit handlers and destructors free was
 * still held until then, and that is what a leak is. */
#include <errno.h>
#include <linux/futex.h>
#include <malloc.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "real.h"
#include "state.h"

static _Atomic uint32_t ending;     /* exit was said for image ... */
static _Atomic uint32_t requesting; /* one snapshot request at a time */

int wh_is_vforked(void) {
    return wh_process.pid != (uint32_t)wh_sys0(SYS_getpid);
}

void wh_process_forked(void) {
    atomic_store(&requesting, 0);
    wh_last_signals_forked();
}

static int is_traced(void) {
    return wh_process.slot && !(atomic_load(wh_process.run) & WH_RUN_OFF);
}

/* ---- snapshots
 * ------------------------------------------------------------------------------------ */

/* Sleeps until the recorder has answered. It may be writing the snapshot before this one for a
 * while, of millions of blocks on a busy machine: a missing answer would be a missing snapshot. But
 * a forked child's events come after all that its parent had written before the fork, and children
 * may be many. Returns 0 when there was no answer. */
enum { ANSWER_MAX = 1200, ANSWER_FORKED_MAX = 50, ANSWER_STILL_MAX = 300, ANSWER_STILL_ASK = 3 };
/* tenths of a second */

static int await_answer(void) {
    struct wh_session *s = wh_process.session;
    struct wh_process_slot *slot = wh_process.slot;
    const struct timespec pause = {0, 100000000};
    uint64_t beat = atomic_load(&s->recorder_beat);
    const int limit = wh_process.image > 1 ? ANSWER_FORKED_MAX : ANSWER_MAX;
    for (int waited = 0, still = 0; waited < limit && still < ANSWER_STILL_MAX; waited++) {
        uint32_t state = atomic_load(&slot->request);
        if (state == WH_REQUEST_COPY)
            wh_copy_self();
        else if (state == WH_REQUEST_ASKED || state == WH_REQUEST_COPIED)
            wh_sys4(SYS_futex, &slot->request, FUTEX_WAIT, state, &pause);
        else
            return 1;
        if (atomic_load(&s->stop))
            return 1;
        uint64_t now = atomic_load(&s->recorder_beat);
        still = now == beat ? still + 1 : 0;
        beat = now;
        if (still && still % ANSWER_STILL_ASK == 0 &&
            wh_sys2(SYS_kill, atomic_load(&s->recorder_pid), 0) == -ESRCH)
            return 1;
    }
    return 0;
}

static void say_unanswered(uintptr_t frame) {
    static const char text[] = "the recorder was too far behind to take it";
    struct wh_scope scope = wh_enter(frame, 0);
    if (!scope.thread)
        return;
    wh_level(frame, WH_GUARD_ENCODE);
    struct wh_event e = {.kind = WH_EV_NOTE,
                         .detail = WH_NOTE_SNAPSHOT,
                         .text = text,
                         .text_bytes = sizeof text - 1};
    wh_record_event(scope.thread, &e);
    wh_leave(scope);
}

/* Libraries loaded since the last look: the snapshot's roots are named by their modules. */
static void say_modules(uintptr_t frame) {
    struct wh_scope scope = wh_enter(frame, 0);
    if (!scope.thread)
        return;
    if (!scope.outer) {
        wh_level(frame, WH_GUARD_ENCODE);
        wh_modules_scan(scope.thread);
    }
    wh_leave(scope);
}

/* The right to ask, for this thread. A signal handler may have interrupted who has it. */
static int take_turn(struct wh_process_slot *slot, int rounds) {
    const struct timespec pause = {0, 10000000};
    uint32_t expected = 0, tid = (uint32_t)wh_sys0(SYS_gettid);
    for (int i = 0; !atomic_compare_exchange_strong(&requesting, &expected, tid); i++) {
        if (i == rounds || expected == tid)
            return 0;
        expected = 0;
        wh_sys2(SYS_nanosleep, &pause, NULL);
    }
    atomic_store(&slot->request_tid, tid);
    return 1;
}

static int has_recorder(void) {
    return is_traced() && atomic_load(&wh_process.session->recorder_pid) &&
           !atomic_load(&wh_process.session->stop);
}

static void ask(uint32_t reason, const char *label, const void *registers) {
    struct wh_process_slot *slot = wh_process.slot;
    atomic_store(&slot->request_registers, (uintptr_t)registers);
    atomic_store(&slot->request_reason, reason);
    wh_append(slot->request_label, slot->request_label + sizeof slot->request_label, label);
    atomic_store(&slot->request, WH_REQUEST_ASKED);
    wh_session_ring(wh_process.session);
    int answered = await_answer();
    atomic_store(&slot->request, WH_REQUEST_NONE);
    atomic_store(&slot->request_registers, 0);
    atomic_store(&requesting, 0);
    if (!answered)
        say_unanswered(WH_FRAME);
}

void wh_request_snapshot(uint32_t reason, const char *label) {
    if (!has_recorder() || !take_turn(wh_process.slot, 3000))
        return;
    say_modules(WH_FRAME);
    ask(reason, label, NULL);
}

void wh_request_last_snapshot(int number, const void *registers) {
    static const char *const names[] = {
        [SIGINT] = "SIGINT", [SIGTERM] = "SIGTERM", [SIGABRT] = "SIGABRT", [SIGSEGV] = "SIGSEGV",
        [SIGBUS] = "SIGBUS", [SIGFPE] = "SIGFPE",   [SIGILL] = "SIGILL"};
    if (!atomic_load(wh_process.run) || atomic_load(&ending) == wh_process.image ||
        !has_recorder() || !take_turn(wh_process.slot, 500))
        return;
    ask(WH_SNAP_SIGNAL, names[number], registers);
}

/* ---- exit
 * ----------------------------------------------------------------------------------------- */

/* The allocator's own account, where it is glibc's and nobody was interrupted inside it. */
static void say_in_use(struct wh_thread *t) {
    char number[24];
    if (!wh_real.mallinfo2 || wh_process.allocator.bytes)
        return;
    struct mallinfo2 info = wh_real.mallinfo2();
    wh_append_number(number, number + sizeof number, info.uordblks + info.hblkhd);
    struct wh_event e = {.kind = WH_EV_NOTE,
                         .detail = WH_NOTE_INUSE,
                         .text = number,
                         .text_bytes = (uint32_t)wh_length(number)};
    wh_record_event(t, &e);
}

/* Says that the process ends with `code`; once per image. */
static void begin_exit(int code, uintptr_t frame) {
    if (!is_traced() || wh_is_vforked() ||
        atomic_exchange(&ending, wh_process.image) == wh_process.image)
        return;
    struct wh_scope scope = wh_enter(frame, 0);
    if (scope.thread) {
        wh_level(frame, WH_GUARD_ENCODE);
        if (!scope.outer)
            say_in_use(scope.thread);
        struct wh_event e = {.kind = WH_EV_EXIT, .number = (uint8_t)code};
        wh_record_event(scope.thread, &e);
        wh_leave(scope);
    }
    if (wh_process.session->flags & WH_SESSION_SNAPSHOT_EXIT)
        wh_request_snapshot(WH_SNAP_EXIT, "exit");
}

WH_EXPORT _Noreturn void exit(int code) {
    wh_start();
    begin_exit(code, WH_FRAME);
    wh_real.exit(code);
    __builtin_unreachable();
}

WH_EXPORT _Noreturn void quick_exit(int code) {
    wh_start();
    begin_exit(code, WH_FRAME);
    wh_real.quick_exit(code);
    __builtin_unreachable();
}

WH_EXPORT _Noreturn void _exit(int code) {
    begin_exit(code, WH_FRAME);
    if (is_traced() && !wh_is_vforked()) {
        atomic_store(&wh_process.slot->exited, 1);
        wh_session_ring(wh_process.session);
    }
    for (;;)
        wh_sys1(SYS_exit_group, code);
}

WH_EXPORT _Noreturn void _Exit(int code) {
    _exit(code);
}

static int (*main_of_target)(int, char **, char **);

static int main_wrapped(int argc, char **argv, char **environment) {
    int code = main_of_target(argc, argv, environment);
    begin_exit(code, WH_FRAME);
    return code;
}

WH_EXPORT int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
                                void (*init)(void), void (*fini)(void), void (*loader_fini)(void),
                                void *stack_end) {
    wh_start();
    main_of_target = main;
    return wh_real.__libc_start_main(is_traced() ? main_wrapped : main, argc, argv, init, fini,
                                     loader_fini, stack_end);
}

/* ---- fork
 * ----------------------------------------------------------------------------------------- */

static void say_fork(uint8_t detail, uint64_t token, pid_t child, uintptr_t frame) {
    struct wh_scope scope = wh_enter(frame, 0);
    if (!scope.thread)
        return;
    wh_level(frame, WH_GUARD_ENCODE);
    struct wh_event e = {.kind = WH_EV_FORK,
                         .detail = detail,
                         .number = token,
                         .number2 = child > 0 ? (uint64_t)child : 0};
    if (!wh_record_event(scope.thread, &e))
        wh_record_lost(scope.thread);
    scope.thread->fork_token = detail == 0 ? token : 0;
    wh_leave(scope);
}

/* The token ties the child's first record to the moment of the fork in the parent's stream. */
WH_INLINE pid_t fork_by(pid_t (*real)(void), uintptr_t frame) {
    wh_start();
    if (!is_traced() || wh_is_vforked())
        return real();
    uint64_t token = wh_mix(wh_ticks_raw() ^ (uint64_t)wh_process.pid << 40) | 1;
    say_fork(0, token, 0, frame);
    pid_t child = real();
    if (child == 0)
        wh_start_forked();
    else
        say_fork(1, token, child, frame);
    return child;
}

WH_EXPORT pid_t fork(void) {
    return fork_by(wh_real.fork, WH_FRAME);
}

WH_EXPORT pid_t _Fork(void) {
    return fork_by(wh_real._Fork ? wh_real._Fork : wh_real.fork, WH_FRAME);
}
