/* Two snapshots compared by fingerprint: grouped path (no addresses, no indices) and creator stack
 * (function names), so that they may come from different runs and builds. Context: one thread. */
#ifndef WH_HOLDER_DIFF_H
#define WH_HOLDER_DIFF_H

#include "analyzer/holder/table.h"
#include "schema/store.h"

struct wh_diff_row {
    const char *creator, *path; /* path: 'lost' for what nothing refers to */
    const char *stack;          /* function names, leaf first, joined by " < " */
    uint64_t bytes[2];
    uint64_t objects[2];
};

struct wh_diff {
    struct wh_diff_row *rows; /* by how much changed, then by name */
    uint32_t count;
    size_t room;
    struct wh_names texts;
    uint64_t bytes[2], objects[2];
};

/* stores[0] is the earlier one; both may be the same store. */
int wh_diff(struct wh_store *const stores[2], const int64_t snapshots[2], struct wh_diff *ret,
            struct wh_error *error);
void wh_diff_release(struct wh_diff *d);

#endif
