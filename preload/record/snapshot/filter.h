/* The scan's first stage: from memory to the few words worth a look-up. Context: recorder. */
#ifndef WH_SNAPSHOT_FILTER_H
#define WH_SNAPSHOT_FILTER_H

#include "record/snapshot/extract.h"

#define WH_SPANS_MAX (WH_GAPS_MAX + 1)
#define WH_TOPS_MAX  8u

struct wh_span {
    uint64_t start, bytes;
};

struct wh_filter {
    struct wh_span spans[WH_SPANS_MAX]; /* where nodes are */
    uint32_t span_count;
    unsigned char tops[WH_TOPS_MAX]; /* bits 40-47 of addresses in the spans */
    uint32_t top_count;
    bool avx2; /* may be cleared: the plain form gives the same answer */
};

void wh_filter_init(struct wh_filter *f, const struct wh_index *index);

/* Entries that `hits` must have for a piece of so many bytes. */
#define WH_FILTER_HITS(bytes) (3 * ((bytes) / 8) + 32)

/* Byte offsets of candidate words in a piece, ascending. piece is readable for bytes + after; words
 * that begin in the first `bytes` count. unaligned: also words at odd places. Returns how many. */
uint32_t wh_filter_run(const struct wh_filter *f, const unsigned char *piece, size_t bytes,
                       size_t after, bool unaligned, uint32_t *hits);

#endif
