/* The virtual table `event`: every recorded event, read straight from the compressed chunks.
 *
 *   SELECT count(*) FROM event WHERE process_id = 1 AND at_ns BETWEEN 0 AND 1e9
 *
 * Constraints on process_id, thread_serial and at_ns choose the chunks; SQLite itself checks every
 * row again, so a range may be generous. Compiled twice: into the store, and into the loadable
 * extension with WH_EXTENSION (see store_internal.h). */
#include <stdlib.h>
#include <string.h>

#include "schema/chunk.h"
#include "schema/store_internal.h"

enum column {
    PROCESS_ID,
    THREAD_SERIAL,
    AT_NS,
    KIND,
    DETAIL,
    ADDRESS,
    SIZE_BYTES,
    OLD_ADDRESS,
    STACK_ID,
    BEFORE_NS,
    NUMBER,
    TEXT,
};

/* Kept in the order of enum column. */
static const char declaration[] =
    "CREATE TABLE event("
    "process_id INTEGER,"    /* process.id */
    "thread_serial INTEGER," /* thread.serial within the process */
    "at_ns INTEGER,"         /* a free before the real call, everything else after it */
    "kind TEXT,"           /* alloc, free, realloc, node, thread, image, fork, module, exit, ... */
    "detail TEXT,"         /* alloc, realloc: entry point; pool: acquire, release; NULL = none */
    "address INTEGER,"     /* block, base of a module; NULL = not about an address */
    "size_bytes INTEGER,"  /* requested bytes, length of a module; NULL = no size */
    "old_address INTEGER," /* realloc: the block it freed, 0 = none; NULL = no realloc */
    "stack_id INTEGER,"    /* stack_node.id; NULL = none taken */
    "before_ns INTEGER,"   /* realloc: stamp before the call; NULL = no realloc */
    "number INTEGER,"      /* tid, pid, exit code, token, count, snapshot; NULL = none */
    "text TEXT)";          /* name, path, label, note; NULL = none */

struct event_table {
    sqlite3_vtab base;
    struct wh_store *store;
};

struct event_cursor {
    sqlite3_vtab_cursor base;
    struct wh_events *events;
    struct wh_stored_event row;
    int64_t number;
    int at_end;
};

static const char *kind_name(unsigned kind) {
    static const char *const names[16] = {
        [WH_EV_ALLOC] = "alloc",       [WH_EV_FREE] = "free",     [WH_EV_REALLOC] = "realloc",
        [WH_EV_NODE] = "node",         [WH_EV_THREAD] = "thread", [WH_EV_IMAGE] = "image",
        [WH_EV_FORK] = "fork",         [WH_EV_MODULE] = "module", [WH_EV_EXIT] = "exit",
        [WH_EV_SNAPSHOT] = "snapshot", [WH_EV_POOL] = "pool",     [WH_EV_PAUSE] = "pause",
        [WH_EV_NOTE] = "note",         [WH_EV_LOST] = "lost",
    };
    return names[kind & 15];
}

static const char *detail_name(const struct wh_event *e) {
    static const char *const entries[WH_ALLOC_KINDS] = {"malloc", "calloc", "realloc", "memalign",
                                                        "new",    "new[]",  "mmap"};
    static const char *const threads[] = {"start", "end"}, *const pools[] = {"acquire", "release"},
                             *const modules[] = {"load", "unload"},
                             *const pauses[] = {"resume", "pause"},
                             *const forks[] = {"before", "parent", "child"};
    switch (e->kind) {
    case WH_EV_ALLOC:
    case WH_EV_REALLOC:
        return e->detail < WH_ALLOC_KINDS ? entries[e->detail] : NULL;
    case WH_EV_THREAD:
        return e->detail < 2 ? threads[e->detail] : NULL;
    case WH_EV_POOL:
        return e->detail < 2 ? pools[e->detail] : NULL;
    case WH_EV_MODULE:
        return e->detail < 2 ? modules[e->detail] : NULL;
    case WH_EV_PAUSE:
        return e->detail < 2 ? pauses[e->detail] : NULL;
    case WH_EV_FORK:
        return e->detail < 3 ? forks[e->detail] : NULL;
    default:
        return NULL;
    }
}

