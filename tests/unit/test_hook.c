/* The library in a real target, read straight from the session's blocks: what the programs under
 * tests/programs say they did is what the events say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hook_session.h"

#define PROGRAM(name) WH_BINARY_DIR "/tests/programs/" name

static const struct wh_event *find_node(const struct hook_run *run, uint32_t uid, uint32_t node) {
    for (size_t i = 0; i < run->count; i++)
        if (run->events[i].uid == uid && run->events[i].e.kind == WH_EV_NODE &&
            run->events[i].e.node == node)
            return &run->events[i].e;
    return NULL;
}

/* The module that maps `address`, by the events. */
static const struct wh_event *find_module(const struct hook_run *run, uint64_t address) {
    const struct wh_event *found = NULL;
    for (size_t i = 0; i < run->count; i++) {
        const struct wh_event *e = &run->events[i].e;
        if (e->kind == WH_EV_MODULE && e->detail == 0 && address - e->address < e->size)
            found = e;
    }
    return found;
}

static int text_is(const struct wh_event *e, const char *text) {
    return e->text_bytes == strlen(text) && memcmp(e->text, text, e->text_bytes) == 0;
}

/* basic prints "address size live|freed" for each block it keeps. */
static void every_entry_point_is_recorded_with_its_caller(void **state) {
    (void)state;
    struct hook_run run;
    char *const argv[] = {PROGRAM("basic"), NULL};
    assert_true(hook_run(&run, hook_options(), argv));
    assert_int_equal(run.status, 0);
    assert_true(run.slots[0].lost_events == 0 && run.slots[0].stack_unresolved == 0);
    char *save = NULL;
    int lines = 0;
    for (char *line = strtok_r(run.output, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        unsigned long address, size;
        char word[8];
        assert_int_equal(sscanf(line, "%lx %lu %7s", &address, &size, word), 3);
        const struct wh_event *made = NULL;
        int live = 0;
        for (size_t i = 0; i < run.count; i++) {
            const struct wh_event *e = &run.events[i].e;
            if (e->kind == WH_EV_ALLOC || e->kind == WH_EV_REALLOC) {
                if (e->address == address)
                    made = e, live = 1;
            } else if (e->kind == WH_EV_FREE && e->address == address)
                live = 0;
        }
        assert_non_null(made);
        assert_true(made->size == size);
        assert_int_equal(live, strcmp(word, "live") == 0);
        const struct wh_event *leaf = find_node(&run, 1, made->stack);
        assert_non_null(leaf);
        const struct wh_event *module = find_module(&run, leaf->ip - 1);
        assert_non_null(module);
        assert_true(text_is(module, PROGRAM("basic")));
        lines++;
    }
    assert_int_equal(lines, 9);
    hook_release(&run);
}

/* Fast walks against libunwind's, event by event. */
static void the_fast_walk_agrees_with_libunwind(void **state) {
    (void)state;
    static char *const programs[][3] = {{PROGRAM("basic")},
                                        {PROGRAM("t_libc")},
                                        {PROGRAM("t_early_late")},
                                        {"/bin/sh", "-c", "ls /"}};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        struct hook_run run;
        char *const argv[] = {programs[i][0], programs[i][1], programs[i][2], NULL};
        struct wh_session_options options = hook_options();
        options.flags |= WH_SESSION_VERIFY_UNWIND;
        assert_true(hook_run(&run, options, argv));
        for (uint32_t p = 0; p < run.processes; p++) {
            assert_true(run.slots[p].unwind_mismatch == 0);
            assert_true(run.slots[p].lost_events == 0);
        }
        hook_release(&run);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_point_is_recorded_with_its_caller),
        cmocka_unit_test(the_fast_walk_agrees_with_libunwind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
