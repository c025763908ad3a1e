/* Counts who calls the nameless functions right above the allocator (wrapper.h). */
#include "analyzer/symbol/wrapper.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/symbol/creator.h"

#define DISTINCT_MIN 8u

/* Up to DISTINCT_MIN different names: more need not be known. */
struct few {
    const char *names[DISTINCT_MIN];
    unsigned count;
};

struct suspect {
    const char *name; /* NULL = empty slot */
    const void *module;
    struct few callers, above; /* above: within two calls */
    uint64_t stacks;           /* on which it stands right above the allocator */
    bool decides;              /* it also stands higher up, or is no candidate */
};

struct module_total {
    const void *module;
    uint64_t stacks; /* whose first own frame lies in it */
};

struct wh_wrappers {
    struct suspect *suspects; /* open addressing, power of two */
    size_t slot_count, used;
    struct module_total *modules;
    size_t module_count;
};

struct wh_wrappers *wh_wrappers_new(void) {
    return calloc(1, sizeof(struct wh_wrappers));
}

void wh_wrappers_free(struct wh_wrappers *w) {
    if (!w)
        return;
    free(w->suspects);
    free(w->modules);
    free(w);
}

static size_t suspect_slot(const struct wh_wrappers *w, const char *name) {
    size_t at =
        (size_t)(((uint64_t)(uintptr_t)name * 0x9e3779b97f4a7c15ull) >> 24) & (w->slot_count - 1);
    while (w->suspects[at].name && w->suspects[at].name != name)
        at = (at + 1) & (w->slot_count - 1);
    return at;
}

static struct suspect *suspect_of(struct wh_wrappers *w, const struct wh_wrapper_frame *frame) {
    if (w->used * 2 >= w->slot_count) {
        struct wh_wrappers next = {.slot_count = w->slot_count ? w->slot_count * 2 : 256};
        next.suspects = calloc(next.slot_count, sizeof(*next.suspects));
        if (!next.suspects)
            return NULL;
        for (size_t i = 0; i < w->slot_count; i++) {
            if (w->suspects[i].name)
                next.suspects[suspect_slot(&next, w->suspects[i].name)] = w->suspects[i];
        }
        free(w->suspects);
        w->suspects = next.suspects;
        w->slot_count = next.slot_count;
    }
    struct suspect *s = &w->suspects[suspect_slot(w, frame->name)];
    if (!s->name) {
        *s = (struct suspect){.name = frame->name, .module = frame->module};
        w->used++;
    }
    return s;
}

static void few_add(struct few *f, const char *name) {
    for (unsigned i = 0; i < f->count; i++) {
        if (f->names[i] == name)
            return;
    }
    if (f->count < DISTINCT_MIN)
        f->names[f->count++] = name;
}

static struct module_total *total_of(struct wh_wrappers *w, const void *module) {
    for (size_t i = 0; i < w->module_count; i++) {
        if (w->modules[i].module == module)
            return &w->modules[i];
    }
    struct module_total *grown = realloc(w->modules, (w->module_count + 1) * sizeof(*w->modules));
    if (!grown)
        return NULL;
    w->modules = grown;
    w->modules[w->module_count] = (struct module_total){.module = module};
    return &w->modules[w->module_count++];
}

bool wh_wrappers_see(struct wh_wrappers *w, const struct wh_wrapper_frame *frames, size_t count) {
    size_t first = 0;
    while (first < count && frames[first].level != WH_FRAME_OWN)
        first++;
    if (first == count)
        return true;
    struct module_total *total = total_of(w, frames[first].module);
    struct suspect *s = total ? suspect_of(w, &frames[first]) : NULL;
    if (!s)
        return false;
    total->stacks++;
    s->stacks++;
    /* Under a runtime's function it is a callback, not a wrapper of the allocator. */
    s->decides |=
        !frames[first].is_candidate || (first && frames[first - 1].level == WH_FRAME_RUNTIME);
    for (size_t i = first + 1; i < count; i++) {
        if (frames[i].name == frames[first].name) /* recursion: it calls more than the allocator */
            s->decides = true;
        if (i == first + 1)
            few_add(&s->callers, frames[i].name);
        if (i <= first + 2)
            few_add(&s->above, frames[i].name);
    }
    for (size_t i = first + 1; i < count; i++) {
        if (!frames[i].is_candidate)
            continue;
        struct suspect *higher = suspect_of(w, &frames[i]);
        if (!higher)
            return false;
        higher->decides = true;
    }
    return true;
}

const char *wh_wrappers_next(const struct wh_wrappers *w, size_t *at) {
    while (*at < w->slot_count) {
        const struct suspect *s = &w->suspects[(*at)++];
        if (!s->name || s->decides || !s->stacks)
            continue;
        uint64_t total = 0;
        for (size_t i = 0; i < w->module_count; i++)
            total += w->modules[i].module == s->module ? w->modules[i].stacks : 0;
        if (s->callers.count >= DISTINCT_MIN ||
            (s->above.count >= DISTINCT_MIN && s->stacks * 2 >= total))
            return s->name;
    }
    return NULL;
}
