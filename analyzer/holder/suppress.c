/* Reading suppression files and matching their patterns, without recursion. */
#include "analyzer/holder/suppress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/holder/holding.h"
#include "analyzer/symbol/frames.h"
#include "base/string.h"

/* Is the pattern, up to its next '*' or '$' at the end, found at text? Its length is n. */
static int piece_at(const char *piece, size_t n, const char *text) {
    return strncmp(piece, text, n) == 0;
}

int wh_suppression_matches(const char *pattern, const char *text) {
    int anchored = 0;
    if (!text)
        return 0;
    if (*pattern == '^') {
        anchored = 1;
        pattern++;
    }
    while (*pattern) {
        if (*pattern == '*') {
            anchored = 0;
            pattern++;
            continue;
        }
        if (*pattern == '$' && !pattern[1])
            return !anchored || !*text;
        size_t n = strcspn(pattern, "*$");
        if (pattern[n] == '$' && pattern[n + 1])
            n++; /* a dollar in the middle is itself */
        int at_end = pattern[n] == '$' && !pattern[n + 1];
        size_t length = strlen(text);
        if (at_end) {
            if (length < n || (anchored && length != n))
                return 0;
            return piece_at(pattern, n, text + length - n);
        }
        while (!piece_at(pattern, n, text)) {
            if (anchored || !*text)
                return 0;
            text++;
        }
        text += n;
        pattern += n;
        anchored = 1;
    }
    return 1;
}

/* --- files
 * ---------------------------------------------------------------------------------------- */

/* Kinds of suppressions that people keep in one file with those of leaks. */
static int is_others_kind(const char *kind, size_t n) {
    static const char *const kinds[] = {"race",
                                        "race_top",
                                        "mutex",
                                        "thread",
                                        "signal",
                                        "deadlock",
                                        "called_from_lib",
                                        "interceptor_name",
                                        "interceptor_via_fun",
                                        "alloc_dealloc_mismatch",
                                        "odr_violation",
                                        "interceptor_via_lib"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i]) == n && memcmp(kinds[i], kind, n) == 0)
            return 1;
    return 0;
}

/* "f(int)" is "f" at the end of a name here; "(anonymous namespace)" is part of one. */
static void drop_parameters(char *pattern) {
    static const char nameless[] = "(anonymous namespace)";
    char *at = pattern;
    while ((at = strchr(at, '(')) != NULL && strncmp(at, nameless, sizeof nameless - 1) == 0)
        at += sizeof nameless - 1;
    if (at && at > pattern)
        memcpy(at, "$", 2);
}

