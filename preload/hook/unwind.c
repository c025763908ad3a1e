/* Walking the stack of the thread that called a hook, and turning it into a node id.
 *
 * The walk applies rules (cfi.c) frame by frame from the leaf. It stops early when it *meets* the
 * last stack of the same thread: a remembered frame with equal (ip, sp, bp where bp matters) whose
 * callers cannot have changed, because every word of the stack that they were derived from still
 * holds the remembered value. All words above the meeting point are checked, so by induction the
 * rest of the walk would be exactly the remembered one: this is a proof, not a guess. Between two
 * allocations some three of twenty frames are new, and checking costs a tenth of walking.
 *
 * What ends the proof: a dlclose (the rules may differ: code generation), a change of stacks inside
 * the walk (tail.limit), and frames that only libunwind can evaluate (nothing is remembered then).
 *
 * Most stacks need no walk at all, because the same excursion from a remembered frame was walked
 * before (excursion.c). For the others the remembered stack is checked first, from its root until a
 * word has changed; then the fresh frames are walked until the last frame that holds. Rules of the
 * ordinary form are applied in wh_unwind's own loop, whose length is what an event costs: one word
 * of the rule table and the return address for each frame. The fresh frames' path is looked up as a
 * whole (intern.c); a frame in its middle has no node until a later walk meets it.
 *
 * A stack deeper than depth_max keeps depth_max/2 frames at either end around a node with ip 0. A
 * stack deeper than WH_WALK_MAX is not walked to its end each time: its root side is taken from the
 * last walk that reached it, once its words have been checked, and its middle is not looked at. */
#include "state.h"

static int readable(const struct wh_range *range, uint64_t from, uint64_t address) {
    return address >= from && address + 8 <= range->high && !(address & 7);
}

WH_INLINE uint64_t word(uint64_t address) {
    return *(const volatile uint64_t *)(uintptr_t)address;
}

static const uint64_t *at(uint64_t address) {
    return (const uint64_t *)(uintptr_t)address;
}

/* Where a walk is: the code address and registers there. */
struct cursor {
    uint64_t ip, sp, bp;
    uint64_t exact; /* 1: ip was interrupted, not called from */
    struct wh_range range;
};

enum step { STEP_ON, STEP_END, STEP_LOST, STEP_DEEP };

/* A caller's address: 0 ends a stack, and no code lies in the upper half. */
WH_INLINE enum step step_to(uint64_t ip) {
    return WH_LIKELY(ip - 1 < ((uint64_t)1 << 47) - 1) ? STEP_ON : ip ? STEP_LOST : STEP_END;
}

static enum step step_signal(struct wh_thread *t, struct cursor *c) {
    /* ucontext at sp: gregs start at 40; rbp 10, rsp 15, rip 16 */
    uint64_t bp = c->sp + 120, sp = c->sp + 160, ip = c->sp + 168;
    if (!readable(&c->range, c->sp, ip))
        return STEP_LOST;
    c->bp = word(bp);
    c->sp = word(sp);
    c->ip = word(ip);
    c->exact = 1;
    c->range = wh_stack_range(t, c->sp);
    return c->range.high && c->ip >> 47 == 0 ? STEP_ON : STEP_LOST;
}

/* Code without a table (generated at run time): believe a frame pointer that leads on along the
 * stack. */
static enum step step_guess(struct cursor *c) {
    if (!readable(&c->range, c->sp, c->bp) || !readable(&c->range, c->sp, c->bp + 8))
        return STEP_LOST;
    uint64_t bp = word(c->bp), ip = word(c->bp + 8);
    if (bp <= c->bp || bp >= c->range.high || ip < 4096)
        return STEP_LOST;
    c->sp = c->bp + 16;
    c->bp = bp;
    c->ip = ip;
    c->exact = 0;
    return step_to(ip);
}

/* The words that a step by a wide rule reads beside the return address, 0 = none. */
struct reads {
    uint64_t bp_slot, cfa_slot;
};
static struct reads reads_of(uint64_t rule, uint64_t bp, uint64_t cfa) {
    uint64_t kind = WH_RULE_KIND(rule), offset = (uint64_t)WH_RULE_BP_OFFSET(rule);
    struct reads r = {0, 0};
    if (kind == WH_RULE_BP_WORD)
        r.cfa_slot = bp + (uint64_t)WH_RULE_CFA_OFFSET(rule);
    if (kind == WH_RULE_NONE)
        r.bp_slot = bp;
    else if (WH_RULE_BP_KIND(rule) != WH_BP_SAME)
        r.bp_slot = (WH_RULE_BP_KIND(rule) == WH_BP_AT_CFA ? cfa : bp) + offset;
    return r;
}

