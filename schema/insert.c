/* Many rows at once: INSERT INTO t(...) SELECT c0, ... FROM wh_rows, where wh_rows is a private
 * virtual table whose cursor calls the caller's iterator. One statement, no bind and reset per row.
 *
 * The hard thing: the table is reachable from any SQL on the connection, so a cursor outside of a
 * running insert is simply empty. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/store_internal.h"

#define COLUMNS_MAX 32

struct wh_rows {
    wh_row_fn next;
    void *arg;
    int columns;
    int failed; /* what next() returned when it failed; 0 = it did not */
    struct wh_cell cells[COLUMNS_MAX];
};

struct rows_table {
    sqlite3_vtab base;
    struct wh_store *store;
};

struct rows_cursor {
    sqlite3_vtab_cursor base;
    struct wh_rows *rows; /* NULL = no insert is running: empty */
    int64_t row;
    int at_end;
};

void wh_cell_text(struct wh_cell *c, const char *text) {
    c->type = text ? WH_CELL_TEXT : WH_CELL_NULL;
    c->bytes = text;
    c->count = text ? strlen(text) : 0;
}

/* --- the module ---------------------------------------------------------------------------------
 */

static int rows_connect(sqlite3 *db, void *arg, int argc, const char *const *argv,
                        sqlite3_vtab **ret_table, char **ret_message) {
    (void)argc, (void)argv, (void)ret_message;
    char sql[COLUMNS_MAX * 5 + 32] = "CREATE TABLE x(c0";
    size_t n = strlen(sql);
    for (int i = 1; i < COLUMNS_MAX; i++)
        n += (size_t)snprintf(sql + n, sizeof sql - n, ",c%d", i);
    snprintf(sql + n, sizeof sql - n, ")");
    int rc = sqlite3_declare_vtab(db, sql);
    if (rc != SQLITE_OK)
        return rc;
    struct rows_table *table = sqlite3_malloc(sizeof *table);
    if (!table)
        return SQLITE_NOMEM;
    *table = (struct rows_table){.store = arg};
    (void)sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    *ret_table = &table->base;
    return SQLITE_OK;
}

static int rows_disconnect(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

static int rows_best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
    (void)table;
    info->estimatedCost = 1e6;
    info->estimatedRows = 1000000;
    return SQLITE_OK;
}

static int rows_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor) {
    (void)table;
    struct rows_cursor *cursor = sqlite3_malloc(sizeof *cursor);
    if (!cursor)
        return SQLITE_NOMEM;
    *cursor = (struct rows_cursor){.at_end = 1};
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

static int rows_close(sqlite3_vtab_cursor *cursor) {
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int rows_next(sqlite3_vtab_cursor *base) {
    struct rows_cursor *cursor = (struct rows_cursor *)base;
    struct wh_rows *rows = cursor->rows;
    for (int i = 0; i < rows->columns; i++)
        rows->cells[i].type = WH_CELL_NULL;
    int rc = rows->next(rows->arg, rows->cells);
    cursor->row++;
    cursor->at_end = rc <= 0;
    if (rc >= 0)
        return SQLITE_OK;
    rows->failed = rc;
    return SQLITE_ABORT;
}

static int rows_filter(sqlite3_vtab_cursor *base, int index, const char *text, int argc,
                       sqlite3_value **argv) {
    (void)index, (void)text, (void)argc, (void)argv;
    struct rows_cursor *cursor = (struct rows_cursor *)base;
    struct wh_store *store = ((struct rows_table *)base->pVtab)->store;
    cursor->row = 0;
    cursor->at_end = 1;
    cursor->rows = store->rows;
    store->rows = NULL; /* this cursor has it: an iterator may run an insert of its own */
    return cursor->rows ? rows_next(base) : SQLITE_OK;
}

static int rows_eof(sqlite3_vtab_cursor *base) {
    return ((struct rows_cursor *)base)->at_end;
}

static int rows_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    struct wh_rows *rows = ((struct rows_cursor *)base)->rows;
    if (!rows || column >= rows->columns)
        return SQLITE_OK;
    /* Static: the row is encoded before the cursor moves on, so no copy is needed. */
    const struct wh_cell *cell = &rows->cells[column];
    switch (cell->type) {
    case WH_CELL_NULL:
        break;
    case WH_CELL_INT:
        sqlite3_result_int64(context, cell->integer);
        break;
    case WH_CELL_REAL:
        sqlite3_result_double(context, cell->real);
        break;
    case WH_CELL_TEXT:
        sqlite3_result_text64(context, cell->bytes, cell->count, SQLITE_STATIC, SQLITE_UTF8);
        break;
    case WH_CELL_BLOB:
        if (cell->count)
            sqlite3_result_blob64(context, cell->bytes, cell->count, SQLITE_STATIC);
        else
            sqlite3_result_zeroblob(context, 0);
        break;
    }
    return SQLITE_OK;
}

static int rows_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_row) {
    *ret_row = ((struct rows_cursor *)base)->row;
    return SQLITE_OK;
}

