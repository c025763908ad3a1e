/* What the steps of a snapshot cost, without recording: a child builds the heap of heap.h, this
 * process freezes it and does what recorder and analyzer do, step by step, and prints the CPU
 * seconds, the wall seconds and the most memory of each. Every root slot is a root variable here.
 *
 *   steps [BLOCKS]    default 1000000 */
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyzer/graph/graph.h"
#include "heap.h"
#include "record/snapshot.h"
#include "schema/store.h"

struct board { /* shared with the child */
    _Atomic int ready;
    uint64_t plain_fork_ns, count;
    struct wh_heap_node blocks[];
};
static struct board *board;

static void remember(const void *block, size_t bytes) {
    uint64_t i = board->count++;
    board->blocks[i] = (struct wh_heap_node){.address = (uintptr_t)block & WH_ADDRESS_MASK,
                                             .size = bytes,
                                             .allocation_id = i + 1,
                                             .stack_id = 1};
}

static pid_t start_child(uint64_t blocks) {
    pid_t pid = fork();
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    build(blocks, remember);
    board->plain_fork_ns = plain_fork_ns();
    board->ready = 1;
    for (;;)
        pause();
}

/* --- one line a step --- */

struct spent {
    double user, system, wall;
};

static struct spent spent_so_far(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (struct spent){(double)r.ru_utime.tv_sec + (double)r.ru_utime.tv_usec / 1e6,
                          (double)r.ru_stime.tv_sec + (double)r.ru_stime.tv_usec / 1e6,
                          (double)now_ns() / 1e9};
}

/* VmRSS or VmHWM in bytes. */
static double memory_bytes(const char *name) {
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtod(line + strlen(name) + 1, NULL);
    if (file)
        fclose(file);
    return kib * 1024;
}

static double base_bytes, peak_bytes;
static struct spent step, total;
static uint64_t block_count;

static void begin_step(void) {
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file) {
        fputs("5", file); /* VmHWM starts over */
        fclose(file);
    }
    step = spent_so_far();
}

static void print_line(const char *name, struct spent s, double bytes) {
    printf("%-8s user_s %6.3f sys_s %6.3f wall_s %6.3f peak_bytes_a_block %6.1f\n", name, s.user,
           s.system, s.wall, bytes / (double)block_count);
    fflush(stdout);
}

static double end_step(const char *name) {
    struct spent now = spent_so_far();
    step = (struct spent){now.user - step.user, now.system - step.system, now.wall - step.wall};
    double bytes = memory_bytes("VmHWM:") - base_bytes;
    total.user += step.user;
    total.system += step.system;
    total.wall += step.wall;
    peak_bytes = bytes > peak_bytes ? bytes : peak_bytes;
    print_line(name, step, bytes);
    return step.user + step.system;
}

static void must(int status, const struct wh_error *error) {
    if (status >= 0)
        return;
    fprintf(stderr, "steps: %s\n", error->text);
    exit(1);
}

/* --- the steps --- */

static void solve(const struct wh_heap *heap, struct wh_error *error) {
    uint64_t roots = wh_edges_of_roots(&heap->edges), slots = heap->edges.count - roots;
    uint32_t *edge_variable = malloc((slots + 1) * sizeof *edge_variable), count = 0;
    struct wh_graph_variable *variables = malloc((slots + 1) * sizeof *variables);
    struct wh_graph graph;
    if (!edge_variable || !variables)
        must(wh_fail(error, WH_ESYSTEM, "out of memory"), error);
    for (uint64_t i = 0; i < slots; i++) {
        uint8_t kind = heap->roots[heap->edges.root[i]].kind;
        variables[count] = (struct wh_graph_variable){kind == WH_ROOT_GLOBAL ? 5 : 1, 0};
        edge_variable[i] = count++;
    }
    begin_step();
    static const uint32_t stack_kind[] = {0, 1};
    struct wh_graph_input input = {.heap = heap,
                                   .variables = variables,
                                   .variable_count = count,
                                   .edge_variable = edge_variable,
                                   .stack_kind = stack_kind,
                                   .stacks = 2,
                                   .kinds = 2};
    must(wh_graph_solve(&input, &graph, error), error);
    end_step("solve");
    uint64_t held = 0;
    for (uint32_t b = 0; b < graph.blocks; b++)
        held += graph.strength[b] != 0;
    printf("held %llu of %u, retained by the root %llu bytes, %u groups\n",
           (unsigned long long)held, graph.blocks,
           (unsigned long long)graph.retained_bytes[graph.super], graph.group_count);
    wh_graph_release(&graph);
    free(edge_variable);
    free(variables);
}

