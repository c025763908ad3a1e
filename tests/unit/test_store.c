/* The trace file: what is written comes back, and every kind of wrong file is named for what it is.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "schema/store.h"

static char directory[64];
static char path[128];

static int make_directory(void **state) {
    (void)state;
    strcpy(directory, "/tmp/wh_store.XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/t.db", directory);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static struct wh_store *create(void) {
    struct wh_store *store = NULL;
    struct wh_error error = {0};
    if (wh_store_create(path, WH_STORE_FORCE, &store, &error) != 0)
        fail_msg("%s", error.text);
    return store;
}

static int64_t ask(struct wh_store *store, const char *sql) {
    struct wh_query *q;
    struct wh_error error = {0};
    if (wh_query_open(store, sql, &q, &error) != 0)
        fail_msg("%s", error.text);
    int rc = wh_query_step(q, &error);
    if (rc != 1)
        fail_msg("%s: %d %s", sql, rc, error.text);
    int64_t value = wh_query_int(q, 0);
    wh_query_close(q);
    return value;
}

static void facts_come_back(void **state) {
    (void)state;
    struct wh_store *store = create();
    assert_int_equal(wh_store_set_text(store, "host", "earth", NULL), 0);
    assert_int_equal(wh_store_set_int(store, "events", INT64_MAX, NULL), 0);
    assert_int_equal(wh_store_set_int(store, "events", 7, NULL), 0);
    wh_store_close(store);
    char journal[160];
    snprintf(journal, sizeof journal, "%s-journal", path);
    assert_int_not_equal(access(journal, F_OK), 0); /* nothing is left beside the file */
    assert_int_equal(wh_store_open(path, WH_STORE_READ, &store, NULL), 0);
    char *text = NULL;
    assert_int_equal(wh_store_get_text(store, "host", &text, NULL), 0);
    assert_string_equal(text, "earth");
    free(text);
    assert_int_equal(wh_store_get_text(store, "nothing", &text, NULL), WH_ENOTFOUND);
    assert_int_equal(wh_store_get_int(store, "events", -1), 7);
    assert_int_equal(wh_store_get_int(store, "nothing", -1), -1);
    assert_int_not_equal(wh_store_set_int(store, "events", 8, NULL), 0); /* opened for reading */
    wh_store_close(store);
}

/* --- many rows ----------------------------------------------------------------------------------
 */

struct counter {
    int next, count, fail_at;
    struct wh_store *nested;
};

static int one_row(void *arg, struct wh_cell *cells) {
    struct counter *c = arg;
    if (c->fail_at && c->next == c->fail_at)
        return WH_ESYSTEM;
    if (c->next == c->count)
        return 0;
    int i = c->next++;
    wh_cell_int(&cells[0], 1);
    wh_cell_int(&cells[1], i);
    if (i % 2)
        wh_cell_text(&cells[2], "odd");
    wh_cell_int(&cells[3], -i);
    if (c->nested && i == 1) {
        struct counter inner = {.count = 3};
        int rc = wh_store_insert(c->nested, "inner_t", "p, i, s, n", one_row, &inner, NULL);
        if (rc)
            return rc;
    }
    return 1;
}

static void rows_from_an_iterator(void **state) {
    (void)state;
    struct wh_store *store = create();
    struct wh_error error = {0};
    struct counter c = {.count = 1000, .nested = store};
    assert_int_equal(wh_store_insert(store, "no_such", "a, b", one_row, &c, &error), WH_EINPUT);
    assert_non_null(strstr(error.text, "no_such"));
    assert_int_equal(wh_store_exec(store,
                                   "CREATE TABLE t(p, i INTEGER, s TEXT, n);"
                                   "CREATE TABLE inner_t(p, i, s, n)",
                                   NULL),
                     0);
    int rc = wh_store_insert(store, "t", "p, i, s, n", one_row, &c, &error);
    if (rc)
        fail_msg("%s", error.text);
    assert_int_equal(ask(store, "SELECT count(*) FROM t"), 1000);
    assert_int_equal(ask(store, "SELECT sum(i) FROM t WHERE n = -i"), 499500);
    assert_int_equal(ask(store, "SELECT count(*) FROM t WHERE s IS NULL"), 500);
    assert_int_equal(ask(store, "SELECT count(*) FROM t WHERE s = 'odd'"), 500);
    assert_int_equal(ask(store, "SELECT count(*) FROM inner_t"), 3); /* an insert within one */
    assert_int_equal(ask(store, "SELECT count(*) FROM wh_rows"), 0); /* not running: empty */
    assert_int_equal(wh_store_insert(store, "t", "i) SELECT 1;--", one_row, &c, NULL), WH_EUSAGE);
    wh_store_close(store);
}

