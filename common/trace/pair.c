/* Pairing of allocations and frees. Mappings share the live table with heap blocks under an odd
 * key, so that an arena and the first block inside it do not meet. */
#include "trace/pair.h"

#include <stdlib.h>
#include <string.h>

#define DISPLACED_MAX 4096u
#define MAPPING_KEY   1u

static uint64_t key_of(uint64_t address, unsigned kind) {
    return kind == WH_ALLOC_MMAP ? address | MAPPING_KEY : address;
}

static struct wh_live visible(const struct wh_live *block) {
    struct wh_live b = *block;
    if (b.kind == WH_ALLOC_MMAP)
        b.address &= ~(uint64_t)MAPPING_KEY;
    return b;
}

int wh_pair_init(struct wh_pair *p, uint32_t process_id, uint64_t ms_ticks) {
    *p = (struct wh_pair){.process_id = process_id};
    wh_timeline_init(&p->timeline, ms_ticks, 100 * ms_ticks);
    if (wh_live_init(&p->live) || wh_ledger_init(&p->ledger)) {
        wh_pair_release(p);
        return -1;
    }
    return 0;
}

void wh_pair_release(struct wh_pair *p) {
    wh_live_release(&p->live);
    wh_ledger_release(&p->ledger);
    wh_ledger_release(&p->own);
    wh_timeline_release(&p->timeline);
    wh_extents_release(&p->extents);
    free(p->displaced);
    p->displaced = NULL;
    p->displaced_count = p->displaced_capacity = 0;
}

int wh_pair_fork(const struct wh_pair *parent, uint64_t ticks, uint64_t ms_ticks,
                 struct wh_pair *ret_child) {
    *ret_child = (struct wh_pair){
        .forked = true,
        .free_stacks = parent->free_stacks,
        .last_number = parent->last_number,
        .inherited_number = parent->last_number,
        .peak_number = parent->last_number,
        .inherited_objects = parent->ledger.live_objects,
        .inherited_bytes = parent->ledger.live_bytes,
        .last_ticks = ticks,
    };
    wh_timeline_init(&ret_child->timeline, ms_ticks, 100 * ms_ticks);
    if (wh_live_clone(&parent->live, &ret_child->live) ||
        wh_ledger_inherit(&parent->ledger, ticks, &ret_child->ledger) ||
        wh_ledger_init(&ret_child->own) ||
        wh_extents_clone(&parent->extents, &ret_child->extents)) {
        wh_pair_release(ret_child);
        return -1;
    }
    return 0;
}

/* --- births and deaths
 * ----------------------------------------------------------------------------- */

static bool is_inherited(const struct wh_pair *p, const struct wh_live *b) {
    return b->number <= p->inherited_number;
}

static void uncount(struct wh_pair *p, const struct wh_live *b) {
    wh_ledger_free(&p->ledger, b->stack, b->size);
    if (p->forked && !is_inherited(p, b))
        wh_ledger_free(&p->own, b->stack, b->size);
    if (b->kind == WH_ALLOC_MMAP)
        wh_extents_remove(&p->extents, b->address & ~(uint64_t)MAPPING_KEY);
}

static int report(const struct wh_pair *p, const struct wh_live *block,
                  const struct wh_death *death) {
    if (!p->sink.lifetime)
        return 0;
    struct wh_live b = visible(block);
    return p->sink.lifetime(p->sink.arg, p, &b, death);
}

/* The displaced block at `index` ends: `death` by a realloc that claims it, or NULL by inference.
 */
static int displaced_end(struct wh_pair *p, size_t index, const struct wh_death *death) {
    struct wh_displaced d = p->displaced[index];
    p->displaced_count--;
    memmove(&p->displaced[index], &p->displaced[index + 1],
            (p->displaced_count - index) * sizeof *p->displaced);
    struct wh_death inferred = {.ticks = d.ticks};
    if (death) {
        inferred.thread = death->thread;
        inferred.stack = death->stack;
    } else if (d.block.kind != WH_ALLOC_MMAP) {
        p->implied_frees++;
    }
    return report(p, &d.block, &inferred);
}

