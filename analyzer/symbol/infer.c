/* Which functions without a name are allocation wrappers in this trace (wrapper.h): looks at all
 * stacks, takes what shows itself as a wrapper out of the way, looks again for the wrappers above.
 * What was found is kept in the trace and said in a note. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/symbol/resolve_internal.h"
#include "schema/store.h"

#define WRAPPER_PASSES 6 /* wrappers of wrappers */

static bool show_stack(struct resolver *r, struct wh_wrappers *w, int64_t stack_id) {
    ssize_t count = wh_resolver_frames(r, stack_id);
    if (count < 0)
        return false;
    if ((size_t)count > r->seen_room) {
        void *grown = realloc(r->seen, (size_t)count * 2 * sizeof(*r->seen));
        if (!grown)
            return false;
        r->seen = grown;
        r->seen_room = (size_t)count * 2;
    }
    for (ssize_t i = 0; i < count; i++) {
        const struct frame *f = &r->frames[r->indexes[i]];
        r->seen[i] = (struct wh_wrapper_frame){f->name, f->owner, f->is_candidate, f->level};
    }
    return wh_wrappers_see(w, r->seen, (size_t)count);
}

/* Takes the wrappers that one look at all stacks shows out of the way. Returns how many, < 0 =
 * error. */
static int infer_layer(struct resolver *r) {
    struct wh_wrappers *w = wh_wrappers_new();
    bool ok = w != NULL;
    size_t before = r->inferred_count, at = 0;
    for (size_t i = 0; ok && i < r->stack_count; i++)
        ok = show_stack(r, w, r->stacks[i]);
    for (const char *name; ok && (name = wh_wrappers_next(w, &at));) {
        ok = wh_resolver_grow((void **)&r->inferred, &r->inferred_room, r->inferred_count,
                              sizeof(*r->inferred));
        if (ok)
            r->inferred[r->inferred_count++] = name;
    }
    wh_wrappers_free(w);
    if (!ok)
        return wh_resolver_no_memory(r);
    for (size_t i = before; i < r->inferred_count; i++) {
        for (size_t f = 0; f < r->frame_count; f++) {
            if (r->frames[f].name == r->inferred[i])
                r->frames[f].level = WH_FRAME_ALLOCATOR;
        }
    }
    return (int)(r->inferred_count - before);
}

static int text_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One text of all names, each followed by `separator`; the caller frees it. */
static char *inferred_text(const struct resolver *r, const char *separator) {
    size_t size = 1;
    for (size_t i = 0; i < r->inferred_count; i++)
        size += strlen(r->inferred[i]) + strlen(separator);
    char *text = malloc(size), *p = text;
    if (!text)
        return NULL;
    *p = '\0';
    for (size_t i = 0; i < r->inferred_count; i++)
        p = stpcpy(stpcpy(p, r->inferred[i]), separator);
    return text;
}

static int note_inferred(struct resolver *r) {
    struct wh_query *q = NULL;
    char *names = inferred_text(r, " "), *text = NULL;
    if (!names || asprintf(&text,
                           "%zu functions without a name were taken for allocation wrappers: %s"
                           "(a line -NAME in a --skip file takes one back)",
                           r->inferred_count, names) < 0)
        text = NULL;
    free(names);
    if (!text)
        return wh_resolver_no_memory(r);
    int rc = wh_query_open(r->store,
                           "INSERT INTO note(process_id, at_ns, kind, text) "
                           "SELECT min(id), 0, 'symbols', ?1 FROM process HAVING min(id) > 0",
                           &q, r->error);
    if (!rc) {
        wh_query_bind_text(q, 1, text);
        rc = wh_query_step(q, r->error);
        wh_query_close(q);
    }
    free(text);
    return rc < 0 ? rc : 0;
}

int wh_resolver_infer(struct resolver *r) {
    int found = 1;
    for (int pass = 0; found > 0 && pass < WRAPPER_PASSES; pass++)
        found = infer_layer(r);
    if (found < 0 || !r->inferred_count)
        return found < 0 ? found : 0;
    qsort(r->inferred, r->inferred_count, sizeof(*r->inferred), text_compare);
    char *lines = inferred_text(r, "\n");
    if (!lines)
        return wh_resolver_no_memory(r);
    int rc = wh_store_set_text(r->store, "creator_inferred", lines, r->error);
    free(lines);
    return rc ? rc : note_inferred(r);
}