static void columns_of_one_value(void **state) {
    (void)state;
    struct wh_store *store = create();
    struct counter c = {.count = 10};
    struct wh_cell same[4] = {[0] = {.type = WH_CELL_INT, .integer = 7}};
    wh_cell_text(&same[2], "one");
    assert_int_equal(wh_store_exec(store, "CREATE TABLE t(p, i INTEGER, s TEXT, n)", NULL), 0);
    assert_int_equal(
        wh_store_insert_same(store, "t", "p, i, s, n", 1 | 4 | 8, same, one_row, &c, NULL), 0);
    assert_int_equal(ask(store, "SELECT sum(i) FROM t"), 45);
    assert_int_equal(ask(store, "SELECT count(*) FROM t WHERE p = 7 AND s = 'one' AND n IS NULL"),
                     10);
    wh_store_close(store);
}

static void a_failing_iterator_leaves_nothing(void **state) {
    (void)state;
    struct wh_store *store = create();
    assert_int_equal(wh_store_exec(store, "CREATE TABLE t(p, i, s, n)", NULL), 0);
    struct counter c = {.count = 1000, .fail_at = 500};
    struct wh_error error = {0};
    assert_int_equal(wh_store_insert(store, "t", "p, i, s, n", one_row, &c, &error), WH_ESYSTEM);
    assert_non_null(strstr(error.text, "'t'"));
    assert_int_equal(ask(store, "SELECT count(*) FROM t"), 0);
    wh_store_close(store);
}

static int wide_row(void *arg, struct wh_cell *cells) {
    int *left = arg;
    for (int i = 0; i < 32; i++)
        wh_cell_int(&cells[i], i);
    return (*left)-- > 0;
}

static void thirty_two_columns(void **state) {
    (void)state;
    struct wh_store *store = create();
    char create_sql[400] = "CREATE TABLE w(c0", columns[400] = "c0";
    for (int i = 1; i < 32; i++) {
        char name[16];
        snprintf(name, sizeof name, ",c%d", i);
        strcat(create_sql, name);
        strcat(columns, name);
    }
    strcat(create_sql, ")");
    assert_int_equal(wh_store_exec(store, create_sql, NULL), 0);
    int left = 2;
    assert_int_equal(wh_store_insert(store, "w", columns, wide_row, &left, NULL), 0);
    assert_int_equal(ask(store, "SELECT sum(c31) FROM w"), 62);
    strcat(columns, ",c32");
    assert_int_equal(wh_store_insert(store, "w", columns, wide_row, &left, NULL), WH_EUSAGE);
    wh_store_close(store);
}

/* --- wrong files --------------------------------------------------------------------------------
 */

static void write_file(const void *data, size_t bytes) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    fclose(f);
}

static void refuse(const char *name, int code, const char *part) {
    struct wh_store *store = NULL;
    struct wh_error error = {0};
    assert_int_equal(wh_store_open(name, WH_STORE_READ, &store, &error), code);
    assert_null(store);
    if (!strstr(error.text, part) || !strstr(error.text, name))
        fail_msg("'%s' does not say '%s'", error.text, part);
}

