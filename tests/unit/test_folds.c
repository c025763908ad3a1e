/* Every lifetime that is added is in exactly one sum, under its own key, whatever the number of
 * keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/folds.h"

enum { STACKS = 700, CLASSES = 5, CONTEXTS = 150, ROUNDS = 3 };

static struct wh_fold_context context_of(uint32_t i) {
    return (struct wh_fold_context){1 + i % 2, 10 + i % 3, i % 5, i / 30};
}

static void add(struct wh_folds *f, uint32_t context, uint32_t stack, unsigned class,
                unsigned how) {
    const struct wh_fold_context c = context_of(context);
    int64_t number = wh_folds_context(f, &c);
    assert_true(number >= 0);
    struct wh_fold one = {.bytes = stack,
                          .lifetime_ns = class,
                          .stack = stack,
                          .objects = 1,
                          .context = (uint32_t)number,
                          .size_log2 = (uint8_t) class,
                          .how = (uint8_t)how};
    assert_int_equal(wh_folds_add(f, &one), 0);
}

static unsigned how_of(unsigned stack) {
    return stack % 7 ? WH_FOLD_OWN : stack % 2 ? WH_FOLD_PEAK : WH_FOLD_OWN | WH_FOLD_PEAK;
}

static void fill(struct wh_folds *f) {
    for (unsigned round = 0; round < ROUNDS; round++)
        for (uint32_t context = 0; context < CONTEXTS; context++)
            for (uint32_t stack = 0; stack < STACKS; stack++)
                add(f, context, stack, stack % CLASSES, how_of(stack));
    assert_int_equal(wh_folds_settle(f), 0);
}

static void check(const struct wh_folds *f) {
    unsigned char *seen = calloc(CONTEXTS, STACKS);
    assert_non_null(seen);
    assert_int_equal(f->count, CONTEXTS * STACKS);
    assert_int_equal(f->context_count, CONTEXTS);
    for (size_t i = 0; i < f->capacity; i++) {
        const struct wh_fold *s = &f->slots[i];
        if (!s->how)
            continue;
        const struct wh_fold_context *c = &f->contexts[s->context];
        uint32_t context = 0;
        for (; context < CONTEXTS; context++) {
            const struct wh_fold_context other = context_of(context);
            if (memcmp(&other, c, sizeof other) == 0)
                break;
        }
        assert_in_range(context, 0, CONTEXTS - 1);
        assert_int_equal(seen[context * STACKS + s->stack]++, 0);
        assert_int_equal(s->objects, ROUNDS);
        assert_int_equal(s->bytes, ROUNDS * s->stack);
        assert_int_equal(s->lifetime_ns, ROUNDS * (s->stack % CLASSES));
        assert_int_equal(s->size_log2, s->stack % CLASSES);
        assert_int_equal(s->how, how_of(s->stack));
    }
    free(seen);
}

static void every_key_has_its_sum(void **state) {
    (void)state;
    struct wh_folds f = {0};
    fill(&f);
    check(&f);
    assert_int_equal(wh_folds_remove(&f, UINT64_MAX), 0);
    assert_int_equal(f.count, 0);
    fill(&f); /* nothing of before is left */
    check(&f);
    wh_folds_release(&f);
}

/* What is removed by second and added again is where it was, beside what stayed. */
static void old_seconds_are_removed(void **state) {
    (void)state;
    const uint32_t before = 3, first_left = 30 * before;
    struct wh_folds f = {0};
    size_t older;
    fill(&f);
    assert_int_equal(wh_folds_newest(&f, &older), (CONTEXTS - 1) / 30);
    assert_int_equal(older, (CONTEXTS - 30) * STACKS);
    assert_int_equal(wh_folds_remove(&f, before), 0);
    assert_int_equal(f.count, (CONTEXTS - first_left) * STACKS);
    assert_int_equal(f.context_count, CONTEXTS - first_left);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (uint32_t context = 0; context < first_left; context++)
            for (uint32_t stack = 0; stack < STACKS; stack++)
                add(&f, context, stack, stack % CLASSES, how_of(stack));
    assert_int_equal(wh_folds_settle(&f), 0);
    check(&f);
    wh_folds_release(&f);
}

static void one_stack_counted_in_three_ways(void **state) {
    (void)state;
    struct wh_folds f = {0};
    for (unsigned how = 1; how <= 3; how++)
        for (unsigned n = 0; n < 10 * how; n++)
            add(&f, 0, 5, 3, how);
    assert_int_equal(wh_folds_settle(&f), 0);
    assert_int_equal(f.count, 3);
    for (size_t i = 0; i < f.capacity; i++)
        if (f.slots[i].how)
            assert_int_equal(f.slots[i].objects, 10 * f.slots[i].how);
    wh_folds_release(&f);
}

static void size_classes(void **state) {
    (void)state;
    assert_int_equal(wh_size_log2(0), 255);
    assert_int_equal(wh_size_log2(1), 0);
    assert_int_equal(wh_size_log2(4096), 12);
    assert_int_equal(wh_size_log2(4097), 13);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_its_sum),
        cmocka_unit_test(old_seconds_are_removed),
        cmocka_unit_test(one_stack_counted_in_three_ways),
        cmocka_unit_test(size_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
