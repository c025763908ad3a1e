/* whoholds sql: queries on a trace with the table `event` at hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"
#include "command.h"

static const struct wh_option options[] = {WH_OPTION_FORMAT, {0}};

/* Columns of an arbitrary query: text for all in text mode, so that numbers come out as they are.
 */
static struct wh_column *make_columns(const struct wh_query *q) {
    int count = wh_query_columns(q);
    struct wh_column *columns = calloc((size_t)count, sizeof *columns);
    for (int i = 0; columns && i < count; i++)
        columns[i] = (struct wh_column){wh_query_name(q, i), WH_COLUMN_TEXT, NULL, 0};
    return columns;
}

/* The first row tells which columns are numbers: these are aligned to the right. */
static void type_columns(const struct wh_query *q, struct wh_column *columns) {
    for (int i = 0; i < wh_query_columns(q); i++)
        if (wh_query_type(q, i) == WH_CELL_INT || wh_query_type(q, i) == WH_CELL_REAL)
            columns[i].type = WH_COLUMN_INTEGER;
}

static void put_blob(struct wh_output *out, const struct wh_query *q, int column) {
    static const char hex[] = "0123456789abcdef";
    size_t bytes;
    const unsigned char *data = wh_query_blob(q, column, &bytes);
    struct wh_text t = {0};
    for (size_t i = 0; i < bytes; i++) {
        char two[2] = {hex[data[i] >> 4], hex[data[i] & 15]};
        wh_text_add(&t, two, 2);
    }
    if (t.failed)
        out->failed = 1;
    wh_table_text(out, t.data && !t.failed ? t.data : "");
    wh_text_release(&t);
}

static void put_row(struct wh_output *out, const struct wh_query *q) {
    for (int i = 0; i < wh_query_columns(q); i++)
        switch (wh_query_type(q, i)) {
        case WH_CELL_NULL:
            wh_table_null(out);
            break;
        case WH_CELL_INT:
            wh_table_int(out, wh_query_int(q, i));
            break;
        case WH_CELL_REAL:
            wh_table_real(out, wh_query_real(q, i));
            break;
        case WH_CELL_TEXT:
            wh_table_text(out, wh_query_text(q, i));
            break;
        case WH_CELL_BLOB:
            put_blob(out, q, i);
            break;
        }
}

static int print_query(struct wh_call *call, struct wh_query *q) {
    struct wh_output out;
    int rc = wh_call_output(call, &out);
    if (rc)
        return rc;
    struct wh_column *columns = make_columns(q);
    if (!columns)
        return wh_fail(&call->error, WH_ESYSTEM, "out of memory");
    rc = wh_query_step(q, &call->error);
    if (rc == 1)
        type_columns(q, columns);
    if (rc >= 0)
        wh_table_begin(&out, NULL, columns, wh_query_columns(q));
    while (rc == 1) {
        put_row(&out, q);
        rc = wh_query_step(q, &call->error);
    }
    wh_table_end(&out);
    int finished = wh_output_finish(&out, rc ? NULL : &call->error);
    free(columns);
    return rc ? rc : finished;
}

/* Every statement of sql in turn. What SQLite refuses is the user's own text: a usage error. */
static int run_statements(struct wh_call *call, struct wh_store *store, const char *sql) {
    while (*sql) {
        struct wh_query *q = NULL;
        int rc = wh_query_open_part(store, sql, &sql, &q, &call->error);
        if (rc == WH_EINPUT && !strstr(call->error.text, "damaged"))
            return call->error.code = WH_EUSAGE;
        if (rc)
            return rc;
        if (!q)
            continue;
        if (wh_query_columns(q))
            rc = print_query(call, q);
        else
            rc = wh_query_step(q, &call->error);
        wh_query_close(q);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_input(struct wh_text *ret_text, struct wh_error *error) {
    char part[4096];
    size_t n;
    while ((n = fread(part, 1, sizeof part, stdin)) > 0)
        wh_text_add(ret_text, part, n);
    if (ferror(stdin))
        return wh_fail_errno(error, "cannot read standard input");
    if (ret_text->failed)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    return 0;
}

static int run(struct wh_call *call) {
    struct wh_store *store;
    struct wh_text input = {0};
    int rc = wh_call_open(call, 0, WH_STORE_READ | WH_CALL_UNFINISHED, &store);
    if (rc)
        return rc;
    const char *sql = call->args.operand_count > 1 ? call->args.operands[1] : NULL;
    if (!sql)
        rc = read_input(&input, &call->error);
    if (!rc)
        rc = run_statements(call, store, sql ? sql : input.data ? input.data : "");
    wh_text_release(&input);
    wh_store_close(store);
    return rc;
}

const struct wh_command wh_command_sql = {
    .name = "sql",
    .summary = "run SQL on a trace",
    .usage = "[options] FILE [QUERY]",
    .text =
        "Runs QUERY, or without one the statements on standard input, on FILE, which is opened for "
        "reading only. The stock sqlite3 shell reads every table and view just as well; this "
        "command "
        "adds the table `event`: each recorded event, read straight from the compressed chunks. "
        "(The "
        "shell has it too after `.load libwhoholds_sqlite`.)\n"
        "\n"
        "event(process_id, thread_serial, at_ns, kind, detail, address, size_bytes, old_address, "
        "stack_id, before_ns, number, text): kind is alloc, free, realloc, node, thread, image, "
        "fork, "
        "module, exit, snapshot, pool, pause, note or lost; detail names the entry point of an "
        "allocation (malloc, new[], mmap, ...). Constraints on process_id, thread_serial and at_ns "
        "skip whole chunks.\n"
        "\n"
        " whoholds sql trace.db 'SELECT * FROM gap'\n"
        " whoholds sql --format=csv trace.db \"SELECT at_ns, size_bytes FROM event WHERE "
        "kind='alloc'\"\n"
        " echo 'SELECT detail, count(*) FROM event GROUP BY 1' | whoholds sql trace.db",
    .options = options,
    .operands_min = 1,
    .operands_max = 2,
    .run = run,
};
