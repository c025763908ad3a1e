/* The merge: a heap of streams ordered by their heads. */
#include "trace/merge.h"

#include <stdlib.h>

void wh_merge_release(struct wh_merge *m) {
    free(m->heap);
    m->heap = NULL;
    m->count = m->capacity = 0;
}

/* 0 = frees something (or starts a thread, a module), 1 = allocates: at one tick, 0 goes first. */
static unsigned rank(const struct wh_event *e) {
    return e->kind == WH_EV_ALLOC || e->kind == WH_EV_REALLOC;
}

static bool before(const struct wh_stream *a, const struct wh_stream *b) {
    if (a->head->ticks != b->head->ticks)
        return a->head->ticks < b->head->ticks;
    unsigned ra = rank(a->head), rb = rank(b->head);
    return ra != rb ? ra < rb : a->serial < b->serial;
}

static void place(struct wh_merge *m, uint32_t i, struct wh_stream *s) {
    m->heap[i] = s;
    s->heap_index = i;
}

static void sift_down(struct wh_merge *m, uint32_t i) {
    struct wh_stream *s = m->heap[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= m->count)
            break;
        if (child + 1 < m->count && before(m->heap[child + 1], m->heap[child]))
            child++;
        if (!before(m->heap[child], s))
            break;
        place(m, i, m->heap[child]);
        i = child;
    }
    place(m, i, s);
}

static void sift_up(struct wh_merge *m, uint32_t i) {
    struct wh_stream *s = m->heap[i];
    while (i > 0 && before(s, m->heap[(i - 1) / 2])) {
        place(m, i, m->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(m, i, s);
}

/* Decodes up to the next record that carries a time. */
static bool next_head(struct wh_merge *m, struct wh_stream *s) {
    while (wh_stream_next(s)) {
        if (s->head->kind != WH_EV_NODE)
            return true;
        if (m->node)
            m->node(m->arg, s, s->head);
    }
    return false;
}

int wh_merge_feed(struct wh_merge *m, struct wh_stream *s) {
    if (s->has_head)
        return 0;
    if (m->count == m->capacity) {
        uint32_t capacity = m->capacity ? m->capacity * 2 : 8;
        struct wh_stream **heap = realloc(m->heap, capacity * sizeof(struct wh_stream *));
        if (!heap)
            return -1;
        m->heap = heap;
        m->capacity = capacity;
    }
    if (!next_head(m, s))
        return 0;
    m->heap[m->count] = s;
    sift_up(m, m->count++);
    return 0;
}

struct wh_stream *wh_merge_peek(struct wh_merge *m, uint64_t watermark) {
    if (!m->count || m->heap[0]->head->ticks > watermark)
        return NULL;
    struct wh_stream *s = m->heap[0];
    if (s->head->ticks < m->last_ticks)
        m->late++;
    else
        m->last_ticks = s->head->ticks;
    return s;
}

void wh_merge_pop(struct wh_merge *m) {
    struct wh_stream *s = m->heap[0];
    if (!next_head(m, s)) {
        s->heap_index = UINT32_MAX;
        if (--m->count == 0)
            return;
        m->heap[0] = m->heap[m->count];
    }
    sift_down(m, 0);
}
