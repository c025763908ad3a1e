/* Pairing: lifetimes and sums are exact, whatever reallocs, forks, mappings and races do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/pair.h"

struct seen {
    struct wh_live block[64];
    struct wh_death death[64];
    bool freed[64];
    int count;
};

static int remember(void *arg, const struct wh_pair *pair, const struct wh_live *block,
                    const struct wh_death *death) {
    struct seen *s = arg;
    (void)pair;
    if (s->count < 64) {
        s->block[s->count] = *block;
        s->freed[s->count] = death != NULL;
        if (death)
            s->death[s->count] = *death;
    }
    s->count++;
    return 0;
}

static struct wh_pair_thread one = {.id = 1}, two = {.id = 2};

static void start(struct wh_pair *p, struct seen *s) {
    assert_int_equal(wh_pair_init(p, 1, 1000), 0);
    memset(s, 0, sizeof *s);
    p->sink = (struct wh_pair_sink){remember, s};
    one.last_alloc = two.last_alloc = 0;
}

static void alloc(struct wh_pair *p, struct wh_pair_thread *t, uint64_t ticks, uint64_t address,
                  uint64_t size, uint32_t stack) {
    struct wh_event e = {.kind = WH_EV_ALLOC,
                         .ticks = ticks,
                         .before_ticks = ticks,
                         .address = address,
                         .size = size,
                         .stack = stack};
    assert_int_equal(wh_pair_event(p, t, &e), 0);
}

static void release(struct wh_pair *p, struct wh_pair_thread *t, uint64_t ticks, uint64_t address) {
    struct wh_event e = {.kind = WH_EV_FREE, .ticks = ticks, .address = address};
    assert_int_equal(wh_pair_event(p, t, &e), 0);
}

static void resize(struct wh_pair *p, struct wh_pair_thread *t, uint64_t before, uint64_t ticks,
                   uint64_t from, uint64_t to, uint64_t size) {
    struct wh_event e = {.kind = WH_EV_REALLOC,
                         .detail = WH_ALLOC_REALLOC,
                         .ticks = ticks,
                         .before_ticks = before,
                         .old_address = from,
                         .address = to,
                         .size = size,
                         .stack = 9};
    assert_int_equal(wh_pair_event(p, t, &e), 0);
}

static void map(struct wh_pair *p, uint64_t ticks, uint64_t address, uint64_t size) {
    struct wh_event e = {.kind = WH_EV_ALLOC,
                         .detail = WH_ALLOC_MMAP,
                         .ticks = ticks,
                         .address = address,
                         .size = size,
                         .stack = 4};
    assert_int_equal(wh_pair_event(p, &one, &e), 0);
}

static void unmap(struct wh_pair *p, uint64_t ticks, uint64_t address, uint64_t size) {
    struct wh_event e = {
        .kind = WH_EV_FREE, .detail = 2, .ticks = ticks, .address = address, .size = size};
    assert_int_equal(wh_pair_event(p, &one, &e), 0);
}

static const struct wh_site *site(const struct wh_ledger *l, uint32_t stack) {
    for (uint32_t i = 0; i < l->slots; i++)
        if (l->sites[i].used && l->sites[i].stack == stack)
            return &l->sites[i];
    return NULL;
}

static void lifetimes_and_sums_agree(void **state) {
    (void)state;
    struct wh_pair p;
    struct seen s;
    start(&p, &s);
    alloc(&p, &one, 10, 0x100, 50, 5);
    alloc(&p, &one, 20, 0x200, 70, 6);
    release(&p, &two, 30, 0x100);
    alloc(&p, &two, 40, 0x100, 10, 5);
    release(&p, &one, 50, 0x999);
    assert_int_equal(p.unknown_frees, 1);
    assert_int_equal(p.ledger.live_bytes, 80);
    assert_int_equal(p.ledger.peak_bytes, 120);
    assert_int_equal(p.ledger.peak_ticks, 20);
    assert_int_equal(p.peak_number, 2);
    assert_int_equal(wh_pair_finish(&p, 60, false), 0);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.block[0].number, 1);
    assert_true(s.freed[0]);
    assert_int_equal(s.death[0].ticks, 30);
    assert_int_equal(s.death[0].thread, 2);
    const struct wh_site *five = site(&p.ledger, 5), *six = site(&p.ledger, 6);
    assert_int_equal(five->alloc_objects, 2);
    assert_int_equal(five->alloc_space, 60);
    assert_int_equal(five->inuse_space, 10);
    assert_int_equal(five->peak_space, 50);
    assert_int_equal(six->peak_space, 70);
    assert_int_equal(p.events, 5);
    wh_pair_release(&p);
}

static void a_block_freed_by_the_next_event_is_temporary(void **state) {
    (void)state;
    struct wh_pair p;
    struct seen s;
    start(&p, &s);
    alloc(&p, &one, 1, 0x100, 8, 5);
    alloc(&p, &two, 2, 0x200, 8, 6); /* another thread's event does not come between */
    release(&p, &one, 3, 0x100);
    alloc(&p, &one, 4, 0x100, 8, 5);
    release(&p, &two, 5, 0x100); /* another thread frees it: not temporary */
    alloc(&p, &one, 6, 0x300, 8, 5);
    alloc(&p, &one, 7, 0x400, 8, 5);
    release(&p, &one, 8, 0x300);
    assert_int_equal(site(&p.ledger, 5)->temporary_objects, 1);
    assert_int_equal(site(&p.ledger, 6)->temporary_objects, 0);
    wh_pair_release(&p);
}

