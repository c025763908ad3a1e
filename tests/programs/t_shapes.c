/* t_shapes [ROUNDS]: stacks that look alike. Chains of functions whose frames are of few sizes,
 * fixed and variable, so that many chains end at the same place of the stack although they lie
 * differently on it; none of them writes its frame, so that the return addresses of earlier chains
 * lie there still. Each function has two call sites, and at each chain's end is an allocation. Some
 * chains start from a frame that moves under its caller while its own place stays. */
#include <alloca.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEEPEST = 12, KINDS = 8 };

static uint64_t state = 88172645463325252u;
static unsigned draw(unsigned below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 20) % below;
}

/* The chain to follow: what comes next at each level, from which of two places, with which size. */
static struct { int kind, site, size; } plan[DEEPEST];
static int depth;

typedef long link(int level);
static link fixed16, fixed48, fixed80, moving, moving_too, framed16, framed48, saver;
static link *const links[KINDS] = {fixed16,    fixed48,  fixed80,  moving,
                                   moving_too, framed16, framed48, saver};

static void *kept[64];
static unsigned turn;
__attribute__((noinline)) static long leaf(void) {
    void **place = &kept[turn++ % 64];
    free(*place);
    *place = malloc(24);
    return *place != NULL;
}

static inline __attribute__((always_inline)) long go_on(int level) {
    return level == depth ? leaf() : links[plan[level].kind](level);
}

/* Two calls that the compiler may not make one. */
#define EITHER(level)                                                                              \
    long sum;                                                                                      \
    if (plan[level].site) {                                                                        \
        sum = go_on((level) + 1);                                                                  \
        __asm__ volatile("# one" ::: "memory");                                                    \
    } else {                                                                                       \
        sum = go_on((level) + 1);                                                                  \
        __asm__ volatile("# other" ::: "memory");                                                  \
    }                                                                                              \
    return sum + 1

#define FIXED(name, bytes, how)                                                                    \
    __attribute__((noinline, optimize(how))) static long name(int level) {                         \
        char room[bytes];                                                                          \
        __asm__ volatile("" : : "r"(room) : "memory");                                             \
        EITHER(level);                                                                             \
    }
FIXED(fixed16, 16, "omit-frame-pointer")
FIXED(fixed48, 48, "omit-frame-pointer")
FIXED(fixed80, 80, "omit-frame-pointer")
FIXED(framed16, 16, "no-omit-frame-pointer")
FIXED(framed48, 48, "no-omit-frame-pointer")

#define MOVING(name)                                                                               \
    __attribute__((noinline)) static long name(int level) {                                        \
        void *room = alloca((size_t)plan[level].size * 32);                                        \
        __asm__ volatile("" : : "r"(room) : "memory");                                             \
        EITHER(level);                                                                             \
    }
MOVING(moving)
MOVING(moving_too)

/* The frame pointer is an ordinary register to it. */
__attribute__((noinline, optimize("omit-frame-pointer"))) static long saver(int level) {
#ifdef __x86_64__
    __asm__ volatile("" : : : "rbp");
#endif
    EITHER(level);
}

/* A few chains from one place. */
static inline __attribute__((always_inline)) long burst(void) {
    long sum = 0;
    for (int i = 0; i < 6; i++) {
        depth = draw(8) ? (int)draw(4) : DEEPEST;
        for (int k = 0; k < depth; k++) {
            plan[k].kind = (int)draw(draw(2) ? 3 : KINDS);
            plan[k].site = (int)draw(2);
            plan[k].size = (int)draw(3);
        }
        sum += go_on(0);
        __asm__ volatile("" ::: "memory");
    }
    return sum;
}

/* Its own place and its caller's stay, whatever `under` is: what moves is its frame. */
__attribute__((noinline)) static long pushed(long under) {
    void *room = alloca((size_t)under);
    __asm__ volatile("" : : "r"(room) : "memory");
    return burst() + under;
}
__attribute__((noinline)) static long pusher(long under, long rest) {
    void *room = alloca((size_t)rest);
    __asm__ volatile("" : : "r"(room) : "memory");
    long sum;
    if (draw(2)) {
        sum = pushed(under);
        __asm__ volatile("# one" ::: "memory");
    } else {
        sum = pushed(under);
        __asm__ volatile("# other" ::: "memory");
    }
    return sum + 1;
}
__attribute__((noinline)) static long plain(void) {
    return burst() + 1;
}

int main(int argc, char **argv) {
    long rounds = argc > 1 ? atol(argv[1]) : 2000, sum = 0;
    for (long i = 0; i < rounds; i++) {
        long under = 32 * (long)draw(4);
        sum += draw(16) == 0 ? plain() : pusher(under, 128 - under);
    }
    printf("sum %ld\n", sum);
    return 0;
}