/* A step by any rule. */
static enum step step_wide(struct wh_thread *t, struct cursor *c, uint64_t rule) {
    uint64_t cfa = 0, kind = WH_RULE_KIND(rule);
    switch (kind) {
    case WH_RULE_SP:
        cfa = c->sp + (uint64_t)WH_RULE_CFA_OFFSET(rule);
        break;
    case WH_RULE_BP:
        cfa = c->bp + (uint64_t)WH_RULE_CFA_OFFSET(rule);
        break;
    case WH_RULE_BP_WORD: {
        uint64_t slot = reads_of(rule, c->bp, 0).cfa_slot;
        if (!readable(&c->range, c->sp, slot))
            return STEP_LOST;
        cfa = word(slot);
        break;
    }
    case WH_RULE_SIGNAL:
        return step_signal(t, c);
    case WH_RULE_END:
        return STEP_END;
    case WH_RULE_NONE:
        return step_guess(c);
    default:
        return STEP_DEEP;
    }
    if (cfa <= c->sp || !readable(&c->range, c->sp, cfa - 8))
        return STEP_LOST;
    uint64_t slot = reads_of(rule, c->bp, cfa).bp_slot;
    if (slot && !readable(&c->range, c->sp, slot))
        return STEP_LOST;
    if (slot)
        c->bp = word(slot);
    c->ip = word(cfa - 8);
    c->sp = cfa;
    c->exact = 0;
    return step_to(c->ip);
}

/* Moves from the frame in *c to its caller; notes the frame. */
static enum step step(struct wh_thread *t, struct cursor *c, struct wh_frame *f,
                      struct wh_rules *rules, uint32_t generation) {
    uint64_t rule = wh_rules_find(rules, c->ip | (c->exact ? WH_RULE_EXACT : 0), generation);
    /* What was interrupted is no ordinary frame: another rule holds for a call that returns there.
     */
    if (c->exact)
        rule = wh_rule_widen(rule) | WH_RULE_WIDE;
    *f = (struct wh_frame){c->ip + c->exact, c->sp, c->bp, rule};
    return step_wide(t, c, wh_rule_widen(rule));
}

/* ---- what was remembered ----------------------------------------------------------------- */

/* How many frames of the root side of the first `count`, which all stood before, still hold: all
 * words that were read for them are unchanged. */
