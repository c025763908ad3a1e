/* Queues and statements of the content tables. What is hard is a full disk: the last words need
 * room, so a reserve is allocated inside the file at the start and given back at the end. */
#include "record/content.h"

#include <stdlib.h>
#include <string.h>

#include "base/string.h"

#define RESERVE_BYTES "131072"

struct node_row {
    uint32_t id, process_id, parent_id;
    uint64_t address;
};
struct extent_row {
    uint32_t process_id, extent, first_id;
};

struct wh_content {
    struct wh_store *store;
    struct wh_error failure;
    bool failed, in_transaction;
    struct node_row *nodes;
    size_t node_count, node_room, node_at;
    struct extent_row *extents;
    size_t extent_count, extent_room, extent_at;
    struct wh_query *process, *thread, *module, *module_end, *note;
};

static const char *const process_sql =
    "INSERT OR REPLACE INTO process(id, parent_id, pid, exe, command_line, start_ns, end_ns,"
    " exit_code, term_signal, is_exec, is_replaced, events, lost_events, truncated_stacks,"
    " unresolved_stacks, unwind_mismatches, unknown_frees, implied_frees, inherited_objects, "
    "inherited_bytes,"
    " live_objects, live_bytes, peak_bytes, peak_ns, peak_rss_bytes, allocator,"
    " allocator_inuse_bytes, disabled, tracer_objects, tracer_bytes, tracer_frees) VALUES(?1, ?2, "
    "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
    " ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28,"
    " ?29, ?30, ?31)";

