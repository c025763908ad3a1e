/* Stacks that are recognised instead of walked.
 *
 * Most stacks are the same few frames, an excursion, on top of a base that was remembered
 * (unwind.c). What they cost to walk is a chain: rule, return address, rule of that, and so on.
 * Here it is broken. The *shape* that the stack had the last time its leaf was as far from the base
 * says where the return addresses would lie and which rule each would have. All are read at once,
 * and the *path*, these words with these rules, is looked up among those that were walked before. A
 * path is only found if each of its addresses does have just that rule. So the walk, from the leaf
 * on, would find each next return address exactly where the shape has it, and in the end the base.
 * Where a rule computes from bp, the word that bp would come from is compared, too. This is as much
 * a proof as meeting a remembered frame is, and the base and what lies above it are checked in the
 * same way.
 *
 * A path has up to seven frames, and an excursion up to three paths. The thread numbers the paths,
 * and remembers which node one leads to from another node, in a line for four: the same few paths
 * are met from many nodes.
 *
 * In a program whose stacks are of too many shapes this is vain, and takes up cache. `doubt` counts
 * three for a stack that was not recognised against one for one that was; at the limit the thread's
 * stacks are foretold instead (segments.c), for some hundred events, and twice as many the next
 * time. In verify mode the two take turns. */
#include "state.h"

enum { VERIFY_TURN = 512 };
enum { DOUBT_MAX = 768, PAUSE_MIN = 512, PAUSE_MAX = 1 << 17 };

/* Where an address is, in words from another one on; larger than UINT16_MAX: too far, or none. */
WH_INLINE uint64_t place_of(uint64_t from, uint64_t address) {
    uint64_t bytes = address - from;
    return bytes >> 3 | bytes << 61;
}

static struct wh_shape *shape_of(struct wh_thread *t, uint64_t key) {
    return &t->shapes[key * 0x9e3779b97f4a7c15ull >> 40 & (WH_SHAPES - 1)];
}

WH_INLINE struct wh_path_number *place_for(struct wh_thread *t, const uint64_t *frame) {
    uint64_t x = frame[0] * 0x9e3779b97f4a7c15ull + frame[1] * 0xd6e8feb86659fd93ull +
                 frame[2] * 0xa0761d6478bd642full + frame[3] * 0xe7037ed1a0b428dbull +
                 frame[4] * 0x8ebc6af09c88c6e3ull + frame[5] * 0x589965cc75374cc3ull +
                 frame[6] * 0x1d8e4e27c47d124full;
    return &t->paths[x >> 40 & t->path_mask];
}

WH_INLINE uint32_t number_at(const struct wh_path_number *p, const uint64_t *frame,
                             uint32_t frames) {
    const uint64_t *a = p->frame, *b = frame;
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]) |
            (a[5] ^ b[5]) | (a[6] ^ b[6]) | (p->frames ^ frames))
               ? 0
               : p->number;
}

/* A path that is not in its place may be in one of the three beside it. */
WH_INLINE struct wh_path_number *beside(struct wh_thread *t, const struct wh_path_number *p,
                                        uint32_t i) {
    return &t->paths[(uint32_t)(p - t->paths) ^ i];
}

static __attribute__((noinline)) uint32_t number_beside(struct wh_thread *t,
                                                        const struct wh_path_number *p,
                                                        const uint64_t *frame, uint32_t frames) {
    uint32_t number = 0;
    for (uint32_t i = 1; i < 4 && !number; i++)
        number = number_at(beside(t, p, i), frame, frames);
    return number;
}

WH_INLINE uint32_t number_of(struct wh_thread *t, const uint64_t *frame, uint32_t frames) {
    const struct wh_path_number *p = place_for(t, frame);
    uint32_t number = number_at(p, frame, frames);
    return WH_LIKELY(number != 0) ? number : number_beside(t, p, frame, frames);
}

WH_INLINE struct wh_link *links_of(struct wh_thread *t, uint64_t key) {
    return &t->links[key * 0x9e3779b97f4a7c15ull >> 40 & t->link_mask & ~(WH_LINK_WAYS - 1)];
}

WH_INLINE uint64_t link_key(uint32_t base, uint32_t number) {
    return (uint64_t)number << 32 | base;
}

static void put_link(struct wh_thread *t, uint32_t base, uint32_t number, uint32_t node) {
    if (++t->link_misses == 4 * WH_LINKS_SMALL) {
        if (!t->links_large)
            t->links_large = wh_memory_take(WH_LINKS_LARGE * sizeof *t->links_large);
        if (t->links_large) {
            t->links = t->links_large;
            t->link_mask = WH_LINKS_LARGE - 1;
        }
    }
    struct wh_link *set = links_of(t, link_key(base, number));
    for (uint32_t i = WH_LINK_WAYS - 1; i; i--)
        set[i] = set[i - 1];
    set[0] = (struct wh_link){link_key(base, number), node, 0};
}