static int has_address(const struct wh_event *e) {
    return e->kind == WH_EV_ALLOC || e->kind == WH_EV_FREE || e->kind == WH_EV_REALLOC ||
           e->kind == WH_EV_POOL || e->kind == WH_EV_MODULE;
}

static int has_size(const struct wh_event *e) {
    return e->kind == WH_EV_ALLOC || e->kind == WH_EV_REALLOC ||
           (e->kind == WH_EV_FREE && (e->detail & 2)) ||
           ((e->kind == WH_EV_POOL || e->kind == WH_EV_MODULE) && e->detail == 0);
}

static int has_number(const struct wh_event *e) {
    return e->kind == WH_EV_THREAD || e->kind == WH_EV_IMAGE || e->kind == WH_EV_FORK ||
           e->kind == WH_EV_EXIT || e->kind == WH_EV_SNAPSHOT || e->kind == WH_EV_LOST;
}

/* --- the module ---------------------------------------------------------------------------------
 */

static int event_connect(sqlite3 *db, void *arg, int argc, const char *const *argv,
                         sqlite3_vtab **ret_table, char **ret_message) {
    (void)argc, (void)argv, (void)ret_message;
    int rc = sqlite3_declare_vtab(db, declaration);
    if (rc != SQLITE_OK)
        return rc;
    struct event_table *table = sqlite3_malloc(sizeof *table);
    if (!table)
        return SQLITE_NOMEM;
    *table = (struct event_table){.store = arg};
    *ret_table = &table->base;
    return SQLITE_OK;
}

static int event_disconnect(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

/* The four bounds that choose chunks, by bit of idxNum; the bits' order is that of the arguments.
 */
enum bound { BY_PROCESS = 1, BY_THREAD = 2, FROM_NS = 4, TO_NS = 8 };

static int bound_of(const struct sqlite3_index_constraint *c) {
    int is_equal = c->op == SQLITE_INDEX_CONSTRAINT_EQ;
    if (c->iColumn == PROCESS_ID && is_equal)
        return BY_PROCESS;
    if (c->iColumn == THREAD_SERIAL && is_equal)
        return BY_THREAD;
    if (c->iColumn == AT_NS &&
        (c->op == SQLITE_INDEX_CONSTRAINT_GE || c->op == SQLITE_INDEX_CONSTRAINT_GT))
        return FROM_NS;
    if (c->iColumn == AT_NS &&
        (c->op == SQLITE_INDEX_CONSTRAINT_LE || c->op == SQLITE_INDEX_CONSTRAINT_LT))
        return TO_NS;
    return 0;
}

static int event_best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
    (void)table;
    int used = 0, arguments = 0;
    double rows = 1e7;
    for (int bound = BY_PROCESS; bound <= TO_NS; bound <<= 1)
        for (int i = 0; i < info->nConstraint; i++) {
            if (!info->aConstraint[i].usable || bound_of(&info->aConstraint[i]) != bound)
                continue;
            used |= bound;
            info->aConstraintUsage[i].argvIndex = ++arguments;
            rows /= 10;
            break;
        }
    info->idxNum = used;
    info->estimatedCost = rows * 10;
    info->estimatedRows = (sqlite3_int64)rows;
    return SQLITE_OK;
}

