/* A heap that several threads scan is the one that a single thread finds, edge by edge. */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/snapshot.h"
#include "trace/heap.h"

#define BLOCKS                                                                                     \
    300000u /* some 45 MB: several shares, and pages of edges that shares do not end on */

#define DENSE 50000u

struct board { /* shared with the child */
    _Atomic int ready;
    struct wh_heap_node blocks[BLOCKS];
};
static struct board *board;
static pid_t target;
static void **roots;

static uint64_t random_state = 88172645463325252ull;
static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Plain references, some to later blocks, inner ones, lengths beside pointers to blocks that refer
 * and to blocks that do not, and a few arrays that are no small blocks. The first share is full of
 * references, so that it is done long after the second one. */
static void fill(uint64_t **block, uint32_t i, size_t words) {
    uint64_t to = (uintptr_t)block[next_random() % BLOCKS];
    switch (next_random() % 4) {
    case 0:
        break; /* refers to nothing */
    case 1:
        block[i][0] = to;
        break;
    case 2:
        block[i][words / 2] = to + 8;
        break;
    default:
        block[i][0] = to;
        block[i][1] = 1 + next_random() % 16;
    }
    for (size_t w = 2; (words > 1000 || i < DENSE) && w < words; w++)
        block[i][w] = (uintptr_t)block[next_random() % BLOCKS];
}

static void build(void) {
    static uint64_t *block[BLOCKS];
    static size_t words[BLOCKS];
    for (uint32_t i = 0; i < BLOCKS; i++) {
        words[i] = i % 50000 == 7 ? 20000 : i < DENSE ? 32 : 2 + next_random() % 30;
        block[i] = calloc(words[i], 8);
        board->blocks[i] = (struct wh_heap_node){.address = (uintptr_t)block[i] & WH_ADDRESS_MASK,
                                                 .size = words[i] * 8,
                                                 .allocation_id = i + 1,
                                                 .stack_id = 1 + i % 7};
    }
    for (uint32_t i = 0; i < BLOCKS; i++)
        fill(block, i, words[i]);
    roots = (void **)block;
}

static int start(void **state) {
    (void)state;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    target = fork();
    if (target == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        build();
        board->ready = 1;
        for (;;)
            pause();
    }
    while (!board->ready && waitpid(target, NULL, WNOHANG) == 0)
        usleep(1000);
    usleep(20000);
    return board->ready ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    kill(target, SIGKILL);
    waitpid(target, NULL, 0);
    return 0;
}

static struct wh_heap scan(void) {
    struct wh_process_slot slot = {.private_start = {(uintptr_t)board},
                                   .private_end = {(uintptr_t)board + sizeof *board}};
    struct wh_snapshot_job job = {.pid = target, .slot = &slot};
    struct wh_snapshot_figures figures;
    struct wh_frozen *frozen;
    struct wh_heap heap = {0};
    struct wh_error error;
    struct wh_heap_node *live = malloc(sizeof board->blocks);
    memcpy(live, board->blocks, sizeof board->blocks);
    if (wh_snapshot_freeze(&job, &frozen, &figures, &error) != WH_OK ||
        wh_snapshot_scan(frozen, live, BLOCKS, &heap, &figures, &error) != WH_OK)
        fail_msg("%s", error.text);
    return heap;
}

static void a_heap_does_not_depend_on_how_many_scan_it(void **state) {
    (void)state;
    cpu_set_t all, one;
    CPU_ZERO(&one);
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    struct wh_heap a = scan();
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    struct wh_heap b = scan();
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(a.node_count, BLOCKS);
    assert_int_equal(b.node_count, BLOCKS);
    assert_int_equal(a.edges.count, b.edges.count);
    assert_int_equal(a.edges.unit_count, b.edges.unit_count);
    assert_true(a.edges.unit_count > 1000);
    assert_true(a.edges.count > 2 * WH_EDGE_PAGE);
    struct wh_edge_walk v = {.edges = &a.edges}, w = {.edges = &b.edges};
    uint64_t lengths = 0;
    while (wh_edge_next(&v) && wh_edge_next(&w)) {
        const struct wh_heap_edge *x = &v.edge, *y = &w.edge;
        if (x->from & WH_FROM_ROOT) /* stacks and registers may differ */
            break;
        lengths += x->visible > 0;
        if (x->from != y->from || x->to != y->to || x->from_offset != y->from_offset ||
            x->to_offset != y->to_offset || x->visible != y->visible ||
            x->edge_class != y->edge_class || x->evidence != y->evidence)
            fail_msg("edge %llu differs", (unsigned long long)v.index);
    }
    assert_true(lengths > 1000);
    assert_int_equal(v.index, wh_edges_of_roots(&a.edges));
    assert_int_equal(wh_heap_check(&a, NULL), WH_OK);
    wh_heap_release(&a);
    wh_heap_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heap_does_not_depend_on_how_many_scan_it),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