void wh_excursion_forget(struct wh_thread *t) {
    if (!t->paths) {
        t->paths = t->paths_small;
        t->path_mask = WH_PATHS_SMALL - 1;
        t->links = t->links_small;
        t->link_mask = WH_LINKS_SMALL - 1;
    }
    t->tail.known = 0;
    t->doubt = 0;
    if (!t->path_last)
        return;
    for (uint32_t i = 0; i <= t->path_mask; i++)
        t->paths[i].number = 0;
    for (uint32_t i = 0; i <= t->link_mask; i++)
        t->links[i].key = 0;
    for (uint32_t i = 0; i < WH_SHAPES; i++)
        t->shapes[i].key = 0;
}

/* Nothing was recognised for long: what that took goes back to the system. */
static void clear_large(struct wh_thread *t) {
    if (t->paths_large)
        wh_memory_clear(t->paths_large, WH_PATHS_LARGE * sizeof *t->paths_large);
    if (t->links_large)
        wh_memory_clear(t->links_large, WH_LINKS_LARGE * sizeof *t->links_large);
}

/* A path that is new gets its place; what was there, one beside it. */
static uint32_t new_number(struct wh_thread *t, const uint64_t *frame, uint32_t frames) {
    if (++t->path_last == 4 * WH_PATHS_SMALL) {
        if (!t->paths_large)
            t->paths_large = wh_memory_take(WH_PATHS_LARGE * sizeof *t->paths_large);
        if (t->paths_large) {
            t->paths = t->paths_large;
            t->path_mask = WH_PATHS_LARGE - 1;
        }
    }
    struct wh_path_number *p = place_for(t, frame);
    uint32_t to = 1;
    while (to < 3 && beside(t, p, to)->number)
        to++;
    if (p->number)
        *beside(t, p, to) = *p;
    for (uint32_t i = 0; i < WH_PATH_FRAMES; i++)
        p->frame[i] = frame[i];
    p->frames = frames;
    return p->number = t->path_last;
}

/* Where frame i's bp points, which the caller's sp was computed from. */
WH_INLINE uint64_t bp_of(const struct wh_shape *s, unsigned i) {
    uint64_t sp = i + 1 < s->frames ? s->place[i + 1] + 1u : s->end;
    return sp - WH_RULE_CFA(s->rule[i]) / 8u;
}

/* Notes the shape and the path of n frames of the tail, those below `count`, if they are ordinary.
 */
static int learn(struct wh_thread *t, uint32_t count, uint32_t n, uint64_t base_sp) {
    const struct wh_frame *f = &t->tail.frame[count - 1];
    struct wh_shape s = {.frames = (uint8_t)n};
    uint64_t from = f->sp - 16, reach = place_of(from, base_sp), bp = 0;
    uint64_t frame[WH_PATH_FRAMES] = {0};
    if (reach > UINT16_MAX)
        return 0;
    s.key = f->ip << 16 | reach;
    for (unsigned i = 0; i < n; i++, f--) {
        if (f->rule & WH_RULE_WIDE)
            return 0;
        s.place[i] = (uint16_t)place_of(from, f->sp - 8);
        s.rule[i] = (uint16_t)f->rule;
        frame[i] = f->ip << 16 | f->rule;
        if (f->rule & WH_RULE_FROM_BP) {
            s.bp[s.bps] = (uint16_t)bp;
            s.bp_of[s.bps++] = (uint8_t)i;
        }
        if (WH_RULE_BP_WORDS(f->rule))
            bp = place_of(from, f[-1].sp) - 1 - WH_RULE_BP_WORDS(f->rule);
    }
    for (unsigned i = n; i < WH_PATH_FRAMES; i++) {
        s.place[i] = s.place[0];
        s.rule[i] = s.rule[0];
        frame[i] = frame[0];
    }
    s.end = (uint16_t)place_of(from, f->sp);
    s.end_bp = (uint16_t)bp;
    *shape_of(t, s.key) = s;
    if (!number_of(t, frame, n))
        (void)new_number(t, frame, n);
    return 1;
}

