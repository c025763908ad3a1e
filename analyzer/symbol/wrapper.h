/* Wrappers without a name: what the table of patterns cannot know in a stripped program.
 *
 * Distributions strip their programs, so that git's xmalloc or redis's zmalloc are nameless, and
 * would be the "creator" of everything. A nameless function is taken for an allocation wrapper when
 *   - it is short (at most 512 bytes of code),
 *   - on every stack it stands directly above the allocator or another wrapper, never above a
 *     function that decides anything itself,
 *   - and at least 8 different functions call it, or it carries at least half of its module's
 * stacks and at least 8 different functions stand within two calls above it. It is a guess and is
 * said as one: the names are kept in the trace (creator_inferred), a note tells them, and a line
 * "-module+0xstart" in a --skip file takes one back. Named functions are never guessed about.
 * Context: analyzer, one thread. */
#ifndef WH_SYMBOL_WRAPPER_H
#define WH_SYMBOL_WRAPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wh_wrappers;

struct wh_wrapper_frame {
    const char *name;    /* compared by address */
    const void *module;  /* any pointer that stands for the module */
    bool is_candidate;   /* nameless and short */
    unsigned char level; /* enum wh_creator_level */
};

struct wh_wrappers *wh_wrappers_new(void);
void wh_wrappers_free(struct wh_wrappers *w); /* NULL allowed */

/* One stack, leaf first. False = no memory. */
bool wh_wrappers_see(struct wh_wrappers *w, const struct wh_wrapper_frame *frames, size_t count);

/* After all stacks: the next name that is a wrapper, NULL = no more. *at starts at 0. */
const char *wh_wrappers_next(const struct wh_wrappers *w, size_t *at);

#endif
