/* Running the rules: each SELECT's rows become rows of table finding. */
#include "analyzer/check/check.h"

#include <stdio.h>
#include <string.h>

#include "schema/store.h"

const char *const wh_severity_words[] = {"info", "warning", "error", NULL};

enum { COLUMNS = 7 }; /* severity creator holder bytes objects evidence advice */

static int severity_known(const char *word) {
    for (int i = 0; word && wh_severity_words[i]; i++)
        if (strcmp(word, wh_severity_words[i]) == 0)
            return 1;
    return 0;
}

/* One row of a rule into table finding; a rule that breaks its form is named. */
static int keep_row(const struct wh_rule *rule, struct wh_query *from, struct wh_query *into,
                    int64_t snapshot_id, struct wh_error *error) {
    if (!severity_known(wh_query_text(from, 0)))
        return wh_fail(error, WH_EUSAGE, "rule '%s': severity must be info, warning or error",
                       rule->source);
    wh_query_reset(into);
    if (snapshot_id)
        wh_query_bind_int(into, 1, snapshot_id);
    else
        wh_query_bind_text(into, 1, NULL);
    wh_query_bind_text(into, 2, rule->name);
    for (int c = 0; c < 3; c++)
        wh_query_bind_text(into, 3 + c, wh_query_text(from, c));
    wh_query_bind_int(into, 6, wh_query_int(from, 3));
    wh_query_bind_int(into, 7, wh_query_int(from, 4));
    for (int c = 5; c < COLUMNS; c++) {
        const char *text = wh_query_text(from, c);
        wh_query_bind_text(into, 3 + c, text ? text : "");
    }
    return wh_query_step(into, error) < 0 ? error ? error->code : WH_ESYSTEM : 0;
}

static int run_rule(struct wh_store *store, const struct wh_rule *rule, int64_t snapshot_id,
                    struct wh_query *into, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store, rule->sql, &q, error);
    if (rc) {
        struct wh_error why = error ? *error : (struct wh_error){0};
        return wh_fail(error, WH_EUSAGE, "rule '%s': %s", rule->source, why.text);
    }
    if (wh_query_columns(q) != COLUMNS)
        rc = wh_fail(error, WH_EUSAGE,
                     "rule '%s': its SELECT must give %d columns: severity, creator, holder, "
                     "bytes, objects, evidence, advice",
                     rule->source, COLUMNS);
    if (rc == 0 && snapshot_id && wh_query_parameters(q) > 0)
        wh_query_bind_int(q, 1, snapshot_id);
    while (rc == 0) {
        int step = wh_query_step(q, error);
        if (step <= 0) {
            rc = step;
            break;
        }
        rc = keep_row(rule, q, into, snapshot_id, error);
    }
    wh_query_close(q);
    return rc;
}

/* The last snapshot of every process: the state that a leak is judged by. */
static int run_on_snapshots(struct wh_store *store, const struct wh_rule *rule,
                            struct wh_query *into, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(
        store, "SELECT max(id) FROM snapshot WHERE held_bytes NOT NULL GROUP BY process_id", &q,
        error);
    while (rc == 0) {
        int step = wh_query_step(q, error);
        if (step <= 0) {
            rc = step;
            break;
        }
        rc = run_rule(store, rule, wh_query_int(q, 0), into, error);
    }
    wh_query_close(q);
    return rc;
}

int wh_check_run(struct wh_store *store, const struct wh_rules *rules, const char *only,
                 struct wh_error *error) {
    struct wh_query *into = NULL;
    int found = 0;
    int rc = wh_store_begin(store, error);
    if (rc)
        return rc;
    rc = wh_store_exec(store, "DELETE FROM finding", error);
    if (rc == 0)
        rc = wh_query_open(store, "INSERT INTO finding VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)", &into,
                           error);
    for (size_t i = 0; i < rules->count && rc == 0; i++) {
        const struct wh_rule *rule = &rules->items[i];
        if (only && strcmp(only, rule->name) != 0)
            continue;
        found = 1;
        rc = rule->scope == WH_RULE_TRACE ? run_rule(store, rule, 0, into, error)
                                          : run_on_snapshots(store, rule, into, error);
    }
    wh_query_close(into);
    if (rc == 0 && only && !found)
        rc = wh_fail(error, WH_EUSAGE, "no rule '%s', `whoholds check --list` names them", only);
    if (rc == 0)
        rc = wh_store_commit(store, error);
    if (rc)
        wh_store_rollback(store);
    return rc;
}
