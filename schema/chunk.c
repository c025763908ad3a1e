/* Raw events of a thread as compressed rows of event_chunk, and the way back.
 *
 * data = one byte of form, then what the form says. Form 1, of schema 1: the zlib stream of the
 * blocks as they came. Form 2: columns.c. Everything read is checked: a chunk that lies about its
 * size is damage, not a crash. */
#include "schema/chunk.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "schema/columns.h"
#include "schema/stack_map.h"
#include "schema/store_internal.h"
#include "trace/clock.h"

#define FORM_PLAIN      1
#define FORM_COLUMNS    2
#define CHUNK_BYTES_MAX ((int64_t)1 << 30)

/* --- writing ------------------------------------------------------------------------------------
 */

int wh_chunk_pack(struct wh_packer **packer, const struct wh_chunk *chunk, void (*rest)(void *arg),
                  void *arg, unsigned char **ret_packed, size_t *ret_bytes) {
    if (wh_columns_pack(packer, chunk->data, chunk->bytes, 1, rest, arg, ret_packed, ret_bytes))
        return -1;
    (*ret_packed)[0] = FORM_COLUMNS;
    return 0;
}

int wh_store_put_chunk(struct wh_store *store, const struct wh_chunk *chunk,
                       const unsigned char *packed, size_t packed_bytes, struct wh_error *error) {
    struct wh_query *q = NULL;
    int rc = wh_query_open(store,
                           "INSERT INTO event_chunk(process_id, thread_serial, first_ns, last_ns,"
                           " events, raw_bytes, data) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                           &q, error);
    if (!rc) {
        wh_query_bind_int(q, 1, chunk->process_id);
        wh_query_bind_int(q, 2, chunk->thread_serial);
        wh_query_bind_int(q, 3, (int64_t)chunk->first_ns);
        wh_query_bind_int(q, 4, (int64_t)chunk->last_ns);
        wh_query_bind_int(q, 5, (int64_t)chunk->events);
        wh_query_bind_int(q, 6, (int64_t)chunk->bytes);
        wh_query_bind_blob(q, 7, packed, packed_bytes);
        rc = wh_query_step(q, error);
    }
    wh_query_close(q);
    return rc;
}

/* --- reading chunks -----------------------------------------------------------------------------
 */

struct wh_chunks {
    struct wh_store *store;
    struct wh_query *query;
    unsigned char *data;
};

int wh_chunks_open(struct wh_store *store, const struct wh_chunk_range *range,
                   struct wh_chunks **ret_chunks, struct wh_error *error) {
    struct wh_chunks *c = calloc(1, sizeof *c);
    if (!c)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    c->store = store;
    int rc = wh_query_open(store,
                           "SELECT process_id, thread_serial, first_ns, last_ns, events, raw_bytes,"
                           " data FROM event_chunk"
                           " WHERE (?1 = 0 OR process_id = ?1) AND (?2 = 0 OR thread_serial = ?2)"
                           " AND last_ns >= ?3 AND (?4 = 0 OR first_ns <= ?4) ORDER BY id",
                           &c->query, error);
    if (rc) {
        free(c);
        return rc;
    }
    wh_query_bind_int(c->query, 1, range->process_id);
    wh_query_bind_int(c->query, 2, range->thread_serial);
    wh_query_bind_int(c->query, 3, range->first_ns);
    wh_query_bind_int(c->query, 4, range->last_ns);
    *ret_chunks = c;
    return 0;
}

static int damaged(const struct wh_chunks *c, struct wh_error *error) {
    return wh_fail(error, WH_EINPUT, "'%s' is damaged: a chunk of events cannot be unpacked",
                   c->store->path);
}

static int unpack_plain(const unsigned char *packed, size_t packed_bytes, unsigned char *data,
                        size_t bytes) {
    uLongf got = (uLongf)bytes;
    return uncompress(data, &got, packed, packed_bytes) == Z_OK && got == bytes ? 0 : -2;
}

int wh_chunks_next(struct wh_chunks *c, struct wh_chunk *ret_chunk, struct wh_error *error) {
    int rc = wh_query_step(c->query, error);
    if (rc != 1)
        return rc;
    int64_t raw_bytes = wh_query_int(c->query, 5);
    size_t bytes;
    const unsigned char *data = wh_query_blob(c->query, 6, &bytes);
    if (bytes < 2 || raw_bytes < 0 || raw_bytes > CHUNK_BYTES_MAX)
        return damaged(c, error);
    free(c->data);
    c->data = malloc((size_t)raw_bytes + WH_COLUMNS_SPARE);
    if (!c->data)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    rc = data[0] == FORM_COLUMNS
             ? wh_columns_unpack(data + 1, bytes - 1, c->data, (size_t)raw_bytes)
         : data[0] == FORM_PLAIN ? unpack_plain(data + 1, bytes - 1, c->data, (size_t)raw_bytes)
                                 : -2;
    if (rc == -1)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    if (rc)
        return damaged(c, error);
    *ret_chunk = (struct wh_chunk){
        .process_id = wh_query_int(c->query, 0),
        .thread_serial = (uint32_t)wh_query_int(c->query, 1),
        .first_ns = (uint64_t)wh_query_int(c->query, 2),
        .last_ns = (uint64_t)wh_query_int(c->query, 3),
        .events = (uint64_t)wh_query_int(c->query, 4),
        .data = c->data,
        .bytes = (size_t)raw_bytes,
    };
    return 1;
}

void wh_chunks_close(struct wh_chunks *c) {
    if (!c)
        return;
    wh_query_close(c->query);
    free(c->data);
    free(c);
}

/* --- reading events -----------------------------------------------------------------------------
 */

struct wh_events {
    struct wh_chunks *chunks;
    struct wh_chunk chunk;
    struct wh_clock_map clock;
    struct wh_stack_map stacks;
    int raw_stacks;
    struct wh_reader reader; /* of the current block */
    size_t next_block;       /* offset of the block after it */
    int is_reading;          /* a block is current */
    uint64_t malformed;
};

void wh_store_clock(struct wh_store *store, struct wh_clock_map *ret_clock) {
    *ret_clock = (struct wh_clock_map){
        .start_ticks = (uint64_t)wh_store_get_int(store, "clock_start_ticks", 0),
        .ns_q32 = (uint64_t)wh_store_get_int(store, "clock_ns_q32", (int64_t)1 << 32),
        .shift = (uint32_t)wh_store_get_int(store, "clock_shift", 0) & 63,
    };
}

int wh_events_open(struct wh_store *store, const struct wh_chunk_range *range,
                   struct wh_events **ret_events, struct wh_error *error) {
    struct wh_events *e = calloc(1, sizeof *e);
    if (!e)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    int rc = wh_chunks_open(store, range, &e->chunks, error);
    if (rc) {
        free(e);
        return rc;
    }
    wh_store_clock(store, &e->clock);
    e->stacks.store = store;
    e->raw_stacks = range->raw_stacks;
    *ret_events = e;
    return 0;
}

/* Starts the next block of the chunk. 1 = there is one, 0 = the chunk is over. */
static int next_block(struct wh_events *e) {
    struct wh_block header;
    size_t left = e->chunk.bytes - e->next_block;
    if (!e->chunk.data || left < sizeof header)
        return 0;
    memcpy(&header, e->chunk.data + e->next_block, sizeof header);
    left -= sizeof header;
    uint32_t bytes = atomic_load_explicit(&header.committed, memory_order_relaxed);
    if (bytes > left) {
        e->malformed++;
        bytes = (uint32_t)left;
    }
    wh_reader_init(&e->reader, &header, e->chunk.data + e->next_block + sizeof header, bytes);
    e->next_block += sizeof header + bytes;
    e->is_reading = 1;
    return 1;
}

int wh_events_next(struct wh_events *e, struct wh_stored_event *ret_event, struct wh_error *error) {
    for (;;) {
        int rc = e->is_reading ? wh_reader_next(&e->reader, &ret_event->event) : 0;
        if (rc == 1)
            break;
        e->malformed += rc < 0;
        e->is_reading = 0;
        if (next_block(e))
            continue;
        rc = wh_chunks_next(e->chunks, &e->chunk, error);
        if (rc != 1)
            return rc;
        e->next_block = 0;
    }
    ret_event->process_id = e->chunk.process_id;
    ret_event->thread_serial = e->chunk.thread_serial;
    ret_event->at_ns = (int64_t)wh_clock_ns(&e->clock, e->reader.ticks);
    ret_event->before_ns = ret_event->event.kind == WH_EV_REALLOC
                               ? (int64_t)wh_clock_ns(&e->clock, ret_event->event.before_ticks)
                               : ret_event->at_ns;
    const struct wh_event *event = &ret_event->event;
    int rc = 0;
    ret_event->stack_id = 0;
    if (!e->raw_stacks)
        ret_event->stack_id =
            wh_stack_map_id(&e->stacks, ret_event->process_id,
                            event->kind == WH_EV_NODE ? event->node : event->stack, &rc, error);
    return rc ? rc : 1;
}

uint64_t wh_events_malformed(const struct wh_events *e) {
    return e->malformed;
}

void wh_events_close(struct wh_events *e) {
    if (!e)
        return;
    wh_stack_map_release(&e->stacks);
    wh_chunks_close(e->chunks);
    free(e);
}
