/* For tests of the hook without a recorder: makes a session, runs a program in it, and decodes what
 * the program left in the shared blocks into one list per process image. */
#ifndef WH_TESTS_HOOK_SESSION_H
#define WH_TESTS_HOOK_SESSION_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/codec.h"

struct hook_event {
    struct wh_event e;
    uint32_t uid, thread, order; /* order: position in the thread's stream */
};

struct hook_run {
    struct wh_session *session;
    char path[256];
    struct hook_event *events; /* by time; frees before allocations at equal time */
    size_t count;
    int status; /* of wait */
    char *output;
    size_t output_bytes;
    struct wh_process_slot slots[64]; /* copies, by uid - 1 */
    uint32_t processes;
};

static inline int hook_compare(const void *a, const void *b) {
    const struct hook_event *x = a, *y = b;
    uint64_t s = x->e.kind == WH_EV_REALLOC ? x->e.before_ticks : x->e.ticks;
    uint64_t t = y->e.kind == WH_EV_REALLOC ? y->e.before_ticks : y->e.ticks;
    if (x->uid == y->uid && x->thread == y->thread)
        return x->order < y->order ? -1 : x->order > y->order;
    if (s != t)
        return s < t ? -1 : 1;
    int free_x = x->e.kind == WH_EV_FREE, free_y = y->e.kind == WH_EV_FREE;
    return free_y - free_x;
}

struct hook_key {
    uint32_t uid, thread, sequence, index;
};

static inline int hook_compare_key(const void *a, const void *b) {
    return memcmp(a, b, 12) == 0 ? 0
           : ((const struct hook_key *)a)->uid != ((const struct hook_key *)b)->uid
               ? (((const struct hook_key *)a)->uid < ((const struct hook_key *)b)->uid ? -1 : 1)
           : ((const struct hook_key *)a)->thread != ((const struct hook_key *)b)->thread
               ? (((const struct hook_key *)a)->thread < ((const struct hook_key *)b)->thread ? -1
                                                                                              : 1)
           : ((const struct hook_key *)a)->sequence < ((const struct hook_key *)b)->sequence ? -1
                                                                                             : 1;
}

/* Decodes every block. Returns 0 when one is malformed. */
static inline int hook_decode(struct hook_run *run) {
    struct wh_session *s = run->session;
    uint32_t used = atomic_load(&s->blocks_used), n = 0;
    struct hook_key *keys = calloc(used + 1, sizeof *keys);
    for (uint32_t i = 0; i < used; i++) {
        struct wh_block *b = wh_session_block(s, i);
        if (atomic_load(&wh_session_entry(s, i)->state) != WH_BLOCK_FREE)
            keys[n++] = (struct hook_key){b->process_uid, b->thread_serial, b->sequence, i};
    }
    qsort(keys, n, sizeof *keys, hook_compare_key);
    size_t capacity = 1024;
    run->events = calloc(capacity, sizeof *run->events);
    uint32_t order = 0;
    for (uint32_t k = 0; k < n; k++) {
        struct wh_block *b = wh_session_block(s, keys[k].index);
        struct wh_reader r;
        wh_reader_init(&r, b, b->payload, atomic_load(&b->committed));
        if (!k || keys[k].thread != keys[k - 1].thread || keys[k].uid != keys[k - 1].uid)
            order = 0;
        struct wh_event e;
        int more;
        while ((more = wh_reader_next(&r, &e)) == 1) {
            if (run->count == capacity)
                run->events = realloc(run->events, (capacity *= 2) * sizeof *run->events);
            run->events[run->count++] =
                (struct hook_event){e, b->process_uid, b->thread_serial, order++};
        }
        if (more < 0)
            return 0;
    }
    free(keys);
    for (uint32_t i = 0; i < atomic_load(&s->processes_used); i++) {
        struct wh_process_slot *slot = wh_session_slot(s, i);
        uint32_t uid = atomic_load(&slot->uid);
        if (uid && uid <= 64) {
            memcpy(&run->slots[uid - 1], slot, sizeof *slot);
            run->processes = uid > run->processes ? uid : run->processes;
        }
    }
    return 1;
}

/* Runs argv under the library with `options`; its standard output is kept. Returns 0 on trouble. */
static inline int hook_run(struct hook_run *run, struct wh_session_options options,
                           char *const argv[]) {
    memset(run, 0, sizeof *run);
    if (wh_session_create(&options, run->path, sizeof run->path, &run->session))
        return 0;
    int fds[2];
    if (pipe(fds))
        return 0;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        close(fds[0]);
        close(fds[1]);
        setenv("LD_PRELOAD", WH_BINARY_DIR "/lib/libwhoholds.so", 1);
        setenv(WH_ENV_SESSION, run->path, 1);
        unsetenv(WH_ENV_OUTPUT);
        execvp(argv[0], argv);
        _exit(126);
    }
    close(fds[1]);
    size_t capacity = 65536;
    run->output = malloc(capacity + 1);
    ssize_t got;
    while ((got = read(fds[0], run->output + run->output_bytes, capacity - run->output_bytes)) >
           0) {
        run->output_bytes += (size_t)got;
        if (run->output_bytes == capacity)
            run->output = realloc(run->output, (capacity *= 2) + 1);
    }
    run->output[run->output_bytes] = 0;
    close(fds[0]);
    waitpid(pid, &run->status, 0);
    return hook_decode(run);
}

static inline void hook_release(struct hook_run *run) {
    free(run->events);
    free(run->output);
    if (run->session)
        munmap(run->session, WH_SESSION_BYTES);
    if (run->path[0])
        unlink(run->path);
}

static inline struct wh_session_options hook_options(void) {
    struct wh_session_options o = wh_session_options_default();
    o.flags = 0;
    o.blocks_first = 256;
    o.blocks_limit = 256;
    return o;
}

#endif
