/* Addresses get the names, lines and inlined calls that the files of this machine give them; a file
 * that is gone, replaced or broken is said and costs names, never a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/symbol/symbol.h"
#include "schema/store.h"

static char dir[] = "/tmp/whoholds-symbol-XXXXXX";
static uint64_t self_bias, libc_bias;
static char libc_path[512];

static int see_module(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size, (void)arg;
    if (!info->dlpi_name[0])
        self_bias = info->dlpi_addr;
    if (strstr(info->dlpi_name, "/libc.so")) {
        libc_bias = info->dlpi_addr;
        snprintf(libc_path, sizeof(libc_path), "%s", info->dlpi_name);
    }
    return 0;
}

static int setup(void **state) {
    (void)state;
    dl_iterate_phdr(see_module, NULL);
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    char journal[128];
    snprintf(journal, sizeof(journal), "%s/trace.db-journal", dir);
    unlink(journal);
    return rmdir(dir);
}

/* --- code to be found: a call from an inlined function inside a real one
 * -------------------------- */

static uint64_t seen_return;
static int inlined_line, outer_line;

__attribute__((noinline)) static void leaf(void) {
    seen_return = (uint64_t)(uintptr_t)__builtin_return_address(0);
}

__attribute__((always_inline)) static inline void inlined_middle(volatile int *n) {
    inlined_line = __LINE__ + 1;
    leaf();
    ++*n;
}

__attribute__((noinline)) static int outer(void) {
    volatile int n = 0;
    outer_line = __LINE__ + 1;
    inlined_middle(&n);
    return n;
}

static void inlined_calls_are_frames_with_their_lines(void **state) {
    (void)state;
    assert_int_equal(outer(), 1);
    struct wh_module *m = wh_module_open("/proc/self/exe", NULL);
    assert_non_null(m);
    struct wh_code codes[WH_CODE_MAX];
    for (int round = 0; round < 2; round++) { /* the second answer comes from the cache */
        size_t count = wh_module_code(m, seen_return - 1 - self_bias, codes, WH_CODE_MAX);
        assert_int_equal(count, 2);
        assert_string_equal(codes[0].function, "inlined_middle");
        assert_true(codes[0].inlined);
        assert_int_equal(codes[0].line, inlined_line);
        assert_non_null(strstr(codes[0].file, "tests/unit/test_symbol.c"));
        assert_string_equal(codes[1].function, "outer");
        assert_false(codes[1].inlined);
        assert_int_equal(codes[1].line, outer_line);
        assert_ptr_equal(codes[0].file, codes[1].file);
    }
    assert_int_equal(wh_module_code(m, seen_return - 1 - self_bias, codes, 1), 1);
    assert_string_equal(codes[0].function, "outer"); /* no room: the function itself stays */
    assert_null(wh_module_problem(m));
    wh_module_free(m);
}

