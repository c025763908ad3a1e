/* Finished lifetimes that wait, roughly in order of birth: one list for each 64 Ki numbers.
 *
 * They come in order of death, and their rows should be written in order of birth: a table that
 * grows at its end costs half as much. What is left to sort is within a list. Context: recorder and
 * `expand`. */
#ifndef WH_TRACE_BIRTHS_H
#define WH_TRACE_BIRTHS_H

#include "trace/lifetimes.h"

struct wh_births {
    struct wh_lifetimes *lists;
    size_t list_count;
    uint64_t count; /* lifetimes in all lists */
    size_t at;      /* list that is being taken from */
    bool is_taking;
    struct wh_lifetimes_cursor cursor;
};

int wh_births_add(struct wh_births *b, const struct wh_lifetime *life); /* -1 no memory */
/* The next one, list by list; its memory is given up. Nothing may be added before all are taken. */
bool wh_births_take(struct wh_births *b, struct wh_lifetime *ret_life);
/* How many of the next ones are in as many whole lists as have `most` together; of a larger list
 * a part. 0 = none are left. */
size_t wh_births_next(const struct wh_births *b, size_t most);
void wh_births_clear(struct wh_births *b); /* frees */

#endif
