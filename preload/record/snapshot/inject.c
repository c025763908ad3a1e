/* The copy-on-write copy, made by system calls that the stopped target executes for us (see
 * tracer.c for the plan).
 *
 * A call is injected by pointing a stopped thread at a `syscall` instruction and letting it run
 * from one ptrace stop to the next: syscall entry, syscall exit. Not one other instruction of the
 * target is executed and its stack is not touched. What is hard is leaving no trace:
 *  - all signals are blocked meanwhile, so that none is taken out of the queue;
 *  - the thread ends in PTRACE_EVENT_STOP, where the kernel still applies its restart rules to the
 *    restored registers: a blocked read() goes on as if nothing had happened;
 *  - the rseq critical-section pointer is put back, else an interrupted section would not be
 * aborted;
 *  - with seccomp a filter might kill the process for our calls: then there is no copy. */
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
#include <unistd.h>

#include "record/snapshot/tracer.h"

#define SYSCALL_STOP (SIGTRAP | 0x80)

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1u << 1)
#endif

struct rseq_place {
    uint64_t pointer;
    uint32_t size, signature, flags, pad;
};

/* A thread while it works for us. */
struct worker {
    pid_t tid;
    uint64_t instruction; /* address of a syscall instruction */
    struct user_regs_struct saved;
    uint64_t signal_mask;
    struct rseq_place rseq;
    uint64_t rseq_section;
    pid_t child; /* of the last clone */
};

static bool set_registers(pid_t tid, struct user_regs_struct *registers) {
    struct iovec io = {registers, sizeof *registers};
    return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io) == 0;
}

/* Lets the thread run to the next stop of the given kind (signal | event << 8). Group stops that
 * come in between are passed over: they are in force again once we detach. */
static bool run_to(struct worker *w, int request, int kind) {
    if (ptrace((enum __ptrace_request)request, w->tid, 0, 0) != 0)
        return false;
    for (;;) {
        int status;
        if (wh_tracee_wait(w->tid, 0, &status) != WH_STOP_OK)
            return false;
        if (status == kind || (kind >> 8 == PTRACE_EVENT_STOP && status >> 8 == PTRACE_EVENT_STOP))
            return true;
        if (status >> 8 == PTRACE_EVENT_CLONE || status >> 8 == PTRACE_EVENT_FORK) {
            unsigned long child = 0;
            (void)ptrace(PTRACE_GETEVENTMSG, w->tid, 0, &child);
            w->child = (pid_t)child;
        }
        if (ptrace((enum __ptrace_request)request, w->tid, 0, 0) != 0)
            return false;
    }
}

/* Executes one system call in the thread; it stands at the call's exit afterwards. */
static bool remote_call(struct worker *w, uint64_t number, uint64_t a, uint64_t b, uint64_t c,
                        int64_t *ret_value) {
    struct user_regs_struct r = w->saved;
    r.rip = w->instruction;
    r.rax = number;
    r.orig_rax = (unsigned long long)-1;
    r.rdi = a;
    r.rsi = b;
    r.rdx = c;
    r.r10 = r.r8 = r.r9 = 0;
    struct iovec io = {&r, sizeof r};
    if (!set_registers(w->tid, &r) || !run_to(w, PTRACE_SYSCALL, SYSCALL_STOP) ||
        !run_to(w, PTRACE_SYSCALL, SYSCALL_STOP) ||
        ptrace(PTRACE_GETREGSET, w->tid, (void *)NT_PRSTATUS, &io) != 0)
        return false;
    *ret_value = (int64_t)r.rax;
    return true;
}

static bool begin_work(struct worker *w) {
    uint64_t all = ~0ull;
    if (ptrace(PTRACE_SETOPTIONS, w->tid, 0,
               PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK) != 0 ||
        ptrace(PTRACE_GETSIGMASK, w->tid, sizeof w->signal_mask, &w->signal_mask) != 0)
        return false;
    if (ptrace((enum __ptrace_request)PTRACE_GET_RSEQ_CONFIGURATION, w->tid, sizeof w->rseq,
               &w->rseq) <= 0)
        w->rseq.pointer = 0;
    if (w->rseq.pointer) {
        errno = 0;
        long section = ptrace(PTRACE_PEEKDATA, w->tid, w->rseq.pointer + 8, 0);
        w->rseq_section = errno ? 0 : (uint64_t)section;
    }
    return ptrace(PTRACE_SETSIGMASK, w->tid, sizeof all, &all) == 0;
}

/* Back to PTRACE_EVENT_STOP with the registers, mask and options it had. */
static bool end_work(struct worker *w) {
    bool ok = ptrace(PTRACE_INTERRUPT, w->tid, 0, 0) == 0 &&
              run_to(w, PTRACE_CONT, SIGTRAP | PTRACE_EVENT_STOP << 8);
    ok &= set_registers(w->tid, &w->saved);
    if (w->rseq_section)
        (void)ptrace(PTRACE_POKEDATA, w->tid, w->rseq.pointer + 8, w->rseq_section);
    ok &= ptrace(PTRACE_SETSIGMASK, w->tid, sizeof w->signal_mask, &w->signal_mask) == 0;
    (void)ptrace(PTRACE_SETOPTIONS, w->tid, 0, 0);
    return ok;
}

