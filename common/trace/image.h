/* One program image while its events are turned into lifetimes: its threads' streams, their merge,
 * the pairing, and what its forked children will start with.
 *
 * Used by the recorder (events arrive) and by `whoholds expand` (events are read back). The hard
 * thing is that a child cannot be paired before its parent got to the fork: wh_image_run() says so.
 * Context: recorder and readers, one thread. */
#ifndef WH_TRACE_IMAGE_H
#define WH_TRACE_IMAGE_H

#include "trace/merge.h"
#include "trace/nodes.h"
#include "trace/pair.h"
#include "trace/pool.h"

#define WH_IMAGE_BUCKETS 64u

/* What a child takes over: the parent's state when it announced the fork. */
struct wh_fork {
    struct wh_fork *next;
    uint64_t token;
    uint64_t child_pid; /* 0 = not told yet */
    struct wh_pair pair;
    struct wh_pools pools;
};

/* A thread of an image: a stream and what only the table of threads needs. */
struct wh_image_thread {
    struct wh_image_thread *next; /* in its bucket */
    struct wh_stream stream;
    uint64_t first_ticks, end_ticks;
    bool seen, ended, dirty; /* dirty: its row must be written again */
    char name[64];
};

struct wh_image;
struct wh_image_calls {
    /* An event that is no allocation, free or realloc (NODE included). < 0 stops. */
    int (*other)(void *arg, struct wh_image *image, struct wh_image_thread *thread,
                 const struct wh_event *event);
    /* The image of a uid, NULL = unknown. */
    struct wh_image *(*find)(void *arg, uint32_t id);
    /* Called every few thousand records of a run, between two of them; NULL = nothing. true: enough
     * for now, the run is to return. */
    bool (*pulse)(void *arg, struct wh_image *image);
    void *arg;
};

struct wh_image {
    uint32_t id;        /* process.id */
    uint32_t parent_id; /* by FORK; 0 = none */
    struct wh_image_calls calls;
    struct wh_pair pair;
    struct wh_pools pools; /* what annotated pools said of its live blocks */
    struct wh_merge merge;
    struct wh_nodes nodes;
    struct wh_image_thread *threads[WH_IMAGE_BUCKETS];
    uint32_t thread_count;
    struct wh_fork *forks;
    uint64_t ms_ticks;
    bool finished;  /* all events are paired: a fork not announced by now never will be */
    bool is_forked; /* began with a FORK record */
    bool is_orphan; /* nobody announced its fork: it began with nothing but its parent's stacks. Set
                       by the caller when it is no use to wait any longer */
    uint64_t records;
};

/* pair.sink is the caller's to set. 0, or -1 out of memory. */
int wh_image_init(struct wh_image *image, uint32_t id, uint64_t ms_ticks,
                  const struct wh_image_calls *calls);
void wh_image_release(struct wh_image *image);
/* All but what children that have not started yet need. */
void wh_image_release_events(struct wh_image *image);

/* The thread of a serial number; created when `create`. NULL: none, or no memory. */
struct wh_image_thread *wh_image_thread(struct wh_image *image, uint32_t serial, bool create);
struct wh_image_thread *wh_image_next_thread(const struct wh_image *image,
                                             const struct wh_image_thread *after);
void wh_image_drop_thread(struct wh_image *image, struct wh_image_thread *thread);

/* Pairs everything up to the watermark. 0 = done for now, 1 = waits for its parent, < 0 = stop (a
 * callback's result, or -1 out of memory). */
int wh_image_run(struct wh_image *image, uint64_t watermark);

#endif
