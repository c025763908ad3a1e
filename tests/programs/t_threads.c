/* t_threads THREADS ROUNDS [short]: each thread, named "worker-N", makes ROUNDS blocks, frees half
 * of them itself and hands every second one to the main thread, who frees it. `short`: THREADS
 * threads one after another instead. Prints the sums of what was made and freed. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void **handed; /* rounds / 2 + 1 for each thread */
static _Atomic unsigned long made_bytes, made_count;
static int threads, rounds;

__attribute__((noinline)) static void *worker_make(size_t size) {
    atomic_fetch_add(&made_count, 1);
    atomic_fetch_add(&made_bytes, size);
    void *p = malloc(size);
    memset(p, 0xA5, size);
    return p;
}

static void *worker(void *arg) {
    int me = (int)(long)arg;
    char name[16];
    snprintf(name, sizeof name, "worker-%d", me);
    pthread_setname_np(pthread_self(), name);
    unsigned seed = (unsigned)me * 2654435761u + 1;
    for (int i = 0; i < rounds; i++) {
        seed = seed * 1103515245u + 12345u;
        void *p = worker_make(16 + (seed >> 16) % 500);
        if (i % 2)
            free(p);
        else
            handed[(long)me * (rounds / 2 + 1) + i / 2] = p;
    }
    return NULL;
}

int main(int argc, char **argv) {
    threads = argc > 1 ? atoi(argv[1]) : 2;
    rounds = argc > 2 ? atoi(argv[2]) : 1000;
    int one_by_one = argc > 3;
    pthread_t *t = calloc((size_t)threads, sizeof *t);
    long handed_count = (long)threads * (rounds / 2 + 1);
    handed = calloc((size_t)handed_count, sizeof *handed);
    for (int i = 0; i < threads; i++) {
        pthread_create(&t[i], NULL, worker, (void *)(long)i);
        if (one_by_one)
            pthread_join(t[i], NULL);
    }
    for (int i = 0; i < threads && !one_by_one; i++)
        pthread_join(t[i], NULL);
    free(t);
    for (long i = 0; i < handed_count; i++)
        free(handed[i]);
    free(handed);
    printf("%lu blocks %lu bytes\n", made_count, made_bytes);
    return 0;
}
