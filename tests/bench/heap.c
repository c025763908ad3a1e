/* The heap of heap.h as a program. Prints what a plain fork of it costs, and what LeakSanitizer
 * needs for its mark when the program is linked with it.
 *
 *   heap [BLOCKS]     default 1000000; ends through main's return, the heap intact */
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap.h"

__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

int main(int argc, char **argv) {
    uint64_t blocks = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    build(blocks, NULL);
    uint64_t begin = now_ns();
    pid_t pid = fork();
    if (pid == 0)
        syscall(SYS_exit_group, 0); /* the child is no program of its own: no snapshot of it */
    uint64_t forked = now_ns() - begin;
    waitpid(pid, NULL, 0);
    printf("blocks %llu plain_fork_ns %llu\n", (unsigned long long)blocks,
           (unsigned long long)forked);
    if (__lsan_do_recoverable_leak_check) {
        begin = now_ns();
        (void)__lsan_do_recoverable_leak_check();
        printf("lsan_ns %llu\n", (unsigned long long)(now_ns() - begin));
    }
    return 0;
}
