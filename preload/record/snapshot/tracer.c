/* The tracer: stops every thread of the target, copies it, lets it run on.
 *
 * ptrace belongs to one thread, so each snapshot has its own; when that thread ends, the kernel
 * lets go of whatever it still traces. That is the net under the rare thread that does not stop in
 * time (in an uninterruptible system call, or waiting for its vfork child): the snapshot goes on
 * without it and this thread stays until it can be detached.
 *
 * The copy. The target must never see a child, and only one copy of the page tables may be paid
 * for: target thread  clone(CLONE_VM | CLONE_FILES)       -> helper, shares memory and files: no
 * copying helper         close_range(0, ~0, UNSHARE)         -> no descriptor of the target lives
 * on in the copy helper         clone(0)                            -> the copy: own memory,
 * copy-on-write helper         is killed and its remains are collected by the target thread itself
 * (wait4 __WALL) The copy is an orphan then, child of init, never runs an instruction and dies with
 * the recorder. Helper and copy have exit signal 0: no SIGCHLD, invisible to a plain wait. */
#include "record/snapshot/tracer.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define STOP_NS_MAX 1000000000u /* longest wait for a thread in an uninterruptible call to stop */
#define RUN_NS_MAX  5000000000u /* and for one that can run, but gets no processor */
#define LOOK_NS     10000000u   /* how long to wait before a look at which of the two it is */
#define GATE_NS_MAX 5000000u    /* longest wait for threads inside the allocator to come out */
#define STOP_ROUNDS 64          /* passes over the thread list until no new thread shows up */

static void nap(unsigned round) {
    if (round < 32) {
        sched_yield();
        return;
    }
    struct timespec t = {0, round < 200 ? 20000 : 500000};
    nanosleep(&t, NULL);
}

enum wh_stop wh_tracee_wait(pid_t tid, uint64_t deadline_ns, int *ret_status) {
    for (unsigned round = 0;; round++) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)tid, &info, WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL) != 0) {
            if (errno == EINTR)
                continue;
            return WH_STOP_GONE;
        }
        if (info.si_pid == 0) {
            if (deadline_ns && wh_snapshot_now_ns() > deadline_ns)
                return WH_STOP_LATE;
            nap(round);
            continue;
        }
        if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
            return WH_STOP_GONE; /* dead: its status stays for whoever waits for it */
        (void)waitid(P_PID, (id_t)tid, &info, WSTOPPED | WNOHANG | __WALL);
        *ret_status = info.si_status;
        return WH_STOP_OK;
    }
}

/* Waits until the thread stands in PTRACE_EVENT_STOP. A signal on its way in is handed on, not
 * kept. */
static enum wh_stop wait_event_stop(pid_t tid, uint64_t deadline_ns) {
    for (;;) {
        int status = 0;
        enum wh_stop stop = wh_tracee_wait(tid, deadline_ns, &status);
        if (stop != WH_STOP_OK)
            return stop;
        if (status >> 8 == PTRACE_EVENT_STOP)
            return WH_STOP_OK;
        int signal_in = status >> 8 ? 0 : status & 0x7f;
        if (ptrace(PTRACE_CONT, tid, 0, signal_in) != 0)
            return WH_STOP_GONE;
    }
}

/* State letter of /proc/PID/task/TID/stat; 0 = gone. */
static char thread_state(pid_t pid, pid_t tid) {
    char path[64], text[512];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = 0;
    const char *end = strrchr(text, ')');
    return end && end[1] == ' ' ? end[2] : 0;
}

static struct wh_tracee *find_tracee(struct wh_tracer *t, pid_t tid) {
    for (uint32_t i = 0; i < t->count; i++)
        if (t->tracees[i].tid == tid)
            return &t->tracees[i];
    return NULL;
}

