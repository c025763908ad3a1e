/* The heap of heap.h as a program. Prints what a plain fork of it costs, and what LeakSanitizer
 * needs for its mark when the program is linked with it.
 *
 *   heap [BLOCKS]     default 1000000; ends through main's return, the heap intact */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap.h"

__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

/* Its mark runs in a task of its own, which counts as a child. */
static uint64_t cpu_ns(void) {
    struct rusage own, children;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return (uint64_t)(own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec +
                      children.ru_stime.tv_sec) *
               1000000000u +
           (uint64_t)(own.ru_utime.tv_usec + own.ru_stime.tv_usec + children.ru_utime.tv_usec +
                      children.ru_stime.tv_usec) *
               1000u;
}

int main(int argc, char **argv) {
    uint64_t blocks = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    build(blocks, NULL);
    printf("blocks %llu plain_fork_ns %llu\n", (unsigned long long)blocks,
           (unsigned long long)plain_fork_ns());
    if (__lsan_do_recoverable_leak_check) {
        uint64_t cpu = cpu_ns();
        uint64_t begin = now_ns();
        (void)__lsan_do_recoverable_leak_check();
        printf("lsan_ns %llu lsan_cpu_ns %llu\n", (unsigned long long)(now_ns() - begin),
               (unsigned long long)(cpu_ns() - cpu));
    }
    return 0;
}
