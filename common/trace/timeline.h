/* Live memory of one process over time: exact points, a bounded number of them.
 *
 * A point is kept when the live bytes left a band of 1 % of the peak, or 100 ms went by, but never
 * two within `step` ticks. When the list is full, every other point goes and the step doubles, so
 * an oscillating program cannot fill the memory. Context: any. */
#ifndef WH_TRACE_TIMELINE_H
#define WH_TRACE_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

#include "trace/ledger.h"

struct wh_point {
    uint64_t ticks;
    uint64_t live_objects, live_bytes;
    uint64_t rss_bytes; /* 0 = not sampled */
};

struct wh_timeline {
    struct wh_point *points;
    size_t count, capacity;
    uint64_t low, high;   /* the band: no point while the live bytes stay inside */
    uint64_t next_ticks;  /* no point before */
    uint64_t force_ticks; /* a point at the first event after */
    uint64_t step_ticks, force_step_ticks;
    uint64_t rss_bytes; /* sampled since the last point; 0 = none */
};

/* step: shortest distance of two points; force: longest while events come. */
void wh_timeline_init(struct wh_timeline *t, uint64_t step_ticks, uint64_t force_ticks);
void wh_timeline_release(struct wh_timeline *t);

int wh_timeline_add(struct wh_timeline *t, uint64_t ticks, const struct wh_ledger *ledger);

/* After every event; nearly always a comparison. 0, or -1 out of memory. */
static inline int wh_timeline_event(struct wh_timeline *t, uint64_t ticks,
                                    const struct wh_ledger *ledger) {
    if (ticks < t->next_ticks ||
        (ledger->live_bytes >= t->low && ledger->live_bytes <= t->high && ticks < t->force_ticks))
        return 0;
    return wh_timeline_add(t, ticks, ledger);
}

/* Adds the peak and the end, in order. */
int wh_timeline_finish(struct wh_timeline *t, uint64_t end_ticks, const struct wh_ledger *ledger);

#endif
