/* The bounded list of points. */
#include "trace/timeline.h"

#include <stdlib.h>
#include <string.h>

#define POINTS_FIRST 64u
#define POINTS_MAX   8192u

void wh_timeline_init(struct wh_timeline *t, uint64_t step_ticks, uint64_t force_ticks) {
    *t = (struct wh_timeline){.low = 1, .step_ticks = step_ticks, .force_step_ticks = force_ticks};
}

void wh_timeline_release(struct wh_timeline *t) {
    free(t->points);
    t->points = NULL;
    t->count = t->capacity = 0;
}

static void thin(struct wh_timeline *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i += 2)
        t->points[kept++] = t->points[i];
    t->count = kept;
    t->step_ticks *= 2;
    if (t->force_step_ticks < t->step_ticks)
        t->force_step_ticks = t->step_ticks;
}

static int reserve(struct wh_timeline *t) {
    if (t->count < t->capacity)
        return 0;
    if (t->capacity >= POINTS_MAX) {
        thin(t);
        return 0;
    }
    size_t capacity = t->capacity ? t->capacity * 2 : POINTS_FIRST;
    struct wh_point *points = realloc(t->points, capacity * sizeof *points);
    if (!points)
        return -1;
    t->points = points;
    t->capacity = capacity;
    return 0;
}

int wh_timeline_add(struct wh_timeline *t, uint64_t ticks, const struct wh_ledger *ledger) {
    if (reserve(t))
        return -1;
    t->points[t->count++] = (struct wh_point){
        .ticks = ticks,
        .live_objects = ledger->live_objects,
        .live_bytes = ledger->live_bytes,
        .rss_bytes = t->rss_bytes,
    };
    t->rss_bytes = 0;
    uint64_t band = ledger->peak_bytes / 100;
    t->low = ledger->live_bytes > band ? ledger->live_bytes - band : 0;
    t->high = ledger->live_bytes + band;
    t->next_ticks = ticks + t->step_ticks;
    t->force_ticks = ticks + t->force_step_ticks;
    return 0;
}

int wh_timeline_finish(struct wh_timeline *t, uint64_t end_ticks, const struct wh_ledger *ledger) {
    if (!ledger->peak_serial)
        return 0;
    if (reserve(t))
        return -1;
    size_t at = t->count;
    while (at > 0 && t->points[at - 1].ticks > ledger->peak_ticks)
        at--;
    memmove(&t->points[at + 1], &t->points[at], (t->count - at) * sizeof *t->points);
    t->points[at] = (struct wh_point){.ticks = ledger->peak_ticks,
                                      .live_objects = ledger->peak_objects,
                                      .live_bytes = ledger->peak_bytes};
    t->count++;
    return wh_timeline_add(t, end_ticks > ledger->peak_ticks ? end_ticks : ledger->peak_ticks,
                           ledger);
}
