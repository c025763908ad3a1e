/* Variables have their names, types and defining files; offsets in them read as a person would
 * write the field; library containers read as what they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <link.h>

#include "analyzer/symbol/module.h"
#include "analyzer/symbol/type.h"
#include "analyzer/symbol/variable.h"

/* --- what is looked for, in this very program
 * ----------------------------------------------------- */

struct link {
    struct link *next, *prev;
};

struct message {
    int length;
    char *bytes;
};

typedef struct {
    unsigned flags : 3;
    struct message *first;
} nameless;

struct entry {
    struct entry *next;
    union {
        struct message *message;
        struct big *big;
        double number;
    };
    struct link hook;
    char key[12];
    nameless tail;
};

struct big {
    char space[4096];
};

struct flexible {
    size_t count;
    struct entry *items[];
};

static struct slices {
    struct {
        struct message **ptr;
        long len, cap;
    } messages;
    struct {
        struct message *next;
        long len;
    } numbered;
    struct {
        char *data;
        long len;
        char *name;
    } named;
} slices_of_test;

struct cache {
    int count;
    struct entry *buckets[16];
    struct entry table[4][3];
    struct flexible *rest;
    struct never_defined *opaque;
    uintptr_t coded;
    void *anything;
};

/* GLib's, by the names that its headers give them; GHashTable is opaque there too. */
typedef struct _GHashTable GHashTable;
struct _GList {
    void *data;
    struct _GList *next, *prev;
};
struct _GPtrArray {
    void **pdata;
    unsigned len;
};
static struct {
    GHashTable *table;
    struct _GList *list;
    struct _GPtrArray *array;
} glib_of_test;

static struct cache cache_of_test;
static struct link unit_list;
__thread struct entry *thread_entry;
struct message *message_keeper[3];
struct big keep_big;

static struct wh_module *self;
static uint64_t bias;

static int see_module(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size, (void)arg;
    if (!info->dlpi_name[0])
        bias = info->dlpi_addr;
    return 0;
}

static int setup(void **state) {
    (void)state;
    dl_iterate_phdr(see_module, NULL);
    self = wh_module_open("/proc/self/exe", NULL);
    return self ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    wh_module_free(self);
    return 0;
}

static uint64_t file_address(const volatile void *p) {
    return (uint64_t)(uintptr_t)p - bias;
}

static const struct wh_type *type_of_static(const volatile void *p) {
    struct wh_variable variable;
    assert_int_equal(wh_variable_at(self, file_address(p), &variable), 0);
    assert_non_null(variable.type);
    return variable.type;
}

static void expect_field(const struct wh_type *t, uint64_t block, uint64_t offset, const char *text,
                         const char *collapsed, const char *pointee) {
    struct wh_type_field field;
    assert_int_equal(wh_type_at(t, block, offset, false, NULL, &field), 0);
    assert_string_equal(field.text, text);
    assert_string_equal(field.collapsed, collapsed);
    assert_int_equal(field.is_pointer, pointee != NULL);
    if (pointee)
        assert_string_equal(field.pointee ? wh_type_name(field.pointee) : "void", pointee);
}

/* --- variables
 * ----------------------------------------------------------------------------------------- */

static void globals_and_statics_are_found_with_their_offset(void **state) {
    (void)state;
    struct wh_variable v;
    cache_of_test.count++;
    assert_int_equal(wh_variable_at(self, file_address(&cache_of_test) + 24, &v), 0);
    assert_string_equal(v.name, "cache_of_test");
    assert_int_equal(v.offset, 24);
    assert_int_equal(v.size, sizeof(struct cache));
    assert_int_equal(v.address, file_address(&cache_of_test));
    assert_non_null(strstr(v.file, "tests/unit/test_types.c"));
    assert_string_equal(wh_type_name(v.type), "struct cache");
    assert_int_equal(wh_type_size(v.type), sizeof(struct cache));
    assert_string_equal(wh_variable_section(self, v.address), ".bss");
    assert_int_equal(wh_variable_at(self, 1, &v), -1);
    assert_null(wh_variable_section(self, UINT64_MAX));
}

static void a_function_s_static_is_named_with_the_function(void **state) {
    (void)state;
    static struct message *hidden_here[2];
    struct wh_variable v;
    hidden_here[1] = NULL;
    assert_int_equal(wh_variable_at(self, file_address(&hidden_here[1]), &v), 0);
    assert_string_equal(v.name, "a_function_s_static_is_named_with_the_function()::hidden_here");
    assert_int_equal(v.offset, 8);
}

