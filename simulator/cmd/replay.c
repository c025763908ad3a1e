/* whoholds-sim replay: runs a recorded process's allocations against this process's allocator, so
 * that a trace can be tried on another one: LD_PRELOAD=libjemalloc.so.2 whoholds-sim replay
 * trace.db
 *
 * The plan is made by a child, because its own allocations must not be in the measured heap. Each
 * page of a block is touched once, as a program that uses its memory would. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd/commands.h"
#include "replay/plan.h"

#define PAGE_BYTES 4096
#define SAMPLES    512 /* of the resident size, over the run */

static const char help[] = "usage: whoholds-sim replay TRACE [--process N] [--format text|json]\n"
                           "\n"
                           "Carries out the allocations that a trace recorded, in their order, "
                           "with this process's allocator,\n"
                           "and reports peak live bytes, peak resident bytes and time. To compare "
                           "allocators, preload one:\n"
                           "\n"
                           "  LD_PRELOAD=libjemalloc.so.2 whoholds-sim replay trace.db\n"
                           "\n"
                           "Threads are merged into one; alignments beyond malloc's are not "
                           "replayed; mappings are left out.\n";

static const char *const options_known[] = {"--process", "--format", "--help", NULL};

struct result {
    uint64_t live, peak_live, peak_resident, start_resident;
    uint64_t allocations, frees;
    double seconds;
};

/* Anonymous memory in use: resident pages that are no file's. */
static uint64_t resident(int statm) {
    char text[128];
    unsigned long long size, rss, shared;
    ssize_t n = pread(statm, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = 0;
    if (sscanf(text, "%llu %llu %llu", &size, &rss, &shared) != 3)
        return 0;
    return (rss - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void touch(char *block, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i += PAGE_BYTES)
        ((volatile char *)block)[i] = 1;
}

struct block {
    char *address;
    uint64_t size;
};

static int run_step(const struct plan_step *s, struct block *b, struct result *r) {
    char *made = NULL;
    r->live -= b->size;
    if (s->kind == PLAN_FREE) {
        free(b->address);
        *b = (struct block){NULL, 0};
        r->frees++;
        return 0;
    }
    if (s->kind == PLAN_MALLOC)
        made = malloc(s->size);
    else if (s->kind == PLAN_CALLOC)
        made = calloc(1, s->size);
    else
        made = realloc(b->address, s->size ? s->size : 1);
    if (!made && s->size)
        return -1;
    touch(made, s->size);
    *b = (struct block){made, s->size};
    r->allocations++;
    r->live += s->size;
    if (r->live > r->peak_live)
        r->peak_live = r->live;
    return 0;
}

static int run_plan(const struct plan_head *head, struct block *blocks, struct result *r,
                    struct wh_error *error) {
    const struct plan_step *steps = (const struct plan_step *)(head + 1);
    int statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    uint64_t every = head->steps / SAMPLES + 1;
    struct timespec from, to;
    int status = 0;
    r->start_resident = resident(statm);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (uint64_t i = 0; i < head->steps && !status; i++) {
        if (run_step(&steps[i], &blocks[steps[i].slot], r))
            status = wh_fail(error, WH_ESYSTEM, "no memory for %llu bytes",
                             (unsigned long long)steps[i].size);
        uint64_t now = i % every ? 0 : resident(statm);
        if (now > r->peak_resident)
            r->peak_resident = now;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    r->seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    close(statm);
    return status;
}

/* The plan as a shared mapping: resident as a file's pages, so not counted. */
static int get_plan(const char *trace, int64_t process_id, const struct plan_head **ret_head,
                    struct wh_error *error) {
    int fd = memfd_create("plan", MFD_CLOEXEC);
    if (fd < 0)
        return wh_fail_errno(error, "cannot make a memory file");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return wh_fail_errno(error, "cannot fork");
    if (pid == 0) {
        plan_make(trace, process_id, fd);
        _exit(0);
    }
    int ended;
    struct stat file;
    while (waitpid(pid, &ended, 0) < 0 && errno == EINTR)
        ;
    if (ended || fstat(fd, &file) < 0 || (size_t)file.st_size < sizeof(struct plan_head))
        return wh_fail(error, WH_ESYSTEM, "the plan of '%s' could not be made", trace);
    void *map = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return wh_fail_errno(error, "cannot map the plan");
    *ret_head = map;
    if (*(*ret_head)->problem)
        return wh_fail(error, WH_EINPUT, "%s", (*ret_head)->problem);
    return 0;
}

static void print_result(const struct plan_head *head, const struct result *r, bool is_json) {
    static const char *const names[] = {"allocations",
                                        "frees",
                                        "peak_live_bytes",
                                        "peak_resident_bytes",
                                        "resident_at_start_bytes",
                                        "skipped_mappings",
                                        "unknown_frees",
                                        "slots"};
    const uint64_t values[] = {r->allocations,      r->frees,          r->peak_live,
                               r->peak_resident,    r->start_resident, head->skipped_mappings,
                               head->unknown_frees, head->slots};
    if (is_json)
        putchar('{');
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
        printf(is_json ? "\"%s\": %llu, " : "%-24s %llu\n", names[i],
               (unsigned long long)values[i]);
    printf(is_json ? "\"%s\": %.6f}\n" : "%-24s %.6f\n", "seconds", r->seconds);
}

int command_replay(int argc, char **argv) {
    const char *trace = NULL;
    bool is_json = false;
    int64_t process_id = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return command_finish();
        }
        if (strcmp(argv[i], "--process") == 0 && i + 1 < argc && atoll(argv[i + 1]) > 0)
            process_id = atoll(argv[++i]);
        else if (strcmp(argv[i], "--format") == 0 && i + 1 < argc &&
                 (strcmp(argv[i + 1], "json") == 0 || strcmp(argv[i + 1], "text") == 0))
            is_json = strcmp(argv[++i], "json") == 0;
        else if (argv[i][0] == '-' || trace)
            return command_unknown(argv[i], options_known);
        else
            trace = argv[i];
    }
    struct wh_error error;
    const struct plan_head *head = NULL;
    struct result result = {0};
    int status = trace ? get_plan(trace, process_id, &head, &error)
                       : wh_fail(&error, WH_EUSAGE, "replay needs a trace file");
    if (status)
        return command_fail(&error);
    struct block *blocks = mmap(NULL, (head->slots + 1) * sizeof(*blocks), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    status = blocks == MAP_FAILED ? wh_fail_errno(&error, "cannot map the table of blocks")
                                  : run_plan(head, blocks, &result, &error);
    if (status)
        return command_fail(&error);
    print_result(head, &result, is_json);
    return command_finish();
}
