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
 * A stack deeper than depth_max keeps depth_max/2 frames at either end around a node with ip 0. A
 * stack deeper than WH_WALK_MAX is not walked to its end each time: its root side is taken from the
 * last walk that reached it, once its words have been checked, and its middle is not looked at. */
#include "state.h"

static int readable(const struct wh_range *range, uint64_t from, uint64_t address) {
    return address >= from && address + 8 <= range->high && !(address & 7);
}

static uint64_t word(uint64_t address) {
    return *(const volatile uint64_t *)(uintptr_t)address;
}

/* Where a walk is: the code address and registers there. */
struct cursor {
    uint64_t ip, sp, bp;
    int exact; /* ip was interrupted, not called from */
    struct wh_range range;
};

enum step { STEP_ON, STEP_END, STEP_LOST, STEP_DEEP };

static void step_signal(struct wh_thread *t, struct cursor *c, struct wh_fresh *f, enum step *ret) {
    /* ucontext at sp: gregs start at 40; rbp 10, rsp 15, rip 16 */
    uint64_t bp = c->sp + 120, sp = c->sp + 160, ip = c->sp + 168;
    if (!readable(&c->range, c->sp, ip)) {
        *ret = STEP_LOST;
        return;
    }
    f->slot[0] = (const uint64_t *)(uintptr_t)ip;
    f->slot[1] = (const uint64_t *)(uintptr_t)bp;
    f->slot[2] = (const uint64_t *)(uintptr_t)sp;
    c->bp = word(bp);
    c->sp = word(sp);
    c->ip = word(ip);
    c->exact = 1;
    c->range = wh_stack_range(t, c->sp);
    *ret = c->range.high ? STEP_ON : STEP_LOST;
}

/* Code without a table (generated at run time): believe a frame pointer that leads on along the
 * stack. */
static enum step step_guess(struct cursor *c, struct wh_fresh *f) {
    if (c->bp < c->sp || !readable(&c->range, c->sp, c->bp) ||
        !readable(&c->range, c->sp, c->bp + 8))
        return STEP_LOST;
    uint64_t bp = word(c->bp), ip = word(c->bp + 8);
    if (bp <= c->bp || bp >= c->range.high || ip < 4096)
        return STEP_LOST;
    f->uses_bp = 1;
    f->slot[0] = (const uint64_t *)(uintptr_t)(c->bp + 8);
    f->slot[1] = (const uint64_t *)(uintptr_t)c->bp;
    c->sp = c->bp + 16;
    c->bp = bp;
    c->ip = ip;
    c->exact = 0;
    return STEP_ON;
}

/* Moves from the frame in *c to its caller and notes in *f what that was read from. */
static enum step step(struct wh_thread *t, struct cursor *c, struct wh_fresh *f) {
    *f = (struct wh_fresh){.ip = c->ip + (c->exact ? 1 : 0), .sp = c->sp, .bp = c->bp};
    struct wh_rule r = wh_rules_get(c->exact ? c->ip | WH_RULE_EXACT : c->ip);
    uint64_t cfa;
    switch (r.kind) {
    case WH_RULE_SP:
        cfa = c->sp + (uint64_t)(int64_t)r.cfa_offset;
        break;
    case WH_RULE_BP:
        cfa = c->bp + (uint64_t)(int64_t)r.cfa_offset;
        f->uses_bp = 1;
        break;
    case WH_RULE_BP_WORD:
        cfa = c->bp + (uint64_t)(int64_t)r.cfa_offset;
        if (!readable(&c->range, c->sp, cfa))
            return STEP_LOST;
        f->slot[2] = (const uint64_t *)(uintptr_t)cfa;
        cfa = word(cfa);
        f->uses_bp = 1;
        break;
    case WH_RULE_SIGNAL: {
        enum step result = STEP_LOST;
        step_signal(t, c, f, &result);
        return result;
    }
    case WH_RULE_END:
        return STEP_END;
    case WH_RULE_NONE:
        return step_guess(c, f);
    default:
        return STEP_DEEP;
    }
    if (cfa <= c->sp || !readable(&c->range, c->sp, cfa - 8))
        return STEP_LOST;
    if (r.bp_kind == WH_BP_SAME)
        f->keeps_bp = 1;
    else {
        uint64_t slot = (r.bp_kind == WH_BP_AT_CFA ? cfa : c->bp) + (uint64_t)(r.bp_offset * 8l);
        if (!readable(&c->range, c->sp, slot))
            return STEP_LOST;
        f->uses_bp |= r.bp_kind == WH_BP_AT_BP;
        f->slot[1] = (const uint64_t *)(uintptr_t)slot;
        c->bp = word(slot);
    }
    f->slot[0] = (const uint64_t *)(uintptr_t)(cfa - 8);
    c->ip = word(cfa - 8);
    c->sp = cfa;
    c->exact = 0;
    return c->ip ? STEP_ON : STEP_END;
}

