/* The creator of a stack is its first frame outside allocators, wrappers and language runtimes, by
 * a table that users can extend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyzer/symbol/creator.h"
#include "analyzer/symbol/wrapper.h"

struct frame_name {
    const char *module, *function;
};

static const char *creator_of(const struct wh_creator_rules *rules,
                              const struct frame_name *frames) {
    unsigned char levels[32];
    size_t count = 0;
    for (; frames[count].module; count++)
        levels[count] =
            (unsigned char)wh_creator_level(rules, frames[count].module, frames[count].function);
    return frames[wh_creator_choose(levels, count)].function;
}

static struct wh_creator_rules *rules_of(const char *text) {
    struct wh_creator_rules *rules = NULL;
    struct wh_error error = {0};
    assert_int_equal(wh_creator_rules_new(text, "test", &rules, &error), 0);
    assert_non_null(rules);
    return rules;
}

static void globs_match_whole_names(void **state) {
    (void)state;
    assert_true(wh_glob_match("malloc", "malloc"));
    assert_false(wh_glob_match("malloc", "malloc2"));
    assert_false(wh_glob_match("malloc", "xmalloc"));
    assert_true(wh_glob_match("*alloc*", "xmalloc_loop"));
    assert_true(wh_glob_match("a*b*c", "a-b-b-c"));
    assert_false(wh_glob_match("a*b*c", "a-b-b-d"));
    assert_true(wh_glob_match("libc.so*", "libc.so.6"));
    assert_true(wh_glob_match("?", "x"));
    assert_false(wh_glob_match("?", ""));
    assert_true(wh_glob_match("*", ""));
}

static void each_language_names_its_user_code(void **state) {
    (void)state;
    struct wh_creator_rules *rules = rules_of(NULL);
    static const struct frame_name stacks[][8] = {
        {{"libc.so.6", "getdelim"},
         {"libc.so.6", NULL},
         {"app", "read_config"},
         {"app", "main"},
         {0}},
        {{"app", "xmalloc"}, {"app", "xstrdup"}, {"app", "read_config"}, {0}},
        {{"libstdc++.so.6", "operator new"},
         {"app", "__gnu_cxx::new_allocator<int>::allocate"},
         {"app", "std::vector<int>::_M_realloc_insert<int const&>"},
         {"app", "read_config"},
         {0}},
        {{"app", "__rust_alloc"},
         {"app", "alloc::raw_vec::finish_grow"},
         {"app", "<alloc::vec::Vec<T> as core::clone::Clone>::clone"},
         {"app", "hashbrown::raw::RawTable<T, A>::reserve_rehash"},
         {"app", "read_config"},
         {0}},
        {{"libglib-2.0.so.0", "g_malloc0"},
         {"libglib-2.0.so.0", "g_strdup_printf"},
         {"app", "read_config"},
         {0}},
        {{"python3.11", "_PyMem_RawMalloc"},
         {"python3.11", "_PyObject_Malloc"},
         {"python3.11", "_PyObject_GC_NewVar"},
         {"python3.11", "read_config"},
         {0}},
        {{"redis-server", "zmalloc_usable"},
         {"redis-server", "zcalloc"},
         {"redis-server", "read_config"},
         {0}},
        {{"libsqlite3.so.0", "sqlite3MemMalloc"},
         {"libsqlite3.so.0", "sqlite3Malloc"},
         {"libsqlite3.so.0", "read_config"},
         {0}},
        {{"whoholds-sim", "runtime_mallocgc"},
         {"whoholds-sim", "runtime_makeslice"},
         {"whoholds-sim", "read_config"},
         {0}},
    };
    for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++)
        assert_string_equal(creator_of(rules, stacks[i]), "read_config");
    wh_creator_rules_free(rules);
}

static void containers_of_the_program_stay_creators(void **state) {
    (void)state;
    struct wh_creator_rules *rules = rules_of(NULL);
    static const char *const own[] = {
        "hash_insert", "g_hash_table_new", "PyDict_New", "cache_add",     "main",
        "stdcall",     "coretemp_read",    "xml_parse",  "my::std::thing"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        assert_int_equal(wh_creator_level(rules, "app", own[i]), WH_FRAME_OWN);
    assert_int_equal(wh_creator_level(rules, "app", NULL), WH_FRAME_OWN);
    assert_int_equal(wh_creator_level(rules, NULL, NULL), WH_FRAME_OWN);
    wh_creator_rules_free(rules);
}

static void a_stack_without_user_code_is_named_by_the_runtime_not_the_allocator(void **state) {
    (void)state;
    struct wh_creator_rules *rules = rules_of(NULL);
    static const struct frame_name loader[] = {{"ld-linux-x86-64.so.2", "malloc"},
                                               {"ld-linux-x86-64.so.2", "_dl_new_object"},
                                               {"ld-linux-x86-64.so.2", "_start"},
                                               {0}};
    assert_string_equal(creator_of(rules, loader), "_dl_new_object");
    static const struct frame_name bare[] = {{"app", "xmalloc"}, {0}};
    assert_string_equal(creator_of(rules, bare), "xmalloc");
    wh_creator_rules_free(rules);
}

static void users_add_patterns_and_take_them_back(void **state) {
    (void)state;
    struct wh_creator_rules *rules = rules_of("# ours\n"
                                              "  arena_take   # the arena\n"
                                              "libfoo.so*!*\n"
                                              "-xmalloc\n"
                                              "\r\n");
    assert_int_equal(wh_creator_level(rules, "app", "arena_take"), WH_FRAME_ALLOCATOR);
    assert_int_equal(wh_creator_level(rules, "libfoo.so.1", NULL), WH_FRAME_ALLOCATOR);
    assert_int_equal(wh_creator_level(rules, "libfoo.so.1", "anything"), WH_FRAME_ALLOCATOR);
    assert_int_equal(wh_creator_level(rules, "app", "xmalloc"), WH_FRAME_OWN);
    assert_int_equal(wh_creator_level(rules, "app", "xmalloc_set"), WH_FRAME_ALLOCATOR);
    wh_creator_rules_free(rules);
}

static void functions_without_a_symbol_are_skipped_by_users_only(void **state) {
    (void)state;
    struct wh_creator_rules *rules = rules_of("libfoo.so.1+0x4a0\n");
    assert_int_equal(wh_creator_level(rules, "xmalloc_test", "xmalloc_test+0x1139"), WH_FRAME_OWN);
    assert_int_equal(wh_creator_level(rules, "xmalloc_test", "xmalloc_test"), WH_FRAME_ALLOCATOR);
    assert_int_equal(wh_creator_level(rules, "libc.so.6", "libc.so.6+0x10"), WH_FRAME_RUNTIME);
    assert_int_equal(wh_creator_level(rules, "libfoo.so.1", "libfoo.so.1+0x4a0"),
                     WH_FRAME_ALLOCATOR);
    assert_int_equal(wh_creator_level(rules, "libfoo.so.1", "libfoo.so.1+0x4b0"), WH_FRAME_OWN);
    wh_creator_rules_free(rules);
}

static const char callers[16][4] = {"c0", "c1", "c2",  "c3",  "c4",  "c5",  "c6",  "c7",
                                    "c8", "c9", "c10", "c11", "c12", "c13", "c14", "c15"};
static const char wrapper[] = "w", inner[] = "i", creator[] = "k", other[] = "o";

/* Shows `count` stacks leaf <- [middle] <- a different caller each <- other. */
static void see(struct wh_wrappers *w, const char *leaf, bool is_candidate, const char *middle,
                size_t count, unsigned char below) {
    for (size_t i = 0; i < count; i++) {
        struct wh_wrapper_frame frames[5];
        size_t n = 0;
        frames[n++] = (struct wh_wrapper_frame){"malloc", "libc", false, below};
        frames[n++] = (struct wh_wrapper_frame){leaf, "app", is_candidate, WH_FRAME_OWN};
        if (middle)
            frames[n++] = (struct wh_wrapper_frame){middle, "app", true, WH_FRAME_OWN};
        frames[n++] = (struct wh_wrapper_frame){callers[i], "app", false, WH_FRAME_OWN};
        frames[n++] = (struct wh_wrapper_frame){other, "app", false, WH_FRAME_OWN};
        assert_true(wh_wrappers_see(w, frames, n));
    }
}

