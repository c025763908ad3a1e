/* The live table: every block found again, whatever the addresses look like; clones stay apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "trace/live.h"

static struct wh_live block(uint64_t address, uint64_t number) {
    return (struct wh_live){.address = address,
                            .size = number * 3,
                            .birth_ticks = number << 8,
                            .number = number,
                            .origin_number = number > 5 ? number - 5 : 0,
                            .stack = (uint32_t)number * 7,
                            .thread = (uint32_t)(number & 0xffffff),
                            .kind = (uint8_t)(number % 7)};
}

static void check(const struct wh_live_table *t, uint64_t address, uint64_t number) {
    struct wh_live b, want = block(address, number);
    assert_true(wh_live_find(t, address, &b));
    assert_int_equal(b.address, want.address);
    assert_int_equal(b.size, want.size);
    assert_int_equal(b.birth_ticks, want.birth_ticks);
    assert_int_equal(b.number, want.number);
    assert_int_equal(b.origin_number, want.origin_number);
    assert_int_equal(b.stack, want.stack);
    assert_int_equal(b.thread, want.thread);
    assert_int_equal(b.kind, want.kind);
}

static struct wh_live old;

/* Page-strided, arena-strided and power-of-two addresses all spread. */
static void every_block_is_found_again(void **state) {
    (void)state;
    static const uint64_t strides[] = {16, 4096, 65536, 1ull << 26, 1ull << 32};
    for (size_t s = 0; s < sizeof strides / sizeof *strides; s++) {
        struct wh_live_table t;
        uint64_t count = s == 4 ? 16384 : 50000;
        assert_int_equal(wh_live_init(&t), 0);
        for (uint64_t i = 1; i <= count; i++) {
            struct wh_live b = block(i * strides[s], i);
            assert_int_equal(wh_live_put(&t, &b, &old), 0);
        }
        assert_int_equal(t.count, count);
        for (uint64_t i = 1; i <= count; i++)
            check(&t, i * strides[s], i);
        assert_true(wh_live_memory(&t) < count * 64 + 100000);
        for (uint64_t i = 1; i <= count; i += 2) {
            struct wh_live b;
            assert_true(wh_live_take(&t, i * strides[s], &b));
            assert_int_equal(b.number, i);
            assert_false(wh_live_take(&t, i * strides[s], &b));
        }
        for (uint64_t i = 2; i <= count; i += 2)
            check(&t, i * strides[s], i);
        wh_live_release(&t);
    }
}

static void clones_do_not_see_each_other(void **state) {
    (void)state;
    struct wh_live_table parent, child, grandchild;
    struct wh_live b;
    assert_int_equal(wh_live_init(&parent), 0);
    for (uint64_t i = 1; i <= 10000; i++) {
        b = block(i * 16, i);
        assert_int_equal(wh_live_put(&parent, &b, &old), 0);
    }
    assert_int_equal(wh_live_clone(&parent, &child), 0);
    for (uint64_t i = 1; i <= 5000; i++)
        assert_true(wh_live_take(&parent, i * 16, &b));
    for (uint64_t i = 10001; i <= 30000; i++) {
        b = block(i * 16, i);
        assert_int_equal(wh_live_put(&child, &b, &old), 0);
    }
    assert_int_equal(wh_live_clone(&child, &grandchild), 0);
    wh_live_release(&child);
    for (uint64_t i = 1; i <= 30000; i++)
        check(&grandchild, i * 16, i);
    for (uint64_t i = 5001; i <= 10000; i++)
        check(&parent, i * 16, i);
    assert_int_equal(parent.count, 5000);
    assert_false(wh_live_find(&parent, 16, &b));
    assert_false(wh_live_find(&parent, 10001 * 16, &b));
    wh_live_release(&parent);
    check(&grandchild, 16, 1);
    wh_live_release(&grandchild);
}

static void count_one(void *arg, const struct wh_live *b) {
    uint64_t *sum = arg;
    *sum += b->number;
}

static void each_visits_every_block_once(void **state) {
    (void)state;
    struct wh_live_table t;
    uint64_t sum = 0;
    assert_int_equal(wh_live_init(&t), 0);
    for (uint64_t i = 1; i <= 12345; i++) {
        struct wh_live b = block(i * 48, i);
        assert_int_equal(wh_live_put(&t, &b, &old), 0);
    }
    wh_live_each(&t, count_one, &sum);
    assert_int_equal(sum, 12345ull * 12346 / 2);
    wh_live_release(&t);
}

/* Random puts and takes against a plain array. */
static void agrees_with_a_plain_array(void **state) {
    (void)state;
    enum { SLOTS = 4096 };
    static uint64_t number[SLOTS];
    struct wh_live_table t;
    uint64_t count = 0, next = 0, seed = 12345;
    assert_int_equal(wh_live_init(&t), 0);
    for (int step = 0; step < 400000; step++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        size_t slot = (seed >> 33) % SLOTS;
        uint64_t address = 0x7f0000000000ull + slot * 32;
        struct wh_live b;
        if (number[slot] && seed >> 62 == 0) { /* given out again though nobody freed it */
            b = block(address, ++next);
            assert_int_equal(wh_live_put(&t, &b, &old), 1);
            assert_int_equal(old.number, number[slot]);
            assert_int_equal(old.address, address);
            number[slot] = next;
        } else if (number[slot]) {
            assert_true(wh_live_take(&t, address, &b));
            assert_int_equal(b.number, number[slot]);
            number[slot] = 0;
            count--;
        } else {
            b = block(address, ++next);
            assert_int_equal(wh_live_put(&t, &b, &old), 0);
            number[slot] = next;
            count++;
        }
    }
    assert_int_equal(t.count, count);
    wh_live_release(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_is_found_again),
        cmocka_unit_test(clones_do_not_see_each_other),
        cmocka_unit_test(each_visits_every_block_once),
        cmocka_unit_test(agrees_with_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
