/* Prepared statements: binding, stepping, reading columns. A failed bind is remembered and reported
 * by the next step, so that callers bind without checking. */
#include <stdlib.h>
#include <string.h>

#include "schema/store_internal.h"

struct wh_query {
    sqlite3_stmt *statement;
    struct wh_store *store;
    int bind_error; /* first SQLite code of a bind that failed; 0 = none */
};

static int is_blank(const char *sql) {
    return sql[strspn(sql, " \t\r\n;")] == '\0';
}

int wh_query_open_part(struct wh_store *store, const char *sql, const char **ret_rest,
                       struct wh_query **ret_query, struct wh_error *error) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, ret_rest) != SQLITE_OK)
        return wh_store_fail(store, "query", error);
    *ret_query = NULL;
    if (!statement) /* blank or a comment */
        return 0;
    struct wh_query *q = calloc(1, sizeof *q);
    if (!q) {
        sqlite3_finalize(statement);
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    }
    q->statement = statement;
    q->store = store;
    *ret_query = q;
    return 0;
}

int wh_query_open(struct wh_store *store, const char *sql, struct wh_query **ret_query,
                  struct wh_error *error) {
    const char *rest = NULL;
    struct wh_query *q = NULL;
    int rc = wh_query_open_part(store, sql, &rest, &q, error);
    if (rc)
        return rc;
    if (!q || !is_blank(rest)) {
        const char *what = q ? "one statement at a time" : "empty statement";
        wh_query_close(q);
        return wh_fail(error, WH_EUSAGE, "%s", what);
    }
    *ret_query = q;
    return 0;
}

static void note_bind(struct wh_query *q, int rc) {
    if (rc != SQLITE_OK && !q->bind_error)
        q->bind_error = rc;
}

int wh_query_parameters(const struct wh_query *q) {
    return sqlite3_bind_parameter_count(q->statement);
}

void wh_query_bind_int(struct wh_query *q, int index1, int64_t value) {
    note_bind(q, sqlite3_bind_int64(q->statement, index1, value));
}

void wh_query_bind_text(struct wh_query *q, int index1, const char *text) {
    if (text)
        note_bind(q, sqlite3_bind_text(q->statement, index1, text, -1, SQLITE_TRANSIENT));
    else
        note_bind(q, sqlite3_bind_null(q->statement, index1));
}

void wh_query_bind_blob(struct wh_query *q, int index1, const void *data, size_t bytes) {
    note_bind(q, sqlite3_bind_blob64(q->statement, index1, data, bytes, SQLITE_STATIC));
}

int wh_query_step(struct wh_query *q, struct wh_error *error) {
    if (q->bind_error)
        return wh_fail(error, WH_ESYSTEM, "cannot bind a value: %s", sqlite3_errstr(q->bind_error));
    int rc = sqlite3_step(q->statement);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE)
        return 0;
    int readonly = sqlite3_stmt_readonly(q->statement);
    return wh_store_fail(q->store, readonly ? "read" : "write", error);
}

void wh_query_reset(struct wh_query *q) {
    (void)sqlite3_reset(q->statement); /* repeats the step's error, which was reported */
}

void wh_query_close(struct wh_query *q) {
    if (!q)
        return;
    (void)sqlite3_finalize(q->statement); /* likewise */
    free(q);
}

int wh_query_columns(const struct wh_query *q) {
    return sqlite3_column_count(q->statement);
}

const char *wh_query_name(const struct wh_query *q, int column0) {
    return sqlite3_column_name(q->statement, column0);
}

enum wh_cell_type wh_query_type(const struct wh_query *q, int column0) {
    switch (sqlite3_column_type(q->statement, column0)) {
    case SQLITE_INTEGER:
        return WH_CELL_INT;
    case SQLITE_FLOAT:
        return WH_CELL_REAL;
    case SQLITE_TEXT:
        return WH_CELL_TEXT;
    case SQLITE_BLOB:
        return WH_CELL_BLOB;
    default:
        return WH_CELL_NULL;
    }
}

int64_t wh_query_int(const struct wh_query *q, int column0) {
    return sqlite3_column_int64(q->statement, column0);
}

double wh_query_real(const struct wh_query *q, int column0) {
    return sqlite3_column_double(q->statement, column0);
}

const char *wh_query_text(const struct wh_query *q, int column0) {
    return (const char *)sqlite3_column_text(q->statement, column0);
}

const void *wh_query_blob(const struct wh_query *q, int column0, size_t *ret_bytes) {
    const void *data = sqlite3_column_blob(q->statement, column0);
    *ret_bytes = (size_t)sqlite3_column_bytes(q->statement, column0);
    return data;
}
