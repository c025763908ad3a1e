/* Finished lifetimes, kept compactly in memory until it is decided whether they become rows: about
 * 15 bytes each, in order of arrival, given up as they are read. Context: recorder and `expand`. */
#ifndef WH_TRACE_LIFETIMES_H
#define WH_TRACE_LIFETIMES_H

#include "trace/pair.h"

struct wh_lifetime {
    struct wh_live block;
    struct wh_death death;
    uint32_t process_id;
    bool is_freed;
    bool is_inherited;
    bool is_of_snapshot; /* it was live at a snapshot */
};

struct wh_lifetimes {
    unsigned char **pages;
    size_t page_count, page_capacity;
    size_t first_page_bytes;      /* each page is twice as large as the one before; 0 = 4 KiB */
    size_t last_page_bytes, used; /* bytes of the last page, and in it */
    uint64_t count;               /* lifetimes */
    struct wh_lifetime last;
};

struct wh_lifetimes_cursor {
    size_t page, offset;
    uint64_t left;
    struct wh_lifetime last;
};

int wh_lifetimes_add(struct wh_lifetimes *l, const struct wh_lifetime *life); /* -1 no memory */
void wh_lifetimes_clear(struct wh_lifetimes *l);                              /* frees */
size_t wh_lifetimes_memory(const struct wh_lifetimes *l);
void wh_lifetimes_start(const struct wh_lifetimes *l, struct wh_lifetimes_cursor *ret_cursor);
/* The next one; frees the memory of those before it, so nothing is left to do then but to clear. */
bool wh_lifetimes_take(struct wh_lifetimes *l, struct wh_lifetimes_cursor *cursor,
                       struct wh_lifetime *ret_life);

#endif
