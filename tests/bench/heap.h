/* A heap for the snapshot's benchmarks: N blocks of 24 to 184 bytes in random trees and lists under
 * a few globals, every eighth of the references into the middle. Included once by a program. */
#ifndef BENCH_HEAP_H
#define BENCH_HEAP_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static __attribute__((noinline)) struct block *make_block(size_t *ret_bytes) {
    size_t words = next_random() % 20 + 1;
    struct block *b = calloc(1, *ret_bytes = sizeof *b + words * 8);
    b->load[0] = words;
    return b;
}

/* made, if there is one, is told of every block that stays. */
static void build(uint64_t blocks, void (*made)(const void *block, size_t bytes)) {
    struct block **recent = calloc(4096, sizeof *recent);
    for (uint64_t i = 0; i < blocks; i++) {
        size_t bytes;
        struct block *b = make_block(&bytes), *other = recent[next_random() % 4096];
        if (made)
            made(b, bytes);
        uint64_t tree = next_random() % 64;
        b->first = forest[tree];
        forest[tree] = b;
        if (other)
            b->second = next_random() % 8 ? other : (struct block *)(void *)&other->load[0];
        recent[next_random() % 4096] = b;
    }
    free(recent);
}

/* What the kernel's fork of this process takes, without any handler: the median of a few. */
static uint64_t plain_fork_ns(void) {
    enum { FORKS = 7 };
    uint64_t took[FORKS];
    for (int i = 0; i < FORKS; i++) {
        uint64_t begin = now_ns();
        pid_t pid = (pid_t)syscall(SYS_fork);
        if (pid == 0)
            syscall(SYS_exit_group, 0);
        uint64_t ns = now_ns() - begin;
        waitpid(pid, NULL, 0);
        int at = i;
        for (; at > 0 && took[at - 1] > ns; at--)
            took[at] = took[at - 1];
        took[at] = ns;
    }
    return took[FORKS / 2];
}

#endif
