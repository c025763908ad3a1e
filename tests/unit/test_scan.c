/* From a real process to nodes, roots and edges: a forked child lays out known blocks and
 * references, stands still, and the extracted graph must show exactly these. No libwhoholds is
 * involved. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/snapshot.h"
#include "record/snapshot/frozen.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1 /* it moves locals off the stack and cannot follow coroutines */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifndef HAS_ASAN
#define HAS_ASAN 0
#endif

enum {
    B_GLOBAL,
    B_SLICED,
    B_TEXT,
    B_STACK,
    B_TLS,
    B_KEY3,
    B_KEY60,
    B_LOST,
    B_VECTOR,
    B_PACKED,
    B_TAGGED,
    B_HIGH,
    B_LIST1,
    B_LIST2,
    B_LIST3,
    B_COOKIE,
    B_TABLE,
    B_HELD_BY_TABLE,
    B_NEIGHBOUR,
    B_CACHED,
    B_CO_STACK,
    B_CO_LOCAL,
    B_CO_DEAD,
    B_LOW_HALF,
    B_HIGH_HALF,
    B_IN_CALL,
    B_LEFT_OVER,
    B_HEADER,
    B_NO_CHUNK,
    B_SHARED,
    B_STATE,
    B_LARGE,
    B_SPREAD,
    B_STRING1,               /* six strings behind headers of three bytes */
    B_NODE1 = B_STRING1 + 6, /* six nodes with and without a tag */
    B_ROW1 = B_NODE1 + 6,    /* six blocks without a gap */
    B_PAIR1 = B_ROW1 + 6,    /* two more */
    B_PAIR2,
    B_COUNT
};

struct board { /* shared with the child */
    struct wh_heap_node blocks[B_COUNT];
    uint64_t slot[B_COUNT]; /* where the one reference lies, 0 = elsewhere */
    _Atomic int ready, running, spinning, in_call;
    int tid, co_tid, spin_tid, call_tid;
};
static struct board *board;

static void *global_holder;
static struct {
    char *pointer;
    size_t length;
} slice;
static struct {
    char *volatile pointer;
    volatile size_t length, capacity;
} text;
static struct { void **begin, **end, **capacity; } vector;
static struct {
    char pad;
    char pointer[8];
} __attribute__((packed, aligned(8))) packed_holder;
static uintptr_t tagged, high_tagged;
static char *volatile strings[8]; /* as sds of redis */
static volatile uintptr_t parents[8], children[8];
static void *volatile row[8];
static struct {
    void *volatile one, *volatile two;
    uint64_t rest[3];
} pair;
static void *list_head, *cookie_holder, *table_holder;
static char *volatile next_chunk, *volatile no_chunk; /* else never stored */
static char *volatile the_state;
static __thread void *tls_holder;

/* Blocks come from a mapping of their own, so that the test does not depend on an allocator. */
static char *arena, *arena_next;
static void *take(int which, size_t size, size_t distance) {
    void *p = arena_next;
    arena_next += ((size + 15) & ~(size_t)15) + distance;
    board->blocks[which] =
        (struct wh_heap_node){.address = (uintptr_t)p & WH_ADDRESS_MASK,
                              .size = size,
                              .allocation_id = (uint64_t)which + 1,
                              .stack_id = which >= B_LIST1 && which <= B_LIST3 ? 77
                                          : which >= B_ROW1                    ? 80
                                          : which >= B_NODE1                   ? 79
                                          : which >= B_STRING1                 ? 78
                                                               : (uint32_t)which + 100};
    return p;
}

/* A block so large that it is scanned in parts. Across each border of its pages lies a reference: a
 * pointer in front of it and a length behind it, or the end of the same block, or a pointer at an
 * odd place. */
#define LARGE_PAGES 2304u
#define PAGE        4096u
enum { ACROSS_SLICE, ACROSS_RANGE, ACROSS_ODD };

static bool is_untouched(unsigned border) {
    return border >= 700 && border <= 900;
}

static unsigned across(unsigned border) { /* each of them also where parts meet: every 512 pages */
    return (border / 512 + border % 512) % 3;
}