/* Seizes and interrupts one thread. 0, or the errno that refused it. */
static int seize(struct wh_tracer *t, pid_t tid) {
    if (t->count == t->room) {
        uint32_t room = t->room ? t->room * 2 : 64;
        struct wh_tracee *more = realloc(t->tracees, room * sizeof *more);
        if (!more)
            return ENOMEM;
        t->tracees = more;
        t->room = room;
    }
    if (ptrace(PTRACE_SEIZE, tid, 0, 0) != 0) {
        char state = thread_state(t->frozen->pid, tid);
        return errno == ESRCH || state == 0 || state == 'Z' || state == 'X' ? 0 : errno;
    }
    (void)ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    t->tracees[t->count++] = (struct wh_tracee){.tid = tid, .state = WH_TRACEE_RUNNING};
    return 0;
}

/* One pass over the thread list. Returns new threads, or minus the errno that refused one. */
static int seize_new_threads(struct wh_tracer *t) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)t->frozen->pid);
    DIR *dir = opendir(path);
    if (!dir)
        return -ESRCH;
    int found = 0, refused = 0;
    struct dirent *entry;
    while (!refused && (entry = readdir(dir))) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (tid <= 0 || find_tracee(t, tid))
            continue;
        uint32_t before = t->count;
        refused = seize(t, tid);
        found += t->count > before;
    }
    closedir(dir);
    return refused ? -refused : found;
}

static void read_registers(struct wh_tracee *tracee) {
    struct iovec io = {&tracee->registers, sizeof tracee->registers};
    tracee->has_registers = ptrace(PTRACE_GETREGSET, tracee->tid, (void *)NT_PRSTATUS, &io) == 0;
}

/* A thread stops as soon as it gets a processor, or its page from a disk: on a loaded machine that
 * may take long, and without the thread what its stack keeps would seem lost. */
static enum wh_stop wait_tracee(const struct wh_tracer *t, pid_t tid, uint64_t begin) {
    enum wh_stop stop = wait_event_stop(tid, begin + LOOK_NS);
    while (stop == WH_STOP_LATE &&
           wh_snapshot_now_ns() - begin <
               (thread_state(t->frozen->pid, tid) == 'D' ? STOP_NS_MAX : RUN_NS_MAX))
        stop = wait_event_stop(tid, wh_snapshot_now_ns() + LOOK_NS);
    return stop;
}

/* Waits for every running tracee and reads its registers. */
static void wait_all(struct wh_tracer *t) {
    uint64_t begin = wh_snapshot_now_ns();
    for (uint32_t i = 0; i < t->count; i++) {
        struct wh_tracee *tracee = &t->tracees[i];
        if (tracee->state != WH_TRACEE_RUNNING)
            continue;
        switch (wait_tracee(t, tracee->tid, begin)) {
        case WH_STOP_OK:
            tracee->state = WH_TRACEE_STOPPED;
            read_registers(tracee);
            break;
        case WH_STOP_GONE:
            tracee->state = WH_TRACEE_GONE;
            if (tracee->tid != t->frozen->pid) /* a thread's own end: nobody else collects it */
                (void)waitpid(tracee->tid, NULL, __WALL | WNOHANG);
            break;
        case WH_STOP_LATE:
            tracee->state = WH_TRACEE_LATE;
            break;
        }
    }
}

static int stop_threads(struct wh_tracer *t) {
    struct wh_frozen *f = t->frozen;
    for (int round = 0; round < STOP_ROUNDS; round++) {
        int found = seize_new_threads(t);
        if (found < 0)
            return wh_fail(&f->error, WH_ESYSTEM, "process %d cannot be stopped: %s", (int)f->pid,
                           strerror(-found));
        wait_all(t);
        if (found == 0)
            break;
    }
    uint32_t stopped = 0, late = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        stopped += t->tracees[i].state == WH_TRACEE_STOPPED;
        late += t->tracees[i].state == WH_TRACEE_LATE;
    }
    if (stopped + late == 0)
        return wh_fail(&f->error, WH_ESYSTEM, "process %d is gone", (int)f->pid);
    if (late)
        wh_snapshot_caveat(f->figures,
                           "%u threads could not be stopped (in an uninterruptible system call, "
                           "or without a processor for 5 s)",
                           late);
    return WH_OK;
}

/* Threads of the target between an operation's stamp and its record: the table does not show what
 * they did to the heap. */