static void a_realloc_goes_on_as_a_new_lifetime(void **state) {
    (void)state;
    struct wh_pair p;
    struct seen s;
    start(&p, &s);
    alloc(&p, &one, 1, 0x100, 10, 5);
    resize(&p, &one, 2, 3, 0x100, 0x100, 30);
    resize(&p, &one, 4, 5, 0x100, 0x500, 60);
    assert_int_equal(p.ledger.live_objects, 1);
    assert_int_equal(p.ledger.live_bytes, 60);
    assert_int_equal(p.ledger.peak_bytes, 60);
    assert_int_equal(wh_pair_finish(&p, 9, false), 0);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.block[2].address, 0x500);
    assert_int_equal(s.block[2].origin_number, 2);
    assert_int_equal(s.block[1].origin_number, 1);
    wh_pair_release(&p);
}

/* Thread two gets the old address while thread one's realloc is still on its way back. */
static void an_address_reused_during_a_realloc_is_told_apart(void **state) {
    (void)state;
    struct wh_pair p;
    struct seen s;
    start(&p, &s);
    alloc(&p, &one, 1, 0x100, 10, 5);
    alloc(&p, &two, 20, 0x100, 99, 6);
    resize(&p, &one, 10, 30, 0x100, 0x700, 40);
    assert_int_equal(p.unknown_frees, 0);
    assert_int_equal(p.ledger.live_objects, 2);
    assert_int_equal(p.ledger.live_bytes, 139);
    release(&p, &two, 40, 0x100);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.block[0].size, 10);
    assert_int_equal(s.block[1].size, 99);
    assert_int_equal(wh_pair_finish(&p, 50, false), 0);
    assert_int_equal(p.implied_frees, 0);
    assert_int_equal(s.block[2].origin_number, 1);
    wh_pair_release(&p);
}

/* A realloc that began after the address was given out again means the new block. */
static void a_later_realloc_does_not_claim_an_older_block(void **state) {
    (void)state;
    struct wh_pair p;
    struct seen s;
    start(&p, &s);
    alloc(&p, &one, 1, 0x100, 10, 5);
    alloc(&p, &two, 20, 0x100, 99, 6);
    resize(&p, &two, 25, 30, 0x100, 0x700, 40);
    assert_int_equal(s.block[0].size, 99);
    assert_int_equal(wh_pair_finish(&p, 50, false), 0);
    assert_int_equal(p.implied_frees, 1);
    assert_int_equal(s.count, 3);
    wh_pair_release(&p);
}

static void a_partial_unmap_shrinks_and_splits(void **state) {
    (void)state;
    struct wh_pair p;
    struct seen s;
    start(&p, &s);
    map(&p, 1, 0x100000, 0x10000);
    alloc(&p, &one, 2, 0x100000, 16, 5); /* a block at the mapping's own address */
    unmap(&p, 3, 0x104000, 0x4000);
    assert_int_equal(p.ledger.live_bytes, 0x4000 + 0x8000 + 16);
    assert_int_equal(p.ledger.live_objects, 3);
    unmap(&p, 4, 0x0ff000, 0x6000); /* reaches out on the left */
    assert_int_equal(p.ledger.live_bytes, 0x8000 + 16);
    unmap(&p, 5, 0x100000, 0x100000);
    assert_int_equal(p.ledger.live_bytes, 16);
    release(&p, &one, 6, 0x100000);
    assert_int_equal(p.ledger.live_objects, 0);
    assert_int_equal(p.unknown_frees, 0);
    assert_int_equal(s.block[1].address, 0x100000);
    assert_int_equal(s.block[1].origin_number, 1);
    wh_pair_release(&p);
}