static void lay_out_large(void) {
    char *p =
        mmap(NULL, LARGE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *target = take(B_SPREAD, 64, 32);
    board->blocks[B_LARGE] = (struct wh_heap_node){.address = (uintptr_t)p & WH_ADDRESS_MASK,
                                                   .size = LARGE_PAGES * PAGE,
                                                   .allocation_id = B_LARGE + 1,
                                                   .kind = WH_NODE_MMAP};
    for (unsigned border = 1; border < LARGE_PAGES; border++) {
        char *at = p + border * PAGE, *end = (char *)target + 64;
        if (is_untouched(border))
            continue;
        memcpy(at - (across(border) == ACROSS_ODD ? 3 : 8), &target, sizeof target);
        if (across(border) == ACROSS_SLICE)
            *at = 7;
        if (across(border) == ACROSS_RANGE)
            memcpy(at, &end, sizeof end);
    }
}

static __attribute__((noinline)) int leave_below(int depth, int which) {
    void *volatile local = depth ? NULL : take(which, 64, 32);
    volatile char room[512] = {0};
    return (depth ? leave_below(depth - 1, which) : 0) + room[0] + (local != NULL);
}

/* Ends with a pointer deep on its stack, which the C library keeps for the next thread. */
static void *hold_and_end(void *unused) {
    (void)leave_below(15, B_CACHED);
    return unused;
}

static void run_coroutine(void) {
    void *volatile local = take(B_CO_LOCAL, 64, 32);
    board->slot[B_CO_LOCAL] = (uintptr_t)&local;
    (void)leave_below(20, B_CO_DEAD);
    board->running = 1;
    for (;;)
        pause();
}

static void *hold_in_coroutine(void *unused) {
    static ucontext_t context, back;
    board->co_tid = (int)gettid();
    getcontext(&context);
    context.uc_stack.ss_sp = take(B_CO_STACK, 65536, 32);
    context.uc_stack.ss_size = 65536;
    makecontext(&context, run_coroutine, 0);
    swapcontext(&back, &context);
    return unused;
}

/* Pointers that lie in vector registers and nowhere else, while the thread computes. */
static void *hold_in_vectors(void *unused) {
    uintptr_t low = (uintptr_t)take(B_LOW_HALF, 64, 32),
              high = (uintptr_t)take(B_HIGH_HALF, 64, 32);
    board->spin_tid = (int)gettid();
    board->spinning = 1;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile(
            "vmovq %1, %%xmm9\n\tvinsertf128 $1, %%xmm9, %%ymm9, %%ymm9\n\t"
            "vpxor %%xmm8, %%xmm8, %%xmm8\n\tvblendps $0x0f, %%ymm8, %%ymm9, %%ymm9\n\t"
            "movq %0, %%xmm5\n\txor %0, %0\n\txor %1, %1\n1:\tpause\n\tjmp 1b"
            : "+r"(low), "+r"(high)::"xmm5", "xmm8", "xmm9");
#endif
    return unused;
}

/* The same across a system call of its own, and across one of the C library, where it is dead. */
static void *hold_across_call(void *unused) {
    uintptr_t word = (uintptr_t)take(B_IN_CALL, 64, 32);
    board->call_tid = (int)gettid();
    board->in_call++;
#if defined(__x86_64__)
    long number = SYS_pause;
    __asm__ volatile("movq %1, %%xmm5\n\txor %1, %1\n\tsyscall"
                     : "+a"(number), "+r"(word)::"xmm5", "rcx", "r11", "memory");
#endif
    return unused;
}

static void *leave_in_vector(void *unused) {
    uintptr_t word = (uintptr_t)take(B_LEFT_OVER, 64, 32);
    board->in_call++;
#if defined(__x86_64__)
    __asm__ volatile("movq %0, %%xmm5\n\txor %0, %0" : "+r"(word)::"xmm5");
#endif
    for (;;)
        pause();
    return unused;
}

static void *hold_in_thread(void *unused) {
    (void)unused;
    void *volatile local = take(B_STACK, 64, 32);
    tls_holder = take(B_TLS, 64, 32);
    board->slot[B_STACK] = (uintptr_t)&local;
    board->slot[B_TLS] = (uintptr_t)&tls_holder;
    pthread_key_t key, key3 = 0, key60 = 0;
    for (int i = 0; i <= 60; i++) {
        (void)pthread_key_create(&key, free);
        key3 = i == 3 ? key : key3;
        key60 = i == 60 ? key : key60;
    }
    (void)pthread_setspecific(key3, take(B_KEY3, 64, 32));
    (void)pthread_setspecific(key60, take(B_KEY60, 64, 32));
    board->tid = (int)gettid();
    board->ready = 1;
    for (;;)
        pause();
    return local;
}

static void lay_out(void) {
    char *p;
    global_holder = take(B_GLOBAL, 100, 32);
    slice.pointer = (char *)take(B_SLICED, 4096, 32) + 1024;
    text.pointer = take(B_TEXT, 61, 32);
    text.length = 35;
    text.capacity = 60;
    slice.length = 7;
    take(B_LOST, 64, 32);
    vector.begin = take(B_VECTOR, 80, 0); /* ends where the neighbour starts */
    vector.end = vector.begin + 10;
    vector.capacity = vector.begin + 10;
    take(B_NEIGHBOUR, 48, 32);
    p = take(B_PACKED, 64, 32);
    memcpy(packed_holder.pointer, &p, sizeof p);
    tagged = (uintptr_t)take(B_TAGGED, 64, 32) | 3;
    high_tagged = (uintptr_t)take(B_HIGH, 64, 32) | 0xabcdull << 48;
    void **previous = &list_head;
    for (int i = B_LIST1; i <= B_LIST3; i++) {
        p = take(i, 96, 32);
        *previous = p + 40;
        previous = (void **)(void *)(p + 40);
    }
    for (int i = 0; i < 6; i++) {
        strings[i] = (char *)take(B_STRING1 + i, 40, 32) + 3;
        children[i] = (uintptr_t)take(B_NODE1 + i, 48, 32);
        parents[i] = children[i] | 1;
    }
    for (int i = 0; i < 6; i++)
        row[i] = take(B_ROW1 + i, 16, 0);
    arena_next += 32;
    pair.one = take(B_PAIR1, 48, 0);
    pair.two = take(B_PAIR2, 48, 32);
    p = take(B_COOKIE, 8 + 10 * 12, 32);
    *(uint64_t *)(void *)p = 10;
    cookie_holder = p + 8;
    /* What an allocator's own pointer to the chunk behind a block looks like, and the same offset
     * in memory that is no chunk of glibc's. */
    p = take(B_HEADER, 104, 32);
    memcpy(p - 8, &(uint64_t){112 | 1}, 8);
    next_chunk = p + 96;
    p = take(B_NO_CHUNK, 104, 32);
    no_chunk = p + 96;
    the_state = (char *)take(B_STATE, 104, 32) + 8;
    memcpy(p, &(uintptr_t){(uintptr_t)the_state}, sizeof(uintptr_t));
    p = mmap(NULL, 3 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    board->blocks[B_SHARED] = (struct wh_heap_node){.address = (uintptr_t)p & WH_ADDRESS_MASK,
                                                    .size = 3 << 20,
                                                    .allocation_id = B_SHARED + 1,
                                                    .kind = WH_NODE_MMAP};
    p = mmap(NULL, 5 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)madvise(p, 5 << 20, MADV_DONTFORK);
    p = mmap(NULL, 7 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)madvise(p, 7 << 20, MADV_WIPEONFORK);
    p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    table_holder = p;
    board->blocks[B_TABLE] = (struct wh_heap_node){.address = (uintptr_t)p & WH_ADDRESS_MASK,
                                                   .size = 1 << 20,
                                                   .allocation_id = B_TABLE + 1,
                                                   .kind = WH_NODE_MMAP};
    ((void **)(void *)p)[70000] = take(B_HELD_BY_TABLE, 64, 32);
    lay_out_large();
}

static pid_t start_child(void) {
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        arena = arena_next =
            mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        lay_out();
        pthread_t thread;
        (void)pthread_create(&thread, NULL, hold_and_end, NULL);
        (void)pthread_join(thread, NULL);
        pthread_attr_t attributes; /* else the next thread would use the cached stack */
        (void)pthread_attr_init(&attributes);
        (void)pthread_attr_setstacksize(&attributes, 64 << 20);
        if (!HAS_ASAN)
            (void)pthread_create(&thread, &attributes, hold_in_coroutine, NULL);
        else
            (void)take(B_CO_STACK, 64, 32), (void)take(B_CO_LOCAL, 64, 32),
                (void)take(B_CO_DEAD, 64, 32);
        while (!HAS_ASAN && !board->running)
            usleep(1000);
        (void)pthread_create(&thread, &attributes, hold_in_vectors, NULL);
        while (!board->spinning)
            usleep(1000);
        (void)pthread_create(&thread, &attributes, hold_across_call, NULL);
        while (board->in_call < 1)
            usleep(1000);
        (void)pthread_create(&thread, &attributes, leave_in_vector, NULL);
        while (board->in_call < 2)
            usleep(1000);
        (void)pthread_create(&thread, &attributes, hold_in_thread, NULL);
        for (;;)
            pause();
    }
    while (!board->ready && waitpid(pid, NULL, WNOHANG) == 0)
        usleep(1000);
    usleep(20000); /* into pause() */
    return pid;
}

static struct wh_heap heap;
static struct wh_snapshot_figures figures;

static uint32_t node_of(int which) {
    for (uint32_t i = 0; i < heap.node_count; i++)
        if (heap.nodes[i].allocation_id == (uint64_t)which + 1)
            return i;
    fail_msg("block %d is no node", which);
    return 0;
}

static bool in_register(const struct wh_heap_edge *e) {
    return (e->from & WH_FROM_ROOT) && heap.roots[e->from & ~WH_FROM_ROOT].kind == WH_ROOT_REGISTER;
}

/* The strongest edge into a block, registers aside; NULL = none. Valid until the next call. */
static const struct wh_heap_edge *edge_to(int which) {
    static struct wh_heap_edge best;
    bool found = false;
    uint32_t node = node_of(which);
    for (struct wh_edge_walk w = {.edges = &heap.edges}; wh_edge_next(&w);)
        if (w.edge.to == node && !in_register(&w.edge) &&
            (!found || w.edge.edge_class > best.edge_class)) {
            best = w.edge;
            found = true;
        }
    return found ? &best : NULL;
}

static const struct wh_heap_root *root_of(const struct wh_heap_edge *e) {
    assert_non_null(e);
    assert_true(e->from & WH_FROM_ROOT);
    return &heap.roots[e->from & ~WH_FROM_ROOT];
}

static void assert_held_at(int which, const void *slot, enum wh_root_kind kind,
                           unsigned edge_class) {
    const struct wh_heap_edge *e = edge_to(which);
    const struct wh_heap_root *r = root_of(e);
    assert_int_equal(r->kind, kind);
    assert_int_equal(r->start + e->from_offset, (uintptr_t)slot);
    assert_int_equal(e->edge_class, edge_class);
}

static int take_snapshot(void **state) {
    (void)state;
    pid_t pid = start_child();
    /* The board knows every block: as the library's own memory it must not count. */
    static struct wh_process_slot slot;
    slot.private_start[0] = (uintptr_t)board;
    slot.private_end[0] = (uintptr_t)board + sizeof *board;
    struct wh_snapshot_job job = {.pid = pid, .slot = &slot};
    struct wh_frozen *frozen;
    struct wh_error error;
    struct wh_heap_node *blocks = malloc(sizeof board->blocks);
    int status = wh_snapshot_freeze(&job, &frozen, &figures, &error);
    memcpy(blocks, board->blocks, sizeof board->blocks);
    if (status == WH_OK)
        status = wh_snapshot_scan(frozen, blocks, B_COUNT, &heap, &figures, &error);
    if (status != WH_OK)
        (void)fprintf(stderr, "snapshot: %s\n", error.text);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return status;
}

static int drop_snapshot(void **state) {
    (void)state;
    wh_heap_release(&heap);
    munmap(board, sizeof *board);
    return 0;
}

static bool has_vector_edge(int which, uint64_t offset, int tid) {
    uint32_t node = node_of(which);
    for (struct wh_edge_walk w = {.edges = &heap.edges}; wh_edge_next(&w);) {
        const struct wh_heap_edge *e = &w.edge;
        if (e->to == node && in_register(e) && e->from_offset == offset &&
            (tid == 0 || heap.roots[e->from & ~WH_FROM_ROOT].tid == (uint32_t)tid))
            return true;
    }
    return false;
}

static void pointers_in_vector_registers_are_references(void **state) {
    (void)state;
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx"))
        skip();
    assert_true(has_vector_edge(B_LOW_HALF, WH_REGS * 8 + 5 * 64, board->spin_tid));
    assert_true(has_vector_edge(B_HIGH_HALF, WH_REGS * 8 + 9 * 64 + 16, board->spin_tid));
    assert_true(has_vector_edge(B_IN_CALL, WH_REGS * 8 + 5 * 64, board->call_tid));
#endif
}

/* In a call no vector register is alive: what lies there are leftovers of memcpy and the like. */
static void vector_registers_of_a_caller_are_dead(void **state) {
    (void)state;
    assert_false(has_vector_edge(B_LEFT_OVER, WH_REGS * 8 + 5 * 64, 0));
}

static void heap_is_well_formed(void **state) {
    (void)state;
    struct wh_error error;
    if (wh_heap_check(&heap, &error) != WH_OK)
        fail_msg("%s", error.text);
    assert_int_equal(heap.node_count, B_COUNT);
    assert_string_equal(figures.mode, "fork");
    assert_true(figures.image_bytes > 0);
    assert_int_equal(figures.unknown_blocks, 0);
}

static void global_pointer_holds_its_block(void **state) {
    (void)state;
    assert_held_at(B_GLOBAL, &global_holder, WH_ROOT_GLOBAL, WH_EDGE_START);
}

static void slice_reaches_its_length_only(void **state) {
    (void)state;
    assert_held_at(B_SLICED, &slice, WH_ROOT_GLOBAL, WH_EDGE_REASONED);
    const struct wh_heap_edge *e = edge_to(B_SLICED);
    assert_int_equal(e->to_offset, 1024);
    assert_int_equal(e->visible, 7);
    assert_int_equal(e->evidence, WH_EVIDENCE_PTR_LEN);
}

static void a_capacity_in_bytes_says_so(void **state) {
    (void)state;
    const struct wh_heap_edge *e = edge_to(B_TEXT);
    assert_int_equal(e->visible, 35);
    assert_int_equal(e->evidence, WH_EVIDENCE_BYTES);
}

static void local_of_a_thread_lies_in_its_frame(void **state) {
    (void)state;
    assert_held_at(B_STACK, (void *)board->slot[B_STACK], WH_ROOT_STACK, WH_EDGE_START);
    const struct wh_heap_root *r = root_of(edge_to(B_STACK));
    assert_int_equal(r->tid, board->tid);
    assert_true(r->pc > (uintptr_t)hold_in_thread && r->pc < (uintptr_t)hold_in_thread + 4096);
}

static void thread_local_is_named_by_module_offset(void **state) {
    (void)state;
    assert_held_at(B_TLS, (void *)board->slot[B_TLS], WH_ROOT_TLS, WH_EDGE_START);
    assert_int_equal(root_of(edge_to(B_TLS))->tid, board->tid);
}

static void specific_data_is_named_by_key_and_destructor(void **state) {
    (void)state;
    const struct wh_heap_root *r = root_of(edge_to(B_KEY3));
    assert_int_equal(r->kind, WH_ROOT_TSD);
    uint32_t first = r->number;
    r = root_of(edge_to(B_KEY60));
    assert_int_equal(r->kind, WH_ROOT_TSD);
    assert_int_equal(r->number - first, 57);
    assert_int_equal(r->tid, board->tid);
    assert_int_equal(r->pc, (uintptr_t)free);
}

static void unreferenced_block_has_no_edge(void **state) {
    (void)state;
    assert_null(edge_to(B_LOST));
}

static void end_pointer_does_not_hold_the_neighbour(void **state) {
    (void)state;
    assert_held_at(B_VECTOR, &vector, WH_ROOT_GLOBAL, WH_EDGE_START);
    assert_int_equal(edge_to(B_VECTOR)->visible, 80);
    assert_null(edge_to(B_NEIGHBOUR));
}

static void disguised_pointers_are_weak_edges(void **state) {
    (void)state;
    assert_held_at(B_TAGGED, &tagged, WH_ROOT_GLOBAL, WH_EDGE_TAGGED);
    assert_int_equal(edge_to(B_TAGGED)->evidence, WH_EVIDENCE_LOW_TAG);
    assert_held_at(B_HIGH, &high_tagged, WH_ROOT_GLOBAL, WH_EDGE_TAGGED);
    assert_int_equal(edge_to(B_HIGH)->evidence, WH_EVIDENCE_HIGH_TAG);
    assert_held_at(B_PACKED, packed_holder.pointer, WH_ROOT_GLOBAL, WH_EDGE_TAGGED);
    assert_int_equal(edge_to(B_PACKED)->evidence, WH_EVIDENCE_UNALIGNED);
}

static void odd_offsets_that_all_have_are_no_tags(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        assert_held_at(B_STRING1 + i, (void *)&strings[i], WH_ROOT_GLOBAL, WH_EDGE_REASONED);
        assert_int_equal(edge_to(B_STRING1 + i)->evidence, WH_EVIDENCE_OFFSET);
        assert_int_equal(edge_to(B_STRING1 + i)->to_offset, 3);
    }
}

