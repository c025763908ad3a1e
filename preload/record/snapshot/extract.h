/* Inside the snapshot folder: from a frozen image and a live set to a heap.
 *
 *   nodes.c     live blocks -> sorted nodes, overlaps dropped
 *   unsampled.c the rest of the allocator's memory, where only samples are known
 *   index.c     address -> node
 *   roots.c     modules, mappings; roots_thread.c stacks and registers; roots_tls.c TLS, DTV, TSD
 *   filter.c    memory -> words that may point into a node
 *   scan.c      all of it, piece by piece
 *   word.c      one word and its neighbours -> an edge: class, evidence, visible length
 *   classify.c  the same once more, with all edges known */
#ifndef WH_SNAPSHOT_EXTRACT_H
#define WH_SNAPSHOT_EXTRACT_H

#include <string.h>

#include "record/snapshot/frozen.h"

#define WH_NO_NODE UINT32_MAX

/* --- index.c: pointer lookup in two dependent memory accesses, whatever the number of nodes --- */

#define WH_REGION_SHIFT 21
#define WH_LEAF_SHIFT   13 /* regions a leaf of the directory covers */

struct wh_index_word {
    uint64_t starts;  /* bit = a node starts in this granule */
    uint32_t before;  /* nodes that start before this word's first granule */
    uint32_t padding; /* two words a cache line quarter: never straddles */
};

struct wh_index_region {
    uint32_t before; /* nodes that start before the region */
    uint32_t words;  /* first word / words per region + 1; 0 = no node starts here */
    uint8_t covered; /* a node starts in it or reaches into it */
};

/* A node that contains others: the answer where no inner node is. */
struct wh_index_outer {
    uint64_t start, end;
    uint32_t node, parent; /* parent: index of the outer around this one, WH_NO_NODE = none */
};

#define WH_GAPS_MAX 3u

struct wh_gap_between {
    uint64_t start, bytes;
};

struct wh_index {
    const struct wh_heap_node *nodes;
    uint32_t node_count, gap_count;
    struct wh_gap_between gaps[WH_GAPS_MAX]; /* the widest without nodes, in regions; ascending */
    uint64_t end;                            /* behind the last region with nodes */
    uint32_t granule_shift;                  /* 4, or 3 where blocks of 8 bytes lie side by side */
    uint32_t words_per_region;
    bool crowded; /* even 8-byte granules hold two starts (no allocator does that; lost events
                     might) */
    struct wh_index_region **leaves; /* by address >> (21 + 13) */
    struct wh_index_word *words;
    struct wh_index_outer *outers;
    uint32_t outer_count;
};

int wh_index_init(struct wh_index *index, const struct wh_heap_node *nodes, uint32_t count);
void wh_index_release(struct wh_index *index);

/* Last node that starts at or before address, WH_NO_NODE = none or far away. */
uint32_t wh_index_before(const struct wh_index *index, uint64_t address);
/* The same for many, faster, in three steps with other work between them, since each waits for
 * memory: where to look, the number, and whether it is not one too many (`node` as guessed). */
struct wh_aim {
    const struct wh_index_word *word; /* NULL = the same number for the whole region: */
    uint32_t before;
};
void wh_index_aim(const struct wh_index *index, const uint64_t *addresses, uint32_t count,
                  struct wh_aim *ret);
void wh_index_guess(const struct wh_index *index, const uint64_t *addresses,
                    const struct wh_aim *aims, uint32_t count, uint32_t *ret);
uint32_t wh_index_settle(const struct wh_index *index, uint64_t address, uint32_t node);
/* Innermost node that contains address, when `node` is wh_index_before(address). */
uint32_t wh_index_covering(const struct wh_index *index, uint64_t address, uint32_t node);
/* Innermost node that contains address (a node of size 0 contains its first byte). */
uint32_t wh_index_find(const struct wh_index *index, uint64_t address);
/* Innermost outer that contains address but not `inner` itself; WH_NO_NODE = none. */
uint32_t wh_index_outer(const struct wh_index *index, uint64_t address, uint32_t inner);