static void a_forked_child_starts_with_its_parents_blocks(void **state) {
    (void)state;
    struct wh_pair p, child;
    struct seen s, c;
    start(&p, &s);
    alloc(&p, &one, 1, 0x100, 10, 5);
    alloc(&p, &one, 2, 0x200, 20, 5);
    assert_int_equal(wh_pair_fork(&p, 3, 1000, &child), 0);
    memset(&c, 0, sizeof c);
    child.process_id = 2;
    child.sink = (struct wh_pair_sink){remember, &c};
    release(&p, &one, 4, 0x100);
    alloc(&child, &two, 5, 0x300, 7, 6);
    release(&child, &two, 6, 0x200);
    assert_int_equal(child.inherited_objects, 2);
    assert_int_equal(child.inherited_bytes, 30);
    assert_int_equal(child.unknown_frees, 0);
    assert_int_equal(p.ledger.live_bytes, 20);
    assert_int_equal(wh_pair_finish(&child, 9, false), 0);
    assert_int_equal(c.count, 3);
    assert_int_equal(wh_pair_sums(&child, false)->live_bytes, 17);
    assert_int_equal(wh_pair_sums(&child, false)->peak_bytes, 37);
    assert_int_equal(site(&child.ledger, 5)->alloc_objects, 0);
    assert_int_equal(site(&child.ledger, 5)->inuse_objects, 1);
    assert_int_equal(site(&child.ledger, 5)->peak_objects, 2);
    wh_pair_release(&child);
    wh_pair_release(&p);
}

/* The image was replaced by exec: what it inherited is nobody's business. */
static void a_child_that_execs_counts_its_own_blocks_only(void **state) {
    (void)state;
    struct wh_pair p, child;
    struct seen s, c;
    start(&p, &s);
    alloc(&p, &one, 1, 0x100, 1000, 5);
    assert_int_equal(wh_pair_fork(&p, 3, 1000, &child), 0);
    memset(&c, 0, sizeof c);
    child.sink = (struct wh_pair_sink){remember, &c};
    alloc(&child, &two, 5, 0x300, 7, 6);
    alloc(&child, &two, 6, 0x400, 8, 6);
    release(&child, &two, 7, 0x300);
    assert_int_equal(wh_pair_finish(&child, 9, true), 0);
    assert_int_equal(c.count, 2);
    assert_int_equal(wh_pair_sums(&child, true)->live_bytes, 8);
    assert_int_equal(wh_pair_sums(&child, true)->peak_bytes, 15);
    wh_pair_release(&child);
    wh_pair_release(&p);
}

static void the_timeline_is_bounded_and_ends_with_the_truth(void **state) {
    (void)state;
    struct wh_pair p;
    struct seen s;
    start(&p, &s);
    for (uint64_t i = 1; i <= 300000; i++) {
        alloc(&p, &one, i * 2000, 0x100, 1000000, 5);
        release(&p, &one, i * 2000 + 1000, 0x100);
    }
    alloc(&p, &one, 900000000, 0x500, 3, 5);
    assert_int_equal(wh_pair_finish(&p, 900000001, false), 0);
    assert_true(p.timeline.count <= 8192);
    assert_true(p.timeline.count >= 1000);
    assert_int_equal(p.timeline.points[p.timeline.count - 1].live_bytes, 3);
    uint64_t peak = 0;
    for (size_t i = 0; i < p.timeline.count; i++) {
        if (p.timeline.points[i].live_bytes > peak)
            peak = p.timeline.points[i].live_bytes;
        assert_true(!i || p.timeline.points[i].ticks >= p.timeline.points[i - 1].ticks);
    }
    assert_int_equal(peak, 1000000);
    wh_pair_release(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lifetimes_and_sums_agree),
        cmocka_unit_test(a_block_freed_by_the_next_event_is_temporary),
        cmocka_unit_test(a_realloc_goes_on_as_a_new_lifetime),
        cmocka_unit_test(an_address_reused_during_a_realloc_is_told_apart),
        cmocka_unit_test(a_later_realloc_does_not_claim_an_older_block),
        cmocka_unit_test(a_partial_unmap_shrinks_and_splits),
        cmocka_unit_test(a_forked_child_starts_with_its_parents_blocks),
        cmocka_unit_test(a_child_that_execs_counts_its_own_blocks_only),
        cmocka_unit_test(the_timeline_is_bounded_and_ends_with_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
