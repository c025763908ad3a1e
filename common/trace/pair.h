/* Pairing: the events of one process, in order of time, become lifetimes.
 *
 * Fed by the recorder while the target runs and by `whoholds expand` from the stored chunks: the
 * same events give the same lifetimes, numbers and sums. What is hard is that a realloc's old block
 * may be handed out again, and stamped, before the realloc itself is: a block that is "allocated
 * twice" steps aside until a realloc that began earlier claims it. Context: any, one thread at a
 * time. */
#ifndef WH_TRACE_PAIR_H
#define WH_TRACE_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/extent.h"
#include "trace/ledger.h"
#include "trace/live.h"
#include "trace/timeline.h"
#include "wire/event.h"

/* allocation.id = (process - 1) * stride + number: unique, and the same in every pairing. */
#define WH_ALLOCATION_STRIDE 1000000000000ull
static inline uint64_t wh_allocation_id(uint32_t process_id, uint64_t number) {
    return number ? (uint64_t)(process_id - 1) * WH_ALLOCATION_STRIDE + number : 0;
}

/* How a lifetime ended. */
struct wh_death {
    uint64_t ticks;
    uint32_t thread; /* 0 = unknown: the address was allocated again without a free in between */
    uint32_t stack;  /* 0 = not recorded */
};

struct wh_pair;

/* Where lifetimes go. death NULL = the block was live at the end. Return < 0 to stop. */
struct wh_pair_sink {
    int (*lifetime)(void *arg, const struct wh_pair *pair, const struct wh_live *block,
                    const struct wh_death *death);
    void *arg;
};

struct wh_displaced {
    struct wh_live block;
    uint64_t ticks; /* when its address was given out again */
};

/* What pairing keeps per thread; zeroed at first. */
struct wh_pair_thread {
    uint32_t id;         /* thread.id */
    uint64_t last_alloc; /* key of the block its last event allocated, 0 = that was no allocation */
};

struct wh_pair {
    uint32_t process_id;
    bool forked;      /* starts with its parent's blocks */
    bool free_stacks; /* a realloc's stack counts as the old block's free stack */
    struct wh_pair_sink sink;
    struct wh_live_table live;
    struct wh_ledger ledger; /* inherited blocks included */
    struct wh_ledger own;    /* forked: without them */
    struct wh_timeline timeline;
    struct wh_extents extents;
    struct wh_displaced *displaced;
    size_t displaced_count, displaced_capacity;
    uint64_t last_number;      /* given so far; a child goes on where its parent was */
    uint64_t inherited_number; /* numbers up to this one were born in the parent */
    uint64_t inherited_objects, inherited_bytes;
    uint64_t peak_number;     /* last_number at the ledger's peak */
    uint64_t snapshot_number; /* last_number at the last snapshot; 0 = none */
    uint64_t events;          /* alloc, free and realloc */
    uint64_t unknown_frees;   /* frees of blocks never seen */
    uint64_t implied_frees;   /* deaths that nobody recorded */
    uint64_t last_ticks;
};

/* The steps of the timeline in ticks come from the caller's clock. 0, or -1 out of memory. */
int wh_pair_init(struct wh_pair *pair, uint32_t process_id, uint64_t ms_ticks);
void wh_pair_release(struct wh_pair *pair);

/* A copy of the state at a fork, as the child starts with it; the child sets process_id and sink.
 */
int wh_pair_fork(const struct wh_pair *parent, uint64_t ticks, uint64_t ms_ticks,
                 struct wh_pair *ret_child);

/* ALLOC, FREE, REALLOC; other kinds are ignored. event->stack is trace-wide already.
 * 0, or < 0: out of memory or the sink's result. */
int wh_pair_event(struct wh_pair *pair, struct wh_pair_thread *thread,
                  const struct wh_event *event);

/* Every live block into the sink. replaced: the image ended by exec, inherited blocks are left out.
 */
int wh_pair_finish(struct wh_pair *pair, uint64_t end_ticks, bool replaced);

/* The sums that describe the process once it ended: see wh_pair_finish. */
struct wh_ledger *wh_pair_sums(struct wh_pair *pair, bool replaced);

/* Calls each() for every live block (mappings too), in no order, with true addresses. */
void wh_pair_each(const struct wh_pair *pair, void (*each)(void *arg, const struct wh_live *),
                  void *arg);

#endif