static void wrong_files_are_named(void **state) {
    (void)state;
    refuse("/nonexistent/x.db", WH_EINPUT, "No such file");
    refuse(directory, WH_EINPUT, "not a regular file");
    write_file("", 0);
    refuse(path, WH_EINPUT, "empty");
    write_file("hello", 5);
    refuse(path, WH_EINPUT, "not an SQLite database");
    char text[200] = "SQLite format 3";
    write_file(text, sizeof text);
    refuse(path, WH_EINPUT, "damaged");

    struct wh_store *store = create();
    wh_store_exec(store, "PRAGMA application_id = 1", NULL);
    wh_store_close(store);
    refuse(path, WH_EINPUT, "not a trace");
    store = create();
    wh_store_exec(store, "PRAGMA user_version = 99", NULL);
    wh_store_close(store);
    refuse(path, WH_EINPUT, "newer");
    store = create();
    wh_store_exec(store, "DROP TABLE event_chunk", NULL);
    wh_store_close(store);
    refuse(path, WH_EINPUT, "damaged");
    wh_store_close(create());
    assert_int_equal(truncate(path, 8192), 0);
    refuse(path, WH_EINPUT, "damaged");
}

/* Reads snapshot 1, whose one slice is no slice of this version, from a file of that version. */
static void refuse_heap(int version, const char *part) {
    char sql[200];
    struct wh_error error = {0};
    struct wh_heap heap = {0};
    struct wh_store *store = create();
    snprintf(sql, sizeof sql,
             "INSERT INTO snapshot_chunk(snapshot_id, part, first, count, raw_bytes, data)"
             " VALUES(1, 0, 0, 1, 9, x'00'); PRAGMA user_version = %d",
             version);
    assert_int_equal(wh_store_exec(store, sql, &error), 0);
    wh_store_close(store);
    assert_int_equal(wh_store_open(path, WH_STORE_READ, &store, &error), 0);
    assert_int_equal(wh_store_get_heap(store, 1, &heap, &error), WH_EINPUT);
    if (!strstr(error.text, part))
        fail_msg("'%s' without '%s'", error.text, part);
    wh_store_close(store);
}

static void snapshots_of_older_files_are_named(void **state) {
    (void)state;
    refuse_heap(WH_SCHEMA_VERSION, "damaged");
    refuse_heap(1, "schema 1");
    refuse_heap(1, "record again");
}

/* Until zstd came the slices of a snapshot were zlib's. */
static void snapshots_of_early_traces_are_read(void **state) {
    (void)state;
    struct wh_heap_node node = {.address = 0x7f0000001000, .size = 48};
    struct wh_heap heap = {.nodes = &node, .node_count = 1}, back = {0};
    struct wh_error error = {0};
    struct wh_query *q;
    unsigned char raw[256], data[256];
    size_t raw_bytes;
    uLongf bytes = sizeof data;
    assert_int_equal(wh_heap_pack(&heap, WH_HEAP_NODES, 0, 1, raw, &raw_bytes, &error), 0);
    assert_int_equal(compress2(data, &bytes, raw, raw_bytes, 1), Z_OK);
    struct wh_store *store = create();
    assert_int_equal(
        wh_query_open(store,
                      "INSERT INTO snapshot_chunk(snapshot_id, part, first, count, raw_bytes, data)"
                      " VALUES(1, 0, 0, 1, ?1, ?2)",
                      &q, &error),
        0);
    wh_query_bind_int(q, 1, (int64_t)raw_bytes);
    wh_query_bind_blob(q, 2, data, bytes);
    assert_int_equal(wh_query_step(q, &error), 0);
    wh_query_close(q);
    assert_int_equal(wh_store_get_heap(store, 1, &back, &error), 0);
    assert_int_equal(back.node_count, 1);
    assert_int_equal(back.nodes[0].address, node.address);
    assert_int_equal(back.nodes[0].size, node.size);
    wh_heap_release(&back);
    wh_store_close(store);
}

static void an_existing_file_needs_force(void **state) {
    (void)state;
    wh_store_close(create());
    struct wh_store *store = NULL;
    struct wh_error error = {0};
    assert_int_equal(wh_store_create(path, 0, &store, &error), WH_EUSAGE);
    assert_non_null(strstr(error.text, "--force"));
    assert_int_equal(wh_store_create(directory, WH_STORE_FORCE, &store, NULL), WH_EUSAGE);
}

/* --- faults -------------------------------------------------------------------------------------
 */

static int big_row(void *arg, struct wh_cell *cells) {
    static const char filler[4000];
    int *left = arg;
    wh_cell_int(&cells[0], *left);
    cells[1].type = WH_CELL_BLOB;
    cells[1].bytes = filler;
    cells[1].count = sizeof filler;
    return (*left)-- > 0;
}

