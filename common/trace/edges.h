/* The references of a frozen heap: words that point into a node.
 *
 * There are tens of millions, so they are kept in 8 bytes each, most of them: sorted by source, the
 * source needs no mention, and those that say more than "this slot holds the address of that block,
 * or of a place not far in it" have one or two units of 8 bytes more in a table of their own.
 * Others read and write them one by one as struct wh_heap_edge.
 * Ownership: wh_edges_release() frees the arrays. Context: any. */
#ifndef WH_TRACE_EDGES_H
#define WH_TRACE_EDGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Edge classes, strongest first as a number; a path is as strong as its weakest edge. */
enum wh_edge_class {
    WH_EDGE_SUSPECT =
        0, /* stale, slack, header alias, below sp, register only: never names a holder alone */
    WH_EDGE_TAGGED = 1,   /* low bits set, unaligned slot, or perhaps the end of another block */
    WH_EDGE_INTERIOR = 2, /* points inside, no recognised reason */
    WH_EDGE_REASONED =
        3, /* points inside with a reason: (ptr,len), begin/end, cookie, consistent offset */
    WH_EDGE_START =
        4, /* aligned word, block's first byte, or behind a header (set by the analyzer) */
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
    WH_EVIDENCE_BYTES = 15,  /* next two words are len <= cap in bytes, of all the block has */
    WH_EVIDENCE_TAIL = 16,   /* in memory that its owner does not use (set by the analyzer) */
};

#define WH_FROM_ROOT 0x80000000u /* edge.from: bit set = index into roots, else into nodes */

/* A reference with all that is known of it. What lies 1 TiB or deeper in a block or range is
 * neither slot nor target. */
struct wh_heap_edge {
    uint32_t from;        /* node index, or root index | WH_FROM_ROOT */
    uint32_t to;          /* node index */
    uint64_t from_offset; /* bytes from the start of the node or root range to the slot */
    uint64_t to_offset;   /* bytes into the target node */
    uint64_t visible;     /* bytes the reference reaches by its own length; 0 = unknown. With
                             PTR_LEN_CAP this is len, and the words' cap is what a slice could grow
                             to */
    uint8_t edge_class;   /* enum wh_edge_class, as far as the image alone can tell */
    uint8_t evidence;     /* enum wh_edge_evidence */
};
#define WH_OFFSET_MASK ((UINT64_C(1) << 40) - 1)

/* How an edge is kept, by what it has to say. */
enum wh_edge_form {
    WH_EDGE_PLAIN, /* the target's first byte; place: the slot, in words */
    WH_EDGE_NEAR,  /* place: slot and target in words, 11 bits each */
    WH_EDGE_FAR,   /* place: its unit: slot in words and target in bytes, 32 bits each */
    WH_EDGE_FULL,  /* place: its two units: everything */
};

struct wh_edge {
    uint32_t to;
    uint32_t edge_class : 3;
    uint32_t evidence : 5;
    uint32_t form : 2;
    uint32_t place : 22; /* of units: counted from the first of the edge's page */
};
#define WH_PLACE_MAX ((1u << 22) - 1)
#define WH_NEAR_BITS 11
#define WH_NEAR_MAX  ((1u << WH_NEAR_BITS) - 1)

/* The units of WH_EDGE_FULL: the first is FAR's, with what is above its 32 bits in the second:
 * visible 40 bits, the slot's lowest 3 and highest 5, the target's highest 8. */

#define WH_EDGE_PAGE 65536u /* edges of a page: they find their units from one number */

/* Edges 0..first[nodes]-1 are the nodes', in their order; the others the roots', in any order. */
struct wh_edges {
    struct wh_edge *items;
    uint64_t count;
    uint32_t *first; /* per node and one more: its first edge; complete by wh_edges_finish() */
    uint32_t *root;  /* per root edge: index of its root */
    uint64_t *units;
    uint32_t *page; /* per page: its first unit */
    uint32_t nodes, unit_count;
    uint32_t begun;       /* entries of first that are set */
    bool is_loose;        /* some units need not be there any more */
    uint64_t room;        /* of items */
    uint64_t plain_until; /* so many are added without a look at room and pages */
    size_t root_room, unit_room, page_room;
};

/* For the edges of so many nodes. memory: malloc'ed for `room` items and theirs from now on; NULL =
 * it is made here. */
int wh_edges_open(struct wh_edges *edges, uint32_t nodes, void *memory, uint64_t room,
                  struct wh_error *error);
void wh_edges_release(struct wh_edges *edges);

/* Appends: first the nodes' in order, then the roots'. WH_EINPUT: out of order, or more than 2^32.
 */
int wh_edges_add_any(struct wh_edges *edges, const struct wh_heap_edge *edge,
                     struct wh_error *error);

/* Another one from an aligned slot to a first byte, of the same node or of one a little further on?
 * False = no, or there is no room: wh_edges_add_any(). */