uint32_t wh_tail_verify(const struct wh_tail *tail, uint32_t count) {
    const struct wh_frame *f = tail->frame;
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4, f += 4)
        if (WH_UNLIKELY((word(f[0].sp - 8) ^ f[0].ip) | (word(f[1].sp - 8) ^ f[1].ip) |
                        (word(f[2].sp - 8) ^ f[2].ip) | (word(f[3].sp - 8) ^ f[3].ip)))
            break;
    for (; i < count && word(f->sp - 8) == f->ip; f++)
        i++;
    if (!i)
        return 0;
    const struct wh_slot *slot = tail->slot, *end = slot + tail->standing[i - 1].slots;
    while (slot < end && WH_LIKELY(word((uintptr_t)slot->address) == slot->value))
        slot++;
    if (WH_LIKELY(slot == end))
        return i;
    uint32_t changed = (uint32_t)(slot - tail->slot), low = 0, high = i;
    while (low < high) { /* the first frame that read the changed word */
        uint32_t middle = (low + high) / 2;
        if (tail->standing[middle].slots <= changed)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Notes a word that a frame was read from. Returns 0 when it has changed. */
static int keep_slot(struct wh_tail *tail, struct wh_standing *s, uint64_t address, uint64_t value,
                     uint64_t readable_to) {
    if (address + 8 > readable_to || word(address) != value)
        return 0;
    tail->slot[s->slots++] = (struct wh_slot){at(address), value};
    if (address + 8 > tail->high)
        tail->high = address + 8;
    return 1;
}

/* Frame i, whose callers hold, is still as it was walked. Does it hold, too? Then what is needed to
 * check it again is noted. Most fresh frames are gone before they are asked, so this is not done
 * when they are walked. */
int wh_tail_stand(struct wh_tail *tail, uint32_t i, uint64_t readable_to) {
    const struct wh_frame *f = &tail->frame[i];
    struct wh_standing s = {0, 0};
    uint32_t above = 0;
    if (word(f->sp - 8) != f->ip)
        return 0;
    if (i) {
        s.slots = tail->standing[i - 1].slots;
        above = tail->standing[i - 1].flags;
        if (i == tail->gap) /* the true caller is unknown */
            above |= WH_FRAME_NEEDS_BP;
    }
    uint64_t rule = wh_rule_widen(f->rule), kind = WH_RULE_KIND(rule);
    if (kind == WH_RULE_BP || kind == WH_RULE_BP_WORD || kind == WH_RULE_NONE ||
        WH_RULE_BP_KIND(rule) == WH_BP_AT_BP)
        s.flags |= WH_FRAME_USES_BP;
    if (WH_RULE_BP_KIND(rule) == WH_BP_SAME)
        s.flags |= WH_FRAME_KEEPS_BP;
    if (s.flags & WH_FRAME_USES_BP || (s.flags & WH_FRAME_KEEPS_BP && above & WH_FRAME_NEEDS_BP))
        s.flags |= WH_FRAME_NEEDS_BP;
    if (i && i != tail->gap) { /* the first frame has no caller that was read */
        const struct wh_frame *caller = f - 1;
        struct reads r = reads_of(rule, f->bp, caller->sp);
        if (r.bp_slot && above & WH_FRAME_NEEDS_BP &&
            !keep_slot(tail, &s, r.bp_slot, caller->bp, readable_to))
            return 0;
        if (r.cfa_slot && !keep_slot(tail, &s, r.cfa_slot, caller->sp, readable_to))
            return 0;
    }
    tail->standing[i] = s;
    return 1;
}

/* How many remembered frames may be met from *c on: they lie above it on the same stack and hold.
 */
static uint32_t standing(struct wh_tail *tail, const struct cursor *c) {
    uint32_t count = tail->count < tail->limit ? tail->count : tail->limit;
    if (WH_UNLIKELY(tail->high > c->range.high))
        return 0;
    while (count && tail->frame[count - 1].sp < c->sp)
        count--;
    uint32_t stood = tail->stood < count ? tail->stood : count, i = wh_tail_verify(tail, stood);
    if (i == stood) {
        while (i < count && wh_tail_stand(tail, i, c->range.high))
            i++;
        if (i > tail->stood)
            tail->stood = i;
    }
    return i;
}

/* Is a cursor at or above the last standing frame at one of them? 1 = yes, the last of *standing;
 * else *standing are those that lie higher. */
WH_INLINE int meet(const struct wh_tail *tail, uint64_t ip, uint64_t sp, uint64_t bp,
                   uint32_t *standing_frames) {
    uint32_t i = *standing_frames;
    while (i && tail->frame[i - 1].sp < sp)
        i--;
    *standing_frames = i;
    if (!i || tail->frame[i - 1].sp != sp)
        return 0;
    const struct wh_frame *f = &tail->frame[i - 1];
    if (WH_LIKELY(f->ip == ip &&
                  (!(tail->standing[i - 1].flags & WH_FRAME_NEEDS_BP) || f->bp == bp)))
        return 1;
    *standing_frames = i - 1;
    return 0;
}

/* Keeps the root side only. */
WH_INLINE void keep(struct wh_tail *tail, uint32_t count) {
    tail->count = count;
    if (count <= tail->gap)
        tail->gap = 0;
    if (WH_UNLIKELY(count < tail->stood))
        tail->stood = count;
    if (WH_UNLIKELY(count < tail->plain))
        tail->plain = count;
}

/* Appends n frames, the last of fresh[] first, on the leaf side of the tail. */
WH_INLINE void push(struct wh_tail *tail, const struct wh_frame *fresh, uint32_t n) {
    uint32_t i = tail->count;
    if (WH_UNLIKELY(!i))
        tail->high = n ? fresh[n - 1].sp : 0;
    while (n--) {
        tail->frame[i] = fresh[n];
        tail->node[i++] = 0;
    }
    tail->count = i;
}

/* The node of the path to the first `count` frames of the tail, which have no gap below. */
uint32_t wh_unwind_node(struct wh_thread *t, uint32_t count) {
    struct wh_tail *tail = &t->tail;
    uint32_t from = count;
    if (!count)
        return wh_intern(t, 0, 0);
    while (from && !tail->node[from - 1])
        from--;
    uint32_t node = from ? tail->node[from - 1] : tail->unresolved ? wh_intern(t, 0, 0) : 0;
    if (from == count)
        return node;
    return tail->node[count - 1] = wh_intern_frames(t, node, from, count);
}

static uint32_t half_depth(void) {
    return wh_process.depth_max / 2;
}

/* The node of a stack that is longer than depth_max, or has a gap: its two ends. */
static uint32_t cut(struct wh_thread *t) {
    const struct wh_tail *tail = &t->tail;
    uint32_t half = half_depth(), root = tail->gap && tail->gap < half ? tail->gap : half;
    atomic_fetch_add_explicit(&wh_process.slot->stack_truncated, 1, memory_order_relaxed);
    uint32_t node = wh_intern(t, wh_unwind_node(t, root), 0);
    uint32_t leaf = tail->count - (wh_process.depth_max - half);
    return node ? wh_intern_frames(t, node, leaf > root ? leaf : root, tail->count) : 0;
}

/* The tail is full: drops its middle, keeping the root side and the newest frames. */
static void make_room(struct wh_tail *tail) {
    const uint32_t newest = WH_DEPTH_LIMIT / 2;
    uint32_t root = tail->gap ? tail->gap : half_depth();
    uint32_t from = tail->count - newest;
    for (uint32_t i = 0; i < newest; i++) {
        tail->frame[root + i] = tail->frame[from + i];
        tail->node[root + i] = 0;
    }
    keep(tail, root);
    tail->gap = root;
    tail->count = root + newest;
    tail->plain = tail->count; /* looked at one by one */
}

/* The walk ran into a bottomless stack: fresh[] is full and there are yet more frames. Puts the
 * root side under a gap, taken from the last stack if it still holds, else by walking on to the
 * end. */
static void find_root(struct wh_thread *t, struct cursor *c, struct wh_rules *rules) {
    struct wh_tail *tail = &t->tail;
    uint32_t half = half_depth();
    if (tail->gap && tail->gap < half)
        half = tail->gap;
    if (standing(tail, c) >= half) {
        keep(tail, half);
        tail->gap = half;
        return;
    }
    /* The last frames before the end, in a ring; bounded, as a broken stack might be cyclic. */
    const uint32_t far = 1u << 18;
    half = half_depth();
    uint32_t walked = 0;
    struct wh_frame *ring = tail->frame + WH_DEPTH_LIMIT; /* what was remembered is void */
    enum step result = STEP_ON;
    for (; result == STEP_ON && walked < far; walked++)
        result = step(t, c, &ring[walked % half], rules, t->generation);
    keep(tail, 0);
    tail->unresolved = result != STEP_END;
    for (uint32_t i = 0; i < half && i < walked; i++) {
        uint32_t k = (walked - 1 - i) % half;
        push(tail, &ring[k], 1);
    }
    tail->gap = tail->plain = tail->count;
}

static uint32_t intern_deep(struct wh_thread *t, uintptr_t frame) {
    /* fresh[] is free for use: the fast walk has been given up */
    uint64_t *ips = (uint64_t *)(void *)t->fresh;
    uint32_t max = (uint32_t)(sizeof(t->fresh) / (sizeof *ips)), depth = wh_process.depth_max;
    int complete = 0;
    keep(&t->tail, 0);
    uint32_t n = wh_deep_walk(frame, ips, max, &complete), node = 0;
    atomic_fetch_add_explicit(&wh_process.slot->unwind_slow, 1, memory_order_relaxed);
    if (!complete) {
        atomic_fetch_add_explicit(&wh_process.slot->stack_unresolved, 1, memory_order_relaxed);
        node = wh_intern(t, 0, 0);
    }
    for (uint32_t i = n; i-- > 0;) {
        if (n > depth && i >= depth - depth / 2 && i < n - depth / 2) {
            if (i == depth - depth / 2) {
                node = wh_intern(t, node, 0);
                atomic_fetch_add_explicit(&wh_process.slot->stack_truncated, 1,
                                          memory_order_relaxed);
            }
            continue;
        }
        if (!wh_in(&wh_process.self, ips[i]))
            node = wh_intern(t, node, ips[i]);
    }
    return node;
}

/* In verify mode: is the node's path what libunwind's walk gives? */
static void compare(struct wh_thread *t, uintptr_t frame, uint32_t node) {
    uint64_t *ips = (uint64_t *)(void *)t->fresh;
    int complete;
    const struct wh_tail *tail = &t->tail;
    if (!node || tail->gap || tail->unresolved || !wh_deep_ready())
        return;
    uint32_t n = wh_deep_walk(frame, ips, WH_TAIL_MAX, &complete);
    if (n <= wh_process.depth_max && !wh_intern_is(node, ips, n))
        atomic_fetch_add_explicit(&wh_process.slot->unwind_mismatch, 1, memory_order_relaxed);
}

/* What was remembered is void: the code may have changed. */
static __attribute__((noinline)) void forget(struct wh_thread *t, struct wh_rules *rules,
                                             uint32_t generation) {
    wh_rules_renew(rules, generation);
    t->generation = generation;
    keep(&t->tail, 0);
    wh_segments_forget(t);
    wh_excursion_forget(t);
}

/* The node of the stack just remembered, whose last n frames are fresh. It is looked up from a base
 * that stays where it is as long as it can: the same stack is then found again, wherever it was
 * met.
 */
WH_INLINE uint32_t intern_stack(struct wh_thread *t, uint32_t n) {
    struct wh_tail *tail = &t->tail;
    uint32_t count = tail->count, root = count - (n ? n : 1), base = tail->base;
    if (WH_UNLIKELY(tail->gap || count > wh_process.depth_max))
        return cut(t);
    if (WH_UNLIKELY(base > root || count - base > WH_SEGMENT_FRAMES))
        tail->base = base = root;
    if (WH_UNLIKELY(!base || count - base - 1 >= WH_SEGMENT_FRAMES || base < tail->plain))
        return wh_unwind_node(t, count);
    uint32_t node = tail->node[base - 1];
    if (WH_UNLIKELY(!node) && !(node = wh_unwind_node(t, base)))
        return 0;
    return tail->node[count - 1] = wh_segment_get(t, node, base, count);
}

/* ---- the walk ---------------------------------------------------------------------------- */

struct walk {
    struct cursor at;
    uint32_t met;      /* remembered frames that follow the fresh ones; 0 = not met */
    uint32_t fresh;    /* frames walked */
    uint32_t switched; /* of them up to and including the last signal frame */
    uint32_t odd;      /* one of them is our own */
};

/* A step of *w by a rule that is not ordinary, and out of a signal frame one more. */
static __attribute__((noinline)) enum step step_aside(struct wh_thread *t, struct walk *w,
                                                      struct wh_rules *rules, uint64_t rule,
                                                      uint32_t *standing_frames) {
    w->odd |= (uint32_t)wh_frame_is_own(&t->fresh[w->fresh++]);
    enum step result = step_wide(t, &w->at, rule);
    while (result == STEP_ON && w->at.exact && w->fresh < WH_WALK_MAX) {
        uint32_t n = w->switched = w->fresh++;
        result = step(t, &w->at, &t->fresh[n], rules, t->generation);
        w->odd |= (uint32_t)wh_frame_is_own(&t->fresh[n]);
        *standing_frames = result == STEP_ON ? standing(&t->tail, &w->at) : 0;
    }
    return result;
}

WH_INLINE enum step walk(struct wh_thread *t, struct walk *w, struct wh_rules *rules) {
    struct wh_tail *tail = &t->tail;
    const uint64_t generation = wh_rule_want(0, t->generation);
    /* The cursor and what is asked of it at each step, in registers. */
    uint64_t ip = w->at.ip, sp = w->at.sp, bp = w->at.bp, high = w->at.range.high;
    uint32_t last = standing(tail, &w->at), n = 0;
    uint64_t bound = last ? tail->frame[last - 1].sp : UINT64_MAX; /* no frame stands below */
    enum step result = STEP_ON;
    while (n < WH_WALK_MAX) {
        if (WH_UNLIKELY(sp >= bound)) {
            if (WH_LIKELY(meet(tail, ip, sp, bp, &last))) {
                w->met = last;
                break;
            }
            bound = last ? tail->frame[last - 1].sp : UINT64_MAX;
        }
        struct wh_frame *f = &t->fresh[n];
        f->ip = ip;
        f->sp = sp;
        f->bp = bp;
        uint64_t rule =
            atomic_load_explicit(&rules->entries[wh_rule_place(rules, ip)], memory_order_relaxed) ^
            (ip << 16 | generation);
        if (WH_UNLIKELY(rule - 1 >= WH_RULE_WIDE - 1))
            rule = wh_rules_find(rules, ip, t->generation);
        f->rule = rule;
        if (WH_UNLIKELY(rule & WH_RULE_WIDE)) {
            w->at.ip = ip, w->at.sp = sp, w->at.bp = bp;
            w->fresh = n;
            result = step_aside(t, w, rules, rule, &last);
            n = w->fresh;
            ip = w->at.ip, sp = w->at.sp, bp = w->at.bp, high = w->at.range.high;
            bound = last ? tail->frame[last - 1].sp : UINT64_MAX;
            if (result != STEP_ON)
                break;
            continue;
        }
        n++;
        uint64_t up = (rule & WH_RULE_FROM_BP ? bp - sp : 0) + WH_RULE_CFA(rule);
        uint64_t words = WH_RULE_BP_WORDS(rule);
        if (WH_UNLIKELY(up > high - sp || up < 8 + 8 * words)) {
            result = STEP_LOST;
            break;
        }
        sp += up;
        uint64_t saved = word(sp - 8 - 8 * words);
        bp = words ? saved : bp;
        ip = word(sp - 8);
        if (WH_UNLIKELY((result = step_to(ip)) != STEP_ON))
            break;
    }
    w->fresh = n;
    w->at.ip = ip, w->at.sp = sp, w->at.bp = bp;
    return result;
}

/* What is not recognised is walked. */
static uint32_t unwind(struct wh_thread *t, uintptr_t frame) {
    struct wh_tail *tail = &t->tail;
    uint32_t generation = atomic_load_explicit(&wh_process.generation, memory_order_acquire);
    struct wh_rules *rules = atomic_load_explicit(&wh_rules_current, memory_order_acquire);
    if (WH_UNLIKELY(t->generation != generation))
        forget(t, rules, generation);
    struct walk w = {.at = {.ip = word(frame + 8), .sp = frame + 16, .bp = word(frame)}};
    w.at.range = wh_stack_range(t, w.at.sp);
    enum step result = WH_LIKELY(w.at.range.high != 0) ? walk(t, &w, rules) : STEP_LOST;
    tail->known = 0;
    if (WH_LIKELY(w.met != 0))
        keep(tail, w.met);
    else if (result == STEP_ON)
        find_root(t, &w.at, rules);
    else if (WH_UNLIKELY(result == STEP_DEEP && wh_deep_ready()))
        return intern_deep(t, frame);
    else {
        keep(tail, 0);
        tail->unresolved = result != STEP_END;
    }
    if (WH_UNLIKELY(tail->unresolved))
        atomic_fetch_add_explicit(&wh_process.slot->stack_unresolved, 1, memory_order_relaxed);
    if (WH_UNLIKELY(tail->count + w.fresh > WH_TAIL_MAX))
        make_room(tail);
    uint32_t root = tail->count;
    push(tail, t->fresh, w.fresh);
    if (WH_UNLIKELY(w.odd))
        tail->plain = tail->count;
    /* The interrupted frame was not called, so no return address vouches for it. */
    tail->limit = WH_LIKELY(!w.switched)
                      ? WH_TAIL_MAX
                      : root + (w.fresh > w.switched ? w.fresh - w.switched - 1 : 0);
    t->segment_used = 0;
    uint32_t node = intern_stack(t, w.fresh);
    wh_segment_follow(t);
    if (node && !w.switched)
        wh_excursion_learn(t);
    return node;
}

uint32_t wh_unwind_slow(struct wh_thread *t, uintptr_t frame, uint32_t node) {
    if (!node)
        node = unwind(t, frame);
    if (WH_UNLIKELY(wh_process.verify)) {
        compare(t, frame, node);
        wh_excursion_take_turns(t);
    }
    return node;
}
