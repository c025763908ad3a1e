/* The recorder's rows of the content tables, queued and written in transactions.
 *
 * Rows are queued by the functions below without touching the file; wh_content_commit() writes them
 * in one transaction. The first failure is kept: from then on everything is ignored, and
 * wh_content_give_up() ends the file with the reason. Context: recorder, one thread. */
#ifndef WH_RECORD_CONTENT_H
#define WH_RECORD_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/store.h"

struct wh_content;

struct wh_process_row {
    uint32_t id, parent_id, pid;
    const char *exe, *command_line; /* NULL = not told */
    uint64_t start_ns, end_ns;
    bool has_end, has_exit_code, has_signal, is_exec, is_replaced;
    int exit_code, signal;
    uint64_t events, lost_events, truncated_stacks, unresolved_stacks, unwind_mismatches;
    uint64_t unknown_frees, implied_frees, inherited_objects, inherited_bytes, live_objects,
        live_bytes;
    uint64_t peak_bytes, peak_ns, peak_rss_bytes; /* peak_ns 0 = none, peak_rss 0 = not read */
    const char *allocator, *disabled;             /* NULL = not told */
    uint64_t inuse_bytes, tracer_objects, tracer_bytes, tracer_frees;
    bool has_peak, has_inuse;
};

struct wh_module_row {
    uint32_t id, process_id;
    const char *path;
    const unsigned char *build_id;
    uint32_t build_id_bytes;
    uint64_t start, end, load_bias, load_ns;
};

int wh_content_open(struct wh_store *store, struct wh_content **ret_content,
                    struct wh_error *error);
void wh_content_close(struct wh_content *c); /* NULL allowed */

/* Inserts or replaces. */
void wh_content_process(struct wh_content *c, const struct wh_process_row *row);
void wh_content_thread(struct wh_content *c, uint32_t id, uint32_t process_id, uint32_t serial,
                       uint32_t tid, const char *name, uint64_t start_ns, uint64_t end_ns);
void wh_content_module(struct wh_content *c, const struct wh_module_row *row);
void wh_content_module_end(struct wh_content *c, uint32_t id, uint64_t unload_ns);
void wh_content_node(struct wh_content *c, uint32_t id, uint32_t process_id, uint32_t parent_id,
                     uint64_t address);
void wh_content_extent(struct wh_content *c, uint32_t process_id, uint32_t extent,
                       uint32_t first_id);
void wh_content_note(struct wh_content *c, uint32_t process_id, uint64_t at_ns, const char *kind,
                     const char *text, size_t bytes);
/* A chunk as wh_chunk_pack() packed it. */
void wh_content_chunk(struct wh_content *c, const struct wh_chunk *chunk,
                      const unsigned char *packed, size_t packed_bytes);

/* The connection inside the current transaction, for other tables' rows; NULL = it failed before.
 */
struct wh_store *wh_content_store(struct wh_content *c);

/* Writes what is queued and ends the transaction. */
void wh_content_commit(struct wh_content *c);
bool wh_content_is_open(const struct wh_content *c); /* a transaction is */

/* NULL, or why writing stopped. wh_content_fail() is for failures seen outside. */
const struct wh_error *wh_content_failure(const struct wh_content *c);
void wh_content_fail(struct wh_content *c, const struct wh_error *error);

/* After a failure: rolls back, frees the reserve and writes trace.truncated. Best effort. */
void wh_content_give_up(struct wh_content *c, const char *why);

#endif
