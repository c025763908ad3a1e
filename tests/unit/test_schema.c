/* The schema is documented: every table and view has its sentence, every column its comment, and a
 * column that may be NULL says what NULL means. The tables come from SQLite, the comments from the
 * files, so that neither can be forgotten. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "schema/sql.h"
#include "schema/store.h"

/* "CREATE TABLE name(" or "CREATE VIEW name(" in any file; NULL = not found. */
static const char *find_definition(const char *type, const char *name) {
    char start[128];
    snprintf(start, sizeof start, "CREATE %s %s(", type, name);
    for (const struct wh_sql_file *f = wh_sql_files; f->name; f++) {
        const char *found = strstr(f->text, start);
        if (found)
            return found;
    }
    return NULL;
}

/* Is the line before `at` a comment? */
static int has_comment_above(const char *at) {
    const char *line = at - 1;
    while (line[-1] != '\n')
        line--;
    return strncmp(line, "-- ", 3) == 0;
}

/* Copies the comment of a column, its continuation lines included. 0 = no such line, no comment. */
static int column_comment(const char *definition, const char *column, char *comment, size_t size) {
    size_t n = 0, length = strlen(column);
    int found = 0;
    const char *line = strchr(definition, '\n') + 1;
    for (; *line && *line != ')'; line = strchrnul(line, '\n') + 1) {
        const char *p = line + strspn(line, " ");
        const char *end = strchrnul(line, '\n');
        const char *dashes = memmem(line, (size_t)(end - line), "-- ", 3);
        int is_column = isalpha((unsigned char)*p);
        if (found && is_column)
            break;
        if (!found && !(strncmp(p, column, length) == 0 && !isalnum((unsigned char)p[length]) &&
                        p[length] != '_'))
            continue;
        found = 1;
        if (dashes && n + (size_t)(end - dashes) + 1 < size) {
            memcpy(comment + n, dashes + 2, (size_t)(end - dashes) - 2);
            n += (size_t)(end - dashes) - 2;
        }
    }
    comment[n] = '\0';
    return found && n > 3;
}

static struct wh_store *make_trace(char *path) {
    struct wh_store *store = NULL;
    struct wh_error error = {0};
    close(mkstemp(path));
    if (wh_store_create(path, WH_STORE_FORCE, &store, &error) != 0 ||
        wh_store_run_file(store, "derived.sql", &error) != 0)
        fail_msg("%s", error.text);
    return store;
}

static void check_columns(struct wh_store *store, const char *type, const char *table,
                          const char *definition, int *missing) {
    struct wh_query *q;
    char comment[1000];
    assert_int_equal(wh_query_open(store,
                                   "SELECT name, \"notnull\" OR pk > 0 FROM pragma_table_xinfo(?1)",
                                   &q, NULL),
                     0);
    wh_query_bind_text(q, 1, table);
    while (wh_query_step(q, NULL) == 1) {
        const char *column = wh_query_text(q, 0);
        if (!column_comment(definition, column, comment, sizeof comment)) {
            print_error("%s.%s has no comment\n", table, column);
            ++*missing;
        } else if (strcmp(type, "TABLE") == 0 && !wh_query_int(q, 1) && !strstr(comment, "NULL")) {
            print_error("%s.%s may be NULL and does not say what that means\n", table, column);
            ++*missing;
        }
    }
    wh_query_close(q);
}

static void every_column_is_documented(void **state) {
    (void)state;
    char path[] = "/tmp/wh_schema.XXXXXX";
    struct wh_store *store = make_trace(path);
    struct wh_query *q;
    int missing = 0, tables = 0;
    assert_int_equal(wh_query_open(store,
                                   "SELECT upper(type), name FROM sqlite_schema"
                                   " WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'",
                                   &q, NULL),
                     0);
    while (wh_query_step(q, NULL) == 1) {
        const char *type = wh_query_text(q, 0), *name = wh_query_text(q, 1);
        const char *definition = find_definition(type, name);
        tables++;
        if (!definition || !has_comment_above(definition)) {
            print_error("%s has no sentence above it\n", name);
            missing++;
        } else {
            check_columns(store, type, name, definition, &missing);
        }
    }
    wh_query_close(q);
    wh_store_close(store);
    unlink(path);
    assert_true(tables > 20);
    assert_int_equal(missing, 0);
}

