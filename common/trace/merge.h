/* One process's streams merged into one history by time.
 *
 * A binary heap of the streams whose next record is known. wh_merge_next() gives records up to a
 * watermark: a moment before which every record of the process has been copied already. Frees come
 * before allocations of the same tick; within a thread the order is the thread's own.
 * Context: recorder and readers. */
#ifndef WH_TRACE_MERGE_H
#define WH_TRACE_MERGE_H

#include "trace/stream.h"

struct wh_merge {
    struct wh_stream **heap;
    uint32_t count, capacity;
    uint64_t last_ticks; /* of the newest record given out */
    uint64_t late;       /* records that came after a younger one was given out */
    /* Called for every NODE record when it is decoded: nodes carry no time. */
    void (*node)(void *arg, struct wh_stream *stream, const struct wh_event *event);
    void *arg;
};

void wh_merge_release(struct wh_merge *m);

/* Tells that `s` has new bytes. 0, or -1 out of memory. */
int wh_merge_feed(struct wh_merge *m, struct wh_stream *s);

/* The stream whose head is next in time and not after `watermark`; NULL = none. The caller uses
 * stream->head and then calls wh_merge_pop(). */
struct wh_stream *wh_merge_peek(struct wh_merge *m, uint64_t watermark);
void wh_merge_pop(struct wh_merge *m);

#endif
