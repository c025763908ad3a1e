/* What annotated pools said about their blocks: who took a block out last, and is it idle now.
 *
 * Fed with the same events in the same order as pairing (WH_EV_POOL, and what ends a block's life).
 * Only blocks that a pool spoke of are kept, so a program without annotations pays one comparison
 * an event. Context: any, one thread at a time. */
#ifndef WH_TRACE_POOL_H
#define WH_TRACE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "wire/event.h"

struct wh_pooled {
    uint64_t address; /* of the block; 0 = empty slot */
    uint64_t acquired_ticks;
    uint64_t released_ticks; /* 0 = never */
    uint64_t acquisitions;   /* how often it was taken out */
    uint32_t acquirer_stack; /* trace-wide node of the last taker, 0 = never taken */
    uint32_t pool;           /* index into names */
    uint8_t is_idle;         /* released and not taken again */
};

struct wh_pools {
    struct wh_pooled *slots; /* open addressing, linear, a power of two of them */
    size_t count, capacity;
    char **names;
    size_t name_count, name_room;
};

void wh_pools_release(struct wh_pools *pools); /* {0} is an empty one */

/* Any event; kinds other than POOL, FREE and REALLOC are ignored. event->stack is trace-wide
 * already. 0, or -1 out of memory: the block stays unknown. */
int wh_pools_event(struct wh_pools *pools, const struct wh_event *event);

/* What is known of the block at address; NULL = no pool spoke of it. Valid until the next event. */
const struct wh_pooled *wh_pools_find(const struct wh_pools *pools, uint64_t address);

/* A deep copy, for a forked child. 0, or -1 out of memory. */
int wh_pools_clone(const struct wh_pools *pools, struct wh_pools *ret_clone);

#endif
