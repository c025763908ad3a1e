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

WH_INLINE uint64_t word(uint64_t address) {
    return *(const volatile uint64_t *)(uintptr_t)address;
}

static const uint64_t *at(uint64_t address) {
    return (const uint64_t *)(uintptr_t)address;
}

/* Where a walk is: the code address and registers there. */
struct cursor {
    uint64_t ip, sp, bp;
    int exact; /* ip was interrupted, not called from */
    struct wh_range range;
};

enum step { STEP_ON, STEP_END, STEP_LOST, STEP_DEEP };

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
    return c->range.high ? STEP_ON : STEP_LOST;
}

/* Code without a table (generated at run time): believe a frame pointer that leads on along the
 * stack. */
static enum step step_guess(struct cursor *c, struct wh_fresh *f) {
    if (!readable(&c->range, c->sp, c->bp) || !readable(&c->range, c->sp, c->bp + 8))
        return STEP_LOST;
    uint64_t bp = word(c->bp), ip = word(c->bp + 8);
    if (bp <= c->bp || bp >= c->range.high || ip < 4096)
        return STEP_LOST;
    f->uses_bp = 1;
    f->bp_slot = at(c->bp);
    c->sp = c->bp + 16;
    c->bp = bp;
    c->ip = ip;
    c->exact = 0;
    return STEP_ON;
}

/* The rules that are not the ordinary ones, for the frame noted in *f. */
static __attribute__((noinline)) enum step step_rare(struct wh_thread *t, struct cursor *c,
                                                     struct wh_fresh *f, uint64_t rule,
                                                     uint64_t *ret_cfa) {
    switch (WH_RULE_KIND(rule)) {
    case WH_RULE_BP_WORD: {
        uint64_t slot = c->bp + (uint64_t)WH_RULE_CFA_OFFSET(rule);
        if (!readable(&c->range, c->sp, slot))
            return STEP_LOST;
        f->cfa_slot = at(slot);
        f->uses_bp = 1;
        *ret_cfa = word(slot);
        return STEP_ON;
    }
    case WH_RULE_SIGNAL:
        return step_signal(t, c);
    case WH_RULE_END:
        return STEP_END;
    case WH_RULE_NONE:
        return step_guess(c, f);
    default:
        return STEP_DEEP;
    }
}

/* Moves from the frame in *c to its caller and notes in *f what that was read from. */
WH_INLINE enum step step(struct wh_thread *t, struct cursor *c, struct wh_fresh *f,
                         const struct wh_rule_table *table, uint32_t generation) {
    uint64_t rule = wh_rules_get(table, c->exact ? c->ip | WH_RULE_EXACT : c->ip, generation);
    uint64_t kind = WH_RULE_KIND(rule), bp_kind = WH_RULE_BP_KIND(rule), cfa;
    f->ip = c->ip + (uint64_t)c->exact;
    f->sp = c->sp;
    f->bp = c->bp;
    f->bp_slot = f->cfa_slot = NULL;
    f->uses_bp = kind == WH_RULE_BP;
    f->keeps_bp = bp_kind == WH_BP_SAME;
    if (WH_LIKELY(kind == WH_RULE_SP || kind == WH_RULE_BP))
        cfa = (kind == WH_RULE_SP ? c->sp : c->bp) + (uint64_t)WH_RULE_CFA_OFFSET(rule);
    else {
        cfa = 0;
        enum step result = step_rare(t, c, f, rule, &cfa);
        if (!cfa)
            return result;
    }
    if (WH_UNLIKELY(cfa <= c->sp || !readable(&c->range, c->sp, cfa - 8)))
        return STEP_LOST;
    if (bp_kind != WH_BP_SAME) {
        uint64_t slot = (bp_kind == WH_BP_AT_CFA ? cfa : c->bp) + (uint64_t)WH_RULE_BP_OFFSET(rule);
        if (WH_UNLIKELY(!readable(&c->range, c->sp, slot)))
            return STEP_LOST;
        f->uses_bp |= bp_kind == WH_BP_AT_BP;
        f->bp_slot = at(slot);
        c->bp = word(slot);
    }
    c->ip = word(cfa - 8);
    c->sp = cfa;
    c->exact = 0;
    return c->ip ? STEP_ON : STEP_END;
}

/* Do the frames below `count` still hold? Returns `count` when all their words are unchanged, else
 * the number of a frame below which they might (its own words have changed). */
