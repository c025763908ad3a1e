/* Snapshots made by hand: real C objects of the test program become the frozen heap of a trace.
 *
 * Blocks and roots are declared with the stacks that "created" them; hand_save() scans their words
 * as a snapshot would and stores everything. The test executable itself is the module, so that
 * roots get their names, and paths their types, from its own debug information. */
#ifndef WH_TEST_HAND_HEAP_H
#define WH_TEST_HAND_HEAP_H

#include <limits.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "analyzer/holder/holder.h"
#include "schema/store.h"

#define HAND_BLOCKS 512
#define HAND_ROOTS  32
#define HAND_STACKS 32

struct hand_block {
    const char *memory;
    size_t size;
    uint32_t stack, order;
};

struct hand {
    struct hand_block block[HAND_BLOCKS];
    uint32_t blocks;
    struct wh_heap_root root[HAND_ROOTS];
    const char *root_memory[HAND_ROOTS];
    uint32_t roots;
    struct {
        const char *functions, *file; /* functions: "leaf;caller;main" */
        unsigned creator;             /* which of them, from the leaf */
    } stack[HAND_STACKS];
    uint32_t stacks;
    struct {
        const void *slot;
        uint64_t visible;
        unsigned evidence;
    } slice[64];
    uint32_t slices;
    const void *weak[64]; /* slots whose word is only a suspect */
    uint32_t weaks;
};

/* A stack by its functions, leaf first, all in one source file. Returns its id. */
static inline uint32_t hand_stack(struct hand *h, const char *functions, const char *file) {
    h->stack[h->stacks].functions = functions;
    h->stack[h->stacks].file = file;
    return ++h->stacks;
}

/* The same with another creator than the leaf. */
static inline uint32_t hand_stack_by(struct hand *h, const char *functions, const char *file,
                                     unsigned creator) {
    h->stack[h->stacks].creator = creator;
    return hand_stack(h, functions, file);
}

static inline void hand_block(struct hand *h, const void *memory, size_t size, uint32_t stack) {
    assert_true(h->blocks < HAND_BLOCKS);
    h->block[h->blocks] = (struct hand_block){memory, size, stack, h->blocks};
    h->blocks++;
}

/* A zeroed object of the test's own that is a block of the heap. */
static inline void *hand_new(struct hand *h, size_t size, uint32_t stack) {
    void *memory = calloc(1, size ? size : 1);
    assert_non_null(memory);
    hand_block(h, memory, size, stack);
    return memory;
}

static inline void hand_free(struct hand *h) {
    for (uint32_t i = 0; i < h->blocks; i++)
        free((void *)(uintptr_t)h->block[i].memory);
    free(h);
}

static inline struct wh_heap_root *hand_root(struct hand *h, const void *memory, size_t size,
                                             enum wh_root_kind kind) {
    struct wh_heap_root *r = &h->root[h->roots];
    h->root_memory[h->roots++] = memory;
    *r = (struct wh_heap_root){.start = (uintptr_t)memory,
                               .end = (uintptr_t)memory + size,
                               .kind = (uint8_t)kind,
                               .module = 1};
    return r;
}

/* The pointer at this slot is one of (pointer, length). */
static inline void hand_slice(struct hand *h, const void *slot, uint64_t visible) {
    h->slice[h->slices].slot = slot;
    h->slice[h->slices].evidence = WH_EVIDENCE_PTR_LEN;
    h->slice[h->slices++].visible = visible;
}

/* It is one of (pointer, length, capacity) in bytes. */
static inline void hand_text_slot(struct hand *h, const void *slot, uint64_t visible) {
    hand_slice(h, slot, visible);
    h->slice[h->slices - 1].evidence = WH_EVIDENCE_BYTES;
}

static inline void hand_weak(struct hand *h, const void *slot) {
    h->weak[h->weaks++] = slot;
}

static int hand_by_address(const void *a, const void *b) {
    const struct hand_block *x = a, *y = b;
    return x->memory < y->memory ? -1 : x->memory > y->memory;
}

