/* Stacks that are hard to walk, with an allocation at the end of each: longjmp out of a deep call,
 * ucontext coroutines on malloc'ed stacks, recursion of 20000 frames, alloca and variable-length
 * arrays, a handler on an alternate stack, qsort's callback, frames that move under a function
 * whose own place and caller stay. Prints what it did. */
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static void *keep[1000];
static int kept;
static void hold(void *p) {
    keep[kept++ % 1000] = p;
}

__attribute__((noinline)) static int recurse(int depth) {
    volatile int here = depth;
    if (depth == 0) {
        hold(malloc(64)); /* at the bottom of everything */
        return 1;
    }
    int r = recurse(depth - 1);
    return r + (here != depth);
}

static jmp_buf away;
__attribute__((noinline)) static void jump_from(int depth) {
    void *p = malloc(40);
    hold(p);
    if (depth == 0)
        longjmp(away, 1);
    jump_from(depth - 1);
    hold(malloc(1)); /* never reached; keeps the call from becoming a jump */
}

__attribute__((noinline)) static size_t strange_frame(int n) {
    char *a = alloca((size_t)n);
    char vla[n + 7];
    memset(a, 1, (size_t)n);
    memset(vla, 2, (size_t)n + 7);
    char *p = malloc((size_t)n);
    memcpy(p, a, (size_t)n);
    size_t sum = (size_t)p[n - 1] + (size_t)vla[n + 6];
    free(p);
    return sum;
}

/* Called at the same place of the stack from the same call site, while its callers' frames differ
 * in size: only the frame pointer that it saves, an ordinary register to it, tells them apart. What
 * they leave on the stack is not overwritten, so the return addresses of the last call lie there
 * still. */
__attribute__((noinline, optimize("omit-frame-pointer"))) static void saver(void) {
#ifdef __x86_64__
    __asm__ volatile("" : : : "rbp");
#endif
    hold(malloc(16));
}
__attribute__((noinline)) static long moved(long n) {
    void *room = alloca((size_t)n);
    __asm__ volatile("" : : "r"(room) : "memory");
    saver();
    return n;
}
__attribute__((noinline)) static long mover(long n, long rest) {
    void *room = alloca((size_t)rest);
    __asm__ volatile("" : : "r"(room) : "memory");
    long sum;
    if (n & 32) {
        sum = moved(n);
        __asm__ volatile("# one way" ::: "memory");
    } else {
        sum = moved(n);
        __asm__ volatile("# another" ::: "memory");
    }
    return sum + 1;
}

static ucontext_t home, routine[3];
static int turns;
__attribute__((noinline)) static void routine_main(int me) {
    for (int i = 0; i < 200; i++) {
        hold(malloc(24));
        turns++;
        swapcontext(&routine[me], &routine[(me + 1) % 3]);
    }
    setcontext(&home);
}

static volatile int handled;
static void on_usr1(int sig) {
    (void)sig;
    hold(malloc(80)); /* raised synchronously: nothing is interrupted in the allocator */
    handled++;
}
static int compare(const void *a, const void *b) {
    free(malloc(8));
    return *(const int *)a - *(const int *)b;
}

int main(void) {
    printf("recursion %d\n", recurse(20000));
    for (volatile int i = 0; i < 50; i++)
        if (setjmp(away) == 0)
            jump_from(20 + i);
    size_t sum = 0;
    for (int n = 1; n < 200; n++)
        sum += strange_frame(n);
    printf("frames %zu\n", sum);
    long moves = 0;
    for (long n = 1024; n >= 0; n -= 16)
        moves += mover(n, 1024 - n);
    printf("moves %ld\n", moves);
    for (int i = 0; i < 3; i++) {
        getcontext(&routine[i]);
        routine[i].uc_stack.ss_sp = malloc(65536);
        routine[i].uc_stack.ss_size = 65536;
        makecontext(&routine[i], (void (*)(void))routine_main, 1, i);
    }
    volatile int back = 0;
    getcontext(&home);
    if (!back) {
        back = 1;
        setcontext(&routine[0]);
    }
    printf("turns %d\n", turns);
    stack_t alternate = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_handler = on_usr1, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 100; i++)
        raise(SIGUSR1);
    printf("handled %d\n", handled);
    int numbers[500];
    for (int i = 0; i < 500; i++)
        numbers[i] = (i * 7919) % 500;
    qsort(numbers, 500, sizeof numbers[0], compare);
    printf("sorted %d %d\n", numbers[0], numbers[499]);
    return 0;
}