static uint32_t count_inside(struct wh_session *session, const struct wh_process_slot *slot) {
    if (!slot || !session)
        return 0;
    uint32_t inside = 0, uid = atomic_load(&slot->uid), used = atomic_load(&session->blocks_used);
    for (uint32_t i = 0; i < used && i < WH_BLOCK_MAX; i++) {
        const struct wh_block_entry *entry = wh_session_entry(session, i);
        if (atomic_load_explicit(&entry->state, memory_order_acquire) == WH_BLOCK_OPEN &&
            atomic_load_explicit(&entry->process_uid, memory_order_relaxed) == uid)
            inside += atomic_load(&wh_session_block(session, i)->busy) != 0;
    }
    return inside;
}

void wh_gate_close(struct wh_session *session, struct wh_process_slot *slot) {
    if (!slot)
        return;
    atomic_store(&slot->gate, 1);
    uint64_t deadline = wh_snapshot_now_ns() + GATE_NS_MAX;
    for (unsigned round = 0; count_inside(session, slot) && wh_snapshot_now_ns() < deadline;
         round++)
        nap(round);
}

/* With all threads stopped: operations that the gate did not see the end of. */
static void note_inside(struct wh_tracer *t) {
    uint32_t inside = count_inside(t->frozen->job->session, t->slot);
    t->frozen->figures->unknown_blocks += inside;
    if (inside)
        wh_snapshot_caveat(t->frozen->figures, "%u threads were inside the allocator at the stop",
                           inside);
}

void wh_gate_open(struct wh_process_slot *slot) {
    if (!slot)
        return;
    atomic_store(&slot->gate, 0);
    /* Threads that wait at the gate sleep on the word itself. */
    (void)syscall(SYS_futex, &slot->gate, 1 /* FUTEX_WAKE, shared */, INT32_MAX, NULL, NULL, 0);
}

/* sp and pc of a thread that did not stop, as the kernel shows them for a blocked one. */
static void read_blocked(pid_t pid, struct wh_frozen_thread *thread) {
    char path[64], text[256];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid, (int)thread->tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = 0;
    unsigned long long sp, pc; /* "-1 sp pc": blocked, but in a page fault */
    if (sscanf(text, "%*d %*x %*x %*x %*x %*x %*x %llx %llx", &sp, &pc) == 2 ||
        sscanf(text, "-1 %llx %llx", &sp, &pc) == 2) {
        thread->registers[WH_REG_RSP] = sp;
        thread->registers[WH_REG_PC] = pc;
        thread->in_syscall = true;
    }
}

static void copy_registers(const struct user_regs_struct *r, struct wh_frozen_thread *thread) {
    const uint64_t in_dwarf_order[WH_REGS] = {r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi,
                                              r->rbp, r->rsp, r->r8,  r->r9,  r->r10, r->r11,
                                              r->r12, r->r13, r->r14, r->r15, r->rip};
    memcpy(thread->registers, in_dwarf_order, sizeof in_dwarf_order);
    thread->thread_pointer = r->fs_base;
    thread->in_syscall = (int64_t)r->orig_rax >= 0;
    thread->has_registers = true;
}

