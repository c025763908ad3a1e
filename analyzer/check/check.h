/* Checks: rules that recognise leak patterns in any trace, each an SQL file.
 *
 * A rule is documentation and one SELECT (schema/rules/README.md shows the form):
 *
 *   -- rule: small_pin              name; findings carry it
 *   -- title: Small references that pin large blocks
 *   -- scope: snapshot              snapshot: run for the last snapshot of every process, its id
 * bound to ?1; trace: run once, from the events alone
 *   -- what: / evidence: / threshold: / misleads: / handbook:   prose, may go on in further lines
 *   SELECT severity, creator, holder, bytes, objects, evidence, advice ...
 *
 * A rule sees nothing but the trace. Results replace what table finding held. Context: analyzer. */
#ifndef WH_CHECK_CHECK_H
#define WH_CHECK_CHECK_H

#include <stddef.h>

#include "base/error.h"

struct wh_store;

enum wh_rule_scope { WH_RULE_SNAPSHOT, WH_RULE_TRACE };
enum wh_severity { WH_SEVERITY_INFO, WH_SEVERITY_WARNING, WH_SEVERITY_ERROR };

/* Words of severities in that order, NULL-terminated. */
extern const char *const wh_severity_words[];

struct wh_rule {
    char *name, *title, *what, *evidence, *threshold, *misleads, *handbook; /* what.. may be "" */
    enum wh_rule_scope scope;
    char *sql;    /* the whole file */
    char *source; /* where it came from, for messages */
};

struct wh_rules {
    struct wh_rule *items;
    size_t count, room;
};

/* The built-in rules, then those of a directory (NULL = none): every *.sql in name order. A rule of
 * the same name replaces the built-in one. WH_EUSAGE: a file without name, scope or statement. */
int wh_rules_load(struct wh_rules *ret_rules, const char *directory, struct wh_error *error);
void wh_rules_release(struct wh_rules *rules);

/* Runs all rules and fills table finding, largest first within a severity. only: name of the single
 * rule to run, NULL = all. The store must be open for writing. */
int wh_check_run(struct wh_store *store, const struct wh_rules *rules, const char *only,
                 struct wh_error *error);

#endif
