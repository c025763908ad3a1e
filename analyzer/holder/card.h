/* The card of one block: everything that is known about why it is alive, concrete this time:
 * addresses, offsets, classes and the evidence for each. Context: one thread. */
#ifndef WH_HOLDER_CARD_H
#define WH_HOLDER_CARD_H

#include "analyzer/holder/holding.h"

/* One step of a concrete path, or one reference to a block. */
struct wh_hop {
    const char *text;   /* the slot, read from the root: "cache.buckets[7]->next->msg" */
    const char *step;   /* what this hop adds to that: "->msg"; "" for a single reference */
    const char *source; /* what the slot lies in: "global cache", "block created by f, 64 bytes" */
    uint64_t slot;      /* its address; 0 = register */
    uint64_t target;    /* the block's first byte */
    uint64_t from_offset, to_offset, visible;
    uint32_t block; /* the target */
    uint8_t edge_class, evidence;
};

/* The hops of a path given as heap edges from the root down (as wh_graph_path has them). *ret:
 * malloc'ed. */
int wh_card_hops(struct wh_holding *h, const uint32_t *edges, uint32_t count, struct wh_hop **ret,
                 struct wh_error *error);

/* The strongest path of a held block as heap edges; release with wh_graph_path_release(). */
int wh_card_path(const struct wh_holding *h, uint32_t block, struct wh_graph_path *ret,
                 struct wh_error *error);

/* Up to max paths without a common step: the strongest first, which the report names. */
int wh_card_paths(struct wh_holding *h, uint32_t block, uint32_t max, struct wh_graph_path *ret,
                  uint32_t *ret_count, struct wh_error *error);

/* The edge as one hop without its way from the root: for lists of references. */
int wh_card_reference(struct wh_holding *h, uint32_t edge, struct wh_hop *ret,
                      struct wh_error *error);

/* The block that covers an address; WH_GRAPH_NONE = none. */
uint32_t wh_card_find(const struct wh_holding *h, uint64_t address);

/* The largest block (the first born of equals) whose creator and holder contain the texts; NULL =
 * any. */
uint32_t wh_card_largest(struct wh_holding *h, const char *creator, const char *holder);

/* "start": what an edge class is called, and a sentence on why a reference was believed that much.
 */
const char *wh_class_name(unsigned edge_class);
const char *wh_class_reason(unsigned edge_class, unsigned evidence);

#endif