static int event_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor) {
    (void)table;
    struct event_cursor *cursor = sqlite3_malloc(sizeof *cursor);
    if (!cursor)
        return SQLITE_NOMEM;
    *cursor = (struct event_cursor){.at_end = 1};
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

static int event_close(sqlite3_vtab_cursor *base) {
    wh_events_close(((struct event_cursor *)base)->events);
    sqlite3_free(base);
    return SQLITE_OK;
}

static int event_fail(sqlite3_vtab_cursor *base, const struct wh_error *error) {
    sqlite3_free(base->pVtab->zErrMsg);
    base->pVtab->zErrMsg = sqlite3_mprintf("%s", error->text);
    return error->code == WH_EINPUT ? SQLITE_CORRUPT : SQLITE_ERROR;
}

static int event_next(sqlite3_vtab_cursor *base) {
    struct event_cursor *cursor = (struct event_cursor *)base;
    struct wh_error error = {0};
    int rc = wh_events_next(cursor->events, &cursor->row, &error);
    cursor->at_end = rc != 1;
    cursor->number++;
    return rc < 0 ? event_fail(base, &error) : SQLITE_OK;
}

/* A bound that is no integer (a real, NULL) selects nothing wrongly when it is dropped or rounded
 * outwards: the rows are checked again. */
static int64_t bound_value(sqlite3_value *value, int is_upper, int64_t none) {
    switch (sqlite3_value_numeric_type(value)) {
    case SQLITE_INTEGER:
        return sqlite3_value_int64(value);
    case SQLITE_FLOAT: {
        double real = sqlite3_value_double(value);
        if (!(real > -9e18 && real < 9e18))
            return none;
        return (int64_t)real + (is_upper ? 1 : -1);
    }
    default:
        return none;
    }
}

static int event_filter(sqlite3_vtab_cursor *base, int used, const char *text, int argc,
                        sqlite3_value **argv) {
    (void)text, (void)argc;
    struct event_cursor *cursor = (struct event_cursor *)base;
    struct wh_chunk_range range = {0};
    struct wh_error error = {0};
    if (used & BY_PROCESS)
        range.process_id = sqlite3_value_int64(*argv++);
    if (used & BY_THREAD)
        range.thread_serial = sqlite3_value_int64(*argv++);
    if (used & FROM_NS)
        range.first_ns = bound_value(*argv++, 0, 0);
    if (used & TO_NS)
        range.last_ns = bound_value(*argv, 1, 0);
    wh_events_close(cursor->events);
    cursor->events = NULL;
    cursor->number = 0;
    if (wh_events_open(((struct event_table *)base->pVtab)->store, &range, &cursor->events, &error))
        return event_fail(base, &error);
    return event_next(base);
}

static int event_eof(sqlite3_vtab_cursor *base) {
    return ((struct event_cursor *)base)->at_end;
}

static void put(sqlite3_context *context, int is_known, int64_t value) {
    if (is_known)
        sqlite3_result_int64(context, value);
}

static int event_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    const struct wh_stored_event *row = &((struct event_cursor *)base)->row;
    const struct wh_event *e = &row->event;
    switch ((enum column)column) {
    case PROCESS_ID:
        put(context, 1, row->process_id);
        break;
    case THREAD_SERIAL:
        put(context, 1, row->thread_serial);
        break;
    case AT_NS:
        put(context, 1, row->at_ns);
        break;
    case KIND:
        sqlite3_result_text(context, kind_name(e->kind), -1, SQLITE_STATIC);
        break;
    case DETAIL:
        sqlite3_result_text(context, detail_name(e), -1, SQLITE_STATIC);
        break;
    case ADDRESS:
        put(context, has_address(e), (int64_t)e->address);
        break;
    case SIZE_BYTES:
        put(context, has_size(e), (int64_t)e->size);
        break;
    case OLD_ADDRESS:
        put(context, e->kind == WH_EV_REALLOC, (int64_t)e->old_address);
        break;
    case STACK_ID:
        put(context, row->stack_id != 0, row->stack_id);
        break;
    case BEFORE_NS:
        put(context, e->kind == WH_EV_REALLOC, row->before_ns);
        break;
    case NUMBER:
        put(context, has_number(e), (int64_t)e->number);
        break;
    case TEXT:
        if (e->text)
            sqlite3_result_text64(context, e->text, e->text_bytes, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    }
    return SQLITE_OK;
}

static int event_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_row) {
    *ret_row = ((struct event_cursor *)base)->number;
    return SQLITE_OK;
}

static const sqlite3_module event_module = {
    .iVersion = 0,
    .xConnect = event_connect,
    .xBestIndex = event_best_index,
    .xDisconnect = event_disconnect,
    .xOpen = event_open,
    .xClose = event_close,
    .xFilter = event_filter,
    .xNext = event_next,
    .xEof = event_eof,
    .xColumn = event_column,
    .xRowid = event_rowid,
};

int wh_event_register(struct wh_store *store, void (*release)(void *)) {
    return sqlite3_create_module_v2(store->db, "event", &event_module, store, release);
}
