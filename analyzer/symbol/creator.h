/* Which frame of a stack is its creator: the first one outside allocators, their wrappers and
 * language runtimes.
 *
 * The table of patterns stands in creator_table.c, grouped and commented; a user extends it with a
 * file of the same form (`--skip FILE`, WHOHOLDS_SKIP), kept in the trace so that reports repeat.
 *
 *   line    = ['-'] [module glob '!'] function glob        one a line, # begins a comment
 *   '-' takes back: a frame that matches such a line is never skipped, whatever else matches
 *
 * Globs: * any run, ? any one character. A module glob is matched against the file name of the
 * module
 * ("libc.so*"), a function glob against the whole name for people. Context: analyzer, any thread.
 */
#ifndef WH_SYMBOL_CREATOR_H
#define WH_SYMBOL_CREATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct wh_creator_rules;

/* The built-in table, and more lines from text (NULL = none), which count as wrappers. source:
 * named in the error message. WH_EUSAGE: a line has no function glob. */
int wh_creator_rules_new(const char *text, const char *source, struct wh_creator_rules **ret_rules,
                         struct wh_error *error);
void wh_creator_rules_free(struct wh_creator_rules *rules); /* NULL allowed */

enum wh_creator_level {
    WH_FRAME_OWN = 0,       /* may be a creator */
    WH_FRAME_ALLOCATOR = 1, /* allocator or wrapper */
    WH_FRAME_RUNTIME = 2,   /* C, C++, Rust, Go runtime */
};

/* What a frame is. function NULL = unknown: only lines with the function glob "*" match. A function
 * without a symbol ("module+0xstart") is matched by "*" and by the user's own lines. */
enum wh_creator_level wh_creator_level(const struct wh_creator_rules *rules, const char *module,
                                       const char *function);

/* The index of the creator among a stack's frames, leaf first: the first OWN one; where a stack has
 * none (the loader or the C library on its own account), the first RUNTIME one; else 0. */
size_t wh_creator_choose(const unsigned char *levels, size_t count);

/* Does one of the user's '-' lines keep it a creator? */
bool wh_creator_is_kept(const struct wh_creator_rules *rules, const char *module,
                        const char *function);

/* Is the function's name "module+0xstart", made up because the file has no symbol for it? */
bool wh_creator_is_nameless(const char *module, const char *function);

/* Does the glob match the whole text? */
bool wh_glob_match(const char *glob, const char *text);

#endif
