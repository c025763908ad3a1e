/* Finished lifetimes, kept compactly in memory until it is decided whether they become rows, and
 * the exact sums of those that do not.
 *
 * wh_lifetimes: about 15 bytes each, in order of arrival, given up as they are read. wh_folds: one
 * entry per (process, creator stack, free stack, thread, size class, second). Its table is larger
 * than the caches, so what is added waits a little while its line is on its way. Context: recorder
 * and `expand`. */
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

struct wh_fold {
    uint32_t process_id, stack, free_stack, thread;
    uint32_t second;
    uint8_t size_log2; /* size class = 1 << size_log2; 255 = size 0 */
    bool used;
    uint64_t objects, bytes, lifetime_ns;
    uint64_t peak_objects, peak_bytes; /* of all, live at their process's peak */
};
_Static_assert(sizeof(struct wh_fold) == 64, "a fold is one cache line");

#define WH_FOLDS_AHEAD 16u
struct wh_folds {
    struct wh_fold *slots;
    size_t capacity, count;
    struct wh_fold ahead[WH_FOLDS_AHEAD]; /* added, not in the table yet */
    unsigned ahead_at, ahead_count;
};
int wh_folds_add(struct wh_folds *f, const struct wh_fold *one); /* adds its sums; -1 no memory */
int wh_folds_settle(struct wh_folds *f); /* call before reading the slots; -1 no memory */
void wh_folds_release(struct wh_folds *f);
uint8_t wh_size_log2(uint64_t size); /* smallest k with 1 << k >= size; 255 for 0 */

#endif
