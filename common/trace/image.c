/* An image's threads, forks and the loop that pairs its events. */
#include "trace/image.h"

#include <stdlib.h>
#include <string.h>

static void node_record(void *arg, struct wh_stream *stream, const struct wh_event *event) {
    struct wh_image *image = arg;
    if (image->calls.other)
        (void)image->calls.other(image->calls.arg, image, stream->owner, event);
}

int wh_image_init(struct wh_image *image, uint32_t id, uint64_t ms_ticks,
                  const struct wh_image_calls *calls) {
    *image = (struct wh_image){.id = id, .ms_ticks = ms_ticks, .calls = *calls};
    image->merge.node = node_record;
    image->merge.arg = image;
    if (wh_pair_init(&image->pair, id, ms_ticks) || wh_nodes_init(&image->nodes)) {
        wh_image_release(image);
        return -1;
    }
    return 0;
}

static void free_fork(struct wh_fork *fork) {
    wh_pair_release(&fork->pair);
    wh_pools_release(&fork->pools);
    free(fork);
}

void wh_image_release_events(struct wh_image *image) {
    for (unsigned b = 0; b < WH_IMAGE_BUCKETS; b++)
        while (image->threads[b])
            wh_image_drop_thread(image, image->threads[b]);
    wh_merge_release(&image->merge);
    wh_pair_release(&image->pair);
    wh_pools_release(&image->pools);
}

void wh_image_release(struct wh_image *image) {
    wh_image_release_events(image);
    wh_nodes_release(&image->nodes);
    for (struct wh_fork *f = image->forks, *next; f; f = next) {
        next = f->next;
        free_fork(f);
    }
    image->forks = NULL;
}

/* --- threads
 * --------------------------------------------------------------------------------------- */

struct wh_image_thread *wh_image_thread(struct wh_image *image, uint32_t serial, bool create) {
    struct wh_image_thread **bucket = &image->threads[serial % WH_IMAGE_BUCKETS];
    for (struct wh_image_thread *t = *bucket; t; t = t->next)
        if (t->stream.serial == serial)
            return t;
    struct wh_image_thread *t = create ? calloc(1, sizeof *t) : NULL;
    if (!t)
        return NULL;
    t->stream.serial = serial;
    t->stream.owner = t;
    t->stream.heap_index = UINT32_MAX;
    t->next = *bucket;
    *bucket = t;
    image->thread_count++;
    return t;
}

struct wh_image_thread *wh_image_next_thread(const struct wh_image *image,
                                             const struct wh_image_thread *after) {
    if (after && after->next)
        return after->next;
    unsigned b = after ? after->stream.serial % WH_IMAGE_BUCKETS + 1 : 0;
    for (; b < WH_IMAGE_BUCKETS; b++)
        if (image->threads[b])
            return image->threads[b];
    return NULL;
}

void wh_image_drop_thread(struct wh_image *image, struct wh_image_thread *thread) {
    struct wh_image_thread **at = &image->threads[thread->stream.serial % WH_IMAGE_BUCKETS];
    while (*at && *at != thread)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = thread->next;
    image->thread_count--;
    wh_stream_release(&thread->stream);
    free(thread);
}

/* --- forks
 * ----------------------------------------------------------------------------------------- */

/* FORK 0: keeps the state for the child. */
static int fork_begins(struct wh_image *image, const struct wh_event *e) {
    struct wh_fork *fork = calloc(1, sizeof *fork);
    if (!fork)
        return -1;
    fork->token = e->number;
    if (wh_pair_fork(&image->pair, e->ticks, image->ms_ticks, &fork->pair)) {
        free(fork);
        return -1;
    }
    if (wh_pools_clone(&image->pools, &fork->pools)) {
        free_fork(fork);
        return -1;
    }
    fork->next = image->forks;
    image->forks = fork;
    return 0;
}

static struct wh_fork **fork_find(struct wh_image *image, uint64_t token) {
    struct wh_fork **at = &image->forks;
    while (*at && (*at)->token != token)
        at = &(*at)->next;
    return at;
}

/* FORK 1: it failed, or has this child. */
static void fork_returned(struct wh_image *image, const struct wh_event *e) {
    struct wh_fork **at = fork_find(image, e->number);
    struct wh_fork *fork = *at;
    if (!fork)
        return;
    fork->child_pid = e->number2;
    if (fork->child_pid)
        return;
    *at = fork->next;
    free_fork(fork);
}

