/* Annotated pools: the last taker is known, an idle block is known as idle, a freed one is
 * forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/pool.h"

static struct wh_event taken(uint64_t address, uint32_t stack, const char *pool) {
    return (struct wh_event){.kind = WH_EV_POOL,
                             .address = address,
                             .stack = stack,
                             .text = pool,
                             .text_bytes = (uint32_t)strlen(pool)};
}

static void the_last_taker_is_kept_and_release_makes_idle(void **state) {
    (void)state;
    struct wh_pools p = {0};
    struct wh_event e = taken(64, 7, "mcache");
    assert_int_equal(wh_pools_event(&p, &e), 0);
    e = taken(64, 9, "mcache");
    assert_int_equal(wh_pools_event(&p, &e), 0);
    const struct wh_pooled *b = wh_pools_find(&p, 64);
    assert_non_null(b);
    assert_int_equal(b->acquirer_stack, 9);
    assert_int_equal(b->acquisitions, 2);
    assert_false(b->is_idle);
    assert_string_equal(p.names[b->pool], "mcache");
    e = (struct wh_event){.kind = WH_EV_POOL, .detail = 1, .address = 64, .ticks = 5};
    assert_int_equal(wh_pools_event(&p, &e), 0);
    assert_true(wh_pools_find(&p, 64)->is_idle);
    assert_null(wh_pools_find(&p, 128));
    wh_pools_release(&p);
}

static void freed_blocks_are_forgotten_whatever_the_order(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    struct wh_pools p = {0}, copy;
    static unsigned char live[COUNT];
    unsigned seed = 12345;
    for (unsigned i = 0; i < COUNT; i++) {
        struct wh_event e = taken(16 * (i + 1), i + 1, i % 2 ? "a" : "b");
        assert_int_equal(wh_pools_event(&p, &e), 0);
        live[i] = 1;
    }
    assert_int_equal(wh_pools_clone(&p, &copy), 0);
    for (unsigned n = 0; n < COUNT * 3; n++) {
        seed = seed * 1103515245u + 12345u;
        unsigned i = (seed >> 8) % COUNT;
        struct wh_event e = {.kind = n % 3 ? WH_EV_FREE : WH_EV_REALLOC,
                             .address = n % 3 ? 16 * (i + 1) : 0,
                             .old_address = 16 * (i + 1)};
        assert_int_equal(wh_pools_event(&p, &e), 0);
        live[i] = 0;
    }
    size_t alive = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        const struct wh_pooled *b = wh_pools_find(&p, 16 * (i + 1));
        assert_int_equal(b != NULL, live[i]);
        if (b)
            assert_int_equal(b->acquirer_stack, i + 1);
        alive += live[i];
        assert_non_null(wh_pools_find(&copy, 16 * (i + 1)));
    }
    assert_int_equal(p.count, alive);
    wh_pools_release(&p);
    wh_pools_release(&copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_taker_is_kept_and_release_makes_idle),
        cmocka_unit_test(freed_blocks_are_forgotten_whatever_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
