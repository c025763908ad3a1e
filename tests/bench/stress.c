/* stress THREADS DEPTH PAIRS: each thread makes PAIRS blocks and frees them, at a call depth of
 * about DEPTH, with stacks that vary as those of real programs do: the outer frames stay for a
 * while, the three to six inner ones change at every call, among eight functions (measured on cc1,
 * python and sqlite: 2.4 to 6 fresh frames of 15 to 21, and 3 000 to 270 000 distinct frames). Here
 * 16 outer stacks times 512 inner ones make about 30 000. A few hundred blocks live at any time. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LIVE  256u
#define PHASE 1024u /* pairs before the outer frames change */
#define OUTER 16u
#define INNER 512u

struct job {
    pthread_t thread;
    uint64_t random;
    long pairs;
    int depth;
    void *live[LIVE];
};

static uint64_t next_random(struct job *job) {
    uint64_t x = job->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return job->random = x;
}

/* The same path for the same number. */
static uint64_t spread(uint64_t number) {
    number = (number + 1) * 0x9E3779B97F4A7C15u;
    return number ^ number >> 29;
}

typedef void step(struct job *, int depth, uint64_t path);
static step step0, step1, step2, step3, step4, step5, step6, step7;
static step *const steps[8] = {step0, step1, step2, step3, step4, step5, step6, step7};

/* The leaf: one block in, the oldest in its place out. */
__attribute__((noinline)) static void exchange(struct job *job) {
    uint64_t random = job->random;
    void **slot = &job->live[random % LIVE];
    free(*slot);
    *slot = malloc(16 + (random >> 8) % 240);
}

/* Outer frames first; once they stand, many short excursions of inner frames from there. */
__attribute__((noinline)) static void phase(struct job *job) {
    for (unsigned i = 0; i < PHASE && job->pairs > 0; i++, job->pairs--) {
        uint64_t path = spread(next_random(job) % INNER);
        steps[path & 7](job, (int)(2 + (path >> 3) % 4), path >> 5);
    }
}

#define STEP(N)                                                                                    \
    __attribute__((noinline)) static void step##N(struct job *job, int depth, uint64_t path) {     \
        if (depth > 100) {                                                                         \
            if (depth == 101)                                                                      \
                phase(job);                                                                        \
            else                                                                                   \
                steps[path & 7](job, depth - 1, path >> 3);                                        \
        } else if (depth > 0) {                                                                    \
            steps[path & 7](job, depth - 1, path >> 3);                                            \
        } else {                                                                                   \
            exchange(job);                                                                         \
        }                                                                                          \
        __asm__ volatile("" ::: "memory"); /* a frame, not a jump */                               \
    }
STEP(0)
STEP(1)
STEP(2)
STEP(3)
STEP(4)
STEP(5)
STEP(6)
STEP(7)

static void *run(void *arg) {
    struct job *job = arg;
    int outer = job->depth - 9; /* clone, run, phase, about five inner frames and the leaf */
    while (job->pairs > 0) {
        uint64_t path = spread(next_random(job) % OUTER);
        step0(job, 100 + (outer > 1 ? outer : 1), path);
    }
    for (unsigned i = 0; i < LIVE; i++)
        free(job->live[i]);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: stress THREADS DEPTH PAIRS\n");
        return 2;
    }
    int threads = atoi(argv[1]);
    struct job *jobs = calloc((size_t)threads, sizeof *jobs);
    for (int i = 0; i < threads; i++) {
        jobs[i].random = 0x9E3779B97F4A7C15u * (uint64_t)(i + 1);
        jobs[i].depth = atoi(argv[2]);
        jobs[i].pairs = atol(argv[3]);
        pthread_create(&jobs[i].thread, NULL, run, &jobs[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(jobs[i].thread, NULL);
    free(jobs);
    return 0;
}