static int add_line(struct wh_suppressions *s, char *line, const char *path, int number,
                    struct wh_error *error) {
    if (number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3;
    line += strspn(line, " \t");
    for (size_t n = strlen(line); n && strchr(" \t\r\n", line[n - 1]);)
        line[--n] = 0;
    if (!*line || *line == '#')
        return 0;
    char *colon = strchr(line, ':');
    if (!colon || !colon[1])
        return wh_fail(error, WH_EINPUT, "'%s' line %d: expected leak:PATTERN", path, number);
    if (is_others_kind(line, (size_t)(colon - line))) {
        s->others++;
        return 0;
    }
    if (strncmp(line, "leak:", 5) != 0)
        return wh_fail(error, WH_EINPUT, "'%s' line %d: expected leak:PATTERN, not '%.*s'", path,
                       number, (int)(colon - line), line);
    drop_parameters(colon + 1);
    if (wh_array_reserve(&s->patterns, &s->room, s->count + 1, sizeof(*s->patterns)) < 0 ||
        !(s->patterns[s->count] = strdup(colon + 1)))
        return wh_fail(error, WH_ESYSTEM, "no memory for suppressions");
    s->count++;
    return 0;
}

int wh_suppressions_load(const char *path, struct wh_suppressions *ret, struct wh_error *error) {
    *ret = (struct wh_suppressions){0};
    FILE *file = fopen(path, "re");
    if (!file)
        return wh_fail_errno(error, "cannot read '%s'", path);
    char *line = NULL;
    size_t room = 0;
    int status = 0, number = 0;
    while (status == 0 && getline(&line, &room, file) >= 0)
        status = add_line(ret, line, path, ++number, error);
    if (status == 0 && ferror(file))
        status = wh_fail_errno(error, "cannot read '%s'", path);
    free(line);
    fclose(file);
    if (status < 0)
        wh_suppressions_release(ret);
    return status;
}

void wh_suppressions_release(struct wh_suppressions *s) {
    for (size_t i = 0; i < s->count; i++)
        free(s->patterns[i]);
    free(s->patterns);
    *s = (struct wh_suppressions){0};
}

/* --- blocks
 * --------------------------------------------------------------------------------------- */

static int matches(const struct wh_suppressions *s, const char *text) {
    for (size_t i = 0; i < s->count; i++)
        if (wh_suppression_matches(s->patterns[i], text))
            return 1;
    return 0;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* File names of the modules whose path matches: frames have no more. */
struct modules {
    char **names;
    size_t count, room;
};

static void release_modules(struct modules *m) {
    for (size_t i = 0; i < m->count; i++)
        free(m->names[i]);
    free(m->names);
}

static int find_modules(const struct wh_suppressions *s, const struct wh_holding *h,
                        struct modules *m, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(h->store, "SELECT DISTINCT path FROM module", &q, error);
    while (!rc && (rc = wh_query_step(q, error)) > 0) {
        const char *path = wh_query_text(q, 0);
        rc = 0;
        if (!matches(s, path))
            continue;
        if (wh_array_reserve(&m->names, &m->room, m->count + 1, sizeof *m->names) < 0 ||
            !(m->names[m->count] = strdup(base_name(path))))
            rc = wh_fail(error, WH_ESYSTEM, "no memory for suppressions");
        else
            m->count++;
    }
    wh_query_close(q);
    return rc;
}

static int is_of(const struct modules *m, const char *module) {
    for (size_t i = 0; module && i < m->count; i++)
        if (strcmp(m->names[i], module) == 0)
            return 1;
    return 0;
}

static int is_suppressed(const struct wh_suppressions *s, const struct modules *m,
                         const struct wh_frames *frames, uint32_t stack) {
    struct wh_frame f;
    for (size_t i = 0; wh_frames_get(frames, stack, i, &f); i++)
        if (matches(s, f.function) || matches(s, f.file) || is_of(m, f.module))
            return 1;
    return 0;
}

/* Blocks of one stack mostly lie together. */
static void mark_by_stack(const struct wh_suppressions *s, const struct modules *m,
                          const struct wh_holding *h, unsigned char *marks) {
    uint32_t last = 0;
    unsigned char answer = 0;
    for (uint32_t b = 0; b < h->graph.blocks; b++) {
        uint32_t stack = h->heap.nodes[b].stack_id;
        if (h->graph.lost_state[b] == WH_LOST_NOT || !stack)
            continue;
        if (stack != last)
            answer = (unsigned char)is_suppressed(s, m, h->frames, stack);
        last = stack;
        marks[b] = answer;
    }
}

static int mark_reachable(const struct wh_holding *h, unsigned char *marks,
                          struct wh_error *error) {
    uint32_t *stack = malloc((h->graph.blocks + 1u) * sizeof *stack), top = 0;
    if (!stack)
        return wh_fail(error, WH_ESYSTEM, "no memory for suppressions");
    for (uint32_t b = 0; b < h->graph.blocks; b++)
        if (marks[b])
            stack[top++] = b;
    while (top) {
        uint32_t from = stack[--top];
        for (uint32_t e = h->heap.edges.first[from]; e < h->heap.edges.first[from + 1]; e++) {
            const struct wh_edge *edge = &h->heap.edges.items[e];
            if (edge->edge_class == WH_EDGE_SUSPECT || marks[edge->to] ||
                h->graph.lost_state[edge->to] == WH_LOST_NOT)
                continue;
            marks[edge->to] = 1;
            stack[top++] = edge->to;
        }
    }
    free(stack);
    return 0;
}

int wh_suppressed_blocks(const struct wh_suppressions *s, const struct wh_holding *h,
                         unsigned char **ret, struct wh_error *error) {
    struct modules modules = {0};
    unsigned char *marks = calloc(h->graph.blocks + 1u, 1);
    int rc = marks ? find_modules(s, h, &modules, error)
                   : wh_fail(error, WH_ESYSTEM, "no memory for suppressions");
    if (!rc) {
        mark_by_stack(s, &modules, h, marks);
        rc = mark_reachable(h, marks, error);
    }
    release_modules(&modules);
    if (rc)
        free(marks);
    else
        *ret = marks;
    return rc;
}