static inline bool wh_edges_add_plain(struct wh_edges *edges, uint32_t from, uint64_t from_offset,
                                      uint32_t to, unsigned edge_class, unsigned evidence) {
    if (from_offset >> 3 > WH_PLACE_MAX || from >= edges->nodes || from + 1 < edges->begun ||
        edges->count >= edges->plain_until)
        return false;
    while (edges->begun <= from)
        edges->first[edges->begun++] = (uint32_t)edges->count;
    edges->items[edges->count++] =
        (struct wh_edge){.to = to,
                         .edge_class = edge_class & 7u,
                         .evidence = evidence & 31u,
                         .place = (uint32_t)(from_offset >> 3) & WH_PLACE_MAX};
    return true;
}

static inline int wh_edges_add(struct wh_edges *edges, const struct wh_heap_edge *e,
                               struct wh_error *error) {
    bool is_plain = !(e->from_offset & 7) && !e->to_offset && !e->visible;
    return is_plain && wh_edges_add_plain(edges, e->from, e->from_offset, e->to, e->edge_class,
                                          e->evidence)
               ? WH_OK
               : wh_edges_add_any(edges, e, error);
}

/* Begins anew, for at most as many nodes as it was opened for. */
void wh_edges_reset(struct wh_edges *edges, uint32_t nodes);

/* Appends the edges of the next nodes: all that `part` has, which is finished and without roots.
 * continues: the first of them is the last one here, whose edges these are as well. */
int wh_edges_append(struct wh_edges *edges, const struct wh_edges *part, bool continues,
                    struct wh_error *error);

/* After the last one (of the nodes at least: more of the roots' may follow). Gives back what was
 * made too generously. */
void wh_edges_finish(struct wh_edges *edges);

void wh_edges_change(struct wh_edges *edges, uint64_t edge, unsigned edge_class, unsigned evidence);
/* visible becomes 0: wh_edges_finish() once more, after some. */
void wh_edges_forget_length(struct wh_edges *edges, uint64_t edge);

/* Takes the edges away whose bit is set, of those that wh_edges_finish() has seen; the others keep
 * their order. In place. */
void wh_edges_drop(struct wh_edges *edges, const uint64_t *which);

/* Takes all edges of roots away, so that others can be added. */
void wh_edges_drop_roots(struct wh_edges *edges);

/* The first that is a root's. */
static inline uint64_t wh_edges_of_roots(const struct wh_edges *edges) {
    return edges->first ? edges->first[edges->nodes] : 0;
}

/* How many a node has. */
static inline uint32_t wh_edges_count_of(const struct wh_edges *edges, uint32_t node) {
    return edges->first[node + 1] - edges->first[node];
}

static inline uint64_t *wh_edges_units(const struct wh_edges *edges, uint64_t edge) {
    return &edges->units[edges->page[edge / WH_EDGE_PAGE] + edges->items[edge].place];
}

/* Members of one edge: see struct wh_heap_edge. */
static inline uint64_t wh_edges_from_offset(const struct wh_edges *edges, uint64_t edge) {
    const struct wh_edge *e = &edges->items[edge];
    if (e->form <= WH_EDGE_NEAR)
        return UINT64_C(8) * (e->form == WH_EDGE_NEAR ? e->place & WH_NEAR_MAX : e->place);
    const uint64_t *unit = wh_edges_units(edges, edge);
    uint64_t offset = (unit[0] & UINT32_MAX) << 3;
    return e->form == WH_EDGE_FAR ? offset
                                  : offset | (unit[1] >> 40 & 7) | (unit[1] >> 43 & 31) << 35;
}

static inline uint64_t wh_edges_to_offset(const struct wh_edges *edges, uint64_t edge) {
    const struct wh_edge *e = &edges->items[edge];
    if (e->form <= WH_EDGE_NEAR)
        return e->form == WH_EDGE_NEAR ? UINT64_C(8) * (e->place >> WH_NEAR_BITS) : 0;
    const uint64_t *unit = wh_edges_units(edges, edge);
    return e->form == WH_EDGE_FAR ? unit[0] >> 32 : unit[0] >> 32 | (unit[1] >> 48 & 255) << 32;
}

static inline uint64_t wh_edges_visible(const struct wh_edges *edges, uint64_t edge) {
    return edges->items[edge].form == WH_EDGE_FULL ? wh_edges_units(edges, edge)[1] & WH_OFFSET_MASK
                                                   : 0;
}

/* One edge. Its source is searched for, unless the caller has it: from. */
struct wh_heap_edge wh_edges_get(const struct wh_edges *edges, uint64_t edge);
struct wh_heap_edge wh_edges_get_of(const struct wh_edges *edges, uint64_t edge, uint32_t from);

/* All edges in order:
 *     for (struct wh_edge_walk w = {.edges = &heap.edges}; wh_edge_next(&w);) ... w.edge, w.index
 */
struct wh_edge_walk {
    const struct wh_edges *edges;
    uint64_t next; /* may be set: the first one wanted */
    uint64_t index;
    uint32_t from;
    struct wh_heap_edge edge;
};
bool wh_edge_next(struct wh_edge_walk *walk);

#endif
