/* Lists of lifetimes by their numbers. */
#include "trace/births.h"

#include <stdlib.h>

#define NUMBER_SHIFT 16
#define LISTS_MAX    4096u      /* the last one has all that come after */
#define PAGE_BYTES   (1u << 18) /* a list is expected to become this long, and more */

int wh_births_add(struct wh_births *b, const struct wh_lifetime *life) {
    uint64_t number = life->block.number >> NUMBER_SHIFT;
    size_t list = number < LISTS_MAX ? (size_t)number : LISTS_MAX - 1;
    if (list >= b->list_count) {
        struct wh_lifetimes *lists = realloc(b->lists, (list + 1) * sizeof *lists);
        if (!lists)
            return -1;
        for (size_t i = b->list_count; i <= list; i++)
            lists[i] = (struct wh_lifetimes){.first_page_bytes = PAGE_BYTES};
        b->lists = lists;
        b->list_count = list + 1;
    }
    if (wh_lifetimes_add(&b->lists[list], life))
        return -1;
    b->count++;
    return 0;
}

/* Of the list that is being taken from. */
static uint64_t left(const struct wh_births *b) {
    return b->is_taking ? b->cursor.left : b->lists[b->at].count;
}

bool wh_births_take(struct wh_births *b, struct wh_lifetime *ret_life) {
    for (; b->at < b->list_count; b->at++, b->is_taking = false) {
        if (!b->is_taking)
            wh_lifetimes_start(&b->lists[b->at], &b->cursor);
        b->is_taking = true;
        if (wh_lifetimes_take(&b->lists[b->at], &b->cursor, ret_life)) {
            b->count--;
            return true;
        }
        wh_lifetimes_clear(&b->lists[b->at]);
    }
    wh_births_clear(b);
    return false;
}

size_t wh_births_next(const struct wh_births *b, size_t most) {
    uint64_t count = b->at < b->list_count ? left(b) : 0;
    if (count > most)
        return most;
    for (size_t i = b->at + 1; i < b->list_count && count + b->lists[i].count <= most; i++)
        count += b->lists[i].count;
    return (size_t)count;
}

void wh_births_clear(struct wh_births *b) {
    for (size_t i = 0; i < b->list_count; i++)
        wh_lifetimes_clear(&b->lists[i]);
    free(b->lists);
    *b = (struct wh_births){0};
}