static int see_tls(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size;
    if (!info->dlpi_name[0])
        *(void **)arg = info->dlpi_tls_data;
    return 0;
}

static void thread_locals_are_found_by_their_offset_in_the_tls_image(void **state) {
    (void)state;
    char *block = NULL;
    struct wh_variable v;
    thread_entry = NULL;
    dl_iterate_phdr(see_tls, &block);
    assert_int_equal(wh_variable_tls(self, (uint64_t)((char *)&thread_entry - block), &v), 0);
    assert_string_equal(v.name, "thread_entry");
    assert_string_equal(wh_type_name(v.type), "struct entry *");
    assert_int_equal(v.offset, 0);
}

__attribute__((noinline)) static void describe_slot(void *frame, void *slot,
                                                    struct wh_variable *v) {
    uint64_t pc = (uint64_t)(uintptr_t)__builtin_return_address(0) - bias - 1;
    wh_variable_local(self, pc, (char *)slot - ((char *)frame + 16), v);
}

__attribute__((noinline, no_sanitize("address"))) static int holds_locals(struct wh_variable *v) {
    struct message *volatile local_message = NULL;
    struct cache local_cache;
    memset(&local_cache, 0, sizeof(local_cache));
    describe_slot(__builtin_frame_address(0), (void *)(uintptr_t)&local_message, &v[0]);
    describe_slot(__builtin_frame_address(0), &local_cache.rest, &v[1]);
    describe_slot(__builtin_frame_address(0), (char *)__builtin_frame_address(0) + 8,
                  &v[2]); /* return address */
    return local_message != NULL || local_cache.count;
}

static void locals_are_found_by_their_place_in_the_frame(void **state) {
    (void)state;
    struct wh_variable v[3];
    memset(v, 0, sizeof(v));
    assert_int_equal(holds_locals(v), 0);
    assert_string_equal(v[0].name, "local_message");
    assert_string_equal(v[0].function, "holds_locals");
    assert_string_equal(wh_type_name(v[0].type), "struct message *");
    assert_string_equal(v[1].name, "local_cache");
    assert_int_equal(v[1].offset, offsetof(struct cache, rest));
    assert_null(v[2].name);
    assert_string_equal(v[2].function, "holds_locals");
}

/* --- C types
 * --------------------------------------------------------------------------------------------- */

static void fields_read_as_people_write_them(void **state) {
    (void)state;
    const struct wh_type *t = type_of_static(&cache_of_test);
    expect_field(t, 0, offsetof(struct cache, buckets[3]), ".buckets[3]", ".buckets[*]",
                 "struct entry");
    expect_field(t, 0, offsetof(struct cache, table[2][1].next), ".table[2][1].next",
                 ".table[*][*].next", "struct entry");
    expect_field(t, 0, offsetof(struct cache, anything), ".anything", ".anything", "void");
    expect_field(t, 0, offsetof(struct cache, count), ".count", ".count", NULL);
    expect_field(t, 0, offsetof(struct cache, table[0][0].tail.first), ".table[0][0].tail.first",
                 ".table[*][*].tail.first", "struct message");
    expect_field(t, 0, offsetof(struct cache, table[0][0].hook.prev), ".table[0][0].hook.prev",
                 ".table[*][*].hook.prev", "struct link");
    struct wh_type_field field;
    assert_int_equal(wh_type_at(t, 0, sizeof(struct cache), false, NULL, &field), -1);
    assert_int_equal(wh_type_at(NULL, 0, 0, false, NULL, &field), -1);
    keep_big.space[0] = 1;
    unit_list.next = &unit_list;
}

static void larger_blocks_are_arrays_and_flexible_ends_take_the_rest(void **state) {
    (void)state;
    const struct wh_type *entry = wh_type_named(self, "entry"),
                         *rest = wh_type_named(self, "struct flexible");
    assert_non_null(entry);
    assert_non_null(rest);
    uint64_t size = sizeof(struct entry);
    expect_field(entry, size, 0, ".next", ".next", "struct entry");
    expect_field(entry, 5 * size, 3 * size, "[3].next", "[*].next", "struct entry");
    expect_field(entry, size + 8, 0, ".next", ".next",
                 "struct entry"); /* no multiple: not an array */
    expect_field(rest, sizeof(struct flexible) + 80, sizeof(struct flexible) + 16, ".items[2]",
                 ".items[*]", "struct entry");
    struct wh_type_field field;
    assert_int_equal(wh_type_at(entry, size, 0, true, NULL, &field), 0);
    assert_string_equal(field.text, "[0].next"); /* elements were announced */
    assert_int_equal(wh_type_at(entry, size + 8, size, false, NULL, &field), -1);
    assert_int_equal(wh_type_at(entry, size, size, false, NULL, &field), -1);
    message_keeper[0] = NULL;
    const struct wh_type *pointer = type_of_static(message_keeper);
    expect_field(pointer, 0, 8, "[1]", "[*]", "struct message");
}

