/* libwhoholds_sqlite.so: gives the stock sqlite3 shell, or any program with SQLite, the table
 * `event`.
 *
 *   sqlite3 trace.db '.load libwhoholds_sqlite' 'SELECT kind, count(*) FROM event GROUP BY kind'
 *
 * The hard thing: the host may have its own copy of SQLite, so every call goes through the table of
 * functions that the host hands over; WH_EXTENSION compiles the store's sources that way. */
#include <stdlib.h>
#include <string.h>

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

#include "schema/store_internal.h"

static void release(void *arg) {
    struct wh_store *store = arg;
    free(store->path);
    free(store);
}

/* SQLite finds this name from the file's: letters between "lib" and ".so". */
__attribute__((visibility("default"))) int
sqlite3_whoholdssqlite_init(sqlite3 *db, char **ret_message, const sqlite3_api_routines *api);

int sqlite3_whoholdssqlite_init(sqlite3 *db, char **ret_message, const sqlite3_api_routines *api) {
    (void)ret_message;
    SQLITE_EXTENSION_INIT2(api);
    struct wh_store *store = calloc(1, sizeof *store);
    const char *path = sqlite3_db_filename(db, "main");
    if (!store || !(store->path = strdup(path && *path ? path : "main"))) {
        free(store);
        return SQLITE_NOMEM;
    }
    store->db = db;
    return wh_event_register(store, release); /* releases the store also when it fails */
}