static int prepare(struct wh_content *c, struct wh_error *error) {
    const struct {
        struct wh_query **query;
        const char *sql;
    } all[] = {
        {&c->process, process_sql},
        {&c->thread, "INSERT OR REPLACE INTO thread(id, process_id, serial, tid, name, start_ns,"
                     " end_ns) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
        {&c->module, "INSERT INTO module(id, process_id, path, build_id, start_address,"
                     " end_address, load_bias, load_ns) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"},
        {&c->module_end, "UPDATE module SET unload_ns = ?2 WHERE id = ?1"},
        {&c->note, "INSERT INTO note(process_id, at_ns, kind, text) VALUES(?1, ?2, ?3, ?4)"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int rc = wh_query_open(c->store, all[i].sql, all[i].query, error);
        if (rc)
            return rc;
    }
    return 0;
}

int wh_content_open(struct wh_store *store, struct wh_content **ret_content,
                    struct wh_error *error) {
    struct wh_content *c = calloc(1, sizeof *c);
    if (!c)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    c->store = store;
    int rc = wh_store_exec(
        store, "INSERT INTO trace VALUES('reserve', zeroblob(" RESERVE_BYTES "))", error);
    if (!rc)
        rc = prepare(c, error);
    if (rc) {
        wh_content_close(c);
        return rc;
    }
    *ret_content = c;
    return 0;
}

void wh_content_close(struct wh_content *c) {
    if (!c)
        return;
    wh_query_close(c->process);
    wh_query_close(c->thread);
    wh_query_close(c->module);
    wh_query_close(c->module_end);
    wh_query_close(c->note);
    free(c->nodes);
    free(c->extents);
    free(c);
}

const struct wh_error *wh_content_failure(const struct wh_content *c) {
    return c->failed ? &c->failure : NULL;
}

void wh_content_fail(struct wh_content *c, const struct wh_error *error) {
    if (!c->failed)
        c->failure = *error;
    c->failed = true;
}

/* Inside a transaction, unless something failed. */
static bool begin(struct wh_content *c) {
    struct wh_error error;
    if (c->failed)
        return false;
    if (c->in_transaction)
        return true;
    if (wh_store_begin(c->store, &error)) {
        wh_content_fail(c, &error);
        return false;
    }
    c->in_transaction = true;
    return true;
}

struct wh_store *wh_content_store(struct wh_content *c) {
    return begin(c) ? c->store : NULL;
}

bool wh_content_is_open(const struct wh_content *c) {
    return c->in_transaction;
}

static void run(struct wh_content *c, struct wh_query *q) {
    struct wh_error error;
    int rc = wh_query_step(q, &error);
    wh_query_reset(q);
    if (rc < 0)
        wh_content_fail(c, &error);
}

/* --- rows
 * ------------------------------------------------------------------------------------------ */

static void bind(struct wh_query *q, int *index, uint64_t value) {
    wh_query_bind_int(q, (*index)++, (int64_t)value);
}

static void bind_if(struct wh_query *q, int *index, bool is_set, uint64_t value) {
    if (is_set)
        wh_query_bind_int(q, *index, (int64_t)value);
    else
        wh_query_bind_text(q, *index, NULL);
    ++*index;
}

static void bind_text(struct wh_query *q, int *index, const char *text) {
    wh_query_bind_text(q, (*index)++, text);
}

void wh_content_process(struct wh_content *c, const struct wh_process_row *r) {
    if (!begin(c))
        return;
    struct wh_query *q = c->process;
    int i = 1;
    bind(q, &i, r->id);
    bind_if(q, &i, r->parent_id != 0, r->parent_id);
    bind(q, &i, r->pid);
    bind_text(q, &i, r->exe);
    bind_text(q, &i, r->command_line);
    bind(q, &i, r->start_ns);
    bind_if(q, &i, r->has_end, r->end_ns);
    bind_if(q, &i, r->has_exit_code, (uint64_t)r->exit_code);
    bind_if(q, &i, r->has_signal, (uint64_t)r->signal);
    bind(q, &i, r->is_exec);
    bind(q, &i, r->is_replaced);
    bind(q, &i, r->events);
    bind(q, &i, r->lost_events);
    bind(q, &i, r->truncated_stacks);
    bind(q, &i, r->unresolved_stacks);
    bind(q, &i, r->unwind_mismatches);
    bind(q, &i, r->unknown_frees);
    bind(q, &i, r->implied_frees);
    bind(q, &i, r->inherited_objects);
    bind(q, &i, r->inherited_bytes);
    bind(q, &i, r->live_objects);
    bind(q, &i, r->live_bytes);
    bind(q, &i, r->peak_bytes);
    bind_if(q, &i, r->has_peak, r->peak_ns);
    bind_if(q, &i, r->peak_rss_bytes != 0, r->peak_rss_bytes);
    bind_text(q, &i, r->allocator);
    bind_if(q, &i, r->has_inuse, r->inuse_bytes);
    bind_text(q, &i, r->disabled);
    bind(q, &i, r->tracer_objects);
    bind(q, &i, r->tracer_bytes);
    bind(q, &i, r->tracer_frees);
    run(c, q);
}

void wh_content_thread(struct wh_content *c, uint32_t id, uint32_t process_id, uint32_t serial,
                       uint32_t tid, const char *name, uint64_t start_ns, uint64_t end_ns) {
    if (!begin(c))
        return;
    struct wh_query *q = c->thread;
    int i = 1;
    bind(q, &i, id);
    bind(q, &i, process_id);
    bind(q, &i, serial);
    bind(q, &i, tid);
    bind_text(q, &i, name && *name ? name : NULL);
    bind(q, &i, start_ns);
    bind_if(q, &i, end_ns != 0, end_ns);
    run(c, q);
}

void wh_content_module(struct wh_content *c, const struct wh_module_row *r) {
    char hex[2 * 64 + 1];
    uint32_t bytes = r->build_id_bytes > 64 ? 64 : r->build_id_bytes;
    if (!begin(c))
        return;
    for (uint32_t b = 0; b < bytes; b++) {
        hex[2 * b] = "0123456789abcdef"[r->build_id[b] >> 4];
        hex[2 * b + 1] = "0123456789abcdef"[r->build_id[b] & 15];
    }
    hex[2 * bytes] = 0;
    struct wh_query *q = c->module;
    int i = 1;
    bind(q, &i, r->id);
    bind(q, &i, r->process_id);
    bind_text(q, &i, r->path);
    bind_text(q, &i, bytes ? hex : NULL);
    bind(q, &i, r->start);
    bind(q, &i, r->end);
    bind(q, &i, r->load_bias);
    bind(q, &i, r->load_ns);
    run(c, q);
}

void wh_content_module_end(struct wh_content *c, uint32_t id, uint64_t unload_ns) {
    if (!begin(c))
        return;
    int i = 1;
    bind(c->module_end, &i, id);
    bind(c->module_end, &i, unload_ns);
    run(c, c->module_end);
}

void wh_content_note(struct wh_content *c, uint32_t process_id, uint64_t at_ns, const char *kind,
                     const char *text, size_t bytes) {
    char *copy = begin(c) ? strndup(text, bytes) : NULL;
    if (!copy)
        return;
    int i = 1;
    bind(c->note, &i, process_id);
    bind(c->note, &i, at_ns);
    bind_text(c->note, &i, kind);
    bind_text(c->note, &i, copy);
    run(c, c->note);
    free(copy);
}

static void out_of_memory(struct wh_content *c) {
    struct wh_error error;
    wh_fail(&error, WH_ESYSTEM, "out of memory");
    wh_content_fail(c, &error);
}

void wh_content_node(struct wh_content *c, uint32_t id, uint32_t process_id, uint32_t parent_id,
                     uint64_t address) {
    if (wh_array_reserve(&c->nodes, &c->node_room, c->node_count + 1, sizeof *c->nodes))
        out_of_memory(c);
    else
        c->nodes[c->node_count++] = (struct node_row){id, process_id, parent_id, address};
}

void wh_content_extent(struct wh_content *c, uint32_t process_id, uint32_t extent,
                       uint32_t first_id) {
    if (wh_array_reserve(&c->extents, &c->extent_room, c->extent_count + 1, sizeof *c->extents))
        out_of_memory(c);
    else
        c->extents[c->extent_count++] = (struct extent_row){process_id, extent, first_id};
}

void wh_content_chunk(struct wh_content *c, const struct wh_chunk *chunk,
                      const unsigned char *packed, size_t packed_bytes) {
    struct wh_error error;
    if (begin(c) && wh_store_put_chunk(c->store, chunk, packed, packed_bytes, &error))
        wh_content_fail(c, &error);
}

/* --- transactions
 * ---------------------------------------------------------------------------------- */

static int next_node(void *arg, struct wh_cell *cells) {
    struct wh_content *c = arg;
    if (c->node_at == c->node_count)
        return 0;
    const struct node_row *r = &c->nodes[c->node_at++];
    wh_cell_int(&cells[0], r->id);
    wh_cell_int(&cells[1], r->process_id);
    wh_cell_int(&cells[2], r->parent_id);
    wh_cell_int(&cells[3], (int64_t)r->address);
    return 1;
}

static int next_extent(void *arg, struct wh_cell *cells) {
    struct wh_content *c = arg;
    if (c->extent_at == c->extent_count)
        return 0;
    const struct extent_row *r = &c->extents[c->extent_at++];
    wh_cell_int(&cells[0], r->process_id);
    wh_cell_int(&cells[1], r->extent);
    wh_cell_int(&cells[2], r->first_id);
    return 1;
}

void wh_content_commit(struct wh_content *c) {
    struct wh_error error;
    int rc = 0;
    if ((c->node_count || c->extent_count) && begin(c)) {
        c->node_at = c->extent_at = 0;
        rc = wh_store_insert(c->store, "stack_node", "id, process_id, parent_id, address",
                             next_node, c, &error);
        if (!rc)
            rc = wh_store_insert(c->store, "stack_extent", "process_id, extent, first_id",
                                 next_extent, c, &error);
        c->node_count = c->extent_count = 0;
    }
    if (!rc && c->in_transaction && !c->failed) {
        rc = wh_store_commit(c->store, &error);
        c->in_transaction = rc != 0;
    }
    if (rc)
        wh_content_fail(c, &error);
}

void wh_content_give_up(struct wh_content *c, const char *why) {
    c->node_count = c->extent_count = 0;
    wh_store_rollback(c->store);
    c->in_transaction = false;
    /* No room for a journal on the disk any more; the memory's will do for these few pages. */
    (void)wh_store_exec(c->store, "PRAGMA journal_mode = MEMORY", NULL);
    (void)wh_store_exec(c->store, "DELETE FROM trace WHERE key = 'reserve'", NULL);
    (void)wh_store_set_text(c->store, "truncated", why, NULL);
}