static void unions_name_the_member_whose_pointee_fits(void **state) {
    (void)state;
    const struct wh_type *entry = wh_type_named(self, "entry");
    struct wh_type_field field;
    struct wh_type_want want = {.target_size = sizeof(struct big)};
    assert_int_equal(wh_type_at(entry, 0, offsetof(struct entry, message), false, &want, &field),
                     0);
    assert_string_equal(field.text, ".big");
    want.target_size = sizeof(struct message);
    assert_int_equal(wh_type_at(entry, 0, offsetof(struct entry, message), false, &want, &field),
                     0);
    assert_string_equal(field.text, ".message");
    assert_int_equal(wh_type_at(entry, 0, offsetof(struct entry, message), false, NULL, &field), 0);
    assert_string_equal(field.text, ".message");
    want = (struct wh_type_want){.target_type = wh_type_named(self, "big")};
    assert_int_equal(wh_type_at(entry, 0, offsetof(struct entry, message), false, &want, &field),
                     0);
    assert_string_equal(field.text, ".big");
}

/* { pointer, length } is what it counts; { next, id } only looks like it. */
static void slices_read_as_what_they_count(void **state) {
    (void)state;
    struct wh_type_field first, second, third;
    char path[64] = "slices";
    const struct wh_type *t = type_of_static(&slices_of_test);
    uint64_t offset = offsetof(struct slices, messages);
    assert_int_equal(wh_type_at(t, 0, offset, false, NULL, &first), 0);
    assert_true(first.is_slice && first.is_elements);
    assert_int_equal(wh_type_at(first.pointee, 16, 8, first.is_elements, NULL, &second), 0);
    wh_type_mark_element(first.pointee, &second);
    offset = offsetof(struct message, bytes);
    assert_int_equal(wh_type_at(second.pointee, 0, offset, false, NULL, &third), 0);
    wh_path_append(path, sizeof(path), NULL, &first, true);
    wh_path_append(path, sizeof(path), &first, &second, true);
    wh_path_append(path, sizeof(path), &second, &third, true);
    assert_string_equal(path, "slices.messages[*].bytes");
    offset = offsetof(struct slices, numbered);
    assert_int_equal(wh_type_at(t, 0, offset, false, NULL, &first), 0);
    assert_string_equal(first.text, ".numbered.next");
    assert_false(first.is_slice || first.is_elements);
    offset = offsetof(struct slices, named);
    assert_int_equal(wh_type_at(t, 0, offset, false, NULL, &first), 0);
    assert_string_equal(first.text, ".named.data");
}

static void paths_go_through_pointers_and_elements(void **state) {
    (void)state;
    struct wh_type_field first, second, third;
    char path[200] = "cache_of_test", grouped[200] = "cache_of_test", cut[12] = "cache";
    const struct wh_type *t = type_of_static(&cache_of_test);
    assert_int_equal(wh_type_at(t, 0, offsetof(struct cache, rest), false, NULL, &first), 0);
    assert_int_equal(
        wh_type_at(first.pointee, 8 + 8 * 8, 8 + 5 * 8, first.is_elements, NULL, &second), 0);
    assert_int_equal(wh_type_at(second.pointee, sizeof(struct entry),
                                offsetof(struct entry, message), false, NULL, &third),
                     0);
    const struct wh_type_field *steps[] = {&first, &second, &third};
    for (int i = 0; i < 3; i++) {
        wh_path_append(path, sizeof(path), i ? steps[i - 1] : NULL, steps[i], false);
        wh_path_append(grouped, sizeof(grouped), i ? steps[i - 1] : NULL, steps[i], true);
        wh_path_append(cut, sizeof(cut), i ? steps[i - 1] : NULL, steps[i], true);
    }
    assert_string_equal(path, "cache_of_test.rest->items[5]->message");
    assert_string_equal(grouped, "cache_of_test.rest->items[*]->message");
    assert_int_equal(strlen(cut), sizeof(cut) - 1);
    char strings[64] = "names";
    const struct wh_type *text = wh_type_pointee(type_of_static(message_keeper));
    assert_null(text); /* an array is no pointer */
    assert_int_equal(wh_type_at(type_of_static(message_keeper), 0, 0, false, NULL, &first), 0);
    assert_int_equal(wh_type_at(first.pointee, 16, 8, false, NULL, &second), 0);
    wh_path_append(strings, sizeof(strings), NULL, &first, true);
    wh_path_append(strings, sizeof(strings), &first, &second, true);
    assert_string_equal(strings, "names[*]->bytes");
}

