/* A frozen heap: what a snapshot extracts from a process image, before anything is named or ranked.
 *
 * Nodes are the live blocks at the snapshot, sorted by address, not overlapping (a block inside
 * another, such as a coroutine stack carved out of a mapping, keeps the outer one as its own node
 * and cuts it from the outer one's scan). Roots are *ranges* of memory where reachability begins;
 * variables inside them are named later, from the slot's address. Edges are words that point into a
 * node (edges.h).
 *
 * Produced by preload/record/snapshot, stored as chunks by the store, consumed by analyzer/graph.
 * Ownership: the arrays and texts belong to the heap, freed by wh_heap_release(). Context: any. */
#ifndef WH_TRACE_HEAP_H
#define WH_TRACE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "trace/edges.h"

enum wh_node_kind {
    WH_NODE_BLOCK = 0,     /* malloc family */
    WH_NODE_MMAP = 1,      /* hooked mapping */
    WH_NODE_TLS = 2,       /* dlopened module's TLS block */
    WH_NODE_DTV = 3,       /* a thread's DTV */
    WH_NODE_TSD = 4,       /* pthread_specific second level */
    WH_NODE_STACK = 5,     /* coroutine stack (a thread's sp lies in it) */
    WH_NODE_UNSAMPLED = 6, /* sampled recordings: memory that no sample explains; allocation_id 0 */
};

enum wh_node_flag {
    WH_NODE_VOLATILE = 1u << 0, /* lies in a shared mapping: may have moved while scanned */
};

/* 28 bytes: there are millions, and memory is what their analysis costs first. */
struct __attribute__((packed, aligned(4))) wh_heap_node {
    uint64_t address : 48;
    uint64_t kind : 8;      /* enum wh_node_kind */
    uint64_t flags : 8;     /* enum wh_node_flag */
    uint64_t size;          /* requested bytes; 0 is scanned and hit as width 1 */
    uint64_t allocation_id; /* allocation.id: who was born first has the lower one */
    uint32_t stack_id;      /* creator stack, trace-wide id, 0 = unknown */
};
#define WH_ADDRESS_MASK ((UINT64_C(1) << 48) - 1)

enum wh_root_kind {
    WH_ROOT_GLOBAL = 0, /* writable segment of a module: module, start..end */
    WH_ROOT_TLS =
        1, /* one thread's static or dynamic TLS block of a module: module, tid; start..end */
    WH_ROOT_STACK = 2,    /* one frame of a thread's stack: tid, pc, start..end (sp to CFA) */
    WH_ROOT_REGISTER = 3, /* a thread's registers: tid, pc; slot address = register number * 8, of
                             vector registers behind the last of those */
    WH_ROOT_MAPPING = 4,  /* mapping nothing else explains: text = its name in maps, or "" */
    WH_ROOT_TSD =
        5, /* pthread_specific first level: tid, start..end; number = key, pc = destructor */
    WH_ROOT_INFRA = 6, /* loader's and libc's own data, RELRO: module */
};

struct wh_heap_root {
    uint64_t start, end; /* addresses in the target; slot address - start = offset */
    uint64_t pc;         /* STACK: pc in the frame; TSD: destructor; else 0 */
    uint64_t load_bias;  /* GLOBAL, TLS, INFRA: module's load bias, else 0 */
    uint64_t tls_offset; /* TLS: offset of `start` inside the module's TLS image */
    uint32_t module;     /* module.id in the trace, 0 = none */
    uint32_t tid;        /* STACK, REGISTER, TLS, TSD; else 0 */
    uint32_t number;     /* STACK: frame depth, 0 = innermost; TSD: key; else 0 */
    uint32_t text;       /* offset into heap.texts, 0 = "" */
    uint8_t kind;        /* enum wh_root_kind */
};

struct wh_heap {
    struct wh_heap_node *nodes;
    struct wh_heap_root *roots;
    struct wh_edges edges; /* sorted by (from is root, from, from_offset) */
    char *texts;           /* NUL-terminated texts; texts[0] = "" */
    uint32_t node_count, root_count;
    uint32_t texts_bytes;
    uint64_t room[4]; /* per part: items that unpacking need not make room for; 0 = none known */
};

void wh_heap_release(struct wh_heap *heap);

#define WH_HEAP_SLICE 262144u
enum wh_heap_part { WH_HEAP_NODES, WH_HEAP_ROOTS, WH_HEAP_EDGES, WH_HEAP_TEXTS };

/* All nodes in the order of their birth: by allocation id, then by address. The same for some. */
void wh_heap_order(const struct wh_heap *heap, uint32_t *order);
void wh_heap_sort_births(const struct wh_heap *heap, uint32_t *blocks, uint32_t count);

/* Columns of a heap as bytes and back, for storage: part 0 nodes, 1 roots, 2 edges, 3 texts, in
 * slices of at most WH_HEAP_SLICE items. Column-wise and delta coded so that zstd finds something
 * to do. pack: data has wh_heap_pack_room() bytes, of which those behind the result are touched
 * here and there. unpack: appends to *heap; slices in
 * order, nodes before edges; wh_edges_finish() after the last one. reserve: makes room for so many
 * items, once, before the first. */
int wh_heap_reserve(struct wh_heap *heap, enum wh_heap_part part, uint64_t count,
                    struct wh_error *error);
size_t wh_heap_pack_room(enum wh_heap_part part, uint64_t count);
int wh_heap_pack(const struct wh_heap *heap, enum wh_heap_part part, uint64_t first, uint64_t count,
                 unsigned char *data, size_t *ret_bytes, struct wh_error *error);
int wh_heap_unpack(struct wh_heap *heap, enum wh_heap_part part, uint64_t count,
                   const unsigned char *data, size_t bytes, struct wh_error *error);

/* Call once after the last slice: cross references, order, kinds. Only a checked heap may be walked
 * without bounds checks. texts may be empty; then every root's text is 0 and means "". */
int wh_heap_check(const struct wh_heap *heap, struct wh_error *error);

/* A root's text, never NULL. */
static inline const char *wh_heap_text(const struct wh_heap *heap, uint32_t text) {
    return text < heap->texts_bytes ? heap->texts + text : "";
}

#endif