static void tags_on_what_others_refer_to_stay_tags(void **state) {
    (void)state;
    unsigned tags = 0;
    for (struct wh_edge_walk w = {.edges = &heap.edges}; wh_edge_next(&w);)
        for (int i = 0; i < 6; i++)
            if (w.edge.to == node_of(B_NODE1 + i) && w.edge.to_offset == 1) {
                assert_int_equal(w.edge.edge_class, WH_EDGE_TAGGED);
                tags++;
            }
    assert_int_equal(tags, 6);
}

/* Each address is also the end of the block before, as with allocators that leave no gap. */
static void an_array_of_neighbours_holds_each(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++)
        assert_held_at(B_ROW1 + i, (void *)&row[i], WH_ROOT_GLOBAL, WH_EDGE_START);
}

static void what_may_be_an_end_holds_weakly(void **state) {
    (void)state;
    assert_held_at(B_PAIR2, (void *)&pair.two, WH_ROOT_GLOBAL, WH_EDGE_TAGGED);
    assert_int_equal(edge_to(B_PAIR2)->evidence, WH_EVIDENCE_OR_END);
}

static void next_chunks_header_is_no_reference(void **state) {
    (void)state;
    const struct wh_heap_edge *e = edge_to(B_HEADER);
    assert_non_null(e);
    assert_int_equal(e->edge_class, WH_EDGE_SUSPECT);
    assert_int_equal(e->evidence, WH_EVIDENCE_HEADER);
    e = edge_to(B_NO_CHUNK);
    assert_non_null(e);
    assert_int_equal(e->edge_class, WH_EDGE_INTERIOR);
}

