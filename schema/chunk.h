/* Reading raw events back: chunk by chunk as the recorder stored them, or record by record.
 *
 * Chunks come in order of arrival, so the chunks of one thread are in order of time; threads
 * interleave. Used by `expand` and the recorder's rebuild (chunks), by the table `event` (events).
 * Context: one thread at a time per reader; the store stays open meanwhile. */
#ifndef WH_SCHEMA_CHUNK_H
#define WH_SCHEMA_CHUNK_H

#include "schema/store.h"
#include "wire/codec.h"

/* Which chunks: all of them with {0}. */
struct wh_chunk_range {
    int64_t process_id;    /* 0 = every process */
    int64_t thread_serial; /* 0 = every thread */
    int64_t first_ns;      /* chunks that end before are skipped */
    int64_t last_ns;       /* chunks that begin after are skipped; 0 = no bound */
    int raw_stacks;        /* events: 1 = do not look up stack_id */
};

struct wh_chunks;
int wh_chunks_open(struct wh_store *store, const struct wh_chunk_range *range,
                   struct wh_chunks **ret_chunks, struct wh_error *error);

/* 1 = a chunk: ret_chunk->data is as it was put, valid until the next call. 0 = no more, < 0 =
 * error. */
int wh_chunks_next(struct wh_chunks *chunks, struct wh_chunk *ret_chunk, struct wh_error *error);
void wh_chunks_close(struct wh_chunks *chunks); /* NULL allowed */

/* One record with what its chunk knows. */
struct wh_stored_event {
    struct wh_event event; /* texts point into the chunk: valid until the next call */
    int64_t process_id;
    uint32_t thread_serial;
    int64_t at_ns;     /* event.ticks on the trace's clock */
    int64_t before_ns; /* event.before_ticks likewise */
    uint32_t
        stack_id; /* event.stack, of a NODE event.node, as a trace-wide stack_node.id; 0 = none */
};

/* Walks the records of chunks. A malformed record ends its block and is counted, not fatal: what a
 * buggy target scribbled must not hide the rest. */
struct wh_events;
int wh_events_open(struct wh_store *store, const struct wh_chunk_range *range,
                   struct wh_events **ret_events, struct wh_error *error);
int wh_events_next(struct wh_events *events, struct wh_stored_event *ret_event,
                   struct wh_error *error);
uint64_t wh_events_malformed(const struct wh_events *events); /* blocks cut short so far */
void wh_events_close(struct wh_events *events);               /* NULL allowed */

/* The clock that the recorder stored (trace.clock_*), for at_ns above. */
struct wh_clock_map;
void wh_store_clock(struct wh_store *store, struct wh_clock_map *ret_clock);

#endif
