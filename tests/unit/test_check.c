/* Rules: their documentation is complete, they see the trace alone, and each says what it should on
 * a handmade trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "analyzer/check/check.h"
#include "schema/store.h"

static char path[64];

static struct wh_store *make_trace(const char *rows) {
    struct wh_store *store;
    struct wh_error error = {0};
    snprintf(path, sizeof path, "/tmp/whoholds-check-%d.db", (int)getpid());
    assert_int_equal(wh_store_create(path, WH_STORE_FORCE, &store, &error), 0);
    static const char *const files[] = {"derived.sql", "symbol.sql", "holder.sql", "views.sql"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        (void)wh_store_run_file(store, files[i], &error); /* create may have run some already */
    if (wh_store_exec(store, rows, &error))
        fail_msg("%s", error.text);
    return store;
}

static void drop_trace(struct wh_store *store) {
    wh_store_close(store);
    unlink(path);
}

static int64_t number(struct wh_store *store, const char *sql) {
    struct wh_query *q;
    struct wh_error error = {0};
    if (wh_query_open(store, sql, &q, &error))
        fail_msg("%s", error.text);
    int64_t v = wh_query_step(q, &error) > 0 ? wh_query_int(q, 0) : -1;
    wh_query_close(q);
    return v;
}

static void every_builtin_rule_documents_itself(void **state) {
    (void)state;
    struct wh_rules rules;
    struct wh_error error = {0};
    assert_int_equal(wh_rules_load(&rules, NULL, &error), 0);
    assert_true(rules.count >= 2);
    for (size_t i = 0; i < rules.count; i++) {
        const struct wh_rule *r = &rules.items[i];
        char file[80];
        snprintf(file, sizeof file, "rules/%s.sql", r->name);
        assert_string_equal(file, r->source);
        assert_true(strlen(r->title) > 5);
        assert_true(strlen(r->what) > 20);
        assert_true(strlen(r->evidence) > 20);
        assert_true(strlen(r->threshold) > 10);
        assert_true(strlen(r->misleads) > 20);
        assert_true(strlen(r->handbook) > 4);
    }
    wh_rules_release(&rules);
}

static void every_builtin_rule_runs_on_an_empty_trace_and_finds_nothing(void **state) {
    (void)state;
    struct wh_rules rules;
    struct wh_error error = {0};
    struct wh_store *store =
        make_trace("INSERT INTO process(id, pid, start_ns) VALUES(1, 77, 0);"
                   "INSERT INTO snapshot(id, process_id, at_ns, reason, mode, pause_ns, held_bytes)"
                   " VALUES(1, 1, 5, 'exit', 'fork', 1, 0)");
    assert_int_equal(wh_rules_load(&rules, NULL, &error), 0);
    if (wh_check_run(store, &rules, NULL, &error))
        fail_msg("%s", error.text);
    assert_int_equal(number(store, "SELECT count(*) FROM finding"), 0);
    wh_rules_release(&rules);
    drop_trace(store);
}

static void lost_blocks_are_found_by_creator_and_large_ones_warn(void **state) {
    (void)state;
    struct wh_rules rules;
    struct wh_error error = {0};
    struct wh_store *store = make_trace(
        "INSERT INTO process(id, pid, start_ns) VALUES(1, 77, 0);"
        "INSERT INTO snapshot(id, process_id, at_ns, reason, mode, pause_ns, held_bytes)"
        " VALUES(1, 1, 5, 'exit', 'fork', 1, 0);"
        "INSERT INTO stack(id, frames, creator) VALUES(1, '[]', 'big'), (2, '[]', 'small');"
        "INSERT INTO allocation(id, process_id, address, size_bytes, kind, alloc_ns, stack_id)"
        " VALUES(1, 1, 4096, 65536, 'malloc', 0, 1), (2, 1, 8192, 10, 'malloc', 0, 2),"
        "  (3, 1, 12288, 7, 'malloc', 0, 2);"
        "INSERT INTO held(snapshot_id, allocation_id, state, retained_bytes, holders, strength)"
        " VALUES(1, 1, 'lost', 65536, 0, -1), (1, 2, 'lost', 10, 0, -1), (1, 3, 'held', 7, 1, 4)");
    assert_int_equal(wh_rules_load(&rules, NULL, &error), 0);
    if (wh_check_run(store, &rules, "lost", &error))
        fail_msg("%s", error.text);
    assert_int_equal(number(store, "SELECT count(*) FROM finding"), 2);
    assert_int_equal(
        number(store, "SELECT bytes FROM finding WHERE severity='warning' AND creator='big'"),
        65536);
    assert_int_equal(
        number(store, "SELECT bytes FROM finding WHERE severity='info' AND creator='small'"), 10);
    assert_int_equal(wh_check_run(store, &rules, "lots", &error), WH_EUSAGE);
    wh_rules_release(&rules);
    drop_trace(store);
}

static void a_rule_file_without_its_fields_is_refused_by_name(void **state) {
    (void)state;
    char dir[] = "/tmp/whoholds-rules-XXXXXX", file[80];
    struct wh_rules rules;
    struct wh_error error = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/mine.sql", dir);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs("-- title: no name\nSELECT 1", f);
    fclose(f);
    assert_int_equal(wh_rules_load(&rules, dir, &error), WH_EUSAGE);
    assert_non_null(strstr(error.text, "mine.sql"));
    f = fopen(file, "w");
    assert_non_null(f);
    fputs("-- rule: lost\n-- scope: trace\nSELECT 'info', NULL, NULL, 1, 2, 'mine', ''", f);
    fclose(f);
    assert_int_equal(wh_rules_load(&rules, dir, &error), 0);
    struct wh_store *store = make_trace("SELECT 1");
    if (wh_check_run(store, &rules, "lost", &error))
        fail_msg("%s", error.text);
    assert_int_equal(number(store, "SELECT bytes FROM finding WHERE evidence='mine'"), 1);
    drop_trace(store);
    wh_rules_release(&rules);
    unlink(file);
    rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_builtin_rule_documents_itself),
        cmocka_unit_test(every_builtin_rule_runs_on_an_empty_trace_and_finds_nothing),
        cmocka_unit_test(lost_blocks_are_found_by_creator_and_large_ones_warn),
        cmocka_unit_test(a_rule_file_without_its_fields_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