/* A block whose address is given out again although nobody freed it yet. */
static int displace(struct wh_pair *p, const struct wh_live *block, uint64_t ticks) {
    uncount(p, block);
    if (p->displaced_count == DISPLACED_MAX) {
        int rc = displaced_end(p, 0, NULL);
        if (rc < 0)
            return rc;
    }
    if (p->displaced_count == p->displaced_capacity) {
        size_t capacity = p->displaced_capacity ? p->displaced_capacity * 2 : 16;
        struct wh_displaced *d = realloc(p->displaced, capacity * sizeof *d);
        if (!d)
            return -1;
        p->displaced = d;
        p->displaced_capacity = capacity;
    }
    p->displaced[p->displaced_count++] = (struct wh_displaced){*block, ticks};
    return 0;
}

/* The displaced block that a realloc with this before-stamp freed, newest first; -1 = none. */
static ptrdiff_t displaced_find(const struct wh_pair *p, uint64_t key, uint64_t before_ticks) {
    for (size_t i = p->displaced_count; i-- > 0;)
        if (p->displaced[i].block.address == key && p->displaced[i].ticks >= before_ticks)
            return (ptrdiff_t)i;
    return -1;
}

static int birth(struct wh_pair *p, struct wh_live *b) {
    struct wh_live old;
    b->number = ++p->last_number;
    if (b->size > WH_LIVE_SIZE_MAX)
        b->size = WH_LIVE_SIZE_MAX;
    int rc = wh_live_put(&p->live, b, &old);
    if (rc > 0)
        rc = displace(p, &old, b->birth_ticks);
    if (rc < 0)
        return rc;
    int peak = wh_ledger_alloc(&p->ledger, b->stack, b->size, b->birth_ticks);
    if (peak < 0)
        return -1;
    if (peak)
        p->peak_number = p->last_number;
    return p->forked && wh_ledger_alloc(&p->own, b->stack, b->size, b->birth_ticks) < 0 ? -1 : 0;
}

/* --- mappings ------------------------------------------------------------------------------------
 */

/* What is left of a mapping of which a part was unmapped: a new lifetime, as after a realloc. */
static int mapping_rest(struct wh_pair *p, const struct wh_live *old, uint64_t start, uint64_t end,
                        uint64_t ticks) {
    if (start >= end)
        return 0;
    struct wh_live rest = *old;
    rest.address = start | MAPPING_KEY;
    rest.size = end - start;
    rest.birth_ticks = ticks;
    rest.origin_number = old->number;
    int rc = birth(p, &rest);
    return rc < 0 ? rc : wh_extents_add(&p->extents, start, end);
}

/* Ends every mapping inside [start, end) and shrinks or splits those that reach out of it. death
 * NULL: something was mapped over it, a remapping that began earlier may still claim it. */
static int mapping_cut(struct wh_pair *p, uint64_t start, uint64_t end, uint64_t ticks,
                       const struct wh_death *death) {
    for (;;) {
        size_t i = wh_extents_overlap(&p->extents, start, end);
        if (i == SIZE_MAX)
            return 0;
        struct wh_extent e = p->extents.items[i];
        struct wh_live old;
        if (!wh_live_take(&p->live, e.start | MAPPING_KEY, &old)) {
            wh_extents_remove(&p->extents, e.start);
            continue;
        }
        int rc;
        if (death) {
            uncount(p, &old);
            rc = report(p, &old, death);
        } else {
            rc = displace(p, &old, ticks);
        }
        if (rc >= 0)
            rc = mapping_rest(p, &old, e.start, start, ticks);
        if (rc >= 0)
            rc = mapping_rest(p, &old, end, e.end, ticks);
        if (rc < 0)
            return rc;
    }
}

/* --- events
 * ---------------------------------------------------------------------------------------- */

static int on_alloc(struct wh_pair *p, struct wh_pair_thread *thread, const struct wh_event *e,
                    uint64_t origin_number) {
    struct wh_live b = {
        .address = key_of(e->address, e->detail),
        .size = e->size,
        .birth_ticks = e->ticks,
        .origin_number = origin_number,
        .stack = e->stack,
        .thread = thread->id,
        .kind = e->detail < WH_ALLOC_KINDS ? e->detail : WH_ALLOC_MALLOC,
    };
    uint64_t end = 0;
    if (b.kind == WH_ALLOC_MMAP) {
        if (__builtin_add_overflow(e->address, e->size, &end))
            return 0;
        int rc = mapping_cut(p, e->address, end, e->ticks, NULL);
        if (rc < 0)
            return rc;
    }
    thread->last_alloc = b.address;
    int rc = birth(p, &b);
    if (rc < 0 || b.kind != WH_ALLOC_MMAP || !e->size)
        return rc;
    return wh_extents_add(&p->extents, e->address, end);
}

