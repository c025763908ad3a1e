/* A heap for the snapshot's benchmark: N blocks of 24 to 184 bytes in random trees and lists under
 * a few globals, some of it interior pointers. Prints what a plain fork of it costs, and what
 * LeakSanitizer needs for its mark when the program is linked with it.
 *
 *   heap [BLOCKS]     default 1000000; ends through main's return, the heap intact */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

struct block {
    struct block *first, *second;
    uint64_t load[];
};
struct block *forest[64];

static uint64_t seed = 88172645463325252ull;
static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static __attribute__((noinline)) struct block *make_block(void) {
    size_t words = next_random() % 20 + 1;
    struct block *b = calloc(1, sizeof *b + words * 8);
    b->load[0] = words;
    return b;
}

static void build(uint64_t blocks) {
    struct block **recent = calloc(4096, sizeof *recent);
    for (uint64_t i = 0; i < blocks; i++) {
        struct block *b = make_block(), *other = recent[next_random() % 4096];
        uint64_t tree = next_random() % 64;
        b->first = forest[tree];
        forest[tree] = b;
        if (other) /* every eighth points into the middle */
            b->second = next_random() % 8 ? other : (struct block *)(void *)&other->load[0];
        recent[next_random() % 4096] = b;
    }
    free(recent);
}

int main(int argc, char **argv) {
    uint64_t blocks = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    build(blocks);
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
