/* A snapshot on its way from the moment in which its process stood still to its rows: what moment.c
 * fills in, and what snap.c does with it. Context: the recorder's main thread. */
#ifndef WH_RECORD_MOMENT_H
#define WH_RECORD_MOMENT_H

#include "record/recorder.h"
#include "record/snapshot.h"

struct wh_snap {
    struct wh_snap *next;
    uint32_t id, process_id;
    uint32_t reason; /* enum wh_snapshot_reason */
    bool is_last;    /* by a process that ends */
    bool is_behind;  /* its process went on before the events up to the moment were paired */
    char label[64];
    uint64_t at_ns; /* ticks until it is stored */
    uint64_t live_objects, live_bytes;
    struct wh_pair clone; /* nothing but the live table; released by the main thread */
    struct wh_pools pools;
    struct wh_frozen *frozen;
    struct wh_heap_node *live;
    uint64_t live_count;
    struct wh_heap heap;
    struct wh_snapshot_figures figures;
    struct wh_error error;
    int result;
    pthread_t thread;
    bool has_thread;
    _Atomic bool is_done; /* read */
};

/* Freezes the process and makes its copy. With is_behind the copy is all there is of the moment,
 * and wh_moment_follow() the next thing to call, poll after poll; else the live blocks are there,
 * too. Fails with snap->error set and nothing frozen. */
int wh_moment_freeze(struct wh_recorder *r, struct wh_process *p, struct wh_snap *snap);

/* Pairs the process's events on to the moment. 0 = the moment is complete, 1 = the parent is not at
 * the fork yet, 2 = there is more to pair (r->may_stop), < 0 = failed, with snap->error set and
 * nothing frozen. Nothing later of this process may be paired before it is 0. */
int wh_moment_follow(struct wh_process *p, struct wh_snap *snap);

/* Is much of the process still to be read? */
bool wh_moment_is_far(struct wh_recorder *r, const struct wh_process *p);

/* Pairs what there is, in rounds that shrink. Not while a snapshot is behind. */
void wh_moment_catch_up(struct wh_recorder *r, struct wh_process *p);

#endif