/* The names that design and manual promise. */
static void the_public_names_are_there(void **state) {
    (void)state;
    static const char *const queries[] = {
        "SELECT key, value FROM trace",
        "SELECT id, parent_id, pid, exe, command_line, start_ns, end_ns, exit_code, term_signal, "
        "events,"
        " lost_events, peak_bytes, peak_ns FROM process",
        "SELECT id, process_id, tid, name, start_ns, end_ns FROM thread",
        "SELECT id, process_id, path, build_id, start_address, end_address, load_ns, unload_ns "
        "FROM module",
        "SELECT stack_id, depth, function, file, line, module, address, inlined FROM stack_frame",
        "SELECT id, process_id, thread_id, address, size_bytes, kind, alloc_ns, stack_id, free_ns,"
        " free_thread_id, free_stack_id FROM allocation",
        "SELECT process_id, stack_id, creator, alloc_objects, alloc_space, inuse_objects, "
        "inuse_space,"
        " peak_objects, peak_space, temporary_objects FROM site",
        "SELECT process_id, at_ns, live_objects, live_bytes, rss_bytes FROM timeline",
        "SELECT id, process_id, at_ns, reason, label, pause_ns, live_objects, live_bytes, "
        "held_bytes,"
        " lost_bytes, gap_bytes FROM snapshot",
        "SELECT id, snapshot_id, kind, name, module, type_name FROM root",
        "SELECT snapshot_id, allocation_id, state, root_id, path_id, dominator_id, retained_bytes, "
        "holders,"
        " visible_bytes, acquirer_stack_id FROM held",
        "SELECT id, snapshot_id, root_id, holder, keeper, text, length FROM path",
        "SELECT snapshot_id, from_allocation_id, from_root_id, from_offset, to_allocation_id, "
        "to_offset"
        " FROM reference",
        "SELECT snapshot_id, creator, holder, objects, bytes, retained_bytes, amplification, "
        "hidden FROM gap",
        "SELECT snapshot_id, rule, severity, creator, holder, bytes, objects, evidence, advice "
        "FROM finding",
    };
    char path[] = "/tmp/wh_schema.XXXXXX";
    struct wh_store *store = make_trace(path);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct wh_query *q;
        struct wh_error error = {0};
        if (wh_query_open(store, queries[i], &q, &error) != 0)
            fail_msg("%s", error.text);
        wh_query_close(q);
    }
    wh_store_close(store);
    unlink(path);
}

/* expand drops and rebuilds what comes from the events, and nothing else. */
static void derived_tables_can_be_rebuilt(void **state) {
    (void)state;
    char path[] = "/tmp/wh_schema.XXXXXX";
    struct wh_store *store = make_trace(path);
    assert_int_equal(wh_store_exec(store,
                                   "INSERT INTO frame(id, address, inlined) VALUES(1, 2, 0);"
                                   "INSERT INTO timeline VALUES(1, 2, 3, 4, 5)",
                                   NULL),
                     0);
    assert_int_equal(wh_store_run_file(store, "derived.sql", NULL), 0);
    struct wh_query *q;
    assert_int_equal(
        wh_query_open(store, "SELECT (SELECT count(*) FROM timeline), (SELECT count(*) FROM frame)",
                      &q, NULL),
        0);
    assert_int_equal(wh_query_step(q, NULL), 1);
    assert_int_equal(wh_query_int(q, 0), 0);
    assert_int_equal(wh_query_int(q, 1), 1);
    wh_query_close(q);
    assert_int_equal(wh_store_run_file(store, "no_such.sql", NULL), WH_ENOTFOUND);
    wh_store_close(store);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_column_is_documented),
        cmocka_unit_test(the_public_names_are_there),
        cmocka_unit_test(derived_tables_can_be_rebuilt),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