static inline void hand_scan(const struct hand *h, struct wh_heap *heap, uint32_t from,
                             const char *memory, size_t size) {
    for (size_t at = 0; at + 8 <= size; at += 8) {
        uintptr_t word;
        memcpy(&word, memory + at, sizeof(word));
        for (uint32_t b = 0; b < heap->node_count; b++) {
            const struct wh_heap_node *n = &heap->nodes[b];
            /* A block's end counts behind a place in it. */
            uint64_t before = 0;
            if (at >= 8)
                memcpy(&before, memory + at - 8, sizeof(before));
            bool is_end = word == n->address + n->size && before - n->address < n->size;
            if (word < n->address || (word >= n->address + (n->size ? n->size : 1) && !is_end))
                continue;
            struct wh_heap_edge e = {.from = from,
                                     .to = b,
                                     .from_offset = at & WH_OFFSET_MASK,
                                     .to_offset = (word - n->address) & WH_OFFSET_MASK};
            e.edge_class = e.to_offset ? WH_EDGE_INTERIOR : WH_EDGE_START;
            for (uint32_t s = 0; s < h->slices; s++)
                if (h->slice[s].slot == memory + at) {
                    e.visible = h->slice[s].visible & WH_OFFSET_MASK;
                    e.evidence = h->slice[s].evidence & 31;
                    e.edge_class = e.to_offset ? WH_EDGE_REASONED : WH_EDGE_START;
                }
            for (uint32_t s = 0; s < h->weaks; s++)
                if (h->weak[s] == memory + at)
                    e.edge_class = WH_EDGE_SUSPECT;
            assert_int_equal(wh_edges_add(&heap->edges, &e, NULL), 0);
        }
    }
}

static inline void hand_heap(struct hand *h, struct wh_heap *heap) {
    *heap = (struct wh_heap){.node_count = h->blocks, .root_count = h->roots};
    heap->nodes = calloc(h->blocks + 1, sizeof(*heap->nodes));
    heap->roots = calloc(h->roots + 1, sizeof(*heap->roots));
    assert_int_equal(wh_edges_open(&heap->edges, h->blocks, NULL, 0, NULL), 0);
    heap->texts = calloc(1, 1);
    heap->texts_bytes = 1;
    qsort(h->block, h->blocks, sizeof(*h->block), hand_by_address);
    for (uint32_t i = 0; i < h->blocks; i++)
        heap->nodes[i] =
            (struct wh_heap_node){.address = (uintptr_t)h->block[i].memory & WH_ADDRESS_MASK,
                                  .size = h->block[i].size,
                                  .allocation_id = h->block[i].order + 1,
                                  .stack_id = h->block[i].stack};
    memcpy(heap->roots, h->root, h->roots * sizeof(*heap->roots));
    for (uint32_t i = 0; i < h->blocks; i++)
        hand_scan(h, heap, i, h->block[i].memory, h->block[i].size);
    for (uint32_t i = 0; i < h->roots; i++)
        hand_scan(h, heap, i | WH_FROM_ROOT, h->root_memory[i], h->root[i].end - h->root[i].start);
    wh_edges_finish(&heap->edges);
}

static inline void hand_exec(struct wh_store *store, const char *sql) {
    struct wh_error error = {0};
    if (wh_store_exec(store, sql, &error) < 0)
        fail_msg("%s: %s", sql, error.text);
}

static int hand_module(struct dl_phdr_info *info, size_t size, void *arg) {
    uint64_t *range = arg; /* start, end, bias of the first: the program */
    (void)size;
    range[2] = info->dlpi_addr;
    range[0] = UINT64_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD)
            continue;
        uint64_t start = info->dlpi_addr + p->p_vaddr, end = start + p->p_memsz;
        range[0] = start < range[0] ? start : range[0];
        range[1] = end > range[1] ? end : range[1];
    }
    return 1;
}

