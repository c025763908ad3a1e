/* whoholds check: runs the rules and reports what they found; its exit status is a gate for CI. */
#include <stdio.h>
#include <string.h>

#include "analyzer/check/check.h"
#include "analyzer/check/sarif.h"
#include "base/string.h"
#include "base/units.h"
#include "command.h"

static const char *const format_words[] = {"text", "json", "csv", "sarif", NULL};
enum { FORMAT_SARIF = 3 };
static const char *const fail_words[] = {"info", "warning", "error", "never", NULL};

static int list_rules(struct wh_call *call, const struct wh_rules *rules) {
    static const struct wh_column columns[] = {
        {.name = "rule"},      {.name = "scope"},    {.name = "title"},
        {.name = "threshold"}, {.name = "misleads"},
    };
    struct wh_output out;
    int rc = wh_call_output(call, &out);
    if (rc)
        return rc;
    int count = out.format == WH_FORMAT_TEXT ? 3 : 5;
    wh_table_begin(&out, NULL, columns, count);
    for (size_t i = 0; i < rules->count; i++) {
        const struct wh_rule *r = &rules->items[i];
        wh_table_text(&out, r->name);
        wh_table_text(&out, r->scope == WH_RULE_TRACE ? "trace" : "snapshot");
        wh_table_text(&out, r->title);
        if (count == 5) {
            wh_table_text(&out, r->threshold);
            wh_table_text(&out, r->misleads);
        }
    }
    wh_table_end(&out);
    return wh_output_finish(&out, &call->error);
}

static int query_findings(struct wh_store *store, struct wh_query **ret_query,
                          struct wh_error *error) {
    return wh_query_open(
        store,
        "SELECT f.severity, f.rule, f.creator, f.holder, f.bytes, f.objects, f.evidence, f.advice,"
        "       f.snapshot_id, p.pid, p.exe,"
        "       CASE WHEN (SELECT count(*) FROM process) > 1 THEN p.exe || ', pid ' || p.pid END,"
        "       row_number() OVER alike, count(*) OVER rest, sum(f.bytes) OVER rest"
        " FROM finding f LEFT JOIN snapshot s ON s.id = f.snapshot_id"
        "  LEFT JOIN process p ON p.id = s.process_id"
        " WINDOW alike AS (PARTITION BY f.severity, f.rule"
        "  ORDER BY f.bytes DESC, f.creator, f.holder, f.rowid),"
        " rest AS (alike ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)"
        " ORDER BY instr('error   warning info', f.severity), f.bytes DESC, f.rule, f.creator,"
        "  f.holder, f.rowid",
        ret_query, error);
}

static const char *title_of(const struct wh_rules *rules, const char *name) {
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->items[i].name, name) == 0)
            return rules->items[i].title;
    return name;
}

#define INFOS_SHOWN 3 /* of a rule in text: a tree of a hundred shells has the same one in each */

/* Text for people: is the finding one that is only counted? Says so once for all of its rule. */
static int is_folded(const struct wh_query *q, struct wh_output *out, const char *title) {
    int64_t place = wh_query_int(q, 12);
    if (place <= INFOS_SHOWN || strcmp(wh_query_text(q, 0), "info") != 0)
        return 0;
    char count[WH_UNITS_TEXT], bytes[WH_UNITS_TEXT];
    if (place == INFOS_SHOWN + 1) {
        wh_output_say(out, "%s", "");
        wh_output_say(out, "info: %s: %s more, %s in all; --format=json lists them", title,
                      wh_format_count(count, wh_query_int(q, 13)),
                      wh_format_bytes(bytes, wh_query_int(q, 14)));
    }
    return 1;
}

/* A paragraph a finding. */
static int print_text(struct wh_query *q, const struct wh_rules *rules, size_t rules_run,
                      struct wh_output *out, struct wh_error *error) {
    int step, found = 0;
    char clean[2048];
    while ((step = wh_query_step(q, error)) > 0) {
        struct wh_text line = {0};
        const char *title = title_of(rules, wh_query_text(q, 1));
        found++;
        if (is_folded(q, out, title))
            continue;
        wh_text_printf(&line, "%s: %s (%s)", wh_query_text(q, 0), title, wh_query_text(q, 1));
        wh_output_title(out, line.data ? line.data : "");
        wh_text_release(&line);
        static const struct {
            const char *label;
            int column;
        } parts[] = {
            {"program", 11}, {"created by", 2}, {"held by", 3}, {"evidence", 6}, {"advice", 7}};
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            const char *text = wh_query_text(q, parts[i].column);
            if (text && *text)
                wh_output_say(out, "  %-10s  %s", parts[i].label,
                              wh_text_sanitize(clean, sizeof clean, text, strlen(text)));
        }
    }
    if (step == 0 && !found)
        wh_output_say(out, "nothing found: %zu rule%s looked", rules_run,
                      rules_run == 1 ? "" : "s");
    return step;
}