bool wh_registers_behind(pid_t pid, uint64_t address, struct wh_frozen_thread *thread) {
    static const uint8_t in_dwarf_order[WH_REGS] = {
        REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
        REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    char path[64];
    greg_t r[NGREG];
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int memory = address ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (memory < 0)
        return false;
    bool is_read = pread(memory, r, sizeof r, (off_t)address) == (ssize_t)sizeof r;
    for (unsigned i = 0; is_read && i < WH_REGS; i++)
        thread->registers[i] = (uint64_t)r[in_dwarf_order[i]];
    thread->in_syscall &= !is_read;
    close(memory);
    return is_read;
}

/* A thread that asks out of a signal handler: its registers are those of the interrupted code. */
static void look_behind_signal(const struct wh_tracer *t, struct wh_frozen_thread *thread) {
    if (t->slot && atomic_load(&t->slot->request) == WH_REQUEST_ASKED &&
        (pid_t)atomic_load(&t->slot->request_tid) == thread->tid)
        (void)wh_registers_behind(t->frozen->pid, atomic_load(&t->slot->request_registers), thread);
}

static int remember_threads(struct wh_tracer *t) {
    struct wh_frozen *f = t->frozen;
    f->threads = calloc(t->count + 1, sizeof *f->threads);
    f->maps_text = wh_maps_read(f->pid);
    if (!f->threads || !f->maps_text)
        return wh_fail(&f->error, WH_ESYSTEM, "maps of process %d cannot be read", (int)f->pid);
    for (uint32_t i = 0; i < t->count; i++) {
        struct wh_tracee *tracee = &t->tracees[i];
        if (tracee->state == WH_TRACEE_GONE)
            continue;
        struct wh_frozen_thread *thread = &f->threads[f->thread_count++];
        thread->tid = tracee->tid;
        if (tracee->state == WH_TRACEE_STOPPED && tracee->has_registers) {
            copy_registers(&tracee->registers, thread);
            thread->vectors = wh_vectors_read(tracee->tid);
        } else {
            read_blocked(f->pid, thread);
        }
        look_behind_signal(t, thread);
    }
    return WH_OK;
}

/* System calls that return EINTR when a thread is stopped, although no signal was handled: they are
 * started again, so that the program does not notice. The kernel restarts all others by itself. */
static bool is_restarted_by_us(uint64_t number) {
    switch (number) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_rt_sigtimedwait:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    case SYS_io_uring_enter:
    case SYS_accept:
    case SYS_accept4:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
        return true;
    default:
        return false;
    }
}

/* True when a signal waits that the thread does not block: then EINTR is the truth. */
static bool has_signal_waiting(pid_t pid, pid_t tid) {
    char path[64], line[256];
    unsigned long long own = 0, shared = 0, blocked = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return true;
    while (fgets(line, sizeof line, file)) {
        (void)sscanf(line, "SigPnd: %llx", &own);
        (void)sscanf(line, "ShdPnd: %llx", &shared);
        (void)sscanf(line, "SigBlk: %llx", &blocked);
    }
    fclose(file);
    return ((own | shared) & ~blocked) != 0;
}

/* The timeout of a call that is started again: what is left of it, else snapshots in quick
 * succession would keep it waiting for ever. An int lies in the lower half of the register, of
 * which the kernel ignores the upper one; the moment of the end stays there from one stop to the
 * next, and is gone when the program makes a new call. */
static uint64_t rest_of_timeout(uint64_t word, uint64_t now_ns) {
    const uint32_t now = (uint32_t)(now_ns / 1000000) | 1;
    int32_t left = (int32_t)word, until = (int32_t)((uint32_t)(word >> 32) - now);
    if (left < 0)
        return word; /* for ever */
    if (word >> 32 && until <= left)
        left = until > 0 ? until : 0;
    return (uint64_t)((now + (uint32_t)left) | 1) << 32 | (uint32_t)left;
}

static void restart_call(struct wh_tracer *t, struct wh_tracee *tracee) {
    struct user_regs_struct r = tracee->registers;
    if (!tracee->has_registers || (int64_t)r.rax != -EINTR || (int64_t)r.orig_rax < 0 ||
        !is_restarted_by_us(r.orig_rax) || has_signal_waiting(t->frozen->pid, tracee->tid))
        return;
    if (r.orig_rax == SYS_epoll_wait || r.orig_rax == SYS_epoll_pwait)
        r.r10 = rest_of_timeout(r.r10, wh_snapshot_now_ns());
    r.rax = r.orig_rax;
    r.rip -= 2;
    r.orig_rax = (unsigned long long)-1;
    struct iovec io = {&r, sizeof r};
    (void)ptrace(PTRACE_SETREGSET, tracee->tid, (void *)NT_PRSTATUS, &io);
}

