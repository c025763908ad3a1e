/* What if a holder were gone: reachability computed again, over weak references too. What a
 * dominator tree promises is only a floor; this is the answer. Context: one thread. */
#ifndef WH_HOLDER_WHATIF_H
#define WH_HOLDER_WHATIF_H

#include "analyzer/holder/holding.h"

struct wh_whatif_row {
    const char *name;
    uint64_t bytes;
    uint32_t objects;
};

struct wh_whatif {
    uint64_t through_bytes, freed_bytes; /* named after the dropped holders; freed with them */
    uint32_t through_objects, freed_objects;
    uint32_t variables, edges;   /* how much was dropped */
    struct wh_whatif_row *freed; /* by creator, largest first */
    uint32_t freed_count;
    struct wh_whatif_row *kept; /* what stays although it was held there, by who keeps it then */
    uint32_t kept_count;
};

/* drops: names of root variables or texts of grouped paths (both as reports print them). A path
 * drops every reference that reads so. WH_ENOTFOUND names the one that is neither. Changes *h: use
 * it for nothing else afterwards. */
int wh_whatif(struct wh_holding *h, const char *const *drops, uint32_t drop_count,
              struct wh_whatif *ret, struct wh_error *error);
void wh_whatif_release(struct wh_whatif *w);

#endif
