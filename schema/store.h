/* The trace file: the only door to SQLite. No other folder includes sqlite3.h.
 *
 * A store is one open trace. Reading: wh_query. Writing: wh_store_exec for statements and
 * wh_store_insert for many rows, pulled from an iterator through a private virtual table
 * (INSERT ... SELECT, two to three times the speed of a prepared INSERT per row).
 * Context: one thread at a time per store, never in the target. */
#ifndef WH_SCHEMA_STORE_H
#define WH_SCHEMA_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "trace/heap.h"

#define WH_APPLICATION_ID 0x57486c64 /* "WHld" */
#define WH_SCHEMA_VERSION 2

struct wh_store;
struct wh_query;

enum wh_store_flag {
    WH_STORE_READ = 0,
    WH_STORE_WRITE = 1u << 0, /* existing trace, may be changed (cached symbols, findings) */
    WH_STORE_FORCE = 1u << 1, /* create: replace an existing file */
};

/* Creates a trace with the content schema. An existing file is refused unless WH_STORE_FORCE. */
int wh_store_create(const char *path, unsigned flags, struct wh_store **ret_store,
                    struct wh_error *error);

/* Opens a trace. WH_EINPUT: no such file, not a trace, newer schema, corrupt: the sentence says
 * which. */
int wh_store_open(const char *path, unsigned flags, struct wh_store **ret_store,
                  struct wh_error *error);
void wh_store_close(struct wh_store *store); /* NULL allowed */
const char *wh_store_path(const struct wh_store *store);

/* Runs statements without results. Values never belong in the text: bind with wh_query instead. */
int wh_store_exec(struct wh_store *store, const char *sql, struct wh_error *error);

/* Runs an embedded schema file by name ("derived.sql"). */
int wh_store_run_file(struct wh_store *store, const char *name, struct wh_error *error);

int wh_store_begin(struct wh_store *store, struct wh_error *error);
int wh_store_commit(struct wh_store *store, struct wh_error *error);
void wh_store_rollback(struct wh_store *store);

/* trace(key, value): set replaces. get: NULL-terminated copy in *ret_text (caller frees),
 * WH_ENOTFOUND. */
int wh_store_set_text(struct wh_store *store, const char *key, const char *value,
                      struct wh_error *error);
int wh_store_set_int(struct wh_store *store, const char *key, int64_t value,
                     struct wh_error *error);
int wh_store_get_text(struct wh_store *store, const char *key, char **ret_text,
                      struct wh_error *error);
int64_t wh_store_get_int(struct wh_store *store, const char *key, int64_t otherwise);

/* --- many rows ----------------------------------------------------------------------------------
 */

enum wh_cell_type { WH_CELL_NULL, WH_CELL_INT, WH_CELL_REAL, WH_CELL_TEXT, WH_CELL_BLOB };
struct wh_cell {
    enum wh_cell_type type;
    int64_t integer;
    double real;
    const void *bytes; /* TEXT, BLOB: valid until the next call of the iterator */
    size_t count;      /* bytes; TEXT without the NUL */
};
static inline void wh_cell_int(struct wh_cell *c, int64_t v) {
    c->type = WH_CELL_INT;
    c->integer = v;
}
static inline void wh_cell_null(struct wh_cell *c) {
    c->type = WH_CELL_NULL;
}
void wh_cell_text(struct wh_cell *c, const char *text); /* NULL text = SQL NULL */

/* Fills one row's cells (one per column, all NULL before the call). 1 = a row, 0 = no more, < 0 =
 * error. */
typedef int (*wh_row_fn)(void *arg, struct wh_cell *cells);

/* INSERT INTO table(columns) from next(). columns: comma-separated names, at most 32. */
int wh_store_insert(struct wh_store *store, const char *table, const char *columns, wh_row_fn next,
                    void *arg, struct wh_error *error);

/* As wh_store_insert() where some columns are known to have one value in all rows, which costs
 * less: those whose bits are set in same_columns (1 << column) have the integer, text or NULL of
 * same[column], and what next() says of them is not asked for. */