/* Without xCreate the table is eponymous-only: it exists, and nobody can create another. */
static const sqlite3_module rows_module = {
    .iVersion = 0,
    .xConnect = rows_connect,
    .xBestIndex = rows_best_index,
    .xDisconnect = rows_disconnect,
    .xOpen = rows_open,
    .xClose = rows_close,
    .xFilter = rows_filter,
    .xNext = rows_next,
    .xEof = rows_eof,
    .xColumn = rows_column,
    .xRowid = rows_rowid,
};

int wh_insert_register(struct wh_store *store, struct wh_error *error) {
    if (sqlite3_create_module(store->db, "wh_rows", &rows_module, store) != SQLITE_OK)
        return wh_store_fail(store, "open", error);
    return 0;
}

/* --- the insert ---------------------------------------------------------------------------------
 */

/* Counts the names in "a, b, c"; 0 when anything but names, commas and spaces is in it. */
static int count_columns(const char *columns) {
    int count = 1;
    for (const char *p = columns; *p; p++) {
        if (*p == ',')
            count++;
        else if (!isalnum((unsigned char)*p) && *p != '_' && *p != ' ')
            return 0;
    }
    return count;
}

/* INSERT INTO t(a, b) SELECT c0, ?2 FROM wh_rows. false: too long. */
static bool write_statement(char *sql, size_t size, const char *table, const char *columns,
                            int count, uint32_t same_columns) {
    int n = snprintf(sql, size, "INSERT INTO %s(%s) SELECT ", table, columns);
    for (int i = 0; i < count && n > 0 && (size_t)n < size; i++) {
        bool is_same = same_columns >> i & 1;
        n += snprintf(sql + n, size - (size_t)n, "%s%s%d", i ? "," : "", is_same ? "?" : "c",
                      is_same ? i + 1 : i);
    }
    if (n > 0 && (size_t)n < size)
        n += snprintf(sql + n, size - (size_t)n, " FROM wh_rows");
    return n > 0 && (size_t)n < size;
}

static void bind_same(struct wh_query *q, int count, uint32_t same_columns,
                      const struct wh_cell *same) {
    for (int i = 0; i < count; i++) {
        if (!(same_columns >> i & 1))
            continue;
        if (same[i].type == WH_CELL_INT)
            wh_query_bind_int(q, i + 1, same[i].integer);
        else
            wh_query_bind_text(q, i + 1, same[i].type == WH_CELL_TEXT ? same[i].bytes : NULL);
    }
}

int wh_store_insert(struct wh_store *store, const char *table, const char *columns, wh_row_fn next,
                    void *arg, struct wh_error *error) {
    return wh_store_insert_same(store, table, columns, 0, NULL, next, arg, error);
}

int wh_store_insert_same(struct wh_store *store, const char *table, const char *columns,
                         uint32_t same_columns, const struct wh_cell *same, wh_row_fn next,
                         void *arg, struct wh_error *error) {
    int count = count_columns(columns);
    char sql[2048];
    if (count < 1 || count > COLUMNS_MAX || count_columns(table) != 1)
        return wh_fail(error, WH_EUSAGE, "cannot insert into '%s': 1 to %d plain column names",
                       table, COLUMNS_MAX);
    if (!write_statement(sql, sizeof sql, table, columns, count, same_columns))
        return wh_fail(error, WH_EUSAGE, "cannot insert into '%s': names too long", table);

    struct wh_query *q;
    int rc = wh_query_open(store, sql, &q, error);
    if (rc)
        return rc;
    bind_same(q, count, same_columns, same);
    struct wh_rows rows = {.next = next, .arg = arg, .columns = count};
    struct wh_error own = {0};
    if (error)
        error->code = 0;
    store->rows = &rows;
    rc = wh_query_step(q, &own);
    store->rows = NULL;
    wh_query_close(q);
    if (rc == 0)
        return 0;
    if (rows.failed) { /* the iterator's own sentence, where it wrote one, is the better one */
        if (error && !error->code)
            return wh_fail(error, rows.failed, "cannot write rows of '%s' to '%s'", table,
                           store->path);
        return rows.failed;
    }
    if (error)
        *error = own;
    return rc < 0 ? rc : 0;
}