void wh_excursion_learn(struct wh_thread *t) {
    struct wh_tail *tail = &t->tail;
    uint32_t base = tail->base;
    if (!base || base > tail->stood || tail->gap || tail->unresolved ||
        tail->high > t->own_stack.high ||
        base + WH_EXCURSION_PATHS * WH_PATH_FRAMES > wh_process.depth_max ||
        !wh_unwind_node(t, base))
        return;
    tail->known = base;
    if (t->doubt < 0 || tail->count - base > WH_EXCURSION_PATHS * WH_PATH_FRAMES)
        return;
    if (t->path_last > UINT32_MAX - WH_EXCURSION_PATHS) { /* numbers are not given out twice */
        wh_excursion_forget(t);
        t->path_last = 0;
        tail->known = base;
    }
    for (uint32_t count = tail->count, n; count > base; count -= n) {
        n = count - base > WH_PATH_FRAMES ? WH_PATH_FRAMES : count - base;
        if (!learn(t, count, n, tail->frame[base - 1].sp))
            break;
    }
}

/* The node that a path leads to from another one. */
WH_INLINE uint32_t follow(struct wh_thread *t, uint32_t base, uint32_t number,
                          const uint64_t *frame, uint32_t frames) {
    uint64_t key = link_key(base, number);
    const struct wh_link *set = links_of(t, key);
    uint32_t node = 0;
#pragma GCC unroll 4
    for (uint32_t i = 0; i < WH_LINK_WAYS; i++)
        node = set[i].key == key ? set[i].node : node;
    if (WH_LIKELY(node != 0))
        return node;
    node = base;
    for (uint32_t i = frames; i && node; i--)
        node = wh_intern(t, node, frame[i - 1] >> 16);
    if (node)
        put_link(t, base, number, node);
    return node;
}

void wh_excursion_take_turns(struct wh_thread *t) {
    if (t->doubt >= 0 && ++t->pause % VERIFY_TURN == 0)
        t->doubt = -VERIFY_TURN;
}

uint32_t wh_excursion_find(struct wh_thread *t, uintptr_t frame) {
    struct wh_tail *tail = &t->tail;
    uint32_t known = tail->known, n = 0;
    if (WH_UNLIKELY(t->doubt < 0)) {
        t->doubt++;
        return wh_segment_foretell(t, frame);
    }
    if (WH_UNLIKELY(!known ||
                    t->generation !=
                        atomic_load_explicit(&wh_process.generation, memory_order_acquire) ||
                    frame - t->own_stack.low >= t->own_stack.high - t->own_stack.low))
        return 0;
    const struct wh_frame *base = &tail->frame[known - 1];
    struct wh_path_number path[WH_EXCURSION_PATHS];
    const uint64_t *words = (const uint64_t *)frame, *bp = words;
    for (;;) {
        uint64_t reach = place_of((uintptr_t)words, base->sp), key = words[1] << 16 | reach;
        const struct wh_shape *s = shape_of(t, key);
        if (WH_UNLIKELY(s->key != key || reach > UINT16_MAX || n == WH_EXCURSION_PATHS))
            goto unknown;
        struct wh_path_number *p = &path[n++];
        p->frames = s->frames;
#pragma GCC unroll 7
        for (unsigned i = 0; i < WH_PATH_FRAMES; i++)
            p->frame[i] = words[s->place[i]] << 16 | s->rule[i];
        p->number = number_of(t, p->frame, p->frames);
        if (WH_UNLIKELY(!p->number))
            goto unknown;
        for (unsigned i = 0; i < s->bps; i++)
            if (WH_UNLIKELY((s->bp[i] ? words[s->bp[i]] : *bp) !=
                            (uintptr_t)(words + bp_of(s, s->bp_of[i]))))
                goto unknown;
        if (s->end_bp)
            bp = words + s->end_bp;
        if (WH_LIKELY(s->end == reach))
            break;
        words += s->end - 2;
    }
    if (WH_UNLIKELY(tail->standing[known - 1].flags & WH_FRAME_NEEDS_BP && *bp != base->bp))
        goto unknown;
    if (WH_UNLIKELY(wh_tail_verify(tail, known) != known))
        return 0;
    t->doubt -= t->doubt > 0;
    uint32_t node = tail->node[known - 1];
    while (n && node) {
        const struct wh_path_number *p = &path[--n];
        node = follow(t, node, p->number, p->frame, p->frames);
    }
    return node;
unknown:
    t->doubt += 3;
    if (t->doubt >= DOUBT_MAX && !wh_process.verify) {
        t->pause = t->pause < PAUSE_MIN   ? PAUSE_MIN
                   : t->pause < PAUSE_MAX ? 2 * t->pause
                                          : PAUSE_MAX;
        t->doubt = -t->pause;
        if (t->pause == PAUSE_MAX)
            clear_large(t);
    }
    return 0;
}