/* Do the frames below `count` still hold? Returns `count` when all their words are unchanged, else
 * the number of a frame below which they might (its own words have changed). */
static uint32_t verify(const struct wh_tail *tail, uint32_t count) {
    const struct wh_slot *slot = tail->slot, *end = tail->slot + tail->frame[count - 1].slots;
    for (; slot < end; slot++)
        if (WH_UNLIKELY(*(const volatile uint64_t *)slot->address != slot->value))
            break;
    if (WH_LIKELY(slot == end))
        return count;
    uint32_t changed = (uint32_t)(slot - tail->slot), low = 0, high = count;
    while (low < high) { /* the first frame that read the changed word */
        uint32_t middle = (low + high) / 2;
        if (tail->frame[middle].slots <= changed)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Is the cursor at a remembered frame? *below: only frames under this index are still candidates.
 * Returns the number of remembered frames that hold, 0 = not met. */
static uint32_t meet(const struct wh_tail *tail, const struct cursor *c, uint32_t *below) {
    uint32_t i = *below;
    while (i && tail->frame[i - 1].sp < c->sp)
        i--;
    *below = i;
    if (!i)
        return 0;
    const struct wh_frame *f = &tail->frame[i - 1];
    if (f->sp != c->sp || f->ip != c->ip || c->exact || (f->needs_bp && f->bp != c->bp))
        return 0;
    uint32_t holds = verify(tail, i);
    if (holds == i)
        return i;
    *below = holds;
    return 0;
}

/* Appends a frame on the leaf side of the tail and interns it. */
static void push(struct wh_thread *t, const struct wh_fresh *f) {
    struct wh_tail *tail = &t->tail;
    uint32_t i = tail->count++;
    struct wh_frame *frame = &tail->frame[i], *caller = i ? frame - 1 : NULL;
    uint32_t slots = caller ? caller->slots : 0;
    for (unsigned k = 0; k < 3; k++)
        if (f->slot[k])
            tail->slot[slots++] = (struct wh_slot){f->slot[k], *f->slot[k]};
    frame->ip = f->ip;
    frame->sp = f->sp;
    frame->bp = f->bp;
    frame->slots = slots;
    /* over a gap the true caller is unknown */
    frame->needs_bp =
        f->uses_bp || (f->keeps_bp && ((caller && caller->needs_bp) || (i && i == tail->gap)));
    frame->own = (uint8_t)wh_in(&wh_process.self, f->ip);
    if (i < wh_process.depth_max && !tail->gap) {
        uint32_t parent = caller ? caller->node : tail->unresolved ? wh_intern(t, 0, 0) : 0;
        frame->node = frame->own ? parent : wh_intern(t, parent, f->ip);
    }
}

/* The node of a stack that is longer than depth_max, or has a gap: its two ends. */
static uint32_t cut(struct wh_thread *t) {
    const struct wh_tail *tail = &t->tail;
    uint32_t half = wh_process.depth_max / 2,
             root = tail->gap && tail->gap < half ? tail->gap : half;
    atomic_fetch_add_explicit(&wh_process.slot->stack_truncated, 1, memory_order_relaxed);
    uint32_t node = root ? tail->frame[root - 1].node : 0;
    node = wh_intern(t, node, 0);
    uint32_t leaf = tail->count - (wh_process.depth_max - half);
    for (uint32_t i = leaf > root ? leaf : root; i < tail->count && node; i++)
        if (!tail->frame[i].own)
            node = wh_intern(t, node, tail->frame[i].ip);
    return node;
}

/* The tail is full: drops its middle, keeping the root side and the newest frames. */
static void make_room(struct wh_tail *tail) {
    const uint32_t keep = WH_DEPTH_LIMIT / 2;
    uint32_t root = tail->gap ? tail->gap : wh_process.depth_max / 2 ? wh_process.depth_max / 2 : 1;
    uint32_t from = tail->count - keep;
    uint32_t slots = tail->frame[from - 1].slots, shift = slots - tail->frame[root - 1].slots;
    for (uint32_t i = slots; i < tail->frame[tail->count - 1].slots; i++)
        tail->slot[i - shift] = tail->slot[i];
    for (uint32_t i = 0; i < keep; i++) {
        tail->frame[root + i] = tail->frame[from + i];
        tail->frame[root + i].slots -= shift;
    }
    tail->gap = root;
    tail->count = root + keep;
}

/* The walk ran into a bottomless stack: `more` frames were walked and there are yet more. Puts the
 * root side under a gap, taken from the last stack if it still holds, else by walking on to the
 * end. */
static void find_root(struct wh_thread *t, struct cursor *c) {
    struct wh_tail *tail = &t->tail;
    uint32_t half = wh_process.depth_max / 2 ? wh_process.depth_max / 2 : 1;
    if (tail->gap && tail->gap < half)
        half = tail->gap;
    if (tail->count >= half && tail->limit >= half && tail->frame[half - 1].sp > c->sp &&
        verify(tail, half) == half) {
        tail->count = tail->gap = half;
        return;
    }
    /* A ring of the last frames before the end; bounded, as a broken stack might be cyclic. */
    const uint32_t far = 1u << 18;
    half = wh_process.depth_max / 2 ? wh_process.depth_max / 2 : 1;
    uint32_t walked = 0;
    struct wh_fresh *ring = t->ring;
    enum step result = STEP_ON;
    while (result == STEP_ON && walked < far)
        result = step(t, c, &ring[walked++ % half]);
    tail->count = 0;
    tail->gap = 0;
    tail->unresolved = result != STEP_END;
    for (uint32_t i = 0; i < half && i < walked; i++)
        push(t, &ring[(walked - 1 - i) % half]);
    tail->gap = tail->count;
}

static uint32_t intern_deep(struct wh_thread *t, uintptr_t frame) {
    /* fresh[] is free for use: the fast walk has been given up */
    uint64_t *ips = (uint64_t *)(void *)t->fresh;
    uint32_t max = (uint32_t)(sizeof(t->fresh) / (sizeof *ips)), depth = wh_process.depth_max;
    int complete = 0;
    t->tail.count = 0;
    t->tail.gap = 0;
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

/* In verify mode: does libunwind's walk give the same stack as the one just remembered? */
static void compare(struct wh_thread *t, uintptr_t frame) {
    uint64_t *ips = (uint64_t *)(void *)t->fresh;
    int complete;
    const struct wh_tail *tail = &t->tail;
    if (tail->gap || tail->unresolved || !wh_deep_ready())
        return;
    uint32_t n = wh_deep_walk(frame, ips, WH_TAIL_MAX, &complete), wrong = n != tail->count;
    for (uint32_t i = 0; i < n && !wrong; i++)
        wrong = ips[i] != tail->frame[tail->count - 1 - i].ip;
    if (wrong)
        atomic_fetch_add_explicit(&wh_process.slot->unwind_mismatch, 1, memory_order_relaxed);
}

uint32_t wh_unwind(struct wh_thread *t, uintptr_t frame) {
    struct wh_tail *tail = &t->tail;
    struct cursor c = {.ip = word(frame + 8), .sp = frame + 16, .bp = word(frame)};
    c.range = wh_stack_range(t, c.sp);
    uint32_t generation = atomic_load_explicit(&wh_process.generation, memory_order_acquire);
    if (tail->generation != generation) {
        tail->generation = generation;
        tail->count = tail->gap = 0;
        for (uint32_t i = 0; i < WH_NODE_CACHE; i++)
            t->cache[i].id = 0;
    }
    uint32_t below = tail->count < tail->limit ? tail->count : tail->limit, met = 0, n = 0;
    enum step result = c.range.high ? STEP_ON : STEP_LOST;
    uint32_t switched = 0; /* fresh frames up to and including the last change of stacks */
    while (result == STEP_ON && n < WH_WALK_MAX && !(met = meet(tail, &c, &below))) {
        uint64_t high = c.range.high;
        result = step(t, &c, &t->fresh[n++]);
        if (c.range.high != high)
            switched = n;
    }
    if (result == STEP_DEEP && wh_deep_ready())
        return intern_deep(t, frame);
    if (met) {
        tail->count = met;
        if (met <= tail->gap)
            tail->gap = 0;
    } else if (result == STEP_ON) {
        find_root(t, &c);
    } else {
        tail->count = tail->gap = 0;
        tail->unresolved = result != STEP_END;
    }
    if (WH_UNLIKELY(tail->unresolved))
        atomic_fetch_add_explicit(&wh_process.slot->stack_unresolved, 1, memory_order_relaxed);
    if (tail->count + n > WH_TAIL_MAX)
        make_room(tail);
    uint32_t root = tail->count;
    for (uint32_t i = n; i-- > 0;)
        push(t, &t->fresh[i]);
    tail->limit = switched ? root + (n - switched) : WH_TAIL_MAX;
    uint32_t node = tail->count == 0 ? wh_intern(t, 0, 0)
                    : tail->gap || tail->count > wh_process.depth_max
                        ? cut(t)
                        : tail->frame[tail->count - 1].node;
    if (WH_UNLIKELY(wh_process.verify))
        compare(t, frame);
    return node;
}