static void detach_stopped(struct wh_tracer *t) {
    for (uint32_t i = 0; i < t->count; i++) {
        struct wh_tracee *tracee = &t->tracees[i];
        if (tracee->state != WH_TRACEE_STOPPED)
            continue;
        restart_call(t, tracee);
        (void)ptrace(PTRACE_DETACH, tracee->tid, 0, 0);
        tracee->state = WH_TRACEE_GONE;
    }
}

/* Threads that did not stop in time stop some day: they must not stay stopped then. */
static void detach_late(struct wh_tracer *t) {
    for (uint32_t i = 0; i < t->count; i++) {
        struct wh_tracee *tracee = &t->tracees[i];
        if (tracee->state != WH_TRACEE_LATE)
            continue;
        if (wait_event_stop(tracee->tid, wh_snapshot_now_ns() + 1000) == WH_STOP_LATE)
            continue;
        (void)ptrace(PTRACE_DETACH, tracee->tid, 0, 0);
        tracee->state = WH_TRACEE_GONE;
        t->late--;
    }
}

static void end_copy(struct wh_tracer *t) {
    if (!t->copy)
        return;
    (void)kill(t->copy, SIGKILL);
    (void)waitpid(t->copy, NULL, __WALL);
    t->copy = 0;
}

static int stop_and_copy(struct wh_tracer *t) {
    struct wh_frozen *f = t->frozen;
    uint64_t begin = wh_snapshot_now_ns();
    wh_gate_close(f->job->session, t->slot);
    uint64_t stop_begin = wh_snapshot_now_ns();
    int status = stop_threads(t);
    if (status == WH_OK)
        status = remember_threads(t);
    note_inside(t);
    f->figures->stop_ns = wh_snapshot_now_ns() - stop_begin;
    f->status = status; /* read by the caller between stopped and go */
    sem_post(&f->stopped);
    while (sem_wait(&f->go) != 0)
        continue;
    f->image = f->pid;
    if (status == WH_OK && !f->job->no_copy) {
        uint64_t fork_begin = wh_snapshot_now_ns();
        const char *refused = wh_tracer_copy(t);
        f->figures->fork_ns = refused ? 0 : wh_snapshot_now_ns() - fork_begin;
        f->figures->mode = refused ? "stop" : "fork";
        f->is_copy = !refused;
        f->image = refused ? f->pid : t->copy;
        if (refused)
            wh_snapshot_caveat(f->figures,
                               "no copy-on-write copy (%s): the threads stood still for the scan",
                               refused);
    }
    if (status != WH_OK || t->copy) {
        wh_gate_open(t->slot);
        detach_stopped(t);
    }
    f->figures->pause_ns = wh_snapshot_now_ns() - begin;
    t->begin_ns = begin;
    return status;
}

/* Ends the copy, or lets the threads go that stood still for the scan. */
static void let_go(struct wh_tracer *t) {
    struct wh_frozen *f = t->frozen;
    end_copy(t);
    if (f->own_copy)
        (void)kill(f->own_copy, SIGKILL);
    if (f->status == WH_OK && !f->is_copy) {
        wh_gate_open(t->slot);
        detach_stopped(t);
        f->figures->pause_ns = wh_snapshot_now_ns() - t->begin_ns;
    }
    sem_post(&f->ended);
}

void *wh_tracer_main(void *argument) {
    struct wh_frozen *f = argument;
    struct wh_tracer t = {.frozen = f, .slot = f->job->slot};
    f->status = stop_and_copy(&t);
    for (uint32_t i = 0; i < t.count; i++)
        t.late += t.tracees[i].state == WH_TRACEE_LATE;
    sem_post(&f->done); /* the job is not touched from here on */
    bool ended = false;
    while (!ended || t.late) {
        bool end_now = false;
        if (t.late) {
            detach_late(&t);
            struct timespec a_while = {0, 10000000};
            nanosleep(&a_while, NULL);
            end_now = !ended && sem_trywait(&f->end) == 0;
        } else {
            end_now = sem_wait(&f->end) == 0;
        }
        if (end_now) {
            let_go(&t);
            ended = true;
        }
    }
    free(t.tracees);
    wh_frozen_put(f);
    return NULL;
}
