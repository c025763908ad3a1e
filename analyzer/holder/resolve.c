/* wh_holder_resolve(): one snapshot after the other, each in a transaction of its own. */
#include <stdlib.h>

#include "analyzer/holder/acquirer.h"
#include "analyzer/holder/gap.h"
#include "analyzer/holder/holder.h"
#include "analyzer/holder/holding.h"
#include "analyzer/holder/rows.h"
#include "analyzer/holder/visible.h"

static int resolve_one(struct wh_store *store, int64_t snapshot_id, struct wh_error *error) {
    struct wh_holding *h = NULL;
    struct wh_gap gap = {0};
    struct wh_acquirers acquirers = {0};
    uint64_t *visible = NULL;
    int status = wh_holding_open(store, snapshot_id, &h, error);
    if (status < 0)
        return status == WH_ENOTFOUND ? 0 : status;
    status = wh_holding_visible(h, &visible, error);
    if (status == 0)
        status = wh_acquirers_load(h, &acquirers, error);
    if (status == 0)
        status = wh_gap_build(h, visible, acquirers.names, &gap, error);
    if (status == 0)
        status = wh_store_begin(store, error);
    if (status == 0) {
        status = wh_rows_write(h, &gap, visible, acquirers.stacks, error);
        if (status == 0)
            status = wh_store_commit(store, error);
        else
            wh_store_rollback(store);
    }
    wh_gap_release(&gap);
    wh_acquirers_release(&acquirers);
    free(visible);
    wh_holding_close(h);
    return status;
}

/* The next snapshot after `after` that waits: 0 = none. */
static int next_waiting(struct wh_store *store, int64_t after, int64_t *ret,
                        struct wh_error *error) {
    struct wh_query *q;
    int status = wh_query_open(
        store,
        "SELECT min(id) FROM snapshot WHERE held_bytes IS NULL AND id > ?1 AND EXISTS "
        "(SELECT 1 FROM snapshot_chunk c WHERE c.snapshot_id = snapshot.id)",
        &q, error);
    if (status < 0)
        return status;
    wh_query_bind_int(q, 1, after);
    status = wh_query_step(q, error);
    *ret = status > 0 ? wh_query_int(q, 0) : 0;
    wh_query_close(q);
    return status < 0 ? status : 0;
}

int wh_holder_resolve(struct wh_store *store, struct wh_error *error) {
    int64_t id = 0;
    for (;;) {
        int status = next_waiting(store, id, &id, error);
        if (status < 0 || id == 0)
            return status;
        status = resolve_one(store, id, error);
        if (status < 0)
            return status;
    }
}

int wh_holder_resolve_again(struct wh_store *store, struct wh_error *error) {
    int status = wh_store_exec(
        store,
        "DELETE FROM root; DELETE FROM held; DELETE FROM path; DELETE FROM reference;"
        "DELETE FROM gap; DELETE FROM share_group; UPDATE snapshot SET held_bytes = NULL,"
        "lost_bytes = NULL, shared_bytes = NULL, untracked_bytes = NULL, gap_bytes = NULL",
        error);
    return status < 0 ? status : wh_holder_resolve(store, error);
}