static void what_the_copy_does_not_show_is_said(void **state) {
    (void)state;
    assert_non_null(strstr(figures.caveats, "5120 KiB are not in the copy (MADV_DONTFORK)"));
    assert_non_null(strstr(figures.caveats, "7168 KiB are empty in the copy (MADV_WIPEONFORK)"));
    assert_non_null(strstr(figures.caveats, "3072 KiB are shared mappings"));
    assert_true(heap.nodes[node_of(B_SHARED)].flags & WH_NODE_VOLATILE);
}

static void intrusive_list_is_reasoned_by_its_offset(void **state) {
    (void)state;
    assert_held_at(B_LIST1, &list_head, WH_ROOT_GLOBAL, WH_EDGE_REASONED);
    for (int i = B_LIST1; i <= B_LIST3; i++) {
        const struct wh_heap_edge *e = edge_to(i);
        assert_int_equal(e->edge_class, WH_EDGE_REASONED);
        assert_int_equal(e->evidence, WH_EVIDENCE_OFFSET);
        assert_int_equal(e->to_offset, 40);
    }
    assert_int_equal(edge_to(B_LIST2)->from, node_of(B_LIST1));
    assert_int_equal(edge_to(B_LIST2)->from_offset, 40);
}

static void only_child_behind_a_header_is_reasoned(void **state) {
    (void)state;
    assert_held_at(B_STATE, (const void *)&the_state, WH_ROOT_GLOBAL, WH_EDGE_REASONED);
    assert_held_at(B_NO_CHUNK, (const void *)&no_chunk, WH_ROOT_GLOBAL, WH_EDGE_INTERIOR);
}

