/* Reading suppression files and matching their patterns, without recursion. */
#include "analyzer/holder/suppress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int wh_suppressions_match(const struct wh_suppressions *s, const char *function, const char *file,
                          const char *module) {
    for (size_t i = 0; i < s->count; i++)
        if (wh_suppression_matches(s->patterns[i], function) ||
            wh_suppression_matches(s->patterns[i], file) ||
            wh_suppression_matches(s->patterns[i], module))
            return 1;
    return 0;
}

static int add_line(struct wh_suppressions *s, const char *line, const char *path, int number,
                    struct wh_error *error) {
    while (*line == ' ' || *line == '\t')
        line++;
    if (!*line || *line == '#')
        return 0;
    const char *colon = strchr(line, ':');
    if (!colon || !colon[1])
        return wh_fail(error, WH_EINPUT, "'%s' line %d: expected leak:PATTERN", path, number);
    if (strncmp(line, "leak:", 5) != 0)
        return 0;
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
    while (status == 0 && getline(&line, &room, file) >= 0) {
        line[strcspn(line, "\r\n")] = 0;
        status = add_line(ret, line, path, ++number, error);
    }
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
