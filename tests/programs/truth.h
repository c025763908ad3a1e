/* What the ground-truth programs share. Each lays out a heap whose holders are known by
 * construction (tests/golden/truth/NN.txt says them) and returns from main: the snapshot at exit
 * sees it so. */
#ifndef WH_TRUTH_H
#define WH_TRUTH_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A function that must stand in the stack by its own name. */
#define CREATOR __attribute__((noinline, noclone))

/* Overwrites what earlier calls left on the stack below. */
static CREATOR __attribute__((unused)) void scrub_stack(void) {
    volatile char deep[16384];
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = 0;
}

/* Path of a library beside the program; static storage. */
static CREATOR __attribute__((unused)) const char *beside(const char *library) {
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 256);
    path[n > 0 ? n : 0] = 0;
    char *slash = strrchr(path, '/');
    (void)snprintf(slash ? slash + 1 : path, 256, "%s", library);
    return path;
}

/* A thread that runs body(argument) and then waits for ever, its frame alive. */
static pthread_barrier_t truth_started __attribute__((unused));
static __attribute__((unused)) void stay(void) {
    pthread_barrier_wait(&truth_started);
    for (;;)
        pause();
}
static __attribute__((unused)) void start_staying(void *(*body)(void *)) {
    pthread_t thread;
    pthread_barrier_init(&truth_started, NULL, 2);
    pthread_create(&thread, NULL, body, NULL);
    pthread_barrier_wait(&truth_started);
}

#endif