/* Value of a "Key:\tnumber" line of /proc/PID/status; -1 = unknown. */
static long status_number(pid_t pid, const char *key) {
    char path[64], line[256];
    long value = -1;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            value = strtol(line + strlen(key) + 1, NULL, 10);
    fclose(file);
    return value;
}

/* A `syscall` instruction in the target: the library's own, else one in the vDSO. */
static uint64_t find_instruction(struct wh_tracer *t) {
    struct wh_frozen *f = t->frozen;
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)f->pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    if (memory < 0)
        return 0;
    uint64_t found = 0;
    unsigned char two[2];
    if (t->slot && t->slot->agent_syscall &&
        pread(memory, two, 2, (off_t)t->slot->agent_syscall) == 2 && two[0] == 0x0f &&
        two[1] == 0x05)
        found = t->slot->agent_syscall;
    const char *line = found ? NULL : strstr(f->maps_text, "[vdso]");
    while (line && line > f->maps_text && line[-1] != '\n')
        line--;
    unsigned long long start, end;
    if (line && sscanf(line, "%llx-%llx", &start, &end) == 2 && end > start &&
        end - start <= 65536) {
        unsigned char *text = malloc(end - start);
        ssize_t n = text ? pread(memory, text, end - start, (off_t)start) : 0;
        for (ssize_t i = 0; i + 1 < n && !found; i++)
            if (text[i] == 0x0f && text[i + 1] == 0x05)
                found = start + (uint64_t)i;
        free(text);
    }
    close(memory);
    return found;
}

/* The thread that works for us: the one that asked for the snapshot, else one in a system call. */
static struct wh_tracee *choose_worker(struct wh_tracer *t) {
    struct wh_tracee *best = NULL;
    pid_t asked = t->slot ? (pid_t)atomic_load(&t->slot->request_tid) : 0;
    for (uint32_t i = 0; i < t->count; i++) {
        struct wh_tracee *tracee = &t->tracees[i];
        if (tracee->state != WH_TRACEE_STOPPED || !tracee->has_registers)
            continue;
        if (tracee->tid == asked)
            return tracee;
        if (!best ||
            ((int64_t)best->registers.orig_rax < 0 && (int64_t)tracee->registers.orig_rax >= 0))
            best = tracee;
    }
    return best;
}

/* The helper's part: drop the descriptors, make the copy. */
static const char *helper_work(struct worker *helper, pid_t *ret_copy,
                               struct wh_snapshot_figures *figures) {
    int64_t value;
    int status;
    if (ptrace(PTRACE_SETOPTIONS, helper->tid, 0,
               PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                   PTRACE_O_EXITKILL) != 0 ||
        !remote_call(helper, SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE, &value))
        return "the helper process did not obey";
    if (value != 0)
        wh_snapshot_caveat(figures,
                           "the copy kept the program's descriptors open (no close_range)");
    if (!remote_call(helper, SYS_clone, 0, 0, 0, &value))
        return "the helper process did not obey";
    if (value < 0)
        return strerror((int)-value);
    if (!helper->child || wh_tracee_wait(helper->child, 0, &status) != WH_STOP_OK)
        return "the copy did not stop";
    *ret_copy = helper->child;
    return NULL;
}

/* The helper in one thread's service: from its clone to the collection of its remains. */
static const char *worker_work(struct worker *w, pid_t *ret_copy,
                               struct wh_snapshot_figures *figures) {
    int64_t value;
    int status;
    if (!remote_call(w, SYS_clone, CLONE_VM | CLONE_FILES | CLONE_FS, 0, 0, &value))
        return "the target did not obey";
    if (value < 0)
        return strerror((int)-value);
    struct worker helper = {.tid = w->child, .instruction = w->instruction, .saved = w->saved};
    if (!helper.tid || wh_tracee_wait(helper.tid, 0, &status) != WH_STOP_OK)
        return "the helper process did not stop";
    const char *refused = helper_work(&helper, ret_copy, figures);
    (void)kill(helper.tid, SIGKILL);
    (void)waitpid(helper.tid, NULL, __WALL);
    /* Dead for us, a zombie for its parent: the worker collects it. */
    for (int i = 0; i < 1000; i++) {
        if (!remote_call(w, SYS_wait4, (uint64_t)helper.tid, 0, __WALL | WNOHANG, &value) ||
            value != 0)
            break;
        sched_yield();
    }
    return refused;
}

static void protect_from_oom(pid_t pid) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "1000", 4);
    close(fd);
}

const char *wh_tracer_copy(struct wh_tracer *t) {
    struct wh_frozen *f = t->frozen;
    if (status_number(f->pid, "Seccomp") > 0)
        return "the process runs under seccomp";
    struct wh_tracee *tracee = choose_worker(t);
    uint64_t instruction = find_instruction(t);
    if (!tracee || !instruction)
        return "no thread of it could be used";
    struct worker w = {.tid = tracee->tid, .instruction = instruction, .saved = tracee->registers};
    if (!begin_work(&w))
        return "the target did not obey";
    pid_t copy = 0;
    const char *refused = worker_work(&w, &copy, f->figures);
    if (!end_work(&w)) {
        tracee->state = WH_TRACEE_GONE;
        refused = "the target died";
    }
    if (!refused) {
        t->copy = copy;
        protect_from_oom(copy);
    }
    return refused;
}
