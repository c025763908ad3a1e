/* One grouping, one metric, largest first: over the *_total views of schema/views.sql. */
#include <stdio.h>
#include <string.h>

#include "report.h"

const char *const wh_top_by_words[] = {"creator", "module", "thread", "size", NULL};
const char *const wh_top_metric_words[] = {
    "alloc_objects", "alloc_space", "inuse_objects",     "inuse_space",
    "peak_objects",  "peak_space",  "temporary_objects", NULL};

#define SUMS                                                                                       \
    "sum(alloc_objects), sum(alloc_space), sum(inuse_objects), sum(inuse_space),"                  \
    " sum(peak_objects), sum(peak_space), sum(temporary_objects)"
/* ?1 process or 0, ?2 metric, ?3 limit. The metric's column is picked by number, not by text. */
#define ORDER                                                                                      \
    " WHERE ?1 = 0 OR process_id = ?1 GROUP BY key)"                                               \
    " SELECT *, CASE ?2 WHEN 0 THEN ao WHEN 1 THEN a WHEN 2 THEN io WHEN 3 THEN i"                 \
    " WHEN 4 THEN po WHEN 5 THEN p ELSE t END AS metric,"                                          \
    " (SELECT CASE ?2 WHEN 0 THEN sum(ao) WHEN 1 THEN sum(a) WHEN 2 THEN sum(io)"                  \
    " WHEN 3 THEN sum(i) WHEN 4 THEN sum(po) WHEN 5 THEN sum(p) ELSE sum(t) END FROM total)"       \
    " FROM total WHERE metric > 0 ORDER BY metric DESC, a DESC, key LIMIT ?3"
#define TOTAL "WITH total(key, ao, a, io, i, po, p, t) AS (SELECT "

static const char *const queries[] = {
    TOTAL "creator AS key, " SUMS " FROM creator_total" ORDER,
    TOTAL "module AS key, " SUMS " FROM module_total" ORDER,
    /* A thread is shown as process:tid and its last name. */
    TOTAL "coalesce((SELECT t.process_id || ':' || t.tid || coalesce(' ' || t.name, '')"
          " FROM thread t WHERE t.id = thread_id), '(unknown)') AS key, " SUMS
          " FROM thread_total" ORDER,
    TOTAL "size_class AS key, " SUMS " FROM size_total" ORDER,
};

int wh_report_top(struct wh_store *store, int64_t process_id, enum wh_top_by by,
                  enum wh_top_metric metric, int64_t limit, struct wh_output *out,
                  struct wh_error *error) {
    const struct wh_column columns[] = {
        {"alloc_objects", WH_COLUMN_COUNT, NULL, 0},
        {"alloc_space", WH_COLUMN_BYTES, NULL, 0},
        {"inuse_objects", WH_COLUMN_COUNT, NULL, 0},
        {"inuse_space", WH_COLUMN_BYTES, NULL, 0},
        {"peak_objects", WH_COLUMN_COUNT, NULL, 0},
        {"peak_space", WH_COLUMN_BYTES, NULL, 0},
        {"temporary_objects", WH_COLUMN_COUNT, "temporary", 0},
        {"share", WH_COLUMN_SHARE, NULL, 0},
        {wh_top_by_words[by], by == WH_TOP_SIZE ? WH_COLUMN_BYTES : WH_COLUMN_TEXT,
         by == WH_TOP_SIZE ? "up to" : NULL, 100},
    };
    if (metric == WH_TOP_TEMPORARY_OBJECTS && (by == WH_TOP_THREAD || by == WH_TOP_SIZE))
        return wh_fail(error, WH_EUSAGE,
                       "temporary_objects is not kept by %s, only by creator and module",
                       wh_top_by_words[by]);
    struct wh_query *q;
    int rc = wh_query_open(store, queries[by], &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, process_id);
    wh_query_bind_int(q, 2, metric);
    wh_query_bind_int(q, 3, limit);
    wh_table_begin(out, NULL, columns, sizeof columns / sizeof *columns);
    while ((rc = wh_query_step(q, error)) == 1) {
        for (int i = 1; i <= 7; i++) {
            if (wh_query_type(q, i) == WH_CELL_NULL)
                wh_table_null(out);
            else
                wh_table_int(out, wh_query_int(q, i));
        }
        wh_table_real(out, wh_query_real(q, 8) / wh_query_real(q, 9));
        if (by == WH_TOP_SIZE)
            wh_table_int(out, wh_query_int(q, 0));
        else
            wh_table_text(out, wh_query_text(q, 0));
    }
    wh_table_end(out);
    wh_query_close(q);
    return rc;
}
