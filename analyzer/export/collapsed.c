/* Collapsed stacks, which flamegraph.pl, inferno and speedscope read. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/export/profile.h"
#include "base/string.h"

struct line {
    char *text;
    int64_t value;
};

static int compare_lines(const void *a, const void *b) {
    return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

/* A name may have no semicolon, which separates frames, and no line break. */
static void put_name(struct wh_text *text, const char *name) {
    size_t begin = text->length;
    wh_text_puts(text, name);
    for (size_t i = begin; !text->failed && i < text->length; i++) {
        unsigned char c = (unsigned char)text->data[i];
        if (c == ';' || c < ' ' || c == 127)
            text->data[i] = c == ';' ? ':' : '?';
    }
}

static char *line_of(const struct wh_profile *p, const struct wh_profile_sample *s) {
    struct wh_text text = {0};
    if (p->process_count > 1) {
        put_name(&text, p->processes[s->process]);
        wh_text_puts(&text, ";");
    }
    for (size_t i = s->count; i-- > 0;) {
        put_name(&text, p->frames[p->stacks[s->first + i]].name);
        wh_text_puts(&text, i ? ";" : "");
    }
    if (text.failed)
        wh_text_release(&text);
    return text.data;
}

int wh_profile_write_collapsed(const struct wh_profile *p, enum wh_top_metric value, FILE *file,
                               struct wh_error *error) {
    struct line *lines = calloc(p->sample_count + 1, sizeof *lines);
    size_t count = 0;
    int rc = lines ? 0 : wh_fail(error, WH_ESYSTEM, "no memory for the profile");
    for (size_t i = 0; !rc && i < p->sample_count; i++) {
        const struct wh_profile_sample *s = &p->samples[i];
        if (s->values[value] <= 0)
            continue;
        lines[count] = (struct line){line_of(p, s), s->values[value]};
        if (!lines[count++].text)
            rc = wh_fail(error, WH_ESYSTEM, "no memory for the profile");
    }
    if (!rc)
        qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; !rc && i < count; i++)
        if (i + 1 < count && strcmp(lines[i].text, lines[i + 1].text) == 0)
            lines[i + 1].value += lines[i].value;
        else
            fprintf(file, "%s %" PRId64 "\n", lines[i].text, lines[i].value);
    for (size_t i = 0; lines && i < count; i++)
        free(lines[i].text);
    free(lines);
    return rc;
}