/* Takes the block at an address out of the live set, a mapping too. */
static bool take(struct wh_pair *p, uint64_t address, struct wh_live *ret_block) {
    if (wh_live_take(&p->live, address, ret_block))
        return true;
    return p->extents.count && wh_live_take(&p->live, address | MAPPING_KEY, ret_block);
}

static int on_free(struct wh_pair *p, struct wh_pair_thread *thread, const struct wh_event *e) {
    struct wh_death death = {e->ticks, thread->id, e->stack};
    uint64_t last = thread->last_alloc;
    thread->last_alloc = 0;
    if (e->detail & 2) {
        uint64_t end;
        if (__builtin_add_overflow(e->address, e->size, &end))
            return 0;
        return mapping_cut(p, e->address, end, e->ticks, &death);
    }
    struct wh_live b;
    if (!take(p, e->address, &b)) {
        p->unknown_frees++;
        return 0;
    }
    uncount(p, &b);
    if (b.address == last) {
        wh_ledger_temporary(&p->ledger, b.stack);
        if (p->forked && !is_inherited(p, &b))
            wh_ledger_temporary(&p->own, b.stack);
    }
    return report(p, &b, &death);
}

static int on_realloc(struct wh_pair *p, struct wh_pair_thread *thread, const struct wh_event *e) {
    struct wh_death death = {e->ticks, thread->id, p->free_stacks ? e->stack : 0};
    uint64_t origin = 0;
    if (e->old_address) {
        uint64_t key = key_of(e->old_address, e->detail);
        struct wh_live old;
        ptrdiff_t i = p->displaced_count ? displaced_find(p, key, e->before_ticks) : -1;
        int rc = 0;
        if (i >= 0) {
            origin = p->displaced[i].block.number;
            rc = displaced_end(p, (size_t)i, &death);
        } else if (wh_live_take(&p->live, key, &old)) {
            origin = old.number;
            uncount(p, &old);
            rc = report(p, &old, &death);
        } else {
            p->unknown_frees++;
        }
        if (rc < 0)
            return rc;
    }
    return on_alloc(p, thread, e, origin);
}

int wh_pair_event(struct wh_pair *p, struct wh_pair_thread *thread, const struct wh_event *e) {
    int rc;
    switch (e->kind) {
    case WH_EV_ALLOC:
        rc = on_alloc(p, thread, e, 0);
        break;
    case WH_EV_FREE:
        rc = on_free(p, thread, e);
        break;
    case WH_EV_REALLOC:
        rc = on_realloc(p, thread, e);
        break;
    default:
        return 0;
    }
    p->events++;
    if (e->ticks > p->last_ticks)
        p->last_ticks = e->ticks;
    return rc < 0 ? rc : wh_timeline_event(&p->timeline, p->last_ticks, &p->ledger);
}

/* --- the end
 * --------------------------------------------------------------------------------------- */

struct finish {
    const struct wh_pair *pair;
    bool replaced;
    int result;
};

static void finish_one(void *arg, const struct wh_live *block) {
    struct finish *f = arg;
    if (f->result >= 0 && !(f->replaced && is_inherited(f->pair, block)))
        f->result = report(f->pair, block, NULL);
}

int wh_pair_finish(struct wh_pair *p, uint64_t end_ticks, bool replaced) {
    while (p->displaced_count) {
        int rc = displaced_end(p, 0, NULL);
        if (rc < 0)
            return rc;
    }
    struct finish f = {p, replaced, 0};
    wh_live_each(&p->live, finish_one, &f);
    if (f.result < 0)
        return f.result;
    struct wh_ledger *sums = wh_pair_sums(p, replaced);
    wh_ledger_settle(sums);
    if (sums != &p->ledger) /* its points counted what it inherited */
        p->timeline.count = 0;
    return wh_timeline_finish(&p->timeline, end_ticks, sums);
}

struct wh_ledger *wh_pair_sums(struct wh_pair *p, bool replaced) {
    return p->forked && replaced ? &p->own : &p->ledger;
}

struct each {
    void (*each)(void *arg, const struct wh_live *);
    void *arg;
};

static void each_one(void *arg, const struct wh_live *block) {
    const struct each *e = arg;
    struct wh_live b = visible(block);
    e->each(e->arg, &b);
}

void wh_pair_each(const struct wh_pair *p, void (*each)(void *arg, const struct wh_live *),
                  void *arg) {
    struct each e = {each, arg};
    wh_live_each(&p->live, each_one, &e);
}
