/* alone [-v] [-n EVENTS] COMMAND...: what the library alone costs its target. Runs the command bare
 * and under libwhoholds.so in turn, ROUNDS times (5), with nobody to read the events: sealed blocks
 * are given back at once. Prints the CPU seconds of both (least and median) and the bytes written.
 * With -n EVENTS also the added nanoseconds of one of them. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wire/session.h"

static double seconds(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static pid_t start(char *const argv[], const char *session) {
    pid_t pid = fork();
    if (pid)
        return pid;
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    if (session) {
        setenv("LD_PRELOAD", WH_BINARY_DIR "/lib/libwhoholds.so", 1);
        setenv(WH_ENV_SESSION, session, 1);
    }
    execvp(argv[0], argv);
    _exit(127);
}

struct result {
    double cpu, bytes;
    long rss_kib;
    unsigned long long slow, mismatch, lost;
};

static int is_gone(struct wh_session *s, uint32_t uid) {
    for (uint32_t i = 0; i < atomic_load(&s->processes_used); i++)
        if (atomic_load(&wh_session_slot(s, i)->uid) == uid)
            return kill((pid_t)atomic_load(&wh_session_slot(s, i)->pid), 0) != 0;
    return 0;
}

/* Gives blocks back that are sealed or whose process is gone; returns the bytes that were in them.
 */
static double empty(struct wh_session *s) {
    double bytes = 0;
    uint32_t used = atomic_load(&s->blocks_used);
    for (uint32_t i = 0; i < used; i++) {
        struct wh_block_entry *entry = wh_session_entry(s, i);
        uint32_t state = atomic_load(&entry->state);
        if (state == WH_BLOCK_SEALED ||
            (state == WH_BLOCK_OPEN && is_gone(s, atomic_load(&entry->process_uid)))) {
            bytes += atomic_load(&wh_session_block(s, i)->committed);
            wh_block_give(s, i);
        }
    }
    return bytes;
}

static struct result run(char *const argv[], int traced, uint32_t flags) {
    struct wh_session_options o = wh_session_options_default();
    struct wh_session *s = NULL;
    char path[256] = "";
    struct result r = {0};
    o.flags = flags;
    o.overflow = WH_OVERFLOW_WAIT;
    o.blocks_first = o.blocks_limit = 128;
    if (traced && wh_session_create(&o, path, sizeof path, &s))
        exit(1);
    if (s)
        atomic_store(&s->recorder_pid, (uint32_t)getpid());
    pid_t pid = start(argv, s ? path : NULL);
    int status;
    struct rusage usage;
    const struct timespec pause = {0, 500000};
    while (wait4(pid, &status, s ? WNOHANG : 0, &usage) == 0) {
        r.bytes += empty(s);
        atomic_fetch_add(&s->recorder_beat, 1);
        nanosleep(&pause, NULL);
    }
    r.cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    r.rss_kib = usage.ru_maxrss;
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        fprintf(stderr, "alone: status %d\n", status);
    if (s) {
        r.bytes += empty(s);
        for (uint32_t i = 0; i < atomic_load(&s->processes_used); i++) {
            struct wh_process_slot *slot = wh_session_slot(s, i);
            r.slow += atomic_load(&slot->unwind_slow);
            r.mismatch += atomic_load(&slot->unwind_mismatch);
            r.lost += atomic_load(&slot->lost_events);
        }
        munmap(s, WH_SESSION_BYTES);
        unlink(path);
    }
    return r;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    uint32_t flags = 0;
    double events = 0;
    int rounds = getenv("ROUNDS") ? atoi(getenv("ROUNDS")) : 5, option;
    while ((option = getopt(argc, argv, "+vn:")) != -1)
        if (option == 'v')
            flags |= WH_SESSION_VERIFY_UNWIND;
        else if (option == 'n')
            events = atof(optarg);
    if (optind == argc || rounds < 1 || rounds > 99) {
        fprintf(stderr, "usage: alone [-v] [-n EVENTS] COMMAND...\n");
        return 2;
    }
    double bare[99], traced[99];
    struct result r = {0}, b = {0};
    for (int i = 0; i < rounds; i++) {
        b = run(argv + optind, 0, 0);
        bare[i] = b.cpu;
        r = run(argv + optind, 1, flags);
        traced[i] = r.cpu;
    }
    qsort(bare, (size_t)rounds, sizeof *bare, compare);
    qsort(traced, (size_t)rounds, sizeof *traced, compare);
    double best = traced[0] - bare[0], middle = traced[rounds / 2] - bare[rounds / 2];
    printf("cpu s: bare %.3f (%.3f)  traced %.3f (%.3f)  ratio %.2f  +RSS %.1f MB  bytes %.0f",
           bare[0], bare[rounds / 2], traced[0], traced[rounds / 2], traced[0] / bare[0],
           (double)(r.rss_kib - b.rss_kib) / 1024, r.bytes);
    if (events > 0)
        printf("  added ns each %.1f (%.1f)", best / events * 1e9, middle / events * 1e9);
    printf("  deep %llu  mismatches %llu  lost %llu\n", r.slow, r.mismatch, r.lost);
    return 0;
}
