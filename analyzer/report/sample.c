/* Sampled recordings: estimates with their 95 % intervals, in front of the tables that count the
 * samples themselves. Per process and creator; `--go-scaling` traces show Go's figures, which have
 * no interval. The hard thing is not to mislead: no number of a sampled trace may look exact. */
#include "report.h"

/* ?1 process or 0, ?2 limit. */
static const char unbiased_sql[] =
    "SELECT e.process_id, sum(e.samples), sum(e.inuse_space),"
    " sqrt(sum(e.inuse_space_error * e.inuse_space_error)), sum(e.inuse_objects),"
    " sqrt(sum(e.inuse_objects_error * e.inuse_objects_error)), sum(e.alloc_space),"
    " sqrt(sum(e.alloc_space_error * e.alloc_space_error)),"
    " CASE ?3 WHEN 0 THEN '(all)' ELSE coalesce(s.creator, '(unknown)') END AS name"
    " FROM estimate e LEFT JOIN site s USING(process_id, stack_id)"
    " WHERE (?1 = 0 OR e.process_id = ?1) GROUP BY 1, name ORDER BY 1, 3 DESC, 7 DESC, name"
    " LIMIT ?2";
static const char go_sql[] =
    "SELECT e.process_id, NULL, sum(e.inuse_space), NULL, sum(e.inuse_objects), NULL,"
    " sum(e.alloc_space), NULL,"
    " CASE ?3 WHEN 0 THEN '(all)' ELSE coalesce(s.creator, '(unknown)') END AS name"
    " FROM go_estimate e LEFT JOIN site s USING(process_id, stack_id)"
    " WHERE (?1 = 0 OR e.process_id = ?1) GROUP BY 1, name ORDER BY 1, 3 DESC, 7 DESC, name"
    " LIMIT ?2";

static void put(struct wh_output *out, const struct wh_query *q, int column) {
    if (wh_query_type(q, column) == WH_CELL_NULL)
        wh_table_null(out);
    else
        wh_table_int(out, (int64_t)(wh_query_real(q, column) + 0.5));
}

/* creators: one row each, else one for all of them. */
static int put_rows(struct wh_store *store, const struct wh_report_options *options, int go,
                    int creators, struct wh_output *out, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store, go ? go_sql : unbiased_sql, &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, options->process_id);
    wh_query_bind_int(q, 2, options->limit);
    wh_query_bind_int(q, 3, creators);
    while ((rc = wh_query_step(q, error)) == 1) {
        wh_table_int(out, wh_query_int(q, 0));
        for (int column = 1; column < 8; column++)
            put(out, q, column);
        wh_table_text(out, wh_query_text(q, 8));
    }
    wh_query_close(q);
    return rc;
}

int wh_report_estimates(struct wh_store *store, const struct wh_report_options *options,
                        struct wh_output *out, struct wh_error *error) {
    static const struct wh_column columns[] = {
        {"process_id", WH_COLUMN_INTEGER, "process", 0},
        {"samples", WH_COLUMN_COUNT, NULL, 0},
        {"inuse_space", WH_COLUMN_BYTES, "live", 0},
        {"inuse_space_error", WH_COLUMN_BYTES, "+-", 0},
        {"inuse_objects", WH_COLUMN_COUNT, "blocks", 0},
        {"inuse_objects_error", WH_COLUMN_COUNT, "+-", 0},
        {"alloc_space", WH_COLUMN_BYTES, "allocated", 0},
        {"alloc_space_error", WH_COLUMN_BYTES, "+-", 0},
        {"creator", WH_COLUMN_TEXT, NULL, 100},
    };
    if (wh_store_get_int(store, "sample_bytes", 0) <= 0)
        return 0;
    int go = wh_store_get_int(store, "go_scaling", 0) != 0;
    if (out->format == WH_FORMAT_TEXT)
        wh_output_title(out,
                        go ? "Sampled: estimates by the formula of Go's heap profile"
                           : "Sampled: estimates with 95 % intervals; every table below counts "
                             "the samples only");
    wh_table_begin(out, "estimates", columns, sizeof columns / sizeof *columns);
    int rc = put_rows(store, options, go, 0, out, error);
    if (!rc)
        rc = put_rows(store, options, go, 1, out, error);
    wh_table_end(out);
    return rc;
}