/* FORK 2 in the child: takes over its parent's state. 1 = the parent is not there yet. */
static int fork_child(struct wh_image *child, const struct wh_event *e) {
    child->is_forked = true;
    child->parent_id = (uint32_t)e->number2;
    struct wh_image *parent =
        child->calls.find ? child->calls.find(child->calls.arg, child->parent_id) : NULL;
    if (!parent || parent == child)
        return 0;
    struct wh_fork **at = fork_find(parent, e->number), *fork = *at;
    bool is_unseen = !e->number || child->is_orphan || parent->finished;
    if (!fork && !is_unseen)
        return 1;
    struct wh_nodes nodes; /* the stacks that the child knew at its birth are its parent's */
    if (wh_nodes_fork(&parent->nodes, e->node, &nodes))
        return -1;
    nodes.extend = child->nodes.extend;
    nodes.arg = child->nodes.arg;
    wh_nodes_release(&child->nodes);
    child->nodes = nodes;
    child->is_orphan = !fork;
    if (!fork)
        return 0;
    struct wh_pair_sink sink = child->pair.sink;
    wh_pair_release(&child->pair);
    child->pair = fork->pair;
    child->pair.process_id = child->id;
    child->pair.sink = sink;
    wh_pools_release(&child->pools);
    child->pools = fork->pools;
    *at = fork->next;
    free(fork);
    return 0;
}

/* --- the loop
 * -------------------------------------------------------------------------------------- */

static int on_event(struct wh_image *image, struct wh_stream *s) {
    struct wh_event *e = s->head;
    switch (e->kind) {
    case WH_EV_FREE:
    case WH_EV_REALLOC:
        if (image->pools.count)
            (void)wh_pools_event(&image->pools, e); /* never allocates for these kinds */
        __attribute__((fallthrough));
    case WH_EV_ALLOC:
        e->stack = wh_nodes_id(&image->nodes, e->stack);
        return wh_pair_event(&image->pair, &s->pair, e);
    case WH_EV_POOL:
        e->stack = wh_nodes_id(&image->nodes, e->stack);
        if (wh_pools_event(&image->pools, e))
            return -1;
        break;
    case WH_EV_FORK:
        if (e->detail == 0) {
            int rc = fork_begins(image, e);
            if (rc)
                return rc;
        } else if (e->detail == 1) {
            fork_returned(image, e);
        } else if (!image->pair.forked) {
            int rc = fork_child(image, e);
            if (rc)
                return rc;
        }
        break;
    default:
        break;
    }
    return image->calls.other ? image->calls.other(image->calls.arg, image, s->owner, e) : 0;
}

/* A busy thread without a known next record may still publish one: nothing after its last is sure.
 */
static uint64_t hold(const struct wh_stream *s, uint64_t watermark) {
    return s->busy && !s->has_head && s->last_ticks < watermark ? s->last_ticks : watermark;
}

static uint64_t key_of(const struct wh_event *e) {
    return e->kind == WH_EV_REALLOC ? e->old_address : e->address;
}

/* What is needed of a record that comes soon is called for now, where the table of sums or that of
 * live blocks is larger than the caches; where it is not, the calls cost more than they save.
 * Called after each record was decoded; a whole new batch is called for at once. */
#define CALLED_FOR_BLOCKS 65536u
#define CALLED_FOR_SITES  4096u

static void call_ahead(struct wh_image *image, const struct wh_stream *s) {
    const uint32_t near = 4;
    if (s->ahead_at == 1 && image->pair.ledger.slots >= CALLED_FOR_SITES)
        for (uint32_t i = 1; i < s->ahead_count; i++)
            if (s->ahead[i].kind == WH_EV_ALLOC)
                wh_ledger_prefetch(&image->pair.ledger,
                                   wh_nodes_id(&image->nodes, s->ahead[i].stack));
    if (image->pair.live.count < CALLED_FOR_BLOCKS)
        return;
    if (s->ahead_at == 1)
        for (uint32_t i = 1; i < s->ahead_count; i++)
            if (s->ahead[i].kind != WH_EV_NODE)
                wh_live_prefetch(&image->pair.live, key_of(&s->ahead[i]));
    uint32_t i = s->ahead_at + near;
    if (i < s->ahead_count && s->ahead[i].kind != WH_EV_NODE)
        wh_live_prefetch_record(&image->pair.live, key_of(&s->ahead[i]));
}

#define PULSE_RECORDS 1024u

int wh_image_run(struct wh_image *image, uint64_t watermark) {
    struct wh_stream *s;
    for (struct wh_image_thread *t = wh_image_next_thread(image, NULL); t;
         t = wh_image_next_thread(image, t))
        watermark = hold(&t->stream, watermark);
    while ((s = wh_merge_peek(&image->merge, watermark))) {
        int rc = on_event(image, s);
        if (rc)
            return rc;
        wh_merge_pop(&image->merge);
        call_ahead(image, s);
        watermark = hold(s, watermark);
        if (++image->records % PULSE_RECORDS == 0 && image->calls.pulse &&
            image->calls.pulse(image->calls.arg, image))
            return 0;
    }
    return 0;
}
