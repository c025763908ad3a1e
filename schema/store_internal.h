/* What the files of the store share: the connection, and how SQLite's errors become ours.
 * Private to schema/. */
#ifndef WH_SCHEMA_STORE_INTERNAL_H
#define WH_SCHEMA_STORE_INTERNAL_H

#ifdef WH_EXTENSION /* calls go through the host's table of functions, see extension.c */
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3
#else
#include <sqlite3.h>
#endif

#include "schema/store.h"

struct wh_rows; /* the iterator of a running wh_store_insert(), see insert.c */

struct wh_store {
    sqlite3 *db;
    char *path;
    int version; /* of the schema that the file was made with */
    struct wh_rows *rows;
    int is_writer;
    struct wh_heap kept; /* wh_store_keep_heap() */
    int64_t kept_id;     /* its snapshot, 0 = none */
};

/* Fills *error from the connection's last error: "cannot <what> 'path': <reason>"; returns the
 * code. */
int wh_store_fail(struct wh_store *store, const char *what, struct wh_error *error);

/* Registers the private table that wh_store_insert() selects from. */
int wh_insert_register(struct wh_store *store, struct wh_error *error);

/* Registers the table `event`. release(store) runs when the connection closes; NULL = nothing to
 * do. An SQLite code. */
int wh_event_register(struct wh_store *store, void (*release)(void *));

#endif
