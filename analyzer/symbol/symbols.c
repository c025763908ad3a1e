/* The modules of a trace: table module in memory, files opened once per build-id (symbol.h).
 *
 * Rows are sorted by (process, start) and searched with their reach, because address ranges are
 * used again after dlclose: several rows may cover one address, at different times. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/symbol/module_internal.h"
#include "analyzer/symbol/symbols_internal.h"
#include "schema/store.h"

void wh_symbols_close(struct wh_symbols *s) {
    if (!s || --s->references)
        return;
    for (size_t i = 0; i < s->module_count; i++)
        wh_module_free(s->modules[i]);
    free(s->modules);
    free(s->rows);
    wh_texts_release(&s->texts);
    free(s);
}

struct wh_symbols *wh_symbols_share(struct wh_symbols *s) {
    s->references++;
    return s;
}

static int row_compare(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    if (x->row.process_id != y->row.process_id)
        return x->row.process_id < y->row.process_id ? -1 : 1;
    if (x->row.start != y->row.start)
        return x->row.start < y->row.start ? -1 : 1;
    return (x->row.id > y->row.id) - (x->row.id < y->row.id);
}

static int rows_read(struct wh_symbols *s, struct wh_query *q, struct wh_error *error) {
    int rc;
    size_t room = 0;
    while ((rc = wh_query_step(q, error)) > 0) {
        if (s->row_count == room) {
            room = room ? room * 2 : 64;
            void *rows = realloc(s->rows, room * sizeof(*s->rows));
            if (!rows)
                return wh_fail(error, WH_ESYSTEM, "no memory for the module table");
            s->rows = rows;
        }
        struct row *r = &s->rows[s->row_count++];
        *r = (struct row){.module = NO_MODULE};
        r->row.id = wh_query_int(q, 0);
        r->row.process_id = wh_query_int(q, 1);
        r->row.path = wh_texts_add(&s->texts, wh_query_text(q, 2));
        r->row.build_id = wh_texts_add(&s->texts, wh_query_text(q, 3));
        r->row.start = (uint64_t)wh_query_int(q, 4);
        r->row.end = (uint64_t)wh_query_int(q, 5);
        r->row.load_bias = (uint64_t)wh_query_int(q, 6);
        r->row.load_ns = wh_query_int(q, 7);
        r->row.unload_ns = wh_query_type(q, 8) == WH_CELL_NULL ? INT64_MAX : wh_query_int(q, 8);
        r->row.is_executable = wh_query_int(q, 9) != 0;
        if (!r->row.path)
            r->row.path = "";
    }
    return rc;
}

static const struct wh_type *find_type(void *arg, const struct wh_module *asker, const char *name) {
    struct wh_symbols *s = arg;
    for (size_t i = 0; i < s->module_count; i++) {
        if (s->modules[i] == asker)
            continue;
        const struct wh_type *t = wh_type_named(s->modules[i], name);
        if (t)
            return t;
    }
    return NULL;
}

int wh_symbols_open(struct wh_store *store, struct wh_symbols **ret_symbols,
                    struct wh_error *error) {
    struct wh_query *q = NULL;
    struct wh_symbols *s = calloc(1, sizeof(*s));
    *ret_symbols = NULL;
    if (!s)
        return wh_fail(error, WH_ESYSTEM, "no memory for the module table");
    s->references = 1;
    int rc = wh_query_open(
        store,
        "SELECT id, process_id, path, build_id, start_address, end_address, load_bias, load_ns, "
        "unload_ns, path = (SELECT exe FROM process p WHERE p.id = process_id) "
        "FROM module ORDER BY id",
        &q, error);
    if (!rc)
        rc = rows_read(s, q, error);
    wh_query_close(q);
    if (rc) {
        wh_symbols_close(s);
        return rc;
    }
    if (s->row_count)
        qsort(s->rows, s->row_count, sizeof(*s->rows), row_compare);
    uint64_t reach = 0;
    for (size_t i = 0; i < s->row_count; i++) {
        if (i == 0 || s->rows[i].row.process_id != s->rows[i - 1].row.process_id)
            reach = 0;
        reach = s->rows[i].row.end > reach ? s->rows[i].row.end : reach;
        s->rows[i].reach = reach;
    }
    *ret_symbols = s;
    return 0;
}

/* Index one past the last row of the process that begins at or below the address. */
static size_t rows_bound(const struct wh_symbols *s, int64_t process_id, uint64_t address) {
    size_t low = 0, high = s->row_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct wh_symbols_row *r = &s->rows[middle].row;
        if (r->process_id < process_id || (r->process_id == process_id && r->start <= address))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct wh_symbols_row *wh_symbols_candidate(const struct wh_symbols *s, int64_t process_id,
                                                  uint64_t address, int64_t at_ns,
                                                  bool *ret_ambiguous) {
    const struct wh_symbols_row *best = NULL;
    bool best_in_time = false;
    size_t covering = 0;
    for (size_t i = rows_bound(s, process_id, address); i-- > 0;) {
        const struct wh_symbols_row *r = &s->rows[i].row;
        if (r->process_id != process_id || s->rows[i].reach <= address)
            break;
        if (r->end <= address)
            continue;
        covering++;
        bool in_time = at_ns == INT64_MAX || (r->load_ns <= at_ns && at_ns < r->unload_ns);
        if (!best || (in_time && !best_in_time) ||
            (in_time == best_in_time && r->load_ns > best->load_ns)) {
            best = r;
            best_in_time = in_time;
        }
    }
    if (ret_ambiguous)
        *ret_ambiguous = covering > 1;
    return best;
}

const struct wh_symbols_row *wh_symbols_find(const struct wh_symbols *s, int64_t process_id,
                                             uint64_t address, int64_t at_ns) {
    return wh_symbols_candidate(s, process_id, address, at_ns, NULL);
}

static struct row *row_by_id(const struct wh_symbols *s, int64_t module_id) {
    for (size_t i = 0; i < s->row_count; i++) {
        if (s->rows[i].row.id == module_id)
            return &s->rows[i];
    }
    return NULL;
}

const struct wh_symbols_row *wh_symbols_row(const struct wh_symbols *s, int64_t module_id) {
    const struct row *r = row_by_id(s, module_id);
    return r ? &r->row : NULL;
}

/* Rows are of one file when their build-ids agree, or, without any, their paths. */
static bool same_file(const struct wh_symbols_row *a, const struct wh_symbols_row *b) {
    if (a->build_id && b->build_id)
        return a->build_id == b->build_id;
    return !a->build_id && !b->build_id && a->path == b->path;
}

struct wh_module *wh_symbols_module_of(struct wh_symbols *s, const struct wh_symbols_row *row) {
    struct row *r = (struct row *)(uintptr_t)row; /* rows are the first member of ours */
    if (r->module != NO_MODULE)
        return s->modules[r->module];
    for (size_t i = 0; i < s->row_count; i++) {
        if (s->rows[i].module != NO_MODULE && same_file(&s->rows[i].row, row)) {
            r->module = s->rows[i].module;
            return s->modules[r->module];
        }
    }
    void *modules = realloc(s->modules, (s->module_count + 1) * sizeof(struct wh_module *));
    if (!modules)
        return NULL;
    s->modules = modules;
    struct wh_module *m = wh_module_open(row->path, row->build_id);
    if (!m)
        return NULL;
    m->find_type = find_type;
    m->find_type_arg = s;
    r->module = (uint32_t)s->module_count;
    s->modules[s->module_count++] = m;
    return m;
}

struct wh_module *wh_symbols_module(struct wh_symbols *s, int64_t module_id) {
    const struct row *r = row_by_id(s, module_id);
    return r ? wh_symbols_module_of(s, &r->row) : NULL;
}

void wh_symbols_describe(struct wh_symbols *s, int64_t process_id, uint64_t address, int64_t at_ns,
                         bool is_return, char *text, size_t size) {
    const struct wh_symbols_row *row = wh_symbols_find(s, process_id, address, at_ns);
    struct wh_module *m = row ? wh_symbols_module_of(s, row) : NULL;
    struct wh_code codes[WH_CODE_MAX];
    if (!m) {
        snprintf(text, size, "0x%" PRIx64, address);
        return;
    }
    uint64_t file_address = address - row->load_bias - (is_return ? 1 : 0);
    size_t count = wh_module_code(m, file_address, codes, WH_CODE_MAX);
    if (count && codes[count - 1].function)
        snprintf(text, size, "%s", codes[count - 1].function);
    else
        snprintf(text, size, "%s+0x%" PRIx64, wh_module_name(m), address - row->load_bias);
}