static double file_bytes(const char *path) {
    FILE *file = fopen(path, "r");
    double bytes = file && fseek(file, 0, SEEK_END) == 0 ? (double)ftell(file) : 0;
    if (file)
        fclose(file);
    return bytes;
}

int main(int argc, char **argv) {
    uint64_t blocks = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    struct wh_error error;
    (void)mallopt(M_MMAP_THRESHOLD, 256 << 10); /* as in the recorder */
    size_t bytes = sizeof *board + blocks * sizeof *board->blocks;
    board = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
    if (board == MAP_FAILED)
        return 1;
    pid_t pid = start_child(blocks);
    while (!board->ready && waitpid(pid, NULL, WNOHANG) == 0)
        usleep(1000);
    usleep(20000);
    block_count = board->count;

    struct wh_process_slot slot = {.private_start = {(uintptr_t)board},
                                   .private_end = {(uintptr_t)board + bytes}};
    struct wh_snapshot_job job = {.pid = pid, .slot = &slot};
    struct wh_snapshot_figures figures;
    struct wh_frozen *frozen;
    struct wh_heap heap;
    struct wh_heap_node *list = malloc((block_count + 1) * sizeof *list);
    if (!list)
        return 1;
    memcpy(list, board->blocks, block_count * sizeof *list);
    madvise(board, bytes, MADV_DONTNEED);
    base_bytes = memory_bytes("VmRSS:") - (double)(block_count * sizeof *list);

    begin_step();
    must(wh_snapshot_freeze(&job, &frozen, &figures, &error), &error);
    end_step("freeze");
    begin_step();
    must(wh_snapshot_scan(frozen, list, block_count, &heap, &figures, &error), &error);
    double scan_cpu = end_step("scan");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    printf("mode %s pause_ms %.2f stop_ms %.2f fork_ms %.2f plain_fork_ms %.2f ratio %.2f\n",
           figures.mode, (double)figures.pause_ns / 1e6, (double)figures.stop_ns / 1e6,
           (double)figures.fork_ns / 1e6, (double)board->plain_fork_ns / 1e6,
           (double)figures.pause_ns / (double)(figures.stop_ns + board->plain_fork_ns));
    printf("scan GB/s %.2f M edges/s %.1f M blocks/s %.1f of CPU; %llu edges\n",
           (double)figures.image_bytes / 1e9 / scan_cpu, (double)heap.edges.count / 1e6 / scan_cpu,
           (double)heap.node_count / 1e6 / scan_cpu, (unsigned long long)heap.edges.count);

    char path[] = "/tmp/steps-XXXXXX";
    struct wh_store *store;
    close(mkstemp(path));
    unlink(path);
    begin_step();
    must(wh_store_create(path, 0, &store, &error), &error);
    must(wh_store_put_heap(store, 1, &heap, &error), &error);
    wh_store_close(store);
    end_step("store");
    printf("stored bytes a block %.1f\n", file_bytes(path) / (double)block_count);
    solve(&heap, &error);
    wh_heap_release(&heap);
    print_line("all", total, peak_bytes);

    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20); /* where a report's rises to by itself */
    begin_step(); /* what a later report pays, the recorder keeps the heap for its own */
    must(wh_store_open(path, WH_STORE_READ, &store, &error), &error);
    must(wh_store_get_heap(store, 1, &heap, &error), &error);
    must(wh_heap_check(&heap, &error), &error);
    end_step("load");
    wh_store_close(store);
    unlink(path);
    wh_heap_release(&heap);
    return 0;
}