static void names_are_for_people(void **state) {
    (void)state;
    struct wh_module *m = wh_module_open("", NULL);
    static const char *const names[][2] = {
        {"plain", "plain"},
        {"work.cold", "work"},
        {"work.part.0.constprop.3", "work"},
        {"state.lto_priv.1", "state"},
        {"_Znwm", "operator new"},
        {"_ZN2ns5Thing3addEi", "ns::Thing::add"},
        {"_ZN2ns5Thing3addEi.cold", "ns::Thing::add"},
        {"_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int>::push_back"},
        {"_ZN5Table3addENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", "Table::add"},
        {"_ZNSt6vectorINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEESaIS5_EE7reserveEm",
         "std::vector<std::string>::reserve"},
        {"_ZN12_GLOBAL__N_14workEv", "{anonymous}::work"},
        {"_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"},
        {"_RNvCs1234_7mycrate3foo", "mycrate::foo"},
        {"getline@@GLIBC_2.2.5", "getline"},
        {"_Z", "_Z"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_string_equal(wh_module_pretty(m, names[i][0]), names[i][1]);
    assert_string_equal(wh_module_pretty(m, "esc\x1b[2J"), "esc?[2J"); /* cannot drive a terminal */
    wh_module_free(m);
}

static void exported_functions_are_named_without_debug_information(void **state) {
    (void)state;
    struct wh_module *m = wh_module_open(libc_path, NULL);
    struct wh_code codes[WH_CODE_MAX];
    size_t count =
        wh_module_code(m, (uint64_t)(uintptr_t)&getsubopt - libc_bias + 1, codes, WH_CODE_MAX);
    assert_true(count >= 1);
    assert_string_equal(codes[count - 1].function, "getsubopt");
    wh_module_free(m);
}

/* --- files that are not what they were
 * ------------------------------------------------------------ */

static void expect_no_names(const char *path, const char *build_id, const char *what) {
    struct wh_module *m = wh_module_open(path, build_id);
    struct wh_code codes[WH_CODE_MAX];
    struct wh_variable variable;
    assert_int_equal(wh_module_code(m, 0x1234, codes, WH_CODE_MAX), 1);
    assert_null(codes[0].function);
    assert_null(codes[0].file);
    assert_int_equal(wh_variable_at(m, 0x1234, &variable), -1);
    if (what)
        assert_non_null(strstr(wh_module_problem(m), what));
    else
        assert_null(wh_module_problem(m));
    wh_module_free(m);
}

static void a_missing_or_replaced_file_is_said(void **state) {
    (void)state;
    expect_no_names("/nonexistent/program", "00112233445566778899",
                    "'/nonexistent/program' is gone");
    expect_no_names("/nonexistent/program (deleted)", NULL, "'/nonexistent/program' is gone");
    expect_no_names("/proc/self/exe", "00112233445566778899", "was replaced since the recording");
    expect_no_names("/etc/passwd", NULL, "is no readable ELF file");
    expect_no_names("/tmp", NULL, "is no regular file");
    expect_no_names("[vdso]", NULL, NULL);
    expect_no_names("linux-vdso.so.1", NULL, NULL);
}

/* Runs a shell command in which %s stands for the test's directory. */
static bool shell(const char *format) {
    char command[1024];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(command, sizeof(command), format, dir, dir, dir, dir);
#pragma GCC diagnostic pop
    return system(command) == 0;
}

/* Name of outer() in a variant of this program, with its line; "" = none. */
static void name_in(const char *file, const char *build_id, char *name, size_t size,
                    uint32_t *ret_line) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    struct wh_module *m = wh_module_open(path, build_id);
    struct wh_code codes[WH_CODE_MAX];
    size_t count = wh_module_code(m, seen_return - 1 - self_bias, codes, WH_CODE_MAX);
    snprintf(name, size, "%s", codes[count - 1].function ? codes[count - 1].function : "");
    *ret_line = codes[count - 1].line;
    wh_module_free(m);
}

static void stripped_files_keep_functions_apart(void **state) {
    (void)state;
    char name[128], expected[128];
    uint32_t line;
    outer();
    if (!shell("objcopy --strip-all /proc/$PPID/exe %s/stripped"))
        skip();
    name_in("stripped", NULL, name, sizeof(name), &line);
    snprintf(expected, sizeof(expected), "stripped+0x%llx",
             (unsigned long long)((uint64_t)(uintptr_t)&outer - self_bias));
    assert_string_equal(name, expected);
    assert_int_equal(line, 0);
    assert_true(shell("rm %s/stripped"));
}

static void separate_debug_files_are_found_by_their_link(void **state) {
    (void)state;
    char name[128];
    uint32_t line;
    outer();
    if (!shell("objcopy --only-keep-debug /proc/$PPID/exe %s/linked.debug && "
               "objcopy --strip-all --remove-section=.note.gnu.build-id "
               "--add-gnu-debuglink=%s/linked.debug /proc/$PPID/exe %s/linked"))
        skip();
    name_in("linked", NULL, name, sizeof(name), &line);
    assert_string_equal(name, "outer");
    assert_int_equal(line, outer_line);
    assert_true(shell("rm %s/linked %s/linked.debug"));
}

static void compressed_debug_sections_are_read(void **state) {
    (void)state;
    char name[128];
    uint32_t line;
    outer();
    if (!shell("objcopy --compress-debug-sections=zlib /proc/$PPID/exe %s/packed"))
        skip();
    name_in("packed", NULL, name, sizeof(name), &line);
    assert_string_equal(name, "outer");
    assert_int_equal(line, outer_line);
    assert_true(shell("rm %s/packed"));
}

static void the_debug_symbol_table_in_the_file_is_read(void **state) {
    (void)state;
    char name[128];
    uint32_t line;
    outer();
    if (!shell("objcopy --strip-debug /proc/$PPID/exe %s/mini.debug && xz -k %s/mini.debug && "
               "objcopy --strip-all --add-section .gnu_debugdata=%s/mini.debug.xz "
               "/proc/$PPID/exe %s/mini"))
        skip();
    name_in("mini", NULL, name, sizeof(name), &line);
    assert_string_equal(name, "outer");
    assert_true(shell("rm %s/mini %s/mini.debug %s/mini.debug.xz"));
}

static void split_debug_information_is_read(void **state) {
    (void)state;
    char path[128];
    struct wh_variable v;
    struct wh_module_symbol symbol;
    if (!shell("cd %s && printf 'struct t { struct t *next; } kept;\\nint main(void) "
               "{ return kept.next != 0; }\\n' >s.c && cc -g -gsplit-dwarf s.c -o s"))
        skip();
    snprintf(path, sizeof(path), "%s/s", dir);
    struct wh_module *m = wh_module_open(path, NULL);
    bool found = false;
    for (uint64_t at = 0x1000; at < 0x500000 && !found; at += 8)
        found = wh_module_data_symbol(m, at, &symbol) && strcmp(symbol.name, "kept") == 0;
    assert_true(found);
    assert_int_equal(wh_variable_at(m, symbol.address, &v), 0);
    assert_string_equal(v.name, "kept");
    assert_non_null(v.file);
    assert_string_equal(wh_type_name(v.type), "struct t");
    wh_module_free(m);
    assert_true(shell("rm %s/s %s/s.c %s/*.dwo"));
}

static void the_network_is_never_asked(void **state) {
    (void)state;
    setenv("DEBUGINFOD_URLS", "http://127.0.0.1:9/", 1);
    struct wh_module *m = wh_module_open("/proc/self/exe", NULL);
    wh_module_has_debug(m);
    assert_null(getenv("DEBUGINFOD_URLS"));
    wh_module_free(m);
}

/* A copy of this program, cut at `size` bytes or with bytes turned over, must only cost names. */
static void broken_files_never_crash(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof(path), "%s/broken", dir);
    FILE *in = fopen("/proc/self/exe", "re");
    assert_non_null(in);
    struct stat st;
    assert_int_equal(fstat(fileno(in), &st), 0);
    size_t size = (size_t)st.st_size;
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, in), size);
    fclose(in);
    uint64_t seed = 20240607;
    for (int round = 0; round < 24; round++) {
        size_t keep = round % 2 ? size : size * (size_t)(round + 1) / 25;
        FILE *out = fopen(path, "we");
        assert_non_null(out);
        assert_int_equal(fwrite(bytes, 1, keep, out), keep);
        for (int flip = 0; round % 2 && flip < 4000; flip++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            size_t low = size / 8; /* spare the ELF header, so that the damage lies deep */
            fseek(out, (long)(low + (seed >> 20) % (size - low)), SEEK_SET);
            fputc((int)(seed >> 56), out);
        }
        fclose(out);
        struct wh_module *m = wh_module_open(path, NULL);
        struct wh_code codes[WH_CODE_MAX];
        struct wh_variable variable;
        for (uint64_t at = 0; at < size; at += size / 97)
            wh_module_code(m, at, codes, WH_CODE_MAX);
        for (uint64_t at = 0; at < size; at += size / 97) {
            wh_variable_at(m, at, &variable);
            wh_variable_local(m, at, -24, &variable);
        }
        wh_type_named(m, "wh_error");
        wh_module_free(m);
    }
    free(bytes);
    unlink(path);
}

