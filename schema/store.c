/* Opening, creating and closing a trace file, and statements without results.
 *
 * The hard thing is to be safe for every kind of end: the rollback journal without fsync survives
 * the death of the recorder at any instruction (not a power cut), and readers open read-write but
 * with query_only, because rolling back what a killed recorder left needs write access. */
#include "schema/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/columns.h"
#include "schema/sql.h"
#include "schema/store_internal.h"

#define BUSY_MS 10000

/* Run by wh_store_create() in this order, before any row. derived.sql comes at the recording's end.
 */
static const char *const creation_files[] = {"content.sql", "symbol.sql", "holder.sql",
                                             "views.sql"};

/* --- errors -------------------------------------------------------------------------------------
 */

int wh_store_fail(struct wh_store *store, const char *what, struct wh_error *error) {
    int rc = sqlite3_extended_errcode(store->db);
    const char *message = sqlite3_errmsg(store->db);
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return wh_fail(error, WH_EINPUT, "'%s' is damaged or cut short: %s", store->path, message);
    case SQLITE_FULL:
        return wh_fail(error, WH_ESYSTEM, "cannot %s '%s': no space left on the device", what,
                       store->path);
    case SQLITE_IOERR: {
        int number = sqlite3_system_errno(store->db);
        return wh_fail(error, WH_ESYSTEM, "cannot %s '%s': %s%s%s", what, store->path, message,
                       number ? ": " : "", number ? strerror(number) : "");
    }
    case SQLITE_BUSY:
        return wh_fail(error, WH_ESYSTEM, "cannot %s '%s': another process is writing it", what,
                       store->path);
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
        return wh_fail(error, WH_EINPUT, "cannot %s '%s': %s", what, store->path, message);
    default:
        return wh_fail(error, WH_ESYSTEM, "cannot %s '%s': %s", what, store->path, message);
    }
}

/* --- opening ------------------------------------------------------------------------------------
 */

static int connect(const char *path, struct wh_store **ret_store, struct wh_error *error) {
    struct wh_store *store = calloc(1, sizeof *store);
    /* A leading ':' would be a name with a meaning to SQLite. */
    char *name = NULL;
    if (store && asprintf(&name, "%s%s", path[0] == ':' ? "./" : "", path) >= 0)
        store->path = strdup(path);
    else
        name = NULL;
    if (!store || !store->path) {
        free(name);
        free(store);
        return wh_fail(error, WH_ESYSTEM, "cannot open '%s': out of memory", path);
    }
    int rc = sqlite3_open_v2(name, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    free(name);
    int result = 0;
    if (!store->db)
        result = wh_fail(error, WH_ESYSTEM, "cannot open '%s': out of memory", path);
    else if (rc != SQLITE_OK)
        result = wh_store_fail(store, "open", error);
    if (!result) {
        sqlite3_extended_result_codes(store->db, 1);
        sqlite3_busy_timeout(store->db, BUSY_MS);
        result = wh_insert_register(store, error);
        if (!result && wh_event_register(store, NULL) != SQLITE_OK)
            result = wh_store_fail(store, "open", error);
    }
    if (result) {
        wh_store_close(store);
        return result;
    }
    *ret_store = store;
    return 0;
}

/* One integer of a pragma or query; < 0 = error. */
static int read_int(struct wh_store *store, const char *sql, int64_t *ret_value,
                    struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store, sql, &q, error);
    if (rc)
        return rc;
    rc = wh_query_step(q, error);
    if (rc == 1)
        *ret_value = wh_query_int(q, 0);
    wh_query_close(q);
    return rc < 0 ? rc : 0;
}

/* SQLite notices a missing end only when a page of it is asked for. Checked after the first read,
 * which has rolled back what a killed writer left. */
static int check_length(struct wh_store *store, struct wh_error *error) {
    int64_t pages = 0, page_bytes = 0;
    struct stat st;
    int rc = read_int(store, "PRAGMA page_count", &pages, error);
    if (!rc)
        rc = read_int(store, "PRAGMA page_size", &page_bytes, error);
    if (rc)
        return rc;
    if (stat(store->path, &st) != 0)
        return wh_fail_errno(error, "cannot open '%s'", store->path);
    if (st.st_size < pages * page_bytes)
        return wh_fail(error, WH_EINPUT, "'%s' is damaged: cut short, it has %lld of %lld bytes",
                       store->path, (long long)st.st_size, (long long)(pages * page_bytes));
    return 0;
}

