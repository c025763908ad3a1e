/* Ends by a signal in the way it is told: t_last_signal MODE, with 1000 blocks of 100 bytes held by
 * a global and one held by a register or the stack alone. What it prints of dispositions must be
 * what it prints unrecorded. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* sigset() is part of the test */

static const int numbers[] = {SIGINT, SIGTERM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGHUP};
void *volatile held[1000];
static volatile int zero;

static void own_handler(int number) {
    (void)number;
    static const char text[] = "own handler\n";
    (void)!write(1, text, sizeof text - 1);
    _exit(17);
}
static void empty_handler(int number) {
    (void)number;
}
static const char *name_of(void (*handler)(int)) {
    return handler == SIG_DFL         ? "default"
           : handler == SIG_IGN       ? "ignore"
           : handler == own_handler   ? "own"
           : handler == empty_handler ? "empty"
                                      : "strange";
}
static void show(int number) {
    struct sigaction now;
    unsigned blocked = 0;
    sigaction(number, NULL, &now);
    for (int i = 1; i < 32; i++)
        blocked += (unsigned)sigismember(&now.sa_mask, i) << i % 31;
    printf("%d %s %x %x\n", number, name_of(now.sa_handler),
           (unsigned)now.sa_flags & (SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_RESETHAND), blocked);
}
static void query(void) {
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int n = numbers[i];
        show(n);
        struct sigaction by_default = {.sa_handler = SIG_DFL, .sa_flags = SA_ONSTACK}, old;
        sigaddset(&by_default.sa_mask, SIGUSR1);
        printf("%s\n", name_of(signal(n, empty_handler)));
        show(n);
        sigaction(n, &by_default, &old);
        printf("%s\n", name_of(old.sa_handler));
        show(n);
        printf("%s\n", name_of(signal(n, SIG_IGN)));
        printf("%s\n", name_of(signal(n, SIG_DFL)));
        show(n);
        printf("%s\n", name_of(sigset(n, SIG_DFL)));
        printf("%s\n", name_of(sysv_signal(n, SIG_DFL)));
        show(n);
    }
    errno = 0;
    printf("%d %d\n", sigaction(99, NULL, NULL), errno);
}

static int overflow(int depth) {
    volatile char room[4096];
    room[0] = (char)depth;
    return overflow(depth + 1) + room[0];
}
static void alternate_stack(void) {
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
}
static void *wait_forever(void *unused) {
    for (;;)
        pause();
    return unused;
}

/* Dies of a signal that only sigsuspend lets through. */
static void die_suspended(void) {
    sigset_t term, none;
    sigemptyset(&none);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    raise(SIGTERM);
    sigsuspend(&none);
}
static void wait_for_it(void) {
    sigset_t term;
    int number = 0;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    raise(SIGTERM);
    sigwait(&term, &number);
    printf("waited for %d\n", number);
    exit(6);
}
static void child_dies(void) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        raise(SIGTERM);
        _exit(1);
    }
    waitpid(child, &status, 0);
    printf("child %x\n", status);
    child = vfork();
    if (child == 0) {
        signal(SIGINT, SIG_DFL);
        kill(getpid(), SIGTERM);
        _exit(1);
    }
    waitpid(child, &status, 0);
    printf("vfork child %x\n", status);
    show(SIGTERM);
    printf("shell %x\n", system("kill -INT $$"));
    exit(5);
}

__attribute__((noinline)) static void end(const char *mode) {
    if (!strcmp(mode, "query"))
        query();
    else if (!strcmp(mode, "handler"))
        signal(SIGTERM, own_handler);
    else if (!strcmp(mode, "ignored"))
        signal(SIGTERM, SIG_IGN);
    else if (strstr(mode, "altstack"))
        alternate_stack();
    if (!strcmp(mode, "handler") || !strcmp(mode, "ignored") || !strcmp(mode, "term"))
        raise(SIGTERM);
    else if (!strcmp(mode, "int"))
        kill(getpid(), SIGINT);
    else if (!strcmp(mode, "abort"))
        abort();
    else if (!strcmp(mode, "segv") || !strcmp(mode, "segv_altstack"))
        *(volatile char *)16 = 1;
    else if (!strcmp(mode, "bus"))
        *(volatile char *)mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fileno(tmpfile()), 0) = 1;
    else if (!strcmp(mode, "fpe"))
        printf("%d\n", 5 / zero);
    else if (!strcmp(mode, "ill"))
        __builtin_trap();
    else if (!strcmp(mode, "overflow") || !strcmp(mode, "overflow_altstack"))
        printf("%d\n", overflow(0));
    else if (!strcmp(mode, "suspended"))
        die_suspended();
    else if (!strcmp(mode, "wait"))
        wait_for_it();
    else if (!strcmp(mode, "child"))
        child_dies();
    else if (!strcmp(mode, "reset")) { /* the default, set again before dying of it */
        signal(SIGTERM, empty_handler);
        signal(SIGTERM, SIG_DFL);
        raise(SIGTERM);
    }
}

int main(int argc, char **argv) {
    pthread_t thread;
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    for (int i = 0; i < 1000; i++)
        held[i] = malloc(100);
    void *volatile on_stack = malloc(777);
    pthread_create(&thread, NULL, wait_forever, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    end(argc > 1 ? argv[1] : "query");
    return on_stack ? 3 : 4;
}
