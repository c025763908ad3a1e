/* Segments of a thread: in by sequence, decoded, out as chunks. */
#include "trace/stream.h"

#include <stdlib.h>
#include <string.h>

struct wh_segment *wh_stream_segment(struct wh_stream *s, const struct wh_block *header,
                                     uint32_t capacity) {
    struct wh_segment *g = malloc(sizeof *g);
    if (!g)
        return NULL;
    *g = (struct wh_segment){
        .sequence = header->sequence, .capacity = capacity, .source = WH_NO_SOURCE};
    memcpy(&g->header, header, sizeof *header);
    /* Nearly always the newest. Blocks are found in order of index, not of sequence, so two of one
     * thread may come the wrong way round, but never before what is being decoded. */
    struct wh_segment **at = s->current ? &s->current->next : &s->first;
    if (s->last && s->last->sequence <= g->sequence)
        at = &s->last->next;
    while (*at && (*at)->sequence <= g->sequence)
        at = &(*at)->next;
    g->next = *at;
    *at = g;
    if (!g->next)
        s->last = g;
    return g;
}

uint8_t *wh_segment_payload(struct wh_segment *g) {
    if (!g->payload)
        g->payload = malloc(g->capacity ? g->capacity : 1);
    return g->payload;
}

static void free_segment(struct wh_segment *g) {
    free(g->payload);
    free(g);
}

void wh_stream_release(struct wh_stream *s) {
    for (struct wh_segment *g = s->first, *next; g; g = next) {
        next = g->next;
        free_segment(g);
    }
    s->first = s->current = s->last = NULL;
    s->ahead_at = s->ahead_count = 0;
    s->has_head = false;
}

/* Moves to the next segment if the current one is over. */
static bool advance(struct wh_stream *s) {
    struct wh_segment *next = s->current ? s->current->next : s->first;
    if (s->current && !s->current->complete)
        return false;
    if (!next || (next->sequence != s->next_sequence && !s->skip_gaps))
        return false;
    s->current = next;
    s->next_sequence = next->sequence + 1;
    s->reading = false;
    return true;
}

/* Points the reader at what was copied since. */
static void refresh(struct wh_stream *s) {
    struct wh_segment *g = s->current;
    if (!s->reading) {
        wh_reader_init(&s->reader, &g->header, g->payload, g->bytes);
        s->reading = true;
    }
    s->reader.end = g->payload + g->bytes;
}

static bool is_plain(const struct wh_event *e) {
    return e->kind == WH_EV_ALLOC || e->kind == WH_EV_FREE || e->kind == WH_EV_REALLOC ||
           e->kind == WH_EV_NODE;
}

/* Decodes into the empty ahead[]. 1 = something, 0 = the data ended, -1 = malformed. */
static int decode(struct wh_stream *s) {
    const uint8_t *before = s->reader.cursor;
    uint64_t first_ticks = 0;
    uint32_t n = 0;
    int rc = 1;
    while (n < WH_STREAM_AHEAD && (rc = wh_reader_next(&s->reader, &s->ahead[n])) == 1) {
        if (!n)
            first_ticks = s->reader.ticks;
        if (!is_plain(&s->ahead[n++]))
            break;
    }
    if (!n)
        return rc;
    if (!s->chunk_records)
        s->chunk_first_ticks = first_ticks;
    s->chunk_records += n;
    s->chunk_bytes += (uint64_t)(s->reader.cursor - before);
    s->last_ticks = s->reader.ticks;
    s->ahead_at = 0;
    s->ahead_count = n;
    return 1;
}

int wh_stream_next(struct wh_stream *s) {
    s->has_head = false;
    for (;;) {
        if (s->ahead_at < s->ahead_count) {
            s->head = &s->ahead[s->ahead_at++];
            s->has_head = true;
            return 1;
        }
        if (!s->current && !advance(s))
            return 0;
        struct wh_segment *g = s->current;
        if (!g->malformed && g->payload) {
            refresh(s);
            int rc = decode(s);
            if (rc == 1)
                continue;
            if (rc < 0) {
                g->malformed = true;
                s->malformed++;
            }
        }
        if (g->source != WH_NO_SOURCE && s->fill(s->fill_arg, g))
            continue;
        if (!advance(s))
            return 0;
    }
}

/* --- chunks
 * ---------------------------------------------------------------------------------------- */

/* Payload of `g` that was decoded. */
static uint32_t decoded(const struct wh_stream *s, const struct wh_segment *g) {
    if (g != s->current)
        return g->bytes;
    if (g->malformed && g->complete)
        return g->bytes;
    return s->reading ? (uint32_t)(s->reader.cursor - g->payload) : 0;
}

static unsigned char *put_segment(unsigned char *p, struct wh_segment *g, uint32_t end) {
    uint32_t bytes = end - g->stored;
    struct wh_block header;
    memcpy(&header, &g->header, sizeof header);
    atomic_store_explicit(&header.committed, bytes, memory_order_relaxed);
    atomic_store_explicit(&header.busy, 0, memory_order_relaxed);
    memcpy(p, &header, sizeof header);
    if (bytes)
        memcpy(p + sizeof header, g->payload + g->stored, bytes);
    g->stored = end;
    return p + sizeof header + bytes;
}

/* The header of the rest of a block: the decoder goes on from these values. */
static void rebase(const struct wh_stream *s, struct wh_segment *g) {
    g->header.base_ticks = s->reader.ticks;
    g->header.base_ip = s->reader.ip;
    g->header.base_stack = s->reader.stack;
    g->header.base_address = s->reader.address;
}

int wh_stream_cut(struct wh_stream *s, struct wh_cut *ret_cut) {
    size_t bytes = 0;
    struct wh_segment *end = s->current ? s->current->next : s->first;
    for (struct wh_segment *g = s->first; g != end; g = g->next)
        if (decoded(s, g) > g->stored)
            bytes += sizeof g->header + (decoded(s, g) - g->stored);
    ret_cut->bytes = bytes;
    if (!bytes)
        return 0;
    if (bytes > ret_cut->room) {
        free(ret_cut->data);
        ret_cut->data = malloc(bytes);
        ret_cut->room = ret_cut->data ? bytes : 0;
    }
    unsigned char *p = ret_cut->data;
    if (!p)
        return -1;
    while (s->first && s->first != end) {
        struct wh_segment *g = s->first;
        if (decoded(s, g) > g->stored)
            p = put_segment(p, g, decoded(s, g));
        if (g == s->current) {
            rebase(s, g);
            break;
        }
        s->first = g->next;
        free_segment(g);
    }
    s->chunk_records = s->chunk_bytes = 0;
    return 0;
}

int wh_stream_load(struct wh_stream *s, const unsigned char *data, size_t bytes) {
    while (bytes) {
        struct wh_block header;
        if (bytes < sizeof header)
            return -2;
        memcpy(&header, data, sizeof header);
        uint32_t payload = atomic_load_explicit(&header.committed, memory_order_relaxed);
        if (payload > bytes - sizeof header)
            return -2;
        /* One block may come in several pieces of the same sequence number; stored order counts. */
        header.sequence = s->last ? s->last->sequence + 1 : 0;
        struct wh_segment *g = wh_stream_segment(s, &header, payload);
        if (!g)
            return -1;
        if (!wh_segment_payload(g))
            return -1;
        memcpy(g->payload, data + sizeof header, payload);
        g->bytes = payload;
        g->complete = true;
        data += sizeof header + payload;
        bytes -= sizeof header + payload;
    }
    return 0;
}
