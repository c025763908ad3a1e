/* Exact sums of finished lifetimes that get no row of their own: one for each (process, creator
 * stack, free stack, thread, size class, second), and apart where lifetimes count differently.
 *
 * The table is larger than the caches, and every second event goes there. So its entries are small:
 * what of a key seldom differs from one lifetime to the next, the context, is a number in them. And
 * what is added waits a little while its line is on its way. Context: recorder and `expand`. */
#ifndef WH_TRACE_FOLDS_H
#define WH_TRACE_FOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wh_fold_context {
    uint32_t process_id, thread, free_stack;
    uint32_t second; /* of the birth */
};

/* How a lifetime counts. */
enum {
    WH_FOLD_OWN = 1,  /* it was born in its process */
    WH_FOLD_PEAK = 2, /* it was live at its process's peak */
};

/* A sum, or one lifetime that is to be added (objects is 1). */
struct wh_fold {
    uint64_t bytes, lifetime_ns;
    uint32_t stack;
    uint32_t objects;
    uint32_t context;  /* index of contexts */
    uint8_t size_log2; /* size class = 1 << size_log2; 255 = size 0 */
    uint8_t how;       /* WH_FOLD_OWN | WH_FOLD_PEAK; 0 = the slot is empty */
};
_Static_assert(sizeof(struct wh_fold) == 32, "two of them are a cache line");

#define WH_FOLDS_AHEAD 16u
struct wh_folds {
    struct wh_fold *slots;
    size_t capacity, count;
    struct wh_fold_context *contexts;
    uint32_t context_count, context_room;
    uint32_t last_context;                /* the one that was asked for last */
    uint32_t *context_slots;              /* hash table of 2 * context_room: index + 1, 0 = empty */
    struct wh_fold ahead[WH_FOLDS_AHEAD]; /* added, not in the table yet */
    unsigned ahead_at, ahead_count;
};

/* The number of a context, for `context`. -1: no memory. */
int64_t wh_folds_context(struct wh_folds *f, const struct wh_fold_context *context);
int wh_folds_add(struct wh_folds *f, const struct wh_fold *one); /* how is not 0; -1 no memory */
int wh_folds_settle(struct wh_folds *f); /* call before reading the slots; -1 no memory */
/* The newest second of which there is a sum, and how many sums are older; settled before. */
uint32_t wh_folds_newest(const struct wh_folds *f, size_t *ret_older);
/* Removes the sums of births before a second; keeps the table's memory: as many are to come. -1 no
 * memory, nothing was removed. */
int wh_folds_remove(struct wh_folds *f, uint64_t before);
void wh_folds_release(struct wh_folds *f);
uint8_t wh_size_log2(uint64_t size); /* smallest k with 1 << k >= size; 255 for 0 */

#endif