static uint32_t verify(const struct wh_tail *tail, uint32_t count) {
    const struct wh_slot *slot = tail->slot, *end = slot + tail->frame[count - 1].slots;
    for (uint32_t i = 0; i < count; i++)
        if (WH_UNLIKELY(word(tail->sp[i] - 8) != tail->ip[i])) {
            count = i + 1; /* frame i + 1 read it; what lies below i + 1 may be met again */
            break;
        }
    for (; slot < end; slot++)
        if (WH_UNLIKELY(word((uintptr_t)slot->address) != slot->value))
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
WH_INLINE uint32_t meet(const struct wh_tail *tail, const struct cursor *c, uint32_t *below) {
    uint32_t i = *below;
    while (i && tail->sp[i - 1] < c->sp)
        i--;
    *below = i;
    if (!i || tail->sp[i - 1] != c->sp || tail->ip[i - 1] != c->ip || c->exact)
        return 0;
    const struct wh_frame *f = &tail->frame[i - 1];
    if (f->needs_bp && f->bp != c->bp)
        return 0;
    uint32_t holds = verify(tail, i);
    if (holds == i)
        return i;
    *below = holds < i ? holds : i - 1;
    return 0;
}

/* Hashes a fresh frame's path and calls for its node. */
WH_INLINE uint64_t call_ahead(struct wh_thread *t, struct wh_fresh *f, uint64_t caller) {
    f->own = (uint8_t)wh_in(&wh_process.self, f->ip);
    f->path = f->own ? caller : wh_path(caller, f->ip);
    __builtin_prefetch(wh_node_set(t, f->path));
    return f->path;
}

/* Appends a frame on the leaf side of the tail and interns it. */
WH_INLINE void push(struct wh_thread *t, const struct wh_fresh *f) {
    struct wh_tail *tail = &t->tail;
    uint32_t i = tail->count++;
    struct wh_frame *frame = &tail->frame[i];
    uint32_t slots = i ? frame[-1].slots : 0;
    if (f->bp_slot)
        tail->slot[slots++] = (struct wh_slot){f->bp_slot, *f->bp_slot};
    if (WH_UNLIKELY(f->cfa_slot != NULL))
        tail->slot[slots++] = (struct wh_slot){f->cfa_slot, *f->cfa_slot};
    tail->ip[i] = f->ip;
    tail->sp[i] = f->sp;
    frame->bp = f->bp;
    frame->slots = slots;
    /* over a gap the true caller is unknown */
    frame->needs_bp = f->uses_bp || (f->keeps_bp && i && (frame[-1].needs_bp || i == tail->gap));
    frame->own = f->own;
    frame->path = f->path;
    if (WH_LIKELY(i < wh_process.depth_max && !tail->gap)) {
        uint32_t parent = i ? frame[-1].node : tail->unresolved ? wh_intern(t, 0, 0) : 0;
        frame->node = frame->own ? parent : wh_intern_at(t, f->path, parent, f->ip);
    }
}

static uint32_t half_depth(void) {
    return wh_process.depth_max / 2;
}

/* The node of a stack that is longer than depth_max, or has a gap: its two ends. */
static uint32_t cut(struct wh_thread *t) {
    const struct wh_tail *tail = &t->tail;
    uint32_t half = half_depth(), root = tail->gap && tail->gap < half ? tail->gap : half;
    atomic_fetch_add_explicit(&wh_process.slot->stack_truncated, 1, memory_order_relaxed);
    uint32_t node = root ? tail->frame[root - 1].node : 0;
    node = wh_intern(t, node, 0);
    uint32_t leaf = tail->count - (wh_process.depth_max - half);
    for (uint32_t i = leaf > root ? leaf : root; i < tail->count && node; i++)
        if (!tail->frame[i].own)
            node = wh_intern(t, node, tail->ip[i]);
    return node;
}

/* The tail is full: drops its middle, keeping the root side and the newest frames. */
static void make_room(struct wh_tail *tail) {
    const uint32_t keep = WH_DEPTH_LIMIT / 2;
    uint32_t root = tail->gap ? tail->gap : half_depth();
    uint32_t from = tail->count - keep;
    uint32_t slots = tail->frame[from - 1].slots, shift = slots - tail->frame[root - 1].slots;
    for (uint32_t i = slots; i < tail->frame[tail->count - 1].slots; i++)
        tail->slot[i - shift] = tail->slot[i];
    for (uint32_t i = 0; i < keep; i++) {
        tail->ip[root + i] = tail->ip[from + i];
        tail->sp[root + i] = tail->sp[from + i];
        tail->frame[root + i] = tail->frame[from + i];
        tail->frame[root + i].slots -= shift;
    }
    tail->frame[root].needs_bp = 1;
    tail->gap = root;
    tail->count = root + keep;
}

/* The walk ran into a bottomless stack: fresh[] is full and there are yet more frames. Puts the
 * root side under a gap, taken from the last stack if it still holds, else by walking on to the
 * end. */
static void find_root(struct wh_thread *t, struct cursor *c) {
    struct wh_tail *tail = &t->tail;
    uint32_t half = half_depth();
    if (tail->gap && tail->gap < half)
        half = tail->gap;
    if (tail->count >= half && tail->limit >= half && tail->sp[half - 1] > c->sp &&
        verify(tail, half) == half) {
        tail->count = tail->gap = half;
        return;
    }
    /* A ring of the last frames before the end; bounded, as a broken stack might be cyclic. */
    const uint32_t far = 1u << 18;
    half = half_depth();
    uint32_t walked = 0;
    struct wh_fresh *ring = t->ring;
    const struct wh_rule_table *table = atomic_load(&wh_rules_current);
    enum step result = STEP_ON;
    while (result == STEP_ON && walked < far)
        result = step(t, c, &ring[walked++ % half], table, tail->generation);
    tail->count = 0;
    tail->gap = 0;
    tail->unresolved = result != STEP_END;
    uint64_t path = 0;
    for (uint32_t i = 0; i < half && i < walked; i++) {
        path = call_ahead(t, &ring[(walked - 1 - i) % half], path);
        push(t, &ring[(walked - 1 - i) % half]);
    }
    tail->gap = tail->count;
}

static uint32_t intern_deep(struct wh_thread *t, uintptr_t frame) {
    /* fresh[] is free for use: the fast walk has been given up */
    uint64_t *ips = (uint64_t *)(void *)t->fresh;
    uint32_t max = (uint32_t)(sizeof(t->fresh) / (sizeof *ips)), depth = wh_process.depth_max;
    int complete = 0;
    t->tail.count = t->tail.gap = 0;
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
        wrong = ips[i] != tail->ip[tail->count - 1 - i];
    if (wrong)
        atomic_fetch_add_explicit(&wh_process.slot->unwind_mismatch, 1, memory_order_relaxed);
}

/* What was remembered is void: the code may have changed. */
static void forget(struct wh_thread *t, uint32_t generation) {
    t->tail.generation = generation;
    t->tail.count = t->tail.gap = 0;
    wh_intern_forget(t);
}

/* The walk has ended without meeting the last stack: what is left of that below the fresh frames.
 */
static void start_over(struct wh_thread *t, struct cursor *c, enum step result) {
    if (result == STEP_ON) {
        find_root(t, c);
        return;
    }
    t->tail.count = t->tail.gap = 0;
    t->tail.unresolved = result != STEP_END;
}

uint32_t wh_unwind(struct wh_thread *t, uintptr_t frame) {
    struct wh_tail *tail = &t->tail;
    struct cursor c = {.ip = word(frame + 8), .sp = frame + 16, .bp = word(frame)};
    c.range = wh_stack_range(t, c.sp);
    uint32_t generation = atomic_load_explicit(&wh_process.generation, memory_order_acquire);
    const struct wh_rule_table *table =
        atomic_load_explicit(&wh_rules_current, memory_order_acquire);
    if (WH_UNLIKELY(tail->generation != generation))
        forget(t, generation);
    uint32_t below = tail->count < tail->limit ? tail->count : tail->limit, met = 0, n = 0;
    uint32_t switched = 0; /* fresh frames up to and including the last signal frame */
    enum step result = c.range.high ? STEP_ON : STEP_LOST;
    while (result == STEP_ON && n < WH_WALK_MAX && !(met = meet(tail, &c, &below))) {
        result = step(t, &c, &t->fresh[n++], table, generation);
        if (WH_UNLIKELY(c.exact))
            switched = n;
    }
    if (WH_UNLIKELY(result == STEP_DEEP && wh_deep_ready()))
        return intern_deep(t, frame);
    if (WH_LIKELY(met != 0)) {
        tail->count = met;
        if (met <= tail->gap)
            tail->gap = 0;
    } else
        start_over(t, &c, result);
    if (WH_UNLIKELY(tail->unresolved))
        atomic_fetch_add_explicit(&wh_process.slot->stack_unresolved, 1, memory_order_relaxed);
    if (WH_UNLIKELY(tail->count + n > WH_TAIL_MAX))
        make_room(tail);
    uint32_t root = tail->count;
    uint64_t path = root ? tail->frame[root - 1].path : 0;
    for (uint32_t i = n; i-- > 0;)
        path = call_ahead(t, &t->fresh[i], path);
    for (uint32_t i = n; i-- > 0;)
        push(t, &t->fresh[i]);
    /* The interrupted frame was not called, so no return address vouches for it. */
    tail->limit = !switched ? WH_TAIL_MAX : root + (n > switched ? n - switched - 1 : 0);
    uint32_t node = tail->count == 0 ? wh_intern(t, 0, 0)
                    : WH_UNLIKELY(tail->gap || tail->count > wh_process.depth_max)
                        ? cut(t)
                        : tail->frame[tail->count - 1].node;
    if (WH_UNLIKELY(wh_process.verify))
        compare(t, frame);
    return node;
}
