/* The live mappings of a process as a sorted list of address ranges.
 *
 * munmap and MAP_FIXED work on ranges, not on blocks: this list finds the blocks that a range
 * touches. Mappings are few (the kernel allows 65530), so a sorted array is enough. Context: any.
 */
#ifndef WH_TRACE_EXTENT_H
#define WH_TRACE_EXTENT_H

#include <stddef.h>
#include <stdint.h>

struct wh_extent {
    uint64_t start, end;
};
struct wh_extents {
    struct wh_extent *items; /* by start; not overlapping */
    size_t count, capacity;
};

void wh_extents_release(struct wh_extents *e);
int wh_extents_clone(const struct wh_extents *e, struct wh_extents *ret_clone);
int wh_extents_add(struct wh_extents *e, uint64_t start, uint64_t end); /* -1 out of memory */
void wh_extents_remove(struct wh_extents *e, uint64_t start);

/* Index of the first extent that overlaps [start, end), or SIZE_MAX. */
size_t wh_extents_overlap(const struct wh_extents *e, uint64_t start, uint64_t end);

#endif