static void array_cookie_is_a_reason(void **state) {
    (void)state;
    assert_held_at(B_COOKIE, &cookie_holder, WH_ROOT_GLOBAL, WH_EDGE_REASONED);
    assert_int_equal(edge_to(B_COOKIE)->evidence, WH_EVIDENCE_COOKIE);
}

static void stack_of_an_ended_thread_holds_nothing(void **state) {
    (void)state;
    if (HAS_ASAN)
        skip();
    assert_null(edge_to(B_CACHED));
}

static void coroutine_stack_counts_from_its_sp(void **state) {
    (void)state;
    if (HAS_ASAN)
        skip();
    assert_int_equal(heap.nodes[node_of(B_CO_STACK)].kind, WH_NODE_STACK);
    assert_held_at(B_CO_LOCAL, (void *)board->slot[B_CO_LOCAL], WH_ROOT_STACK, WH_EDGE_START);
    assert_int_equal(root_of(edge_to(B_CO_LOCAL))->tid, board->co_tid);
    assert_null(edge_to(B_CO_DEAD));
}

static void mapping_is_a_node_and_holds(void **state) {
    (void)state;
    assert_held_at(B_TABLE, &table_holder, WH_ROOT_GLOBAL, WH_EDGE_START);
    assert_int_equal(heap.nodes[node_of(B_TABLE)].kind, WH_NODE_MMAP);
    const struct wh_heap_edge *e = edge_to(B_HELD_BY_TABLE);
    assert_int_equal(e->from, node_of(B_TABLE));
    assert_int_equal(e->from_offset, 70000 * 8);
}