int wh_store_insert_same(struct wh_store *store, const char *table, const char *columns,
                         uint32_t same_columns, const struct wh_cell *same, wh_row_fn next,
                         void *arg, struct wh_error *error);

/* --- queries ------------------------------------------------------------------------------------
 */

int wh_query_open(struct wh_store *store, const char *sql, struct wh_query **ret_query,
                  struct wh_error *error);

/* As wh_query_open for the first of several statements; *ret_rest points behind it. *ret_query is
 * NULL when nothing but blanks and comments was left. */
int wh_query_open_part(struct wh_store *store, const char *sql, const char **ret_rest,
                       struct wh_query **ret_query, struct wh_error *error);
int wh_query_parameters(const struct wh_query *q); /* how many values it takes */
void wh_query_bind_int(struct wh_query *q, int index1, int64_t value);
void wh_query_bind_text(struct wh_query *q, int index1,
                        const char *text); /* copied; NULL = SQL NULL */
/* Not copied: must stay as it is until the statement is done. */
void wh_query_bind_blob(struct wh_query *q, int index1, const void *data, size_t bytes);
/* 1 = a row, 0 = done, < 0 = error (the store's message in *error). */
int wh_query_step(struct wh_query *q, struct wh_error *error);
void wh_query_reset(struct wh_query *q); /* keeps bindings */
void wh_query_close(struct wh_query *q); /* NULL allowed */
int wh_query_columns(const struct wh_query *q);
const char *wh_query_name(const struct wh_query *q, int column0);
enum wh_cell_type wh_query_type(const struct wh_query *q, int column0);
int64_t wh_query_int(const struct wh_query *q, int column0);
double wh_query_real(const struct wh_query *q, int column0);
const char *wh_query_text(const struct wh_query *q,
                          int column0); /* valid until the next step; NULL = SQL NULL */
const void *wh_query_blob(const struct wh_query *q, int column0, size_t *ret_bytes);

/* --- snapshots' heaps
 * ----------------------------------------------------------------------------- */

/* Stores and loads the frozen heap of a snapshot as compressed slices (table snapshot_chunk). */
int wh_store_put_heap(struct wh_store *store, int64_t snapshot_id, const struct wh_heap *heap,
                      struct wh_error *error);
/* Takes *heap over: the next wh_store_get_heap() of this snapshot has it as it is. One at a time.
 */
void wh_store_keep_heap(struct wh_store *store, int64_t snapshot_id, struct wh_heap *heap);
int wh_store_get_heap(struct wh_store *store, int64_t snapshot_id, struct wh_heap *ret_heap,
                      struct wh_error *error);

/* --- raw events
 * ----------------------------------------------------------------------------------- */

/* One chunk of a thread's raw events: whole blocks one after another, each as the 64-byte struct
 * wh_block header (committed = its payload bytes) and its payload. */
struct wh_chunk {
    int64_t process_id;
    uint32_t thread_serial;
    uint64_t first_ns, last_ns;
    uint64_t events;
    const unsigned char *data;
    size_t bytes;
};
/* Compresses it, in any thread; *packer is made when it is NULL. *ret_packed belongs to the packer
 * until the next call. rest() is called between parts of the work, of a fraction of a millisecond
 * each; NULL = nobody needs it. -1: out of memory. */
struct wh_packer;
int wh_chunk_pack(struct wh_packer **packer, const struct wh_chunk *chunk, void (*rest)(void *arg),
                  void *arg, unsigned char **ret_packed, size_t *ret_bytes);
void wh_packer_free(struct wh_packer *packer); /* NULL allowed */
/* Of the chunk its packed bytes are stored; chunk->data is not looked at. */
int wh_store_put_chunk(struct wh_store *store, const struct wh_chunk *chunk,
                       const unsigned char *packed, size_t packed_bytes, struct wh_error *error);

#endif
