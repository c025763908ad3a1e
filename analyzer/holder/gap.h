/* Creator against holder: the rows of table gap. Every live block of the image is in exactly one
 * row. Context: one thread. */
#ifndef WH_HOLDER_GAP_H
#define WH_HOLDER_GAP_H

#include "analyzer/holder/holding.h"

/* SQL: bytes in use at snapshot s, where only samples are known those without a creator included;
 * and the join that it needs. */
#define WH_FOUND_BYTES "(s.live_bytes + coalesce(u.bytes, 0))"
#define WH_FOUND_JOIN                                                                              \
    " LEFT JOIN (SELECT snapshot_id, sum(bytes) AS bytes FROM gap WHERE creator = "                \
    "'" WH_NOT_SAMPLED "' GROUP BY 1) u ON u.snapshot_id = s.id "

struct wh_gap_row {
    const char *creator, *holder;
    const char *acquirer; /* NULL = none */
    const char *root;     /* name of the root variable; NULL = lost or shared */
    uint64_t bytes;
    uint64_t retained_bytes; /* what would go with the row's blocks, each counted once */
    uint64_t pinned_bytes, visible_bytes; /* of the blocks whose visible part is known */
    uint32_t objects;
    uint32_t ways; /* holders of the shared block on the path, of which it names one; 1 = none */
    uint8_t hidden;
};

struct wh_gap {
    struct wh_gap_row *rows; /* largest first */
    uint32_t count;
    size_t room;
    uint32_t *row_of; /* per block, while it is built; NULL afterwards */
    uint64_t held_bytes, shared_bytes, lost_bytes, hidden_bytes;
};

/* visible: wh_holding_visible(). acquirers: per block the function that took it from a pool, or
 * NULL. */
int wh_gap_build(struct wh_holding *h, const uint64_t *visible, const char *const *acquirers,
                 struct wh_gap *ret, struct wh_error *error);
void wh_gap_release(struct wh_gap *gap);

#endif