static void large_block_is_scanned_as_if_in_one(void **state) {
    (void)state;
    static const unsigned evidence[] = {WH_EVIDENCE_PTR_LEN, WH_EVIDENCE_BEGIN_END,
                                        WH_EVIDENCE_UNALIGNED};
    static const uint64_t in_front[] = {8, 8, 3}, visible[] = {7, 64, 0};
    uint32_t large = node_of(B_LARGE), spread = node_of(B_SPREAD);
    uint64_t edge = heap.edges.first[large];
    for (unsigned border = 1; border < LARGE_PAGES; border++) {
        unsigned what = across(border);
        if (is_untouched(border))
            continue;
        assert_true(edge < heap.edges.first[large + 1]);
        struct wh_heap_edge e = wh_edges_get_of(&heap.edges, edge++, large);
        assert_int_equal(e.to, spread);
        assert_int_equal(e.from_offset, border * PAGE - in_front[what]);
        assert_int_equal(e.evidence, evidence[what]);
        assert_int_equal(e.visible, visible[what]);
        if (what != ACROSS_RANGE)
            continue;
        assert_true(edge < heap.edges.first[large + 1]);
        e = wh_edges_get_of(&heap.edges, edge++, large);
        assert_int_equal(e.from_offset, border * PAGE);
        assert_int_equal(e.evidence, WH_EVIDENCE_ONE_PAST);
    }
    assert_int_equal(edge, heap.edges.first[large + 1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_is_well_formed),
        cmocka_unit_test(global_pointer_holds_its_block),
        cmocka_unit_test(slice_reaches_its_length_only),
        cmocka_unit_test(a_capacity_in_bytes_says_so),
        cmocka_unit_test(local_of_a_thread_lies_in_its_frame),
        cmocka_unit_test(thread_local_is_named_by_module_offset),
        cmocka_unit_test(specific_data_is_named_by_key_and_destructor),
        cmocka_unit_test(pointers_in_vector_registers_are_references),
        cmocka_unit_test(vector_registers_of_a_caller_are_dead),
        cmocka_unit_test(unreferenced_block_has_no_edge),
        cmocka_unit_test(end_pointer_does_not_hold_the_neighbour),
        cmocka_unit_test(disguised_pointers_are_weak_edges),
        cmocka_unit_test(odd_offsets_that_all_have_are_no_tags),
        cmocka_unit_test(tags_on_what_others_refer_to_stay_tags),
        cmocka_unit_test(an_array_of_neighbours_holds_each),
        cmocka_unit_test(what_may_be_an_end_holds_weakly),
        cmocka_unit_test(next_chunks_header_is_no_reference),
        cmocka_unit_test(what_the_copy_does_not_show_is_said),
        cmocka_unit_test(intrusive_list_is_reasoned_by_its_offset),
        cmocka_unit_test(only_child_behind_a_header_is_reasoned),
        cmocka_unit_test(array_cookie_is_a_reason),
        cmocka_unit_test(mapping_is_a_node_and_holds),
        cmocka_unit_test(large_block_is_scanned_as_if_in_one),
        cmocka_unit_test(stack_of_an_ended_thread_holds_nothing),
        cmocka_unit_test(coroutine_stack_counts_from_its_sp),
    };
    return cmocka_run_group_tests(tests, take_snapshot, drop_snapshot);
}