/* The names found, at most one expected here; NULL = none. */
static const char *found(struct wh_wrappers *w) {
    size_t at = 0;
    const char *name = wh_wrappers_next(w, &at);
    if (name)
        assert_null(wh_wrappers_next(w, &at));
    wh_wrappers_free(w);
    return name;
}

static void short_nameless_functions_that_many_call_are_wrappers(void **state) {
    (void)state;
    struct wh_wrappers *w = wh_wrappers_new();
    see(w, wrapper, true, NULL, 8, WH_FRAME_ALLOCATOR);
    see(w, creator, true, NULL, 7, WH_FRAME_ALLOCATOR);
    assert_ptr_equal(found(w), wrapper);
    w = wh_wrappers_new(); /* all of the module's memory comes through one function of few callers
                            */
    see(w, wrapper, true, inner, 8, WH_FRAME_ALLOCATOR);
    assert_ptr_equal(found(w), wrapper);
}

static void functions_that_decide_something_are_no_wrappers(void **state) {
    (void)state;
    struct wh_wrappers *w = wh_wrappers_new();
    see(w, wrapper, false, NULL, 16, WH_FRAME_ALLOCATOR); /* named or long */
    assert_null(found(w));
    w = wh_wrappers_new();
    see(w, wrapper, true, NULL, 16, WH_FRAME_RUNTIME); /* it opens files, it does not allocate */
    assert_null(found(w));
    w = wh_wrappers_new();
    see(w, creator, true, NULL, 16, WH_FRAME_ALLOCATOR);
    see(w, inner, false, creator, 2, WH_FRAME_ALLOCATOR); /* and calls others that do */
    assert_null(found(w));
    w = wh_wrappers_new();
    see(w, wrapper, true, NULL, 6, WH_FRAME_ALLOCATOR); /* few callers */
    assert_null(found(w));
    w = wh_wrappers_new();
    see(w, wrapper, true, wrapper, 16, WH_FRAME_ALLOCATOR); /* recursion */
    assert_null(found(w));
}

static void a_wrong_line_is_named(void **state) {
    (void)state;
    struct wh_creator_rules *rules = NULL;
    struct wh_error error = {0};
    assert_int_equal(wh_creator_rules_new("good\nlibfoo.so!\n", "skip.txt", &rules, &error),
                     WH_EUSAGE);
    assert_null(rules);
    assert_non_null(strstr(error.text, "'skip.txt', line 2"));
    assert_int_equal(wh_creator_rules_new("-\n", "skip.txt", &rules, &error), WH_EUSAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_match_whole_names),
        cmocka_unit_test(each_language_names_its_user_code),
        cmocka_unit_test(containers_of_the_program_stay_creators),
        cmocka_unit_test(a_stack_without_user_code_is_named_by_the_runtime_not_the_allocator),
        cmocka_unit_test(users_add_patterns_and_take_them_back),
        cmocka_unit_test(functions_without_a_symbol_are_skipped_by_users_only),
        cmocka_unit_test(short_nameless_functions_that_many_call_are_wrappers),
        cmocka_unit_test(functions_that_decide_something_are_no_wrappers),
        cmocka_unit_test(a_wrong_line_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