/* In a child: fills the file up to `limit` bytes; exit status 0 = an error was reported in words.
 */
static void fill_until_full(rlim_t limit) {
    struct wh_store *store = NULL;
    struct wh_error error = {0};
    if (wh_store_open(path, WH_STORE_WRITE, &store, &error) != 0)
        _exit(9);
    signal(SIGXFSZ, SIG_IGN); /* as every writer must: the default action ends the process */
    struct rlimit full = {limit, limit};
    setrlimit(RLIMIT_FSIZE, &full);
    for (int batch = 0; batch < 100; batch++) {
        int left = 20;
        int rc = wh_store_begin(store, &error);
        if (!rc)
            rc = wh_store_insert(store, "t", "a, b", big_row, &left, &error);
        if (!rc)
            rc = wh_store_commit(store, &error);
        if (rc) {
            wh_store_rollback(store);
            wh_store_close(store);
            _exit(rc == WH_ESYSTEM && strstr(error.text, path) ? 0 : 8);
        }
    }
    _exit(7);
}

static void a_full_disk_keeps_what_was_committed(void **state) {
    (void)state;
    for (rlim_t limit = 500000; limit < 1400000; limit += 77777) {
        struct wh_store *store = create();
        assert_int_equal(wh_store_exec(store, "CREATE TABLE t(a, b)", NULL), 0);
        wh_store_close(store);
        pid_t pid = fork();
        if (pid == 0)
            fill_until_full(limit);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(wh_store_open(path, WH_STORE_READ, &store, NULL), 0);
        assert_true(ask(store, "SELECT count(*) FROM t") > 0);
        assert_int_equal(ask(store, "SELECT count(*) % 20 FROM t"), 0); /* whole batches */
        assert_int_equal(ask(store, "SELECT count(*) FROM pragma_integrity_check"
                                    " WHERE integrity_check = 'ok'"),
                         1);
        wh_store_close(store);
    }
}

