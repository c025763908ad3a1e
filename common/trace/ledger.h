/* The sums of one process: live now, at its peak, and per creator stack.
 *
 * Exact at every event in constant time. The per-site values at the peak are taken lazily: a site
 * remembers its own values only when it changes for the first time after a peak was set, so a
 * program that reaches a new peak a million times copies nothing. Context: any. */
#ifndef WH_TRACE_LEDGER_H
#define WH_TRACE_LEDGER_H

#include <stddef.h>
#include <stdint.h>

/* One line of the caches: there is one to be waited for at every event. Four billion blocks of one
 * stack that live at once would take 250 GB for the table of live blocks. */
struct wh_site {
    uint32_t stack; /* trace-wide stack node; 0 is a site too */
    uint32_t used;  /* 0 = empty slot */
    uint32_t inuse_objects;
    uint32_t peak_objects; /* see peak_serial */
    uint64_t inuse_space, peak_space;
    uint64_t peak_serial; /* the ledger's serial that peak_* belong to */
    uint64_t alloc_objects, alloc_space;
    uint64_t temporary_objects;
};
_Static_assert(sizeof(struct wh_site) == 64, "a site is one cache line");

struct wh_ledger {
    struct wh_site *sites; /* open addressing by stack */
    uint32_t slots, site_count;
    uint64_t live_objects, live_bytes;
    uint64_t peak_objects, peak_bytes, peak_ticks; /* peak_ticks 0 = no peak yet */
    uint64_t peak_serial;                          /* advances whenever a new peak is set */
};

int wh_ledger_init(struct wh_ledger *ledger); /* 0, or -1 out of memory */
void wh_ledger_release(struct wh_ledger *ledger);

/* Hint: a birth of this stack comes soon. */
void wh_ledger_prefetch(const struct wh_ledger *ledger, uint32_t stack);

/* A birth; < 0 out of memory, 1 = it set a new peak. */
int wh_ledger_alloc(struct wh_ledger *ledger, uint32_t stack, uint64_t size, uint64_t ticks);
/* The death of a block that was counted. */
void wh_ledger_free(struct wh_ledger *ledger, uint32_t stack, uint64_t size);
void wh_ledger_temporary(struct wh_ledger *ledger, uint32_t stack);

/* What a forked child starts with: the parent's live blocks are in use and its peak so far, but
 * were not allocated there. */
int wh_ledger_inherit(const struct wh_ledger *parent, uint64_t ticks, struct wh_ledger *ret_child);

/* Brings every site's peak_* up to date; call before reading them. */
void wh_ledger_settle(struct wh_ledger *ledger);

#endif
