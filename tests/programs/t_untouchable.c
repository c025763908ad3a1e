/* A process that nobody may stop: t_untouchable HOW END. HOW: undumpable (as nobody, where it is
 * started by root), traced (by its own parent, which is this program's first process), seccomp,
 * filtered (traced, and the calls that end a process are asked of the tracer, as by strace
 * --seccomp-bpf).
 * END: return, api, term, wait (writes its process id, then waits for its standard input to end). A
 * global holds 1000 blocks of 100 bytes, main's frame one of 777, another thread's stack one of 555
 * bytes. Nobody may hold a child afterwards. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "whoholds.h"

void *volatile held[1000];
static _Atomic int is_up;

static void *hold_on_stack(void *unused) {
    void *volatile mine = malloc(555);
    is_up = mine != NULL;
    for (;;)
        pause();
    return unused;
}

/* The parent traces the child and hands every signal on. */
static void be_traced(void) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        return;
    }
    waitpid(child, &status, 0);
    while (WIFSTOPPED(status)) {
        if (WSTOPSIG(status) == SIGSTOP)
            ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESECCOMP);
        int own = WSTOPSIG(status) == SIGSTOP || status >> 16;
        ptrace(PTRACE_CONT, child, 0, own ? 0 : WSTOPSIG(status));
        waitpid(child, &status, 0);
    }
    _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* Allows everything, or asks the tracer before a process or a thread ends. */
static void filter_calls(int ask) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ask ? SYS_exit : ~0u, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ask ? SYS_exit_group : ~0u, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(77);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "", *end = argc > 2 ? argv[2] : "";
    pthread_t thread;
    if (!strcmp(how, "undumpable"))
        prctl(PR_SET_DUMPABLE, 0);
    else if (!strcmp(how, "traced"))
        be_traced();
    else if (!strcmp(how, "seccomp"))
        filter_calls(0);
    else if (!strcmp(how, "filtered")) {
        be_traced();
        filter_calls(1);
    }
    for (int i = 0; i < 1000; i++)
        held[i] = malloc(100);
    void *volatile on_stack = malloc(777);
    pthread_create(&thread, NULL, hold_on_stack, NULL);
    while (!is_up)
        usleep(1000);
    if (!strcmp(end, "api")) {
        whoholds_snapshot("mine");
        int child = waitpid(-1, NULL, WNOHANG | __WALL);
        printf("children %d %d\n", child, errno == ECHILD);
    } else if (!strcmp(end, "term")) {
        raise(SIGTERM);
    } else if (!strcmp(end, "wait")) {
        char byte;
        printf("%d\n", (int)getpid());
        fflush(stdout);
        (void)!read(0, &byte, 1);
    }
    return on_stack ? 3 : 4;
}
