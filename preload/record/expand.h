/* A row for every lifetime, made later from the raw events: `whoholds expand`.
 * Context: a reader's process; the store is open for writing, no transaction begun. */
#ifndef WH_RECORD_EXPAND_H
#define WH_RECORD_EXPAND_H

#include "base/output.h"
#include "schema/store.h"

/* Drops and rebuilds what derived.sql makes, in one transaction: all of it or nothing. A trace
 * whose recorder was killed gets its totals too and is marked as expanded. Names are the caller's
 * to resolve afterwards. *ret_lifetimes: rows made. WH_ESYSTEM when its recorder still runs. */
int wh_expand(struct wh_store *store, struct wh_progress *progress, int64_t *ret_lifetimes,
              struct wh_error *error);

#endif
