/* From clock ticks to nanoseconds since the trace began.
 *
 * Events carry ticks >> shift; the recorder measures once how long a tick is and stores the figures
 * in the trace (trace.clock_*), so that an event read years later gets the same time. Context: any.
 */
#ifndef WH_TRACE_CLOCK_H
#define WH_TRACE_CLOCK_H

#include <stdint.h>

struct wh_clock_map {
    uint64_t start_ticks; /* unshifted, time 0 of the trace */
    uint64_t ns_q32;      /* nanoseconds per unshifted tick, times 2^32; at most 2^40 */
    uint32_t shift;
};

static inline uint64_t wh_clock_ns(const struct wh_clock_map *c, uint64_t shifted_ticks) {
    unsigned __int128 ticks = (unsigned __int128)shifted_ticks << c->shift;
    if (ticks <= c->start_ticks)
        return 0;
    unsigned __int128 passed = ticks - c->start_ticks;
    if (passed >> 64)
        return INT64_MAX;
    unsigned __int128 ns = (passed * c->ns_q32) >> 32;
    return ns > INT64_MAX ? INT64_MAX : (uint64_t)ns;
}

/* The shifted ticks of a moment: the inverse, rounded down. */
static inline uint64_t wh_clock_ticks(const struct wh_clock_map *c, uint64_t ns) {
    unsigned __int128 passed = ((unsigned __int128)ns << 32) / (c->ns_q32 ? c->ns_q32 : 1);
    return (uint64_t)((passed + c->start_ticks) >> c->shift);
}

#endif
