/* The records of one thread, as bytes in order: copied blocks waiting to be decoded, and decoded
 * ones waiting to be stored.
 *
 *   segments:  [ kept for the next chunk | being decoded | copied, not looked at yet ]
 *
 * A segment is one block: its header and the payload published so far. Its bytes may be fetched
 * when the decoder gets there, so that what waits need not be copied. Chunks are cut between any
 * two records; the rest of a block that was cut gets a header whose base values say where the
 * decoder stood. Hostile memory: a malformed record ends its segment and is counted. Context:
 * recorder and readers, one thread at a time. */
#ifndef WH_TRACE_STREAM_H
#define WH_TRACE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/pair.h"
#include "wire/codec.h"

/* Records decoded at once. Only the last of them may be one with texts: these point into the
 * segment that is being decoded. */
#define WH_STREAM_AHEAD 32u

#define WH_NO_SOURCE UINT32_MAX

struct wh_segment {
    struct wh_segment *next;
    uint32_t sequence;
    uint32_t bytes;    /* payload copied so far */
    uint32_t capacity; /* of payload */
    uint32_t stored;   /* payload that already went into a chunk */
    uint32_t source;   /* the caller's, for fill(); WH_NO_SOURCE = all is here */
    bool complete;     /* no more bytes will come */
    bool malformed;    /* decoding stopped inside it */
    uint8_t *payload;  /* NULL = nothing was copied yet: wh_segment_payload() */
    struct wh_block header;
};

struct wh_stream {
    struct wh_pair_thread pair;
    uint32_t serial, tid;
    void *owner; /* the caller's */
    /* Called when everything of a segment with a source was decoded: may add bytes to it, and
     * complete it. true = it did. */
    bool (*fill)(void *arg, struct wh_segment *segment);
    void *fill_arg;
    struct wh_segment *first;   /* oldest kept */
    struct wh_segment *current; /* being decoded, NULL = before the first */
    struct wh_segment *last;
    uint32_t next_sequence; /* of the segment to decode after the current one */
    bool reading;           /* reader is set up for current */
    bool skip_gaps;         /* thread is dead: a missing sequence number will not come any more */
    bool has_head;
    bool busy;           /* it may publish a record with a stamp from before what was copied last */
    uint32_t heap_index; /* in the merge's heap, UINT32_MAX = not in it */
    struct wh_reader reader;
    struct wh_event *head;                  /* in ahead[] */
    struct wh_event ahead[WH_STREAM_AHEAD]; /* decoded, to become head: [ahead_at, ahead_count) */
    uint32_t ahead_at, ahead_count;
    uint64_t last_ticks;    /* of the last record decoded */
    uint64_t chunk_records; /* decoded since the last chunk */
    uint64_t chunk_first_ticks;
    uint64_t chunk_bytes; /* payload decoded since the last chunk, about */
    uint64_t malformed;   /* segments that ended in rubbish */
};

/* Appends an empty segment for a block, in order of sequence. NULL: out of memory. */
struct wh_segment *wh_stream_segment(struct wh_stream *s, const struct wh_block *header,
                                     uint32_t capacity);
/* Room for `capacity` bytes, made at the first call. NULL: out of memory. */
uint8_t *wh_segment_payload(struct wh_segment *g);

void wh_stream_release(struct wh_stream *s);

/* Decodes the next record into s->head. NODE records are returned like all others.
 * 1 = one, 0 = nothing more for now. */
int wh_stream_next(struct wh_stream *s);

/* A chunk: blocks one after another, headers and payloads. Its memory is used again by the next
 * one; free(data) in the end. */
struct wh_cut {
    unsigned char *data;
    size_t bytes, room;
};

/* Everything decoded since the last one; bytes = 0 when there is nothing. Segments that are done
 * are freed. -1: out of memory. */
int wh_stream_cut(struct wh_stream *s, struct wh_cut *ret_cut);

/* Splits a stored chunk into segments of `s`. The data is copied. -1: out of memory, -2: malformed.
 */
int wh_stream_load(struct wh_stream *s, const unsigned char *data, size_t bytes);

#endif