static inline void hand_rows(struct hand *h, struct wh_store *store) {
    struct wh_query *q;
    uint64_t range[3] = {0}, total = 0;
    char text[PATH_MAX + 200], exe[PATH_MAX] = {0};
    assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    dl_iterate_phdr(hand_module, range);
    for (uint32_t i = 0; i < h->roots; i++)
        h->root[i].load_bias = range[2];
    hand_exec(store, "INSERT INTO process(id, pid, start_ns) VALUES(1, 1, 0)");
    assert_int_equal(
        wh_query_open(
            store,
            "INSERT INTO module(id, process_id, path, start_address, end_address, load_bias, "
            "load_ns) VALUES(1, 1, ?1, ?2, ?3, ?4, 0)",
            &q, NULL),
        0);
    wh_query_bind_text(q, 1, exe);
    wh_query_bind_int(q, 2, (int64_t)range[0]);
    wh_query_bind_int(q, 3, (int64_t)range[1]);
    wh_query_bind_int(q, 4, (int64_t)range[2]);
    assert_int_equal(wh_query_step(q, NULL), 0);
    wh_query_close(q);
    int frame = 0;
    for (uint32_t i = 0; i < h->stacks; i++) {
        char functions[256], frames[256] = "[", *save = NULL, creator[64];
        snprintf(functions, sizeof(functions), "%s", h->stack[i].functions);
        const char *name = functions;
        for (unsigned c = 0; c < h->stack[i].creator; c++)
            name += strcspn(name, ";") + 1;
        snprintf(creator, sizeof(creator), "%.*s", (int)strcspn(name, ";"), name);
        for (char *f = strtok_r(functions, ";", &save); f; f = strtok_r(NULL, ";", &save)) {
            frame++;
            snprintf(text, sizeof(text),
                     "INSERT INTO frame VALUES(%d, 'prog', %d, '%s', '%s', 1, 0)", frame, frame, f,
                     h->stack[i].file);
            hand_exec(store, text);
            size_t used = strlen(frames);
            snprintf(frames + used, sizeof(frames) - used, "%s%d", used > 1 ? "," : "", frame);
        }
        snprintf(text, sizeof(text), "INSERT INTO stack VALUES(%u, '%s]', '%s')", i + 1, frames,
                 creator);
        hand_exec(store, text);
    }
    for (uint32_t i = 0; i < h->blocks; i++) {
        snprintf(
            text, sizeof(text),
            "INSERT INTO allocation(id, process_id, address, size_bytes, kind, alloc_ns, stack_id) "
            "VALUES(%u, 1, %lld, %zu, 'malloc', 0, %u)",
            h->block[i].order + 1, (long long)(uintptr_t)h->block[i].memory, h->block[i].size,
            h->block[i].stack);
        hand_exec(store, text);
        total += h->block[i].size;
    }
    snprintf(text, sizeof(text),
             "INSERT INTO snapshot(id, process_id, at_ns, reason, mode, pause_ns, live_objects, "
             "live_bytes) "
             "VALUES(1, 1, 5, 'exit', 'fork', 1, %u, %llu)",
             h->blocks, (unsigned long long)total);
    hand_exec(store, text);
}

/* The trace with snapshot 1, analyzed. */
static inline struct wh_store *hand_save(struct hand *h) {
    struct wh_store *store;
    struct wh_heap heap;
    struct wh_error error = {0};
    char path[64];
    snprintf(path, sizeof(path), "/tmp/whoholds-hand-%d.db", (int)getpid());
    assert_int_equal(wh_store_create(path, WH_STORE_FORCE, &store, &error), 0);
    static const char *const files[] = {"derived.sql", "symbol.sql", "holder.sql", "views.sql"};
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        (void)wh_store_run_file(store, files[i], &error); /* create may have run some already */
    hand_rows(h, store);
    hand_heap(h, &heap);
    if (wh_store_put_heap(store, 1, &heap, &error) < 0 || wh_holder_resolve(store, &error) < 0)
        fail_msg("%s", error.text);
    wh_heap_release(&heap);
    return store;
}

static inline void hand_close(struct wh_store *store) {
    unlink(wh_store_path(store));
    wh_store_close(store);
}

/* First column of the first row as text, "" = no row or NULL. Valid until the next call. */
static inline const char *hand_text(struct wh_store *store, const char *sql) {
    static char text[1000];
    struct wh_query *q;
    struct wh_error error = {0};
    if (wh_query_open(store, sql, &q, &error) < 0)
        fail_msg("%s: %s", sql, error.text);
    text[0] = 0;
    if (wh_query_step(q, &error) > 0 && wh_query_text(q, 0))
        snprintf(text, sizeof(text), "%s", wh_query_text(q, 0));
    wh_query_close(q);
    return text;
}

static inline int64_t hand_number(struct wh_store *store, const char *sql) {
    struct wh_query *q;
    struct wh_error error = {0};
    if (wh_query_open(store, sql, &q, &error) < 0)
        fail_msg("%s: %s", sql, error.text);
    int64_t number = wh_query_step(q, &error) > 0 ? wh_query_int(q, 0) : -1;
    wh_query_close(q);
    return number;
}

#endif
