/* Runs of frames as single entries of the thread: up to six frames from a node on, and the node
 * that they lead to, so that one look-up replaces one for each frame.
 *
 * An entry also says where its return addresses lay on the stack, and which entries came after it.
 * A program makes its blocks in much the same order again and again: in cc1 the stack of the next
 * one is among the two that came after this one the last times in nine cases of ten, where its leaf
 * and depth alone name it in six (excursion.c). So the two entries are fetched before the next
 * event, and then one of them is only compared: all its addresses lie where they did. Their rules
 * are ordinary ones that compute from sp, and each address has but one, so the walk, from the leaf
 * on, would find each next address in just that place, and in the end the remembered frame that the
 * entry begins from. That frame and what lies above it are checked as always. This is as much a
 * proof as the walk.
 *
 * Entries stay in their place until another one takes it. A wrong `next` is one more comparison. */
#include "state.h"

enum { MISSES_MAX = 8 * WH_SEGMENTS_SMALL, HUGE_THREADS = 2 };
_Static_assert(WH_SEGMENTS_LARGE * sizeof(struct wh_segment) == WH_HUGE_PAGE, "a page");

void wh_segments_forget(struct wh_thread *t) {
    if (!t->segments) {
        t->segments = t->segments_small;
        t->segment_mask = WH_SEGMENTS_SMALL - 1;
    }
    for (uint32_t i = 0; i <= t->segment_mask; i++)
        t->segments[i].id = 0;
    t->segment_used = t->segment_last = 0;
}

/* A thread that keeps missing where it relies on this gets a larger cache, once. In small pages
 * nearly each of its entries would miss the processor's table of pages, too; but only the first
 * threads get so much. */
static void enlarge(struct wh_thread *t) {
    static _Atomic uint32_t asked;
    uint32_t size =
        atomic_fetch_add(&asked, 1) < HUGE_THREADS ? WH_SEGMENTS_LARGE : WH_SEGMENTS_LARGE / 2;
    struct wh_segment *large =
        size == WH_SEGMENTS_LARGE ? wh_memory_take_huge() : wh_memory_take(size * sizeof *large);
    if (!large)
        return;
    t->segments = large;
    t->segment_mask = size - 1;
    t->segment_used = t->segment_last = 0;
}

/* The entry, but for its node, of the frames [from, to) called from base's path. */
WH_INLINE struct wh_segment describe(const struct wh_tail *tail, uint32_t base, uint32_t from,
                                     uint32_t to) {
    const struct wh_frame *f = &tail->frame[to - 1];
    struct wh_segment s = {.base = base};
    uint64_t origin = f->sp - 16, bp = 0, end = 0;
    uint32_t n = 0, is_sure = from != 0;
    for (uint32_t i = to; i > from; i--, f--) {
        if (f->rule & (WH_RULE_WIDE | WH_RULE_FROM_BP))
            is_sure = 0;
        if (wh_frame_is_own(f))
            continue;
        s.frame[n++] = f->ip << 16 | ((f->sp - 8 - origin) >> 3 & UINT16_MAX);
        if (is_sure && WH_RULE_BP_WORDS(f->rule))
            bp = ((f[-1].sp - origin) >> 3) - 1 - WH_RULE_BP_WORDS(f->rule);
    }
    if (is_sure)
        end = (f->sp - origin) >> 3;
    if (end <= UINT16_MAX >> 3) { /* so are all places */
        s.end = (uint16_t)end;
        n |= (uint32_t)bp << 3;
    }
    s.shape = (uint16_t)n;
    for (uint32_t i = n & 7; i < WH_SEGMENT_FRAMES; i++)
        s.frame[i] = s.frame[0];
    return s;
}

WH_INLINE int is_same(const struct wh_segment *a, const struct wh_segment *b) {
    uint64_t other = (a->frame[0] ^ b->frame[0]) | (a->frame[1] ^ b->frame[1]) |
                     (a->frame[2] ^ b->frame[2]) | (a->frame[3] ^ b->frame[3]) |
                     (a->frame[4] ^ b->frame[4]) | (a->frame[5] ^ b->frame[5]);
    return !(other >> 16 | (a->base ^ b->base) | ((a->shape ^ b->shape) & 7u)) && b->id;
}

/* Where it is looked for first, then in the rest of its four. */
WH_INLINE uint32_t place_of(const struct wh_thread *t, const struct wh_segment *s) {
    const uint64_t *f = s->frame;
    uint64_t x = (f[0] >> 16) * 0x9e3779b97f4a7c15ull + (f[1] >> 16) * 0xd6e8feb86659fd93ull +
                 (f[2] >> 16) * 0xa0761d6478bd642full + (f[3] >> 16) * 0xe7037ed1a0b428dbull +
                 (f[4] >> 16) * 0x8ebc6af09c88c6e3ull + (f[5] >> 16) * 0x589965cc75374cc3ull +
                 s->base * 0x1d8e4e27c47d124full;
    return (uint32_t)(x >> 40) & t->segment_mask;
}