static int print_table(struct wh_query *q, struct wh_output *out, struct wh_error *error) {
    static const struct wh_column columns[] = {
        {.name = "severity"},
        {.name = "rule"},
        {.name = "creator"},
        {.name = "holder"},
        {.name = "bytes", .type = WH_COLUMN_BYTES},
        {.name = "objects", .type = WH_COLUMN_COUNT},
        {.name = "evidence"},
        {.name = "advice"},
        {.name = "snapshot_id", .type = WH_COLUMN_INTEGER},
        {.name = "pid", .type = WH_COLUMN_INTEGER},
        {.name = "exe"},
    };
    enum { COUNT = sizeof columns / sizeof columns[0] };
    int step;
    wh_table_begin(out, NULL, columns, COUNT);
    while ((step = wh_query_step(q, error)) > 0) {
        for (int c = 0; c < COUNT; c++) {
            if (wh_query_type(q, c) == WH_CELL_NULL)
                wh_table_null(out);
            else if (wh_query_type(q, c) == WH_CELL_INT)
                wh_table_int(out, wh_query_int(q, c));
            else
                wh_table_text(out, wh_query_text(q, c));
        }
    }
    wh_table_end(out);
    return step;
}

static int print_findings(struct wh_call *call, struct wh_store *store,
                          const struct wh_rules *rules, int format) {
    struct wh_query *q;
    int rc = query_findings(store, &q, &call->error);
    if (rc)
        return rc;
    if (format == FORMAT_SARIF) {
        rc = wh_sarif_write(stdout, q, rules, wh_store_path(store), &call->error);
    } else {
        struct wh_output out;
        wh_output_init(&out, stdout, (enum wh_format)format);
        size_t rules_run = wh_arguments_text(&call->args, "rule") ? 1 : rules->count;
        rc = format == WH_FORMAT_TEXT ? print_text(q, rules, rules_run, &out, &call->error)
                                      : print_table(q, &out, &call->error);
        int finish = wh_output_finish(&out, &call->error);
        rc = rc ? rc : finish;
    }
    wh_query_close(q);
    return rc;
}

/* Number of findings at or above a severity: what the exit status says. */
static int count_at(struct wh_store *store, int severity, int64_t *ret_count,
                    struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store,
                           "SELECT count(*) FROM finding WHERE"
                           " instr('info    warning error', severity) / 8 >= ?1",
                           &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, severity);
    rc = wh_query_step(q, error);
    *ret_count = rc > 0 ? wh_query_int(q, 0) : 0;
    wh_query_close(q);
    return rc < 0 ? rc : 0;
}

static int check_file(struct wh_call *call, const struct wh_rules *rules, int format, int fail_on) {
    struct wh_store *store;
    int64_t failing = 0;
    int rc = wh_call_open(call, 0, WH_STORE_WRITE, &store);
    if (rc)
        return rc;
    rc = wh_check_run(store, rules, wh_arguments_text(&call->args, "rule"), &call->error);
    if (rc == 0)
        rc = print_findings(call, store, rules, format);
    if (rc == 0)
        rc = count_at(store, fail_on, &failing, &call->error);
    wh_store_close(store);
    return rc == 0 && failing ? WH_EXIT_FINDING : rc;
}

static int run(struct wh_call *call) {
    int format = WH_FORMAT_TEXT, fail_on = WH_SEVERITY_WARNING;
    struct wh_rules rules;
    int rc = wh_arguments_choice(&call->args, "format", format_words, &format, &call->error);
    if (rc == 0)
        rc = wh_arguments_choice(&call->args, "fail-on", fail_words, &fail_on, &call->error);
    if (rc == 0)
        rc = wh_rules_load(&rules, wh_arguments_text(&call->args, "rules"), &call->error);
    if (rc)
        return rc;
    if (wh_arguments_has(&call->args, "list"))
        rc = list_rules(call, &rules);
    else if (call->args.operand_count == 0)
        rc = wh_fail(&call->error, WH_EUSAGE, "no trace given");
    else
        rc = check_file(call, &rules, format, fail_on);
    wh_rules_release(&rules);
    return rc;
}

static const struct wh_option options[] = {
    {"rules", 0, "DIR", "also run every *.sql rule of DIR; the same name replaces a built-in rule",
     NULL},
    {"rule", 0, "NAME", "run this rule only", NULL},
    {"list", 0, NULL, "list the rules and what they look for, then exit", NULL},
    {"fail-on", 0, "info|warning|error|never", "exit 1 when a finding is at least this severe",
     "warning"},
    {"format", 'f', "text|json|csv|sarif", "how the findings are written", "text"},
    {0},
};

const struct wh_command wh_command_check = {
    .name = "check",
    .summary = "recognise known leak patterns in a trace",
    .usage = "[options] FILE",
    .text =
        "Runs every rule over the trace and reports what it found: severity, who created the "
        "bytes, who holds them, the evidence in numbers and what to do. Rules judge references "
        "and events alone, never names; each is an SQL file with its documentation.\n\n"
        "Judged is the last snapshot of each process, also where the other commands show the one "
        "at the peak (json and csv have its number). The findings are kept in the table "
        "finding of the trace.\n\n"
        " whoholds check trace.db\n"
        " whoholds check --fail-on error --format sarif trace.db > findings.sarif",
    .options = options,
    .operands_min = 0,
    .operands_max = 1,
    .exits = "1  a finding is at or above --fail-on",
    .run = run,
};