/* The grouped path from glib_of_test through a block to its slot. */
static void expect_glib(uint64_t at, uint64_t block_size, uint64_t offset, const char *expected) {
    struct wh_type_field first, second;
    char path[100] = "glib";
    glib_of_test.table = NULL;
    assert_int_equal(wh_type_at(type_of_static(&glib_of_test), 0, at, false, NULL, &first), 0);
    assert_int_equal(
        wh_type_at(first.pointee, block_size, offset, first.is_elements, NULL, &second), 0);
    assert_true(second.is_pointer);
    wh_path_append(path, sizeof(path), NULL, &first, true);
    wh_path_append(path, sizeof(path), &first, &second, true);
    assert_string_equal(path, expected);
}

static void containers_of_glib_read_as_what_they_hold(void **state) {
    (void)state;
    expect_glib(0, 96, 32, "glib.table->keys");
    expect_glib(0, 96, 48, "glib.table->values");
    expect_glib(8, 24, 0, "glib.list[*]");
    expect_glib(8, 24, 8, "glib.list"); /* a link adds nothing */
    expect_glib(16, 16, 0, "glib.array");
}

static void what_cannot_point_is_known(void **state) {
    (void)state;
    const struct wh_type *t = type_of_static(&cache_of_test);
    assert_false(wh_type_may_point(t, 0, offsetof(struct cache, count)));
    assert_true(wh_type_may_point(t, 0, offsetof(struct cache, buckets)));
    assert_true(wh_type_may_point(t, 0, offsetof(struct cache, coded)));
    assert_false(wh_type_may_point(t, 0, offsetof(struct cache, table[0][0].key)));
    assert_true(wh_type_may_point(NULL, 0, 0));
}

static void container_of_is_known_where_only_one_struct_fits(void **state) {
    (void)state;
    const struct wh_type *link = wh_type_named(self, "link"), *entry = wh_type_named(self, "entry");
    assert_ptr_equal(wh_type_container(link, offsetof(struct entry, hook), sizeof(struct entry)),
                     entry);
    assert_null(wh_type_container(link, offsetof(struct entry, hook) + 8, sizeof(struct entry)));
    assert_null(wh_type_container(link, offsetof(struct entry, hook), 12345));
    const struct wh_type *same[8];
    assert_true(wh_type_of_size(self, sizeof(struct big), same, 8) >= 1);
    assert_null(wh_type_named(self, "never_defined"));
}

/* --- C++
 * ---------------------------------------------------------------------------------------------------
 */

static struct wh_module *containers;

static uint64_t symbol_address(const char *name) {
    char command[600], line[64] = "";
    snprintf(command, sizeof(command),
             "nm -C '%s/tests/programs/containers' | awk '{sub(/\\[abi:cxx11\\]/, \"\")} $3 == "
             "\"app::%s\" {print $1}'",
             WH_BINARY_DIR, name);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    char *got = fgets(line, sizeof(line), pipe);
    pclose(pipe);
    if (!got)
        fail_msg("no symbol %s", name);
    return strtoull(line, NULL, 16);
}

struct hop {
    uint64_t offset;     /* of the slot in the block at hand */
    uint64_t block_size; /* of that block; 0 = the variable */
};

/* Walks hops from a global of the program and compares the grouped path. */
static void expect_path(const char *variable, const struct hop *hops, size_t count,
                        const char *expected, const char *pointee) {
    struct wh_variable v;
    struct wh_type_field fields[8];
    char path[256];
    assert_int_equal(wh_variable_at(containers, symbol_address(variable), &v), 0);
    snprintf(path, sizeof(path), "%s", v.name);
    const struct wh_type *t = v.type;
    for (size_t i = 0; i < count; i++) {
        if (wh_type_at(t, hops[i].block_size, hops[i].offset, i && fields[i - 1].is_elements, NULL,
                       &fields[i]) != 0)
            fail_msg("%s: hop %zu does not lie in %s", path, i, t ? wh_type_name(t) : "nothing");
        wh_path_append(path, sizeof(path), i ? &fields[i - 1] : NULL, &fields[i], true);
        if (!fields[i].is_pointer)
            fail_msg("%s: no pointer at hop %zu", path, i);
        t = fields[i].pointee;
    }
    assert_string_equal(path, expected);
    assert_string_equal(t ? wh_type_name(t) : "void", pointee);
}

