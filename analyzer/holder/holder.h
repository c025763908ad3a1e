/* Holders of a trace: fills root, held, path, reference, gap, share_group and snapshot.*_bytes.
 *
 * Runs after wh_symbol_resolve(): creators must have names. Context: analyzer, one thread. */
#ifndef WH_HOLDER_HOLDER_H
#define WH_HOLDER_HOLDER_H

#include <stdint.h>

#include "base/error.h"
#include "schema/store.h"

/* Analyzes every snapshot that was not analyzed yet (snapshot.held_bytes IS NULL). Cheap when
 * nothing is new. The store must be open for writing. A snapshot without a heap is left as it is.
 */
int wh_holder_resolve(struct wh_store *store, struct wh_error *error);

/* The same with the trace's modules, where they are open already; NULL = opened for this. */
struct wh_symbols;
int wh_holder_resolve_with(struct wh_store *store, struct wh_symbols *symbols,
                           struct wh_error *error);

/* The same with another limit for the rows of held and reference together that snapshots get which
 * are not the last one of their process. */
int wh_holder_resolve_within(struct wh_store *store, uint64_t rows_max, struct wh_error *error);

/* Gives a snapshot the rows of held and reference that wh_holder_resolve() left out
 * (snapshot.block_rows is 'pooled'). The store must be open for writing. */
int wh_holder_complete(struct wh_store *store, int64_t snapshot_id, struct wh_error *error);

/* As wh_holder_resolve() after dropping what was concluded: for better names or new rules. */
int wh_holder_resolve_again(struct wh_store *store, struct wh_error *error);

#endif
