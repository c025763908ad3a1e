/* A frozen heap: what a snapshot extracts from a process image, before anything is named or ranked.
 *
 * Nodes are the live blocks at the snapshot, sorted by address, not overlapping (a block inside
 * another, such as a coroutine stack carved out of a mapping, keeps the outer one as its own node
 * and cuts it from the outer one's scan). Roots are *ranges* of memory where reachability begins;
 * variables inside them are named later, from the slot's address. Edges are words that point into a
 * node.
 *
 * Produced by preload/record/snapshot, stored as chunks by the store, consumed by analyzer/graph.
 * Ownership: the arrays and texts belong to the heap, freed by wh_heap_release(). Context: any. */
#ifndef WH_TRACE_HEAP_H
#define WH_TRACE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

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

/* 32 bytes: there are millions, and memory is what their analysis costs first. */
struct wh_heap_node {
    uint64_t address : 48;
    uint64_t kind : 8;      /* enum wh_node_kind */
    uint64_t flags : 8;     /* enum wh_node_flag */
    uint64_t size;          /* requested bytes; 0 is scanned and hit as width 1 */
    uint64_t allocation_id; /* allocation.id */
    uint32_t stack_id;      /* creator stack, trace-wide id, 0 = unknown */
    uint32_t alloc_order;   /* rank of its birth among the nodes: an age without a clock. Follows
                               from the allocation ids and is not stored */
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

/* Edge classes, strongest first as a number; a path is as strong as its weakest edge. */
enum wh_edge_class {
    WH_EDGE_SUSPECT =
        0, /* stale, slack, header alias, below sp, register only: never names a holder alone */
    WH_EDGE_TAGGED = 1,   /* low bits set, unaligned slot, or perhaps the end of another block */
    WH_EDGE_INTERIOR = 2, /* points inside, no recognised reason */
    WH_EDGE_REASONED =
        3, /* points inside with a reason: (ptr,len), begin/end, cookie, consistent offset */
    WH_EDGE_START = 4, /* aligned word, block's first byte */
    WH_EDGE_TYPED = 5, /* exact by type information (set by the analyzer) */
};

/* Why the class, and how the visible length became known. */
enum wh_edge_evidence {
    WH_EVIDENCE_NONE = 0,
    WH_EVIDENCE_PTR_LEN = 1,     /* next word is a length that fits the block */
    WH_EVIDENCE_PTR_LEN_CAP = 2, /* next two words are len <= cap, both fit */
    WH_EVIDENCE_BEGIN_END = 3,   /* next word points into (or one past) the same block */
    WH_EVIDENCE_ONE_PAST = 4,    /* the word equals the block's end; a neighbour holds the block */
    WH_EVIDENCE_COOKIE = 5,      /* start + 8 or + 16: new[] cookie, wrapper's header */
    WH_EVIDENCE_OFFSET =
        6, /* many edges hit this creator's blocks at this same offset: intrusive list */
    WH_EVIDENCE_HEADER = 7, /* usable_size - 8: the next chunk's header, not a reference */
    WH_EVIDENCE_LOW_TAG = 8,
    WH_EVIDENCE_UNALIGNED = 9,
    WH_EVIDENCE_HIGH_TAG = 10,
    WH_EVIDENCE_IOVEC = 11, /* (ptr,len) inside a run of the same shape */
    WH_EVIDENCE_BASE = 12, /* vtables at the block's start and at the target: a second base class */
    WH_EVIDENCE_REGISTRY =
        13,                  /* link of a list through objects of all kinds (set by the analyzer) */
    WH_EVIDENCE_OR_END = 14, /* the block's start, or the end of the block in front of it */
};

#define WH_FROM_ROOT 0x80000000u /* edge.from: bit set = index into roots, else into nodes */

/* 24 bytes. What lies 1 TiB or deeper in a block or range is neither slot nor target. */
struct __attribute__((packed, aligned(8))) wh_heap_edge {
    uint32_t from;             /* node index, or root index | WH_FROM_ROOT */
    uint32_t to;               /* node index */
    uint64_t from_offset : 40; /* bytes from the start of the node or root range to the slot */
    uint64_t to_offset : 40;   /* bytes into the target node */
    uint64_t visible : 40;     /* bytes the reference reaches by its own length; 0 = unknown. With
                                  PTR_LEN_CAP this is len, and the words' cap is what a slice could
                                  grow to */
    uint64_t edge_class : 3;   /* enum wh_edge_class, as far as the image alone can tell */
    uint64_t evidence : 5;     /* enum wh_edge_evidence */
};
#define WH_OFFSET_MASK ((UINT64_C(1) << 40) - 1)

struct wh_heap {
    struct wh_heap_node *nodes;
    struct wh_heap_root *roots;
    struct wh_heap_edge *edges; /* sorted by (from is root, from, from_offset) */
    char *texts;                /* NUL-terminated texts; texts[0] = "" */
    uint32_t node_count, root_count;
    uint64_t edge_count;
    uint32_t texts_bytes;
    uint64_t room[4]; /* per part: items that unpacking need not make room for; 0 = none known */
};

void wh_heap_release(struct wh_heap *heap);

#define WH_HEAP_SLICE 262144u
enum wh_heap_part { WH_HEAP_NODES, WH_HEAP_ROOTS, WH_HEAP_EDGES, WH_HEAP_TEXTS };

/* Ranks the nodes by allocation id: alloc_order. */
int wh_heap_number_births(struct wh_heap *heap, struct wh_error *error);

/* Columns of a heap as bytes and back, for storage: part 0 nodes, 1 roots, 2 edges, 3 texts, in
 * slices of at most WH_HEAP_SLICE items. Column-wise and delta coded so that zstd finds something
 * to do. pack: *ret_data is malloc'ed, the caller frees it. unpack: appends to *heap; slices in
 * order; wh_heap_number_births() after the last one. reserve: makes room for so many items, once,
 * before the first. */
int wh_heap_reserve(struct wh_heap *heap, enum wh_heap_part part, uint64_t count,
                    struct wh_error *error);
int wh_heap_pack(const struct wh_heap *heap, enum wh_heap_part part, uint64_t first, uint64_t count,
                 unsigned char **ret_data, size_t *ret_bytes, struct wh_error *error);
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
