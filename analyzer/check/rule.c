/* Rules: reading their documentation out of the comments above the statement. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/check/check.h"
#include "base/string.h"
#include "schema/sql.h"

static const char *const fields[] = {"rule",     "title",     "scope",    "what",
                                     "evidence", "threshold", "misleads", "handbook"};
enum { FIELD_RULE, FIELD_TITLE, FIELD_SCOPE, FIELD_WHAT, FIELD_COUNT = 8 };

static void rule_release(struct wh_rule *r) {
    free(r->name);
    free(r->title);
    free(r->what);
    free(r->evidence);
    free(r->threshold);
    free(r->misleads);
    free(r->handbook);
    free(r->sql);
    free(r->source);
    *r = (struct wh_rule){0};
}

void wh_rules_release(struct wh_rules *rules) {
    for (size_t i = 0; i < rules->count; i++)
        rule_release(&rules->items[i]);
    free(rules->items);
    *rules = (struct wh_rules){0};
}

/* "name: rest" at the start of a comment's text: its index in fields, -1 = no field. */
static int field_of(const char *line, size_t length, size_t *ret_after) {
    for (int f = 0; f < FIELD_COUNT; f++) {
        size_t n = strlen(fields[f]);
        if (length > n && strncmp(line, fields[f], n) == 0 && line[n] == ':') {
            *ret_after = n + 1;
            return f;
        }
    }
    return -1;
}

/* Collects the fields of the leading comment lines; a line without a field goes on with the last.
 */
static void read_header(const char *sql, struct wh_text texts[FIELD_COUNT]) {
    int current = -1;
    while (strncmp(sql, "--", 2) == 0) {
        const char *end = strchr(sql, '\n');
        size_t length = end ? (size_t)(end - sql) : strlen(sql);
        const char *line = sql + 2;
        size_t n = length - 2, after = 0;
        while (n && *line == ' ')
            line++, n--;
        int f = field_of(line, n, &after);
        if (f >= 0) {
            current = f;
            line += after;
            n -= after;
            while (n && *line == ' ')
                line++, n--;
        }
        if (current >= 0 && n) {
            if (texts[current].length)
                wh_text_puts(&texts[current], " ");
            wh_text_add(&texts[current], line, n);
        }
        if (!end)
            return;
        sql = end + 1;
    }
}

static char *take(struct wh_text *t) {
    char *s = t->data ? t->data : strdup("");
    *t = (struct wh_text){0};
    return s;
}

static int rule_parse(struct wh_rule *ret_rule, const char *sql, const char *source,
                      struct wh_error *error) {
    struct wh_text texts[FIELD_COUNT] = {{0}};
    read_header(sql, texts);
    const char *scope = texts[FIELD_SCOPE].data ? texts[FIELD_SCOPE].data : "";
    int rc = 0;
    if (!texts[FIELD_RULE].length)
        rc = wh_fail(error, WH_EUSAGE, "'%s' is no rule: it has no line '-- rule: NAME'", source);
    else if (strcmp(scope, "snapshot") != 0 && strcmp(scope, "trace") != 0)
        rc = wh_fail(error, WH_EUSAGE, "'%s': '-- scope:' must be snapshot or trace", source);
    if (rc == 0) {
        *ret_rule = (struct wh_rule){
            .scope = strcmp(scope, "trace") == 0 ? WH_RULE_TRACE : WH_RULE_SNAPSHOT,
            .name = take(&texts[FIELD_RULE]),
            .title = take(&texts[FIELD_TITLE]),
            .what = take(&texts[FIELD_WHAT]),
            .evidence = take(&texts[FIELD_WHAT + 1]),
            .threshold = take(&texts[FIELD_WHAT + 2]),
            .misleads = take(&texts[FIELD_WHAT + 3]),
            .handbook = take(&texts[FIELD_WHAT + 4]),
            .sql = strdup(sql),
            .source = strdup(source),
        };
        if (!ret_rule->name || !ret_rule->sql || !ret_rule->source)
            rc = wh_fail(error, WH_ESYSTEM, "out of memory reading rule '%s'", source);
    }
    for (int f = 0; f < FIELD_COUNT; f++)
        wh_text_release(&texts[f]);
    return rc;
}

static int rules_add(struct wh_rules *rules, const char *sql, const char *source,
                     struct wh_error *error) {
    struct wh_rule rule = {0};
    int rc = rule_parse(&rule, sql, source, error);
    if (rc)
        return rc;
    for (size_t i = 0; i < rules->count; i++) {
        if (strcmp(rules->items[i].name, rule.name) == 0) {
            rule_release(&rules->items[i]);
            rules->items[i] = rule;
            return 0;
        }
    }
    if (wh_array_reserve(&rules->items, &rules->room, rules->count + 1, sizeof rule)) {
        rule_release(&rule);
        return wh_fail(error, WH_ESYSTEM, "out of memory reading rules");
    }
    rules->items[rules->count++] = rule;
    return 0;
}

static int read_file(const char *path, char **ret_text, struct wh_error *error) {
    FILE *f = fopen(path, "re");
    if (!f)
        return wh_fail_errno(error, "cannot open rule '%s'", path);
    struct wh_text text = {0};
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        wh_text_add(&text, piece, n);
    int bad = ferror(f) || text.failed;
    fclose(f);
    if (bad) {
        wh_text_release(&text);
        return wh_fail(error, WH_ESYSTEM, "cannot read rule '%s'", path);
    }
    *ret_text = take(&text);
    return *ret_text ? 0 : wh_fail(error, WH_ESYSTEM, "out of memory reading rule '%s'", path);
}

static int is_sql(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return n > 4 && strcmp(entry->d_name + n - 4, ".sql") == 0;
}

static int load_directory(struct wh_rules *rules, const char *directory, struct wh_error *error) {
    struct dirent **entries;
    int n = scandir(directory, &entries, is_sql, alphasort);
    if (n < 0)
        return wh_fail_errno(error, "cannot read the rules in '%s'", directory);
    int rc = 0;
    for (int i = 0; i < n; i++) {
        char path[4096];
        char *text = NULL;
        snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
        if (rc == 0)
            rc = read_file(path, &text, error);
        if (rc == 0)
            rc = rules_add(rules, text, path, error);
        free(text);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int wh_rules_load(struct wh_rules *ret_rules, const char *directory, struct wh_error *error) {
    struct wh_rules rules = {0};
    int rc = 0;
    for (const struct wh_sql_file *f = wh_sql_files; f->name && rc == 0; f++)
        if (strncmp(f->name, "rules/", 6) == 0)
            rc = rules_add(&rules, f->text, f->name, error);
    if (rc == 0 && directory)
        rc = load_directory(&rules, directory, error);
    if (rc) {
        wh_rules_release(&rules);
        return rc;
    }
    *ret_rules = rules;
    return 0;
}
