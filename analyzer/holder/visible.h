/* Visible bytes: how much of a block its references can reach by their own length.
 *
 * The union of [to_offset, to_offset + visible) over the kept edges, known only when every kept
 * edge has a length. Pinned (the whole block) / visible is the pin amplification. Context: one
 * thread. */
#ifndef WH_HOLDER_VISIBLE_H
#define WH_HOLDER_VISIBLE_H

#include "analyzer/holder/holding.h"

#define WH_VISIBLE_UNKNOWN UINT64_MAX

/* *ret: per block, malloc'ed, the caller frees it. */
int wh_holding_visible(const struct wh_holding *h, uint64_t **ret, struct wh_error *error);

#endif