static void a_killed_writer_leaves_the_last_commit(void **state) {
    (void)state;
    struct wh_store *store = create();
    assert_int_equal(wh_store_exec(store, "CREATE TABLE t(a, b)", NULL), 0);
    int left = 50;
    assert_int_equal(wh_store_insert(store, "t", "a, b", big_row, &left, NULL), 0);
    wh_store_close(store);
    pid_t pid = fork();
    if (pid == 0) {
        if (wh_store_open(path, WH_STORE_WRITE, &store, NULL) != 0 ||
            wh_store_exec(store, "PRAGMA cache_size = 5", NULL) != 0 ||
            wh_store_begin(store, NULL) != 0)
            _exit(9);
        left = 500; /* more than the cache: pages of the open transaction reach the file */
        wh_store_insert(store, "t", "a, b", big_row, &left, NULL);
        wh_store_exec(store, "UPDATE t SET a = 0", NULL);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(wh_store_open(path, WH_STORE_READ, &store, NULL), 0);
    assert_int_equal(ask(store, "SELECT count(*) FROM t WHERE a > 0"), 50);
    wh_store_close(store);
}

/* Reads every table to its end; an error is fine, a crash is not. Returns rows or an error code. */
static int64_t read_everything(struct wh_store *store) {
    struct wh_query *tables, *q;
    int64_t rows = 0;
    int rc = wh_query_open(store,
                           "SELECT 'SELECT * FROM ' || name FROM sqlite_schema"
                           " WHERE type IN ('table', 'view')",
                           &tables, NULL);
    if (rc)
        return rc;
    while ((rc = wh_query_step(tables, NULL)) == 1) {
        const char *sql = wh_query_text(tables, 0);
        if (!sql || wh_query_open(store, sql, &q, NULL) != 0)
            continue;
        while ((rc = wh_query_step(q, NULL)) == 1)
            rows++;
        wh_query_close(q);
        if (rc < 0)
            break;
    }
    wh_query_close(tables);
    return rc < 0 ? rc : rows;
}

static size_t read_file(unsigned char **ret_data) {
    static unsigned char data[1 << 21];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t bytes = fread(data, 1, sizeof data, f);
    fclose(f);
    *ret_data = data;
    return bytes;
}

/* Opens and reads the damaged file; what fails must say so in words. */
static int survives(void) {
    struct wh_store *store = NULL;
    struct wh_error error = {0};
    int rc = wh_store_open(path, WH_STORE_READ, &store, &error);
    if (rc) {
        assert_int_equal(error.code, rc);
        assert_non_null(strstr(error.text, path));
        return 0;
    }
    int64_t rows = read_everything(store);
    wh_store_close(store);
    return rows >= 0;
}

static void make_filled(void) {
    struct wh_store *store = create();
    assert_int_equal(wh_store_exec(store, "CREATE TABLE t(a, b); CREATE INDEX t_a ON t(a)", NULL),
                     0);
    int left = 60;
    assert_int_equal(wh_store_insert(store, "t", "a, b", big_row, &left, NULL), 0);
    wh_store_close(store);
}

static void a_cut_file_is_never_taken_for_whole(void **state) {
    (void)state;
    unsigned char *data;
    make_filled();
    size_t bytes = read_file(&data);
    for (size_t cut = 0; cut < bytes; cut += cut < 200 ? 1 : 3001) {
        write_file(data, cut);
        if (survives())
            fail_msg("cut at %zu of %zu bytes and nobody noticed", cut, bytes);
    }
    write_file(data, bytes);
    assert_true(survives());
}

static void random_damage_is_an_error_or_harmless(void **state) {
    (void)state;
    unsigned char *data;
    uint32_t random = 5;
    make_filled();
    size_t bytes = read_file(&data);
    for (int round = 0; round < 400; round++) {
        random = random * 1103515245u + 12345u;
        size_t at = round % 2 ? (random >> 8) % bytes : (random >> 8) % 8192;
        unsigned char old = data[at];
        data[at] ^= (unsigned char)(1 + (random >> 4) % 255);
        write_file(data, bytes);
        (void)survives();
        data[at] = old;
    }
}

/* Two writers: the second waits for the first, and both rows are there. */
static void a_second_writer_waits(void **state) {
    (void)state;
    struct wh_store *store = create();
    int ready[2];
    char byte;
    assert_int_equal(wh_store_exec(store, "CREATE TABLE t(a, b)", NULL), 0);
    wh_store_close(store);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (wh_store_open(path, WH_STORE_WRITE, &store, NULL) || wh_store_begin(store, NULL) ||
            wh_store_exec(store, "INSERT INTO t VALUES(1, 1)", NULL) ||
            write(ready[1], "x", 1) != 1)
            _exit(1);
        usleep(100000); /* the parent runs into the lock meanwhile, or not: both must work */
        _exit(wh_store_commit(store, NULL) ? 2 : 0);
    }
    assert_int_equal(wh_store_open(path, WH_STORE_WRITE, &store, NULL), 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(wh_store_begin(store, NULL), 0);
    assert_int_equal(wh_store_exec(store, "INSERT INTO t VALUES(2, 2)", NULL), 0);
    assert_int_equal(wh_store_commit(store, NULL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(ask(store, "SELECT count(*) FROM t"), 2);
    wh_store_close(store);
    close(ready[0]);
    close(ready[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_come_back),
        cmocka_unit_test(rows_from_an_iterator),
        cmocka_unit_test(columns_of_one_value),
        cmocka_unit_test(a_failing_iterator_leaves_nothing),
        cmocka_unit_test(thirty_two_columns),
        cmocka_unit_test(wrong_files_are_named),
        cmocka_unit_test(snapshots_of_older_files_are_named),
        cmocka_unit_test(snapshots_of_early_traces_are_read),
        cmocka_unit_test(an_existing_file_needs_force),
        cmocka_unit_test(a_full_disk_keeps_what_was_committed),
        cmocka_unit_test(a_killed_writer_leaves_the_last_commit),
        cmocka_unit_test(a_cut_file_is_never_taken_for_whole),
        cmocka_unit_test(random_damage_is_an_error_or_harmless),
        cmocka_unit_test(a_second_writer_waits),
    };
    return cmocka_run_group_tests_name("store", tests, make_directory, remove_directory);
}
