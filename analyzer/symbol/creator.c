/* Reads the pattern table and matches frames against it (creator.h). */
#include "analyzer/symbol/creator.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/symbol/creator_table.h"

#define LEVEL_TAKEN_BACK (-1)

struct pattern {
    char *module;   /* glob; NULL = any */
    char *function; /* glob */
    int level;      /* enum wh_creator_level, or LEVEL_TAKEN_BACK */
    bool from_user; /* may name functions without a symbol: "libfoo.so.1+0x4a0" */
};

struct wh_creator_rules {
    struct pattern *items;
    size_t count, room;
};

bool wh_glob_match(const char *glob, const char *text) {
    const char *star = NULL, *resume = NULL;
    while (*text) {
        if (*glob == '*') {
            star = glob++;
            resume = text;
        } else if (*glob == '?' || *glob == *text) {
            glob++;
            text++;
        } else if (star) {
            glob = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}

static int rules_add(struct wh_creator_rules *r, const char *line, size_t length, int level,
                     bool from_user) {
    if (r->count == r->room) {
        size_t room = r->room ? r->room * 2 : 256;
        void *items = realloc(r->items, room * sizeof(*r->items));
        if (!items)
            return WH_ESYSTEM;
        r->items = items;
        r->room = room;
    }
    if (line[0] == '-') {
        level = LEVEL_TAKEN_BACK;
        line++;
        length--;
    }
    const char *bang = memchr(line, '!', length);
    size_t module_length = bang ? (size_t)(bang - line) : 0, skip = bang ? module_length + 1 : 0;
    if (length == skip || (bang && !module_length))
        return WH_EUSAGE;
    struct pattern p = {
        .level = level, .from_user = from_user, .function = strndup(line + skip, length - skip)};
    p.module = bang ? strndup(line, module_length) : NULL;
    if (!p.function || (bang && !p.module)) {
        free(p.function);
        free(p.module);
        return WH_ESYSTEM;
    }
    r->items[r->count++] = p;
    return 0;
}

/* Adds every line of a text. 0, or the error with *ret_line the number of the line. */
static int rules_add_text(struct wh_creator_rules *r, const char *text, int level, bool from_user,
                          int *ret_line) {
    for (*ret_line = 1; *text; ++*ret_line) {
        size_t length = strcspn(text, "\n");
        const char *line = text;
        text += length + (text[length] == '\n');
        const char *comment = memchr(line, '#', length);
        if (comment)
            length = (size_t)(comment - line);
        while (length && strchr(" \t\r", line[length - 1]))
            length--;
        while (length && strchr(" \t", line[0])) {
            line++;
            length--;
        }
        int rc = length ? rules_add(r, line, length, level, from_user) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

int wh_creator_rules_new(const char *text, const char *source, struct wh_creator_rules **ret_rules,
                         struct wh_error *error) {
    struct wh_creator_rules *r = calloc(1, sizeof(*r));
    int line = 0, rc = r ? 0 : WH_ESYSTEM;
    for (const struct wh_creator_group *g = wh_creator_groups; !rc && g->title; g++)
        rc = rules_add_text(r, g->patterns, g->level, false, &line);
    if (!rc && text)
        rc = rules_add_text(r, text, WH_FRAME_ALLOCATOR, true, &line);
    *ret_rules = r;
    if (!rc)
        return 0;
    wh_creator_rules_free(r);
    *ret_rules = NULL;
    if (rc == WH_EUSAGE)
        return wh_fail(error, rc, "'%s', line %d: expected [MODULE!]FUNCTION",
                       source ? source : "patterns", line);
    return wh_fail(error, rc, "no memory for the creator patterns");
}

void wh_creator_rules_free(struct wh_creator_rules *rules) {
    if (!rules)
        return;
    for (size_t i = 0; i < rules->count; i++) {
        free(rules->items[i].module);
        free(rules->items[i].function);
    }
    free(rules->items);
    free(rules);
}

bool wh_creator_is_nameless(const char *module, const char *function) {
    size_t length = module ? strlen(module) : 0;
    return length && function && strncmp(function, module, length) == 0 &&
           strncmp(function + length, "+0x", 3) == 0;
}

static bool pattern_matches(const struct pattern *p, const char *module, const char *function) {
    /* Most patterns begin with a letter that differs: one comparison decides. */
    if (function && p->function[0] != function[0] && p->function[0] != '*' && p->function[0] != '?')
        return false;
    if (!function && strcmp(p->function, "*") != 0)
        return false;
    if (p->module && !(module && wh_glob_match(p->module, module)))
        return false;
    return !function || wh_glob_match(p->function, function);
}

enum wh_creator_level wh_creator_level(const struct wh_creator_rules *rules, const char *module,
                                       const char *function) {
    int level = WH_FRAME_OWN;
    /* A module called xmalloc_test must not make wrappers of its functions. */
    bool nameless = wh_creator_is_nameless(module, function);
    for (size_t i = 0; i < rules->count; i++) {
        const struct pattern *p = &rules->items[i];
        if (level && p->level >= level)
            continue;
        if (!pattern_matches(p, module, nameless && !p->from_user ? NULL : function))
            continue;
        if (p->level == LEVEL_TAKEN_BACK)
            return WH_FRAME_OWN;
        level = p->level;
    }
    return (enum wh_creator_level)level;
}

bool wh_creator_is_kept(const struct wh_creator_rules *rules, const char *module,
                        const char *function) {
    for (size_t i = 0; i < rules->count; i++) {
        if (rules->items[i].level == LEVEL_TAKEN_BACK &&
            pattern_matches(&rules->items[i], module, function))
            return true;
    }
    return false;
}

size_t wh_creator_choose(const unsigned char *levels, size_t count) {
    size_t runtime = count;
    for (size_t i = 0; i < count; i++) {
        if (levels[i] == WH_FRAME_OWN)
            return i;
        if (levels[i] == WH_FRAME_RUNTIME && runtime == count)
            runtime = i;
    }
    return runtime < count ? runtime : 0;
}
