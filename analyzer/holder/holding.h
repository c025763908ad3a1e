/* One snapshot in memory, solved and named: what every holder report is made from.
 *
 * wh_holding_open() loads the frozen heap, names the root variables, solves the graph and groups
 * the paths. Deterministic: opening it again gives the same ranks, paths and rows. Context: one
 * thread. */
#ifndef WH_HOLDER_HOLDING_H
#define WH_HOLDER_HOLDING_H

#include "analyzer/graph/graph.h"
#include "analyzer/holder/path.h"
#include "analyzer/holder/table.h"
#include "analyzer/holder/variable.h"
#include "analyzer/symbol/symbol.h"
#include "schema/store.h"

/* The names of a trace. Reading them takes longer than most snapshots: who opens several opens the
 * names once for all of them. */
struct wh_naming {
    struct wh_symbols *symbols;
    struct wh_frames *frames;
};
/* symbols NULL = it opens its own. */
int wh_naming_open(struct wh_store *store, struct wh_symbols *symbols, struct wh_naming *ret,
                   struct wh_error *error);
void wh_naming_close(struct wh_naming *naming);

struct wh_holding {
    struct wh_store *store;
    int64_t snapshot_id, process_id, at_ns;
    struct wh_heap heap;
    struct wh_symbols *symbols; /* own's, or those of the naming that was given */
    struct wh_frames *frames;
    struct wh_naming own;
    struct wh_names texts;
    struct wh_variables variables;
    struct wh_graph_input input;
    struct wh_graph graph;
    struct wh_paths paths;
    uint32_t *order; /* blocks by birth: the order of everything that is decided block by block */
    struct wh_map shares; /* mask -> index into share_names */
    const char **share_names;
    uint32_t share_count;
    size_t share_room;
};

/* snapshot_id: a row of table snapshot. naming: outlives the holding; NULL = it opens its own.
 * WH_ENOTFOUND: no such snapshot or it has no heap. */
int wh_holding_open(struct wh_store *store, int64_t snapshot_id, const struct wh_naming *naming,
                    struct wh_holding **ret, struct wh_error *error);
void wh_holding_close(struct wh_holding *holding); /* NULL allowed */

/* Name of the function that created a block. Never NULL: "?" when unknown. */
/* Of memory that no sample explains. */
#define WH_NOT_SAMPLED "(not sampled)"
const char *wh_holding_creator(const struct wh_holding *h, uint32_t block);

/* A set of holders for people: the variables' names joined by ' + ', largest first, at most four.
 */
const char *wh_holding_share_name(struct wh_holding *h, uint64_t mask);

/* Do two or more paths without a common step lead to the block, from different variables? What a
 * shared block dominates has one holder, the path through it, and is not shared itself. */
int wh_holding_is_shared(const struct wh_holding *h, uint32_t block);

/* What table gap says holds a block: a path's holder, 'shared: A + B' or 'lost'. NULL: no memory.
 */
const char *wh_holding_holder(struct wh_holding *h, uint32_t block);

/* The root variable or path (as reports print it), and the creator, that a text was probably meant
 * to name: the one with most bytes that contains it whatever its case, else the nearest in letters.
 * NULL = none is near. */
const char *wh_holding_nearest(struct wh_holding *h, const char *text);
const char *wh_holding_nearest_creator(const struct wh_holding *h, const char *text);

#endif