uint32_t wh_segment_get(struct wh_thread *t, uint32_t base, uint32_t from, uint32_t to) {
    const struct wh_tail *tail = &t->tail;
    struct wh_segment s = describe(tail, base, from, to);
    uint32_t first = place_of(t, &s), at, way;
    for (way = 0; way < WH_SEGMENT_WAYS; way++)
        if (WH_LIKELY(is_same(&s, &t->segments[at = first ^ way])))
            return t->segments[t->segment_used = at].id;
    uint32_t node = base;
    for (uint32_t i = from; i < to && (node || i == from); i++)
        if (!wh_frame_is_own(&tail->frame[i]))
            node = wh_intern(t, node, tail->frame[i].ip);
    for (way = 0; way < WH_SEGMENT_WAYS && t->segments[first ^ way].id; way++)
        continue;
    at = first ^ (way < WH_SEGMENT_WAYS ? way : node % WH_SEGMENT_WAYS);
    s.id = node;
    t->segments[t->segment_used = at] = s;
    if (t->doubt < 0 && ++t->segment_misses == MISSES_MAX)
        enlarge(t);
    return node;
}

void wh_segment_follow(struct wh_thread *t) {
    struct wh_segment *last = &t->segments[t->segment_last], *s = &t->segments[t->segment_used];
    if (last->next[0] != t->segment_used) {
        last->next[1] = last->next[0];
        last->next[0] = (uint16_t)t->segment_used;
    }
    t->segment_last = t->segment_used;
    __builtin_prefetch(&t->segments[s->next[0] & t->segment_mask]);
    __builtin_prefetch(&t->segments[s->next[1] & t->segment_mask]);
}

/* Does the stack have the entry's addresses in their places? */
WH_INLINE int is_here(const struct wh_thread *t, const struct wh_segment *s,
                      const uint64_t *words) {
    if (words[1] != s->frame[0] >> 16 || !s->end || (uintptr_t)(words + s->end) > t->own_stack.high)
        return 0;
    uint64_t other = 0;
#pragma GCC unroll 5
    for (uint32_t i = 1; i < WH_SEGMENT_FRAMES; i++)
        other |= words[s->frame[i] & UINT16_MAX] ^ s->frame[i] >> 16;
    return !other;
}

/* The remembered frame at sp that the path `node` leads to; counted from 1, 0 = there is none. */
static __attribute__((noinline)) uint32_t other_base(struct wh_thread *t, uint64_t sp,
                                                     uint32_t node) {
    struct wh_tail *tail = &t->tail;
    uint32_t count = tail->count < tail->limit ? tail->count : tail->limit, i = tail->stood;
    while (i < count && tail->frame[i].sp >= sp && wh_tail_stand(tail, i, t->own_stack.high))
        tail->stood = ++i;
    while (i && tail->frame[i - 1].sp < sp)
        i--;
    if (!i || tail->frame[i - 1].sp != sp || i + WH_SEGMENT_FRAMES > wh_process.depth_max)
        return 0;
    return wh_unwind_node(t, i) == node ? i : 0;
}

uint32_t wh_segment_foretell(struct wh_thread *t, uintptr_t frame) {
    const struct wh_tail *tail = &t->tail;
    const struct wh_segment *last = &t->segments[t->segment_last], *s = NULL;
    const uint64_t *words = (const uint64_t *)frame;
    uint32_t at = 0, base = tail->known;
    if (WH_UNLIKELY(!base ||
                    t->generation !=
                        atomic_load_explicit(&wh_process.generation, memory_order_acquire) ||
                    frame - t->own_stack.low >= t->own_stack.high - t->own_stack.low))
        return 0;
    for (uint32_t i = 0; i < 2 && !s; i++) {
        at = last->next[i] & t->segment_mask;
        if (is_here(t, &t->segments[at], words))
            s = &t->segments[at];
    }
    if (!s)
        return 0;
    /* Looking for another base may give the entry's place away. */
    const uint32_t node = s->base, id = s->id, bp_place = s->shape >> 3;
    uint64_t sp = (uintptr_t)(words + s->end);
    if ((tail->frame[base - 1].sp != sp || tail->node[base - 1] != node) &&
        !(base = other_base(t, sp, node)))
        return 0;
    if ((tail->standing[base - 1].flags & WH_FRAME_NEEDS_BP &&
         words[bp_place] != tail->frame[base - 1].bp) ||
        WH_UNLIKELY(wh_tail_verify(tail, base) != base))
        return 0;
    t->segment_used = at;
    wh_segment_follow(t);
    return id;
}