#define PATH(variable, expected, pointee, ...)                                                     \
    do {                                                                                           \
        static const struct hop hops[] = {__VA_ARGS__};                                            \
        expect_path(variable, hops, sizeof(hops) / sizeof(hops[0]), expected, pointee);            \
    } while (0)

static void containers_of_libstdcxx_read_as_what_they_hold(void **state) {
    (void)state;
    containers = wh_module_open(WH_BINARY_DIR "/tests/programs/containers", NULL);
    /* Payload: id 0, text 8, label 16, 48 bytes */
    PATH("values", "app::values[*].text", "char", {0, 0}, {48 + 8, 128 * 48});
    PATH("values", "app::values[*].label", "char", {0, 0}, {16, 128 * 48});
    PATH("values", "app::values", "app::Payload", {8, 0});
    PATH("pointers", "app::pointers[*]->text", "char", {0, 0}, {24, 1024}, {8, 48});
    PATH("by_id", "app::by_id[*].second.text", "char", {16, 0}, {40 + 8, 88});
    PATH("by_id", "app::by_id[*].second.label", "char", {16, 0}, {24, 88}, {40 + 16, 88});
    PATH("by_name", "app::by_name[*].second->label", "char", {16, 0}, {64, 72}, {16, 48});
    PATH("by_name", "app::by_name[*].first", "char", {16, 0}, {32, 72});
    PATH("names", "app::names[*]", "char", {16, 0}, {16, 64}, {32, 64});
    PATH("hashed", "app::hashed[*].second.text", "char", {0, 0}, {40, 13 * 8}, {16 + 8, 64});
    PATH("hashed", "app::hashed[*].second.text", "char", {16, 0}, {0, 64}, {16 + 8, 64});
    PATH("seen", "app::seen[*]->text", "char", {16, 0}, {8, 16}, {8, 48});
    PATH("listed", "app::listed[*].text", "char", {0, 0}, {0, 64}, {16 + 8, 64});
    PATH("chained", "app::chained[*].text", "char", {0, 0}, {8 + 8, 56});
    PATH("queued", "app::queued[*].text", "char", {0, 0}, {24, 64}, {8, 480});
    PATH("shared", "app::shared->text", "char", {0, 0}, {8, 48});
    PATH("unique", "app::unique->text", "char", {0, 0}, {8, 48});
    PATH("array", "app::array[*].text", "char", {0, 0}, {48 + 8, 192});
    PATH("text", "app::text", "char", {0, 0});
    PATH("derived", "app::derived.owned->label", "char", {8, 0}, {16, 48});
    PATH("derived", "app::derived.extra", "app::Payload", {16, 0});
    wh_module_free(containers);
}

static void types_of_cxx_have_short_names(void **state) {
    (void)state;
    containers = wh_module_open(WH_BINARY_DIR "/tests/programs/containers", NULL);
    struct wh_variable v;
    assert_int_equal(wh_variable_at(containers, symbol_address("by_name"), &v), 0);
    assert_string_equal(wh_type_name(v.type),
                        "std::map<std::string, std::unique_ptr<app::Payload>>");
    assert_int_equal(wh_variable_at(containers, symbol_address("values"), &v), 0);
    assert_string_equal(wh_type_name(v.type), "std::vector<app::Payload>");
    assert_non_null(strstr(v.file, "containers.cpp"));
    assert_non_null(wh_type_named(containers, "app::Payload"));
    wh_module_free(containers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globals_and_statics_are_found_with_their_offset),
        cmocka_unit_test(a_function_s_static_is_named_with_the_function),
        cmocka_unit_test(thread_locals_are_found_by_their_offset_in_the_tls_image),
        cmocka_unit_test(locals_are_found_by_their_place_in_the_frame),
        cmocka_unit_test(fields_read_as_people_write_them),
        cmocka_unit_test(larger_blocks_are_arrays_and_flexible_ends_take_the_rest),
        cmocka_unit_test(unions_name_the_member_whose_pointee_fits),
        cmocka_unit_test(slices_read_as_what_they_count),
        cmocka_unit_test(paths_go_through_pointers_and_elements),
        cmocka_unit_test(containers_of_glib_read_as_what_they_hold),
        cmocka_unit_test(what_cannot_point_is_known),
        cmocka_unit_test(container_of_is_known_where_only_one_struct_fits),
        cmocka_unit_test(containers_of_libstdcxx_read_as_what_they_hold),
        cmocka_unit_test(types_of_cxx_have_short_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
