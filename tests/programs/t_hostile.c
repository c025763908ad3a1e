/* Does one thing that is hard on a tracer, and prints what it saw of it: t_hostile CASE. It must
 * print and end as it does unrecorded. Blocks that the trace must have are made in hostile_make(),
 * 1000 bytes each; how many is said by e2e/hostile.sh. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *keep[200000];

__attribute__((noinline)) static void hostile_make(int from, int count) {
    for (int i = from; i < from + count; i++) {
        keep[i] = malloc(1000);
        memset(keep[i], i, 1000);
    }
}
__attribute__((noinline)) static void hostile_free(int from, int count) {
    for (int i = from; i < from + count; i++)
        free(keep[i]);
}
static int reap(pid_t pid) {
    int status = -1;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}
static void rest(int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* A child that no at-fork handler and no wrapper hears of; the parent goes on meanwhile. */
static void raw_clone(void) {
    hostile_make(0, 10);
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        hostile_make(10, 20);
        hostile_free(10, 5);
        rest(200);
        hostile_make(10, 5);
        _exit(7);
    }
    hostile_make(100, 10);
    printf("child %d\n", reap(pid));
}

/* The child of vfork allocates in its parent's memory; the parent frees some of it. */
static void vfork_allocates(void) {
    pid_t pid = vfork();
    if (pid == 0) {
        hostile_make(0, 10);
        execl("/bin/true", "true", (char *)NULL);
        _exit(9);
    }
    int status = reap(pid);
    hostile_free(0, 5);
    printf("child %d\n", status);
}

static _Atomic int over;
static void *churn(void *arg) {
    (void)arg;
    while (!over) {
        for (int i = 0; i < 100; i++)
            free(malloc(64));
        rest(1);
    }
    return NULL;
}
/* Forks while other threads are in the allocator and in our hooks. */
static void fork_threads(void) {
    pthread_t thread[4];
    int bad = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, churn, NULL);
    for (int i = 0; i < 30; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            hostile_make(0, 10);
            _exit(3);
        }
        bad += reap(pid) != 3;
    }
    over = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    printf("bad children %d\n", bad);
}

/* Every signal has a handler, and threads are blocked in everything that reports an interruption.
 */
static _Atomic int signals, interrupted;
static int pipe_fds[2], queue;
static sem_t semaphore;
static void on_signal(int number) {
    (void)number;
    signals++;
}
static void *blocked(void *how) {
    struct epoll_event event;
    struct timespec end;
    char byte[64];
    long r = 0;
    errno = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 1;
    switch ((int)(intptr_t)how) {
    case 0:
        r = epoll_wait(epoll_create1(0), &event, 1, 700);
        break;
    case 1:
        r = sem_timedwait(&semaphore, &end);
        break;
    case 2:
        r = nanosleep(&(struct timespec){0, 700000000}, NULL);
        break;
    case 3:
        r = read(pipe_fds[0], byte, 1);
        break;
    case 4:
        r = msgrcv(queue, byte, 8, 0, 0);
        break;
    default:
        r = usleep(700000);
        break;
    }
    if (r < 0 && errno == EINTR) {
        interrupted++;
        fprintf(stderr, "interrupted: %d\n", (int)(intptr_t)how);
    }
    return NULL;
}
static void undisturbed(void) {
    pthread_t thread[6];
    struct sigaction action = {.sa_handler = on_signal};
    for (int i = 1; i < 32; i++)
        sigaction(i, &action, NULL);
    hostile_make(0, 10);
    if (pipe(pipe_fds) || sem_init(&semaphore, 0, 0) || (queue = msgget(IPC_PRIVATE, 0600)) < 0)
        exit(70);
    for (int i = 0; i < 6; i++)
        pthread_create(&thread[i], NULL, blocked, (void *)(intptr_t)i);
    for (int i = 0; i < 20; i++) { /* keeps the recorder busy meanwhile */
        hostile_make(100, 100);
        hostile_free(100, 100);
        struct timespec left = {0, 40000000};
        interrupted += nanosleep(&left, NULL) != 0;
    }
    struct {
        long type;
        char text[8];
    } message = {1, ""};
    if (write(pipe_fds[1], "x", 1) != 1 || msgsnd(queue, &message, 8, 0))
        exit(71);
    for (int i = 0; i < 6; i++)
        pthread_join(thread[i], NULL);
    msgctl(queue, IPC_RMID, NULL);
    printf("signals %d, interrupted %d, children %s\n", signals, interrupted,
           waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? "none" : "some");
}

/* Addresses that a weak hash would put in one place: page by page, and in powers of two. */
static void strided(void) {
    int n = 0;
    for (int i = 0; i < 60000; i++)
        keep[n++] = memalign(4096, 4096);
    for (int i = 0; i < 200; i++)
        keep[n++] = memalign(1 << 20, 1 << 20);
    for (int i = 0; i < n; i += 2)
        free(keep[i]);
    hostile_make(150000, 10);
    printf("blocks %d\n", n);
}

