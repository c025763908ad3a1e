/* The sorted list of mappings. */
#include "trace/extent.h"

#include <stdlib.h>
#include <string.h>

void wh_extents_release(struct wh_extents *e) {
    free(e->items);
    *e = (struct wh_extents){0};
}

int wh_extents_clone(const struct wh_extents *e, struct wh_extents *ret_clone) {
    *ret_clone = (struct wh_extents){0};
    if (!e->count)
        return 0;
    ret_clone->items = malloc(e->count * sizeof *e->items);
    if (!ret_clone->items)
        return -1;
    memcpy(ret_clone->items, e->items, e->count * sizeof *e->items);
    ret_clone->count = ret_clone->capacity = e->count;
    return 0;
}

/* Index of the first extent with start >= `start`. */
static size_t lower_bound(const struct wh_extents *e, uint64_t start) {
    size_t low = 0, high = e->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (e->items[middle].start < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int wh_extents_add(struct wh_extents *e, uint64_t start, uint64_t end) {
    if (e->count == e->capacity) {
        size_t capacity = e->capacity ? e->capacity * 2 : 16;
        struct wh_extent *items = realloc(e->items, capacity * sizeof *items);
        if (!items)
            return -1;
        e->items = items;
        e->capacity = capacity;
    }
    size_t at = lower_bound(e, start);
    memmove(&e->items[at + 1], &e->items[at], (e->count - at) * sizeof *e->items);
    e->items[at] = (struct wh_extent){start, end};
    e->count++;
    return 0;
}

void wh_extents_remove(struct wh_extents *e, uint64_t start) {
    size_t at = lower_bound(e, start);
    if (at == e->count || e->items[at].start != start)
        return;
    e->count--;
    memmove(&e->items[at], &e->items[at + 1], (e->count - at) * sizeof *e->items);
}

size_t wh_extents_overlap(const struct wh_extents *e, uint64_t start, uint64_t end) {
    size_t at = lower_bound(e, start);
    if (at > 0 && e->items[at - 1].end > start)
        return at - 1;
    return at < e->count && e->items[at].start < end ? at : SIZE_MAX;
}