/* --- the work --- */

/* A part of a node that is scanned as something else: an inner node, a root range in a TLS block.
 */
struct wh_cut {
    uint64_t start, end;
};

struct wh_extract {
    struct wh_frozen *f;
    struct wh_heap *heap;
    struct wh_snapshot_figures *figures;
    struct wh_index index;
    struct wh_cut *cuts; /* sorted, of roots that lie in nodes */
    uint32_t cut_count, cut_room;
    uint32_t root_room;
    uint32_t texts_room;
    uint64_t *refers;      /* bit per node: a believable edge begins in it */
    bool refers_shared;    /* not each 64 nodes are one thread's */
    uint32_t first_node;   /* heap->edges begins with this one's */
    uint64_t shared_bytes; /* of nodes in shared mappings */
    bool is_bare;          /* without nodes: the allocator's memory is wanted among the roots */
    bool failed;           /* out of memory somewhere */
};

struct wh_keyed {
    uint64_t key;
    uint32_t value;
};
/* Sorts by key, stable; `spare` has room for count. Linear time. */
void wh_keyed_sort(struct wh_keyed *items, struct wh_keyed *spare, size_t count);

/* Sorts heap->nodes, drops what cannot be there, and makes the index. */
int wh_extract_nodes(struct wh_extract *x, uint64_t count);

/* Sampled recordings: adds what lies between the live blocks to heap->nodes, so many of them. */
int wh_extract_unsampled(struct wh_extract *x, uint64_t *count);

/* Appends a root; NULL when out of memory (x->failed is set). */
struct wh_heap_root *wh_extract_root(struct wh_extract *x, enum wh_root_kind kind, uint64_t start,
                                     uint64_t end);
/* Interns a text. */
uint32_t wh_extract_text(struct wh_extract *x, const char *text);
/* [start, end) of a node is a root's: not scanned with the node. */
void wh_extract_cut(struct wh_extract *x, uint64_t start, uint64_t end);

/* First node that ends after address (of the last ones before it and all behind it). */
uint32_t wh_extract_first_node(const struct wh_extract *x, uint64_t address);

int wh_extract_roots(struct wh_extract *x);
int wh_extract_edges(struct wh_extract *x);

/* --- word.c: one word and what stands around it -> an edge --- */

#define WH_LOW48 0x0000ffffffffffffull

/* Words of the image. */
struct wh_words {
    const unsigned char *piece; /* readable from -before to bytes + after */
    uint64_t address;           /* of the piece in the target */
    size_t before, bytes, after;
    uint64_t too_deep; /* references from or to beyond what an edge can say */
};

static inline uint64_t wh_word_at(const struct wh_words *words, int64_t offset) {
    uint64_t word;
    memcpy(&word, words->piece + offset, sizeof word);
    return word;
}

/* The word at `slot` of what `from` is, [start, end) of it, whose offsets count from `origin`.
 * guess: of the word's value without its tag, by wh_index_guess(). */
void wh_word_take(struct wh_extract *x, struct wh_words *words, uint32_t from, uint64_t origin,
                  uint64_t slot, uint64_t start, uint64_t end, uint32_t guess);

/* A length beside a pointer counts bytes only where bytes lie: a node with references of its own
 * has elements, and how large they are nobody said. Known at last when all edges are. */
static inline bool wh_is_doubtful(const struct wh_extract *x, uint32_t node, unsigned evidence) {
    return (evidence == WH_EVIDENCE_PTR_LEN || evidence == WH_EVIDENCE_IOVEC) &&
           (__atomic_load_n(&x->refers[node / 64], __ATOMIC_RELAXED) >> node % 64 & 1);
}

/* --- classify.c: second look, over all edges: consistent offsets, cookies, allocator's headers ---
 */

void wh_classify_all(struct wh_extract *x);

#endif