/* --- the whole step: from stack nodes to frames and creators
 * ------------------------------------------- */

static void query_text(struct wh_store *store, const char *sql, char *text, size_t size) {
    struct wh_query *q = NULL;
    struct wh_error error = {0};
    assert_int_equal(wh_query_open(store, sql, &q, &error), 0);
    assert_int_equal(wh_query_step(q, &error), 1);
    const char *value = wh_query_text(q, 0);
    snprintf(text, size, "%s", value ? value : "NULL");
    wh_query_close(q);
}

static void run(struct wh_store *store, const char *sql) {
    struct wh_error error = {0};
    if (wh_store_exec(store, sql, &error) != 0)
        fail_msg("%s: %s", sql, error.text);
}

static struct wh_store *trace_of_self(const char *path) {
    struct wh_store *store = NULL;
    struct wh_error error = {0};
    char sql[4096], exe[512];
    ssize_t length = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    assert_true(length > 0);
    exe[length] = '\0';
    if (wh_store_create(path, WH_STORE_FORCE, &store, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(wh_store_run_file(store, "derived.sql", &error), 0);
    outer();
    /* 1: the program; 2: libc; 3: a library since unloaded at the address where 4 lies now */
    snprintf(sql, sizeof(sql),
             "INSERT INTO process(id, pid, start_ns) VALUES (1, 100, 0);"
             "INSERT INTO module VALUES (1, 1, '%s', NULL, %lld, %lld, %lld, 0, NULL),"
             " (2, 1, '%s', NULL, %lld, %lld, %lld, 0, NULL),"
             " (3, 1, '/gone/libold.so', 'aabbccddeeff', 4096, 8192, 4096, 10, 20),"
             " (4, 1, '/gone/libnew.so', 'ffeeddccbbaa', 4096, 8192, 4096, 30, NULL);"
             "INSERT INTO stack_node VALUES (1, 1, 0, %lld), (2, 1, 1, %lld), (3, 1, 0, 4352), (4, "
             "1, 3, 4353),"
             " (5, 1, 0, 305419896), (6, 1, 6, 305419896);"
             "INSERT INTO site VALUES (1, 2, NULL, 1, 1, 1, 1, 1, 1, 0), (1, 3, NULL, 1, 1, 1, 1, "
             "1, 1, 0),"
             " (1, 4, NULL, 1, 1, 1, 1, 1, 1, 0), (1, 0, NULL, 1, 1, 1, 1, 1, 1, 0), (1, 5, NULL, "
             "1, 1, 1, 1, 1, 1, 0);"
             "INSERT INTO allocation(id, process_id, address, size_bytes, kind, alloc_ns, "
             "stack_id) VALUES"
             " (1, 1, 0, 1, 'malloc', 15, 3), (2, 1, 0, 1, 'malloc', 40, 4)",
             exe, (long long)self_bias, (long long)self_bias + 0x10000000, (long long)self_bias,
             libc_path, (long long)libc_bias, (long long)libc_bias + 0x10000000,
             (long long)libc_bias, (long long)seen_return, (long long)(uintptr_t)&getsubopt + 8);
    run(store, sql);
    return store;
}

static void stacks_get_frames_and_creators(void **state) {
    (void)state;
    char path[128], text[512];
    struct wh_error error = {0};
    snprintf(path, sizeof(path), "%s/trace.db", dir);
    struct wh_store *store = trace_of_self(path);
    for (int round = 0; round < 2; round++) { /* again: nothing changes */
        if (wh_symbol_resolve(store, &error) != 0)
            fail_msg("%s", error.text);
        query_text(store, "SELECT creator FROM site WHERE stack_id = 2", text, sizeof(text));
        assert_string_equal(text, "inlined_middle");
        query_text(store,
                   "SELECT group_concat(function) FROM (SELECT function FROM stack_frame WHERE "
                   "stack_id = 2 ORDER BY depth)",
                   text, sizeof(text));
        assert_non_null(strstr(text, "getsubopt,inlined_middle,outer"));
        query_text(store, "SELECT creator FROM site WHERE stack_id = 0", text, sizeof(text));
        assert_string_equal(text, "(no stack)");
        query_text(store, "SELECT creator FROM site WHERE stack_id = 5", text, sizeof(text));
        assert_string_equal(text, "0x12345678");
        query_text(store, "SELECT count(*) FROM stack", text, sizeof(text));
        assert_string_equal(text, "4");
        query_text(store, "SELECT count(*) FROM note WHERE kind = 'symbols'", text, sizeof(text));
        assert_string_equal(text, "2");
    }
    wh_store_close(store);
    unlink(path);
}

static void a_reused_address_belongs_to_the_module_of_its_time(void **state) {
    (void)state;
    char path[128], text[512];
    struct wh_error error = {0};
    snprintf(path, sizeof(path), "%s/trace.db", dir);
    struct wh_store *store = trace_of_self(path);
    assert_int_equal(wh_symbol_resolve(store, &error), 0);
    query_text(store, "SELECT creator FROM site WHERE stack_id = 3", text, sizeof(text));
    assert_string_equal(text, "libold.so+0xff");
    query_text(store, "SELECT creator FROM site WHERE stack_id = 4", text, sizeof(text));
    assert_string_equal(text, "libnew.so+0x100");
    wh_store_close(store);
    unlink(path);
}

static void single_stacks_and_loops_are_survived(void **state) {
    (void)state;
    char path[128], text[512];
    struct wh_error error = {0};
    snprintf(path, sizeof(path), "%s/trace.db", dir);
    struct wh_store *store = trace_of_self(path);
    static const uint32_t ids[] = {1, 77, 1, 5, 2};
    assert_int_equal(wh_symbol_resolve_stacks(store, ids, 5, &error), 0);
    assert_int_equal(wh_symbol_resolve_stacks(store, ids, 5, &error), 0);
    query_text(store, "SELECT group_concat(id) FROM (SELECT id FROM stack ORDER BY id)", text,
               sizeof(text));
    assert_string_equal(text, "1,2,5");
    static const uint32_t loop[] = {6};
    assert_int_equal(wh_symbol_resolve_stacks(store, loop, 1, &error), 0);
    wh_store_close(store);
    unlink(path);
}

static void extra_patterns_move_the_creator(void **state) {
    (void)state;
    char path[128], text[512];
    struct wh_error error = {0};
    snprintf(path, sizeof(path), "%s/trace.db", dir);
    struct wh_store *store = trace_of_self(path);
    assert_int_equal(wh_symbol_resolve(store, &error), 0);
    assert_int_equal(wh_store_set_text(store, "creator_skip", "inlined_*\n", &error), 0);
    assert_int_equal(wh_symbol_resolve_again(store, &error), 0);
    query_text(store, "SELECT creator FROM site WHERE stack_id = 2", text, sizeof(text));
    assert_string_equal(text, "outer");
    wh_store_close(store);
    unlink(path);
}

static void what_is_on_a_stack_can_be_asked(void **state) {
    (void)state;
    char path[128];
    struct wh_error error = {0};
    struct wh_frames *f = NULL;
    struct wh_frame frame;
    snprintf(path, sizeof(path), "%s/trace.db", dir);
    struct wh_store *store = trace_of_self(path);
    assert_int_equal(wh_symbol_resolve(store, &error), 0);
    assert_int_equal(wh_frames_load(store, &f, &error), 0);
    assert_string_equal(wh_frames_creator(f, 2), "inlined_middle");
    assert_null(wh_frames_creator(f, 99));
    uint32_t outer_id = wh_frames_id(f, WH_FRAMES_FUNCTION, "outer");
    assert_int_not_equal(outer_id, 0);
    assert_true(wh_frames_has(f, 2, WH_FRAMES_FUNCTION, outer_id));
    assert_false(wh_frames_has(f, 3, WH_FRAMES_FUNCTION, outer_id));
    assert_false(wh_frames_has(f, 2, WH_FRAMES_FUNCTION, 0));
    assert_int_equal(wh_frames_id(f, WH_FRAMES_FUNCTION, "never seen"), 0);
    assert_int_equal(wh_frames_id(f, WH_FRAMES_FUNCTION, "libc.so.6"),
                     0); /* a module is no function */
    assert_true(
        wh_frames_has(f, 2, WH_FRAMES_MODULE, wh_frames_id(f, WH_FRAMES_MODULE, "libc.so.6")));
    assert_int_equal(wh_frames_creator_id(f, 2),
                     wh_frames_id(f, WH_FRAMES_FUNCTION, "inlined_middle"));
    assert_true(wh_frames_depth(f, 2) >= 3);
    assert_true(wh_frames_get(f, 2, wh_frames_depth(f, 2) - 1, &frame));
    assert_string_equal(frame.function, "outer");
    assert_true(wh_frames_has(f, 2, WH_FRAMES_FILE, wh_frames_id(f, WH_FRAMES_FILE, frame.file)));
    assert_false(wh_frames_get(f, 2, 500, &frame));
    wh_frames_free(f);
    wh_store_close(store);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inlined_calls_are_frames_with_their_lines),
        cmocka_unit_test(names_are_for_people),
        cmocka_unit_test(exported_functions_are_named_without_debug_information),
        cmocka_unit_test(a_missing_or_replaced_file_is_said),
        cmocka_unit_test(stripped_files_keep_functions_apart),
        cmocka_unit_test(separate_debug_files_are_found_by_their_link),
        cmocka_unit_test(compressed_debug_sections_are_read),
        cmocka_unit_test(the_debug_symbol_table_in_the_file_is_read),
        cmocka_unit_test(split_debug_information_is_read),
        cmocka_unit_test(the_network_is_never_asked),
        cmocka_unit_test(broken_files_never_crash),
        cmocka_unit_test(stacks_get_frames_and_creators),
        cmocka_unit_test(a_reused_address_belongs_to_the_module_of_its_time),
        cmocka_unit_test(single_stacks_and_loops_are_survived),
        cmocka_unit_test(extra_patterns_move_the_creator),
        cmocka_unit_test(what_is_on_a_stack_can_be_asked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