/* Is this file a trace that we can read? The sentence says what it is instead. */
static int check_identity(struct wh_store *store, struct wh_error *error) {
    int64_t application = 0, version = 0, tables = 0;
    int rc = read_int(store, "PRAGMA application_id", &application, error);
    if (!rc)
        rc = read_int(store, "PRAGMA user_version", &version, error);
    if (!rc)
        rc = read_int(store,
                      "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN"
                      " ('trace', 'process', 'thread', 'module', 'event_chunk')",
                      &tables, error);
    if (rc)
        return rc;
    if (application != WH_APPLICATION_ID)
        return wh_fail(error, WH_EINPUT, "'%s' is an SQLite database but not a trace", store->path);
    if (version > WH_SCHEMA_VERSION)
        return wh_fail(error, WH_EINPUT,
                       "'%s' was written by a newer whoholds: schema %lld, this one reads up to %d",
                       store->path, (long long)version, WH_SCHEMA_VERSION);
    if (version < 1 || tables != 5)
        return wh_fail(error, WH_EINPUT, "'%s' is damaged: tables of a trace are missing",
                       store->path);
    store->version = (int)version;
    return 0;
}

/* The first bytes, before SQLite sees the file: it would take an empty one for a new database. */
static int check_header(const char *path, struct wh_error *error) {
    struct stat st;
    if (stat(path, &st) != 0)
        return wh_fail(error, WH_EINPUT, "cannot open '%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return wh_fail(error, WH_EINPUT, "'%s' is not a trace: not a regular file", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return wh_fail(error, WH_EINPUT, "cannot open '%s': %s", path, strerror(errno));
    char head[16];
    ssize_t n = read(fd, head, sizeof head);
    int saved = errno;
    close(fd);
    if (n < 0)
        return wh_fail(error, WH_ESYSTEM, "cannot read '%s': %s", path, strerror(saved));
    if (n == 0)
        return wh_fail(error, WH_EINPUT, "'%s' is not a trace: it is empty", path);
    if (n < (ssize_t)sizeof head || memcmp(head, "SQLite format 3", sizeof head) != 0)
        return wh_fail(error, WH_EINPUT, "'%s' is not a trace: not an SQLite database", path);
    return 0;
}

/* No fsync: a commit survives the death of every process, and the file is of no use after a power
 * cut in the middle of a run. The journal is cut, not deleted, between commits. */
static int make_writer(struct wh_store *store, struct wh_error *error) {
    store->is_writer = 1;
    return wh_store_exec(store,
                         "PRAGMA synchronous = OFF; PRAGMA journal_mode = TRUNCATE;"
                         "PRAGMA cache_size = -8192",
                         error);
}

int wh_store_open(const char *path, unsigned flags, struct wh_store **ret_store,
                  struct wh_error *error) {
    struct wh_store *store;
    int rc = check_header(path, error);
    if (!rc)
        rc = connect(path, &store, error);
    if (rc)
        return rc;
    rc = check_identity(store, error);
    if (!rc)
        rc = check_length(store, error);
    if (!rc && (flags & WH_STORE_WRITE)) {
        if (sqlite3_db_readonly(store->db, "main") == 1)
            rc = wh_fail(error, WH_ESYSTEM, "cannot write '%s': permission denied", path);
        else
            rc = make_writer(store, error);
    } else if (!rc) {
        rc = wh_store_exec(store, "PRAGMA query_only = 1", error);
    }
    if (rc) {
        wh_store_close(store);
        return rc;
    }
    *ret_store = store;
    return 0;
}

/* --- creating -----------------------------------------------------------------------------------
 */

/* A journal left beside the name by an older file would be rolled into the new one. */
static void remove_companions(const char *path) {
    static const char *const suffixes[] = {"-journal", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char *name;
        if (asprintf(&name, "%s%s", path, suffixes[i]) < 0)
            return;
        (void)unlink(name);
        free(name);
    }
}

static int make_empty(const char *path, unsigned flags, struct wh_error *error) {
    struct stat st;
    if (lstat(path, &st) == 0) {
        if (!(flags & WH_STORE_FORCE))
            return wh_fail(error, WH_EUSAGE, "'%s' exists, use --force to replace it", path);
        if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
            return wh_fail(error, WH_EUSAGE, "cannot replace '%s': not a regular file", path);
        if (unlink(path) != 0)
            return wh_fail_errno(error, "cannot replace '%s'", path);
    }
    remove_companions(path);
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
    if (fd < 0)
        return wh_fail_errno(error, "cannot create '%s'", path);
    close(fd);
    return 0;
}

static int create_schema(struct wh_store *store, struct wh_error *error) {
    char identity[96];
    snprintf(identity, sizeof identity, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             WH_APPLICATION_ID, WH_SCHEMA_VERSION);
    int rc = make_writer(store, error);
    if (!rc)
        rc = wh_store_begin(store, error);
    if (!rc)
        rc = wh_store_exec(store, identity, error);
    for (size_t i = 0; !rc && i < sizeof creation_files / sizeof *creation_files; i++)
        rc = wh_store_run_file(store, creation_files[i], error);
    if (!rc)
        rc = wh_store_commit(store, error);
    return rc;
}

int wh_store_create(const char *path, unsigned flags, struct wh_store **ret_store,
                    struct wh_error *error) {
    struct wh_store *store;
    int rc = make_empty(path, flags, error);
    if (rc)
        return rc;
    rc = connect(path, &store, error);
    if (rc) {
        (void)unlink(path);
        return rc;
    }
    rc = create_schema(store, error);
    if (rc) {
        wh_store_close(store);
        (void)unlink(path);
        remove_companions(path);
        return rc;
    }
    *ret_store = store;
    return 0;
}

void wh_store_close(struct wh_store *store) {
    if (!store)
        return;
    /* The journal is kept between commits for speed; a finished file has nothing beside it. */
    if (store->is_writer)
        (void)sqlite3_exec(store->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    /* close_v2: a query that its owner has not closed yet keeps the connection alive. */
    sqlite3_close_v2(store->db);
    wh_heap_release(&store->kept);
    free(store->path);
    free(store);
}

const char *wh_store_path(const struct wh_store *store) {
    return store->path;
}

/* --- statements ---------------------------------------------------------------------------------
 */

int wh_store_exec(struct wh_store *store, const char *sql, struct wh_error *error) {
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return wh_store_fail(store, "use", error);
}

int wh_store_run_file(struct wh_store *store, const char *name, struct wh_error *error) {
    for (const struct wh_sql_file *f = wh_sql_files; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return wh_store_exec(store, f->text, error);
    return wh_fail(error, WH_ENOTFOUND, "no schema file '%s' in this program", name);
}

int wh_store_begin(struct wh_store *store, struct wh_error *error) {
    if (sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return wh_store_fail(store, "write", error);
}

int wh_store_commit(struct wh_store *store, struct wh_error *error) {
    if (sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return wh_store_fail(store, "write", error);
}

void wh_store_rollback(struct wh_store *store) {
    /* After some errors SQLite has rolled back by itself. */
    if (!sqlite3_get_autocommit(store->db))
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

/* --- facts --------------------------------------------------------------------------------------
 */

static int set_fact(struct wh_store *store, const char *key, const char *text, int64_t number,
                    struct wh_error *error) {
    struct wh_query *q;
    int rc =
        wh_query_open(store, "INSERT OR REPLACE INTO trace(key, value) VALUES(?1, ?2)", &q, error);
    if (rc)
        return rc;
    wh_query_bind_text(q, 1, key);
    if (text)
        wh_query_bind_text(q, 2, text);
    else
        wh_query_bind_int(q, 2, number);
    rc = wh_query_step(q, error);
    wh_query_close(q);
    return rc < 0 ? rc : 0;
}

int wh_store_set_text(struct wh_store *store, const char *key, const char *value,
                      struct wh_error *error) {
    return set_fact(store, key, value ? value : "", 0, error);
}

int wh_store_set_int(struct wh_store *store, const char *key, int64_t value,
                     struct wh_error *error) {
    return set_fact(store, key, NULL, value, error);
}

/* Leaves *ret_query on the row of `key`. */
static int find_fact(struct wh_store *store, const char *key, struct wh_query **ret_query,
                     struct wh_error *error) {
    int rc = wh_query_open(store, "SELECT value FROM trace WHERE key = ?1", ret_query, error);
    if (rc)
        return rc;
    wh_query_bind_text(*ret_query, 1, key);
    rc = wh_query_step(*ret_query, error);
    if (rc == 1)
        return 0;
    wh_query_close(*ret_query);
    if (rc < 0)
        return rc;
    return wh_fail(error, WH_ENOTFOUND, "'%s' does not say '%s'", store->path, key);
}

int wh_store_get_text(struct wh_store *store, const char *key, char **ret_text,
                      struct wh_error *error) {
    struct wh_query *q;
    int rc = find_fact(store, key, &q, error);
    if (rc)
        return rc;
    const char *text = wh_query_text(q, 0);
    *ret_text = strdup(text ? text : "");
    wh_query_close(q);
    return *ret_text ? 0 : wh_fail(error, WH_ESYSTEM, "out of memory");
}

int64_t wh_store_get_int(struct wh_store *store, const char *key, int64_t otherwise) {
    struct wh_query *q;
    if (find_fact(store, key, &q, NULL) != 0)
        return otherwise;
    int64_t value = wh_query_int(q, 0);
    wh_query_close(q);
    return value;
}