/* Every descriptor closed, none to be had. */
static void no_descriptors(void) {
    struct rlimit none = {0, 0};
    fflush(stdout);
    int out = dup(1), ok = out >= 0;
    dup2(out, 500);
    close_range(0, 499, 0);
    closefrom(501);
    setrlimit(RLIMIT_NOFILE, &none);
    hostile_make(0, 20000);
    hostile_free(0, 19990);
    pid_t pid = fork();
    if (pid == 0) {
        hostile_make(0, 10);
        _exit(6);
    }
    dprintf(500, "dup %d child %d open %d\n", ok, reap(pid), open("/dev/null", O_RDONLY));
}

/* Rights given up: the children's too, and those of what they execute. */
static void drop_rights(void) {
    if (setgid(65534) || setuid(65534)) {
        printf("not root\n");
        return;
    }
    hostile_make(0, 20000);
    hostile_free(0, 20000);
    pid_t pid = fork();
    if (pid == 0) {
        hostile_make(0, 10);
        _exit(6);
    }
    printf("child %d", reap(pid));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(9);
    }
    printf(" image %d\n", reap(pid));
}

/* What a sandbox of few system calls leaves: any other ends the process. Nothing of the program's
 * own needs one here, as the heap was made large before. */
static void sandboxed(int strict) {
    static const unsigned allowed[] = {
        SYS_read, SYS_write, SYS_exit,      SYS_exit_group, SYS_brk,        SYS_munmap,
        SYS_mmap, SYS_futex, SYS_nanosleep, SYS_fstat,      SYS_newfstatat, SYS_clock_gettime};
    enum { ALLOWED = sizeof allowed / sizeof *allowed };
    struct sock_filter code[3 + ALLOWED + 1];
    unsigned n = 0;
    char *room = malloc(64000);
    memset(room, 1, 64000);
    free(room);
    free(malloc(1000));
    code[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < ALLOWED; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
                                                 (unsigned char)(ALLOWED - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)n, code};
    fflush(stdout);
    if (strict ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)
               : prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
                     prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        printf("no sandbox\n");
        return;
    }
    for (int i = 0; i < 1000000; i++) { /* more than a recorder has read at once */
        hostile_make(0, 1);
        hostile_free(0, 1);
    }
    if (write(1, "survived\n", 9) == 9)
        syscall(SYS_exit, 5);
}

/* A thread is cancelled wherever it is, in a loop of allocations and blocked in a read. */
static void *loop(void *arg) {
    (void)arg;
    for (;;) {
        void *p = malloc(100);
        pthread_cleanup_push(free, p);
        pthread_testcancel();
        pthread_cleanup_pop(1);
    }
    return NULL;
}
static void *reader(void *arg) {
    char byte;
    void *p = malloc(100);
    pthread_cleanup_push(free, p);
    arg = (void *)read(*(int *)arg, &byte, 1);
    pthread_cleanup_pop(1);
    return arg;
}
static void cancelled(void) {
    int cancelled_threads = 0;
    if (pipe(pipe_fds))
        exit(70);
    for (int i = 0; i < 40; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, NULL, i % 2 ? reader : loop, &pipe_fds[0]);
        rest(1);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        cancelled_threads += result == PTHREAD_CANCELED;
    }
    hostile_make(0, 10);
    printf("cancelled %d\n", cancelled_threads);
}

/* A handler allocates while the program does. Only with an allocator that can: libbump. */
static void on_alarm(int number) {
    static int used;
    (void)number;
    if (used < 50000) {
        hostile_make(100000 + used, 1);
        if (used % 2)
            hostile_free(100000 + used, 1);
        used++;
        signals++;
    }
}
static void handler_allocates(void) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {{0, 100}, {0, 100}};
    setitimer(ITIMER_REAL, &every, NULL);
    int rounds = 0;
    for (; rounds < 400 || signals < 300; rounds++) {
        hostile_make(0, 100);
        hostile_free(0, 100);
    }
    every = (struct itimerval){0};
    setitimer(ITIMER_REAL, &every, NULL);
    printf("blocks %d\n", rounds * 100 + signals);
}

/* Waits for a line, makes blocks, ends. */
static void waits(void) {
    char line[10];
    hostile_make(0, 10);
    printf("%d\n", getpid());
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(70);
    for (int i = 0; i < 4000; i++) {
        hostile_make(0, 200);
        hostile_free(0, 200);
    }
    printf("done\n");
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"raw_clone", raw_clone},       {"vfork", vfork_allocates},
        {"fork_threads", fork_threads}, {"undisturbed", undisturbed},
        {"strided", strided},           {"no_descriptors", no_descriptors},
        {"drop_rights", drop_rights},   {"cancelled", cancelled},
        {"handler", handler_allocates}, {"waits", waits},
    };
    if (argc > 1 && strncmp(argv[1], "seccomp", 7) == 0) {
        sandboxed(strcmp(argv[1], "seccomp_strict") == 0);
        return 1;
    }
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    return 2;
}
