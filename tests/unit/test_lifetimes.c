/* The compact list gives back what was put in, whatever the values, and is as small as promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/births.h"

enum { COUNT = 200000 };

static uint64_t seed = 1;

static uint64_t random_bits(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* A number of any length. */
static uint64_t any(void) {
    return random_bits() >> (random_bits() % 64);
}

static struct wh_lifetime anything(void) {
    struct wh_lifetime life = {
        .process_id = (uint32_t)any(),
        .is_freed = random_bits() % 4 != 0,
        .is_inherited = random_bits() % 2,
        .is_of_snapshot = random_bits() % 2,
        .block = {.address = any(),
                  .size = any() & WH_LIVE_SIZE_MAX,
                  .birth_ticks = any(),
                  .number = any() >> 24,
                  .stack = (uint32_t)any(),
                  .thread = (uint32_t)any(),
                  .kind = (uint8_t)(random_bits() % WH_ALLOC_KINDS)},
    };
    if (life.block.number > 1 && random_bits() % 2)
        life.block.origin_number = life.block.number / 2;
    if (life.is_freed)
        life.death = (struct wh_death){any(), (uint32_t)any(), (uint32_t)any()};
    return life;
}

/* As programs make them: deaths in order, births a little before. */
static struct wh_lifetime usual(uint64_t i) {
    uint64_t now = (1ull << 49) + i * 40;
    return (struct wh_lifetime){
        .process_id = 1,
        .is_freed = true,
        .block = {.address = 0x7f0000000000 + (random_bits() % 65536) * 16,
                  .size = random_bits() % 300,
                  .birth_ticks = now - random_bits() % 10000,
                  .number = 1000 + i - random_bits() % 500,
                  .stack = (uint32_t)(random_bits() % 12000),
                  .thread = 3},
        .death = {now, 3, 0},
    };
}

static void same(const struct wh_lifetime *a, const struct wh_lifetime *b) {
    assert_int_equal(a->process_id, b->process_id);
    assert_int_equal(a->is_freed, b->is_freed);
    assert_int_equal(a->is_inherited, b->is_inherited);
    assert_int_equal(a->is_of_snapshot, b->is_of_snapshot);
    assert_int_equal(a->block.address, b->block.address);
    assert_int_equal(a->block.size, b->block.size);
    assert_int_equal(a->block.birth_ticks, b->block.birth_ticks);
    assert_int_equal(a->block.number, b->block.number);
    assert_int_equal(a->block.origin_number, b->block.origin_number);
    assert_int_equal(a->block.stack, b->block.stack);
    assert_int_equal(a->block.thread, b->block.thread);
    assert_int_equal(a->block.kind, b->block.kind);
    assert_int_equal(a->death.ticks, b->death.ticks);
    assert_int_equal(a->death.thread, b->death.thread);
    assert_int_equal(a->death.stack, b->death.stack);
}

static void what_comes_out_is_what_went_in(void **state) {
    (void)state;
    struct wh_lifetimes list = {0};
    struct wh_lifetime *all = calloc(COUNT, sizeof *all), life;
    assert_non_null(all);
    for (unsigned i = 0; i < COUNT; i++) {
        all[i] = i % 8 < 4 ? usual(i) : anything();
        assert_int_equal(wh_lifetimes_add(&list, &all[i]), 0);
    }
    struct wh_lifetimes_cursor c;
    wh_lifetimes_start(&list, &c);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(wh_lifetimes_take(&list, &c, &life));
        same(&life, &all[i]);
    }
    assert_false(wh_lifetimes_take(&list, &c, &life));
    wh_lifetimes_clear(&list);
    free(all);
}

static void a_usual_one_takes_few_bytes(void **state) {
    (void)state;
    struct wh_lifetimes list = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        struct wh_lifetime life = usual(i);
        assert_int_equal(wh_lifetimes_add(&list, &life), 0);
    }
    assert_in_range(wh_lifetimes_memory(&list), 1, COUNT * 20u);
    wh_lifetimes_clear(&list);
    assert_int_equal(wh_lifetimes_memory(&list), 0);
}

/* What is taken together has larger numbers than all that was taken before. */
static void births_come_list_by_list(void **state) {
    (void)state;
    const size_t most = 60000;
    struct wh_births births = {0};
    struct wh_lifetime life;
    uint64_t sum = 0, largest = 0, total = 0;
    unsigned batches = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        life = usual(i);
        life.block.number =
            random_bits() % (i % 2 ? 1 << 16 : 12 << 16); /* the first is too large */
        sum += life.block.number;
        assert_int_equal(wh_births_add(&births, &life), 0);
    }
    for (size_t count; (count = wh_births_next(&births, most)) > 0; total += count, batches++) {
        assert_true(count <= most);
        uint64_t before = largest;
        for (size_t i = 0; i < count; i++) {
            assert_true(wh_births_take(&births, &life));
            sum -= life.block.number;
            if (batches > 1)
                assert_true(life.block.number >> 16 > before >> 16);
            largest = life.block.number > largest ? life.block.number : largest;
        }
    }
    assert_int_equal(total, COUNT);
    assert_int_equal(sum, 0);
    assert_int_equal(batches, 4);
    assert_false(wh_births_take(&births, &life));
    life = usual(0);
    life.block.number = UINT64_MAX >> 24;
    assert_int_equal(wh_births_add(&births, &life), 0); /* it can be filled again */
    assert_int_equal(wh_births_next(&births, most), 1);
    wh_births_clear(&births);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(births_come_list_by_list),
        cmocka_unit_test(what_comes_out_is_what_went_in),
        cmocka_unit_test(a_usual_one_takes_few_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
