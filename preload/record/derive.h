/* Lifetimes into the derived tables: allocation, site, timeline, folded.
 *
 * Up to WH_ROWS_MAX lifetimes are kept compactly until the end and then all become rows. With more,
 * a lifetime gets a row only if its block was live at the end, at its process's peak or at a
 * snapshot; all others go into exact sums. WH_MATERIALIZE_NONE leaves the peak to the sums, too.
 * What is hard is the peak, which is known only afterwards: blocks that were live at the latest
 * peak wait, and count as any other when a higher one comes. That is decided by the helper where
 * there is one, in batches. Used by the recorder while it runs and by wh_expand(). Context:
 * recorder, one thread. */
#ifndef WH_RECORD_DERIVE_H
#define WH_RECORD_DERIVE_H

#include "schema/store.h"
#include "trace/births.h"
#include "trace/clock.h"
#include "trace/pair.h"

#define WH_ROWS_MAX 2000000u

enum wh_materialize { WH_MATERIALIZE_AUTO = 0, WH_MATERIALIZE_ALL = 1, WH_MATERIALIZE_NONE = 2 };

struct wh_derive;

struct wh_helper; /* NULL = there is none */
int wh_derive_open(struct wh_store *store, enum wh_materialize materialize,
                   struct wh_helper *helper, struct wh_derive **ret_derive, struct wh_error *error);
void wh_derive_close(struct wh_derive *derive); /* NULL allowed; writes nothing */

/* The clock must be known before anything is written. */
void wh_derive_clock(struct wh_derive *derive, const struct wh_clock_map *clock);

/* Where a process's pairing sends its lifetimes. */
struct wh_pair_sink wh_derive_sink(struct wh_derive *derive);

/* After wh_pair_finish(): its rows of site and timeline, the rest of its lifetimes decided. */
int wh_derive_process(struct wh_derive *derive, struct wh_pair *pair, bool replaced,
                      struct wh_error *error);

/* Writes rows that wait when there are many: they would take memory. */
bool wh_derive_is_full(const struct wh_derive *derive);
int wh_derive_flush(struct wh_derive *derive, struct wh_error *error);

/* Everything that waits, the indexes, trace.allocation_rows. */
int wh_derive_finish(struct wh_derive *derive, struct wh_error *error);

#endif
