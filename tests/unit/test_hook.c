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

static size_t count_kind(const struct hook_run *run, uint32_t uid, uint8_t kind) {
    size_t n = 0;
    for (size_t i = 0; i < run->count; i++)
        n += run->events[i].uid == uid && run->events[i].e.kind == kind;
    return n;
}

/* t_tree makes its processes by fork, _Fork, vfork, posix_spawn and exec, one with no environment.
 */
static void every_process_of_a_tree_has_its_own_row(void **state) {
    (void)state;
    struct hook_run run;
    char log[] = "/tmp/wh-test-tree-XXXXXX";
    close(mkstemp(log));
    char *const argv[] = {PROGRAM("t_tree"), log, NULL};
    assert_true(hook_run(&run, hook_options(), argv));
    unlink(log);
    assert_int_equal(run.status, 0);
    /* seven pids; the root and the one without environment have an image before and after exec */
    assert_int_equal(run.processes, 9);
    uint32_t images = 0, children = 0;
    for (uint32_t uid = 1; uid <= run.processes; uid++) {
        size_t first = 0;
        while (run.events[first].uid != uid)
            first++;
        const struct wh_event *e = &run.events[first].e;
        images += e->kind == WH_EV_IMAGE;
        children += e->kind == WH_EV_FORK && e->detail == 2 && e->number && e->number2;
        assert_true(run.slots[uid - 1].lost_events == 0);
    }
    assert_int_equal(images, 5);
    assert_int_equal(children, 4);
    hook_release(&run);
}

static void no_children_means_the_first_image_and_its_execs(void **state) {
    (void)state;
    struct hook_run run;
    char log[] = "/tmp/wh-test-tree-XXXXXX";
    close(mkstemp(log));
    char *const argv[] = {PROGRAM("t_tree"), log, NULL};
    struct wh_session_options options = hook_options();
    options.flags |= WH_SESSION_NO_CHILDREN;
    assert_true(hook_run(&run, options, argv));
    unlink(log);
    assert_int_equal(run.status, 0);
    assert_int_equal(run.processes, 2);
    assert_true(run.slots[0].pid == run.slots[1].pid);
    hook_release(&run);
}

/* A handler that interrupts the encoder writes into a stream of its own. */
static void a_signal_in_the_middle_of_a_hook_loses_nothing(void **state) {
    (void)state;
    struct hook_run run;
    char *const argv[] = {PROGRAM("t_signals"), NULL};
    assert_true(hook_run(&run, hook_options(), argv));
    assert_int_equal(run.status, 0);
    assert_true(run.slots[0].lost_events == 0);
    assert_true(count_kind(&run, 1, WH_EV_ALLOC) >= 20000);
    hook_release(&run);
}

/* t_stacks: coroutines, longjmp, alloca, alternate stacks; 20000 frames keep both ends. */
static void hard_stacks_are_walked_to_their_ends(void **state) {
    (void)state;
    struct hook_run run;
    char *const argv[] = {PROGRAM("t_stacks"), NULL};
    struct wh_session_options options = hook_options();
    options.flags |= WH_SESSION_VERIFY_UNWIND;
    options.depth_max = 64;
    assert_true(hook_run(&run, options, argv));
    assert_int_equal(run.status, 0);
    assert_true(run.slots[0].unwind_mismatch == 0);
    assert_true(run.slots[0].stack_unresolved == 0);
    assert_true(run.slots[0].stack_truncated >= 1);
    /* the bottom of the recursion: 32 frames, the mark, 32 frames */
    for (size_t i = 0; i < run.count; i++) {
        const struct wh_event *e = &run.events[i].e;
        if (e->kind != WH_EV_ALLOC || e->size != 64)
            continue;
        uint32_t depth = 0, mark = 0;
        for (uint32_t node = e->stack; node;) {
            const struct wh_event *n = find_node(&run, 1, node);
            assert_non_null(n);
            depth++;
            if (n->ip == 0)
                mark = depth;
            node = n->parent;
        }
        assert_int_equal(mark, 33);
        assert_in_range(depth, 64,
                        65); /* main is called through our own frame, which is left out */
        break;
    }
    hook_release(&run);
}

/* Two libraries in turn at the same address: their blocks have different stacks. */
static void code_that_replaces_code_gets_its_own_stacks(void **state) {
    (void)state;
    struct hook_run run;
    char *const argv[] = {PROGRAM("t_dl"), WH_BINARY_DIR "/tests/programs", NULL};
    assert_true(hook_run(&run, hook_options(), argv));
    assert_int_equal(run.status, 0);
    size_t loads = 0, unloads = 0;
    for (size_t i = 0; i < run.count; i++) {
        const struct wh_event *e = &run.events[i].e;
        if (e->kind != WH_EV_MODULE)
            continue;
        loads += e->detail == 0 && e->text_bytes > 9 &&
                 memmem(e->text, e->text_bytes, "libplugin_", 10) != NULL;
        unloads += e->detail == 1;
    }
    assert_int_equal(loads, 100);
    assert_int_equal(unloads, 100);
    uint32_t last = 0, changes = 0;
    for (size_t i = 0; i < run.count; i++) {
        const struct wh_event *e = &run.events[i].e;
        if (e->kind == WH_EV_ALLOC && e->size == 123 && e->stack != last) {
            last = e->stack;
            changes++;
        }
    }
    assert_true(changes >= 100);
    hook_release(&run);
}

/* Nothing but the table's names, the annotations and main's wrapper can be seen of the library. */
static void only_the_interposed_names_are_visible(void **state) {
    (void)state;
    FILE *names = popen("nm -D --defined-only " WH_BINARY_DIR "/lib/libwhoholds.so", "r");
    char line[256];
    unsigned n = 0;
    assert_non_null(names);
    while (fgets(line, sizeof line, names)) {
        const char *name = strrchr(line, ' ') + 1;
        assert_true(strncmp(name, "wh_", 3) != 0);
        assert_true(strncmp(name, "unw_", 4) != 0 && strncmp(name, "_Unwind", 7) != 0);
        n++;
    }
    assert_int_equal(pclose(names), 0);
    assert_in_range(n, 50, 90);
}

/* With no room and overflow = drop, every event is either there or counted. */
static void what_does_not_fit_is_counted(void **state) {
    (void)state;
    struct hook_run small;
    char *const argv[] = {PROGRAM("t_signals"), NULL};
    struct wh_session_options options = hook_options();
    options.overflow = WH_OVERFLOW_DROP;
    options.blocks_first = options.blocks_limit = 2;
    assert_true(hook_run(&small, options, argv));
    assert_int_equal(small.status, 0);
    assert_true(small.slots[0].lost_events > 0);
    size_t kept = count_kind(&small, 1, WH_EV_ALLOC) + count_kind(&small, 1, WH_EV_FREE) +
                  count_kind(&small, 1, WH_EV_REALLOC);
    assert_true(kept + small.slots[0].lost_events >= 39900);
    hook_release(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_point_is_recorded_with_its_caller),
        cmocka_unit_test(the_fast_walk_agrees_with_libunwind),
        cmocka_unit_test(every_process_of_a_tree_has_its_own_row),
        cmocka_unit_test(no_children_means_the_first_image_and_its_execs),
        cmocka_unit_test(a_signal_in_the_middle_of_a_hook_loses_nothing),
        cmocka_unit_test(hard_stacks_are_walked_to_their_ends),
        cmocka_unit_test(code_that_replaces_code_gets_its_own_stacks),
        cmocka_unit_test(only_the_interposed_names_are_visible),
        cmocka_unit_test(what_does_not_fit_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
