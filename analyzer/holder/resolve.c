/* wh_holder_resolve(): one snapshot after the other, each in a transaction of its own.
 *
 * Every snapshot gets its sums, roots, paths, gap and share groups. Rows for each block and edge
 * are a hundred times as many, so they are rationed: the last snapshot of each process always has
 * them, then those that somebody asked for, then the others, newest first, while all together stay
 * below a limit. The rest can be completed any time: their heaps stay in the trace. */
#include <stdlib.h>

#include "analyzer/holder/acquirer.h"
#include "analyzer/holder/gap.h"
#include "analyzer/holder/holder.h"
#include "analyzer/holder/holding.h"
#include "analyzer/holder/rows.h"
#include "analyzer/holder/shown.h"
#include "analyzer/holder/visible.h"
#include "base/string.h"

#define OPTIONAL_ROWS_MAX 2000000 /* held and reference together, of what need not have them */

/* Has another process (the recorder, a second command) written the rows meanwhile? 1, 0 or < 0. */
static int is_resolved(struct wh_store *store, int64_t snapshot_id, struct wh_error *error) {
    struct wh_query *q;
    int status =
        wh_query_open(store, "SELECT held_bytes NOT NULL FROM snapshot WHERE id = ?1", &q, error);
    if (status < 0)
        return status;
    wh_query_bind_int(q, 1, snapshot_id);
    status = wh_query_step(q, error);
    if (status > 0)
        status = wh_query_int(q, 0) != 0;
    wh_query_close(q);
    return status;
}

static int resolve_one(struct wh_store *store, int64_t snapshot_id, const struct wh_naming *naming,
                       enum wh_block_rows block_rows, struct wh_error *error) {
    struct wh_holding *h = NULL;
    struct wh_gap gap = {0};
    struct wh_acquirers acquirers = {0};
    uint64_t *visible = NULL;
    int status = wh_holding_open(store, snapshot_id, naming, &h, error);
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
        int done = is_resolved(store, snapshot_id, error);
        status = done < 0 ? done : 0;
        if (done == 0)
            status = wh_rows_write(h, &gap, visible, &acquirers, block_rows, error);
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

/* A snapshot that waits. */
struct waiting {
    int64_t id;
    enum wh_block_rows block_rows;
};

/* In the order in which rows are granted. */
static int list_waiting(struct wh_store *store, uint64_t rows_max, struct waiting **ret,
                        size_t *ret_count, struct wh_error *error) {
    struct wh_query *q;
    size_t room = 0;
    uint64_t optional = 0;
    int status = wh_query_open(
        store,
        "SELECT s.id, s.rows, s.is_shown FROM (SELECT s.id, sum(c.count) AS rows, s.reason,"
        " s.id IN (" WH_SHOWN_SNAPSHOTS(
            "true") ") AS is_shown"
                    " FROM snapshot s JOIN snapshot_chunk c ON c.snapshot_id = s.id AND c.part IN "
                    "(0, 2)"
                    " WHERE s.held_bytes IS NULL GROUP BY s.id) s"
                    " ORDER BY s.is_shown DESC, s.reason IN ('api', 'command') DESC, s.id DESC",
        &q, error);
    while (status == 0 && (status = wh_query_step(q, error)) > 0) {
        struct waiting w = {wh_query_int(q, 0), WH_BLOCK_ROWS_ALL};
        uint64_t rows = (uint64_t)wh_query_int(q, 1);
        int is_shown = wh_query_int(q, 2) != 0;
        if (!is_shown && optional + rows > rows_max)
            w.block_rows = WH_BLOCK_ROWS_POOLED;
        else if (!is_shown)
            optional += rows;
        status = wh_array_reserve(ret, &room, *ret_count + 1, sizeof(**ret)) < 0
                     ? wh_fail(error, WH_ESYSTEM, "no memory for a list of snapshots")
                     : 0;
        if (status == 0)
            (*ret)[(*ret_count)++] = w;
    }
    wh_query_close(q);
    return status;
}

static int by_id(const void *a, const void *b) {
    const struct waiting *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int resolve_all(struct wh_store *store, uint64_t rows_max, struct wh_symbols *symbols,
                       struct wh_error *error) {
    struct waiting *list = NULL;
    struct wh_naming naming = {0};
    size_t count = 0;
    int status = list_waiting(store, rows_max, &list, &count, error);
    if (count)
        qsort(list, count, sizeof(*list), by_id);
    if (count && status == 0)
        status = wh_naming_open(store, symbols, &naming, error);
    for (size_t i = 0; i < count && status == 0; i++)
        status = resolve_one(store, list[i].id, &naming, list[i].block_rows, error);
    wh_naming_close(&naming);
    free(list);
    return status;
}

int wh_holder_resolve_within(struct wh_store *store, uint64_t rows_max, struct wh_error *error) {
    return resolve_all(store, rows_max, NULL, error);
}

int wh_holder_resolve_with(struct wh_store *store, struct wh_symbols *symbols,
                           struct wh_error *error) {
    return resolve_all(store, OPTIONAL_ROWS_MAX, symbols, error);
}

int wh_holder_resolve(struct wh_store *store, struct wh_error *error) {
    return resolve_all(store, OPTIONAL_ROWS_MAX, NULL, error);
}

/* Drops what was concluded about one snapshot. */
static int forget(struct wh_store *store, int64_t snapshot_id, struct wh_error *error) {
    static const char *const statements[] = {
        "DELETE FROM root WHERE snapshot_id = ?1",
        "DELETE FROM held WHERE snapshot_id = ?1",
        "DELETE FROM path WHERE snapshot_id = ?1",
        "DELETE FROM gap WHERE snapshot_id = ?1",
        "DELETE FROM reference WHERE snapshot_id = ?1",
        "DELETE FROM share_group WHERE snapshot_id = ?1",
        "UPDATE snapshot SET held_bytes = NULL, block_rows = NULL WHERE id = ?1"};
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof(statements) / sizeof(*statements); i++) {
        struct wh_query *q;
        status = wh_query_open(store, statements[i], &q, error);
        if (status < 0)
            break;
        wh_query_bind_int(q, 1, snapshot_id);
        status = wh_query_step(q, error);
        wh_query_close(q);
    }
    return status < 0 ? status : 0;
}

int wh_holder_complete(struct wh_store *store, int64_t snapshot_id, struct wh_error *error) {
    int status = forget(store, snapshot_id, error);
    return status < 0 ? status : resolve_one(store, snapshot_id, NULL, WH_BLOCK_ROWS_ALL, error);
}

int wh_holder_resolve_again(struct wh_store *store, struct wh_error *error) {
    int status = wh_store_exec(
        store,
        "DELETE FROM root; DELETE FROM held; DELETE FROM path; DELETE FROM reference;"
        "DELETE FROM gap; DELETE FROM share_group; UPDATE snapshot SET held_bytes = NULL,"
        "lost_bytes = NULL, shared_bytes = NULL, untracked_bytes = NULL, gap_bytes = NULL,"
        "block_rows = NULL",
        error);
    return status < 0 ? status : wh_holder_resolve(store, error);
}
