/* Which frame of a stack is its creator: the first one outside allocators, their wrappers and
 * language runtimes.
 *
 * The table of patterns stands in creator_table.c, grouped and commented; a user extends it with a
 * file of the same form (`--skip FILE`, WHOHOLDS_SKIP), kept in the trace so that reports repeat.
 *
 *   pattern = [module glob '!'] function glob        one a line, # begins a comment
 *   -pattern takes back: a frame that matches it is never skipped, whatever else matches
 *
 * Globs: * any run, ? any one character. A module glob is matched against the file name of the
 * module
 * ("libc.so*"). Context: analyzer, any thread once built. */
#ifndef WH_SYMBOL_CREATOR_H
#define WH_SYMBOL_CREATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct wh_creator_rules;

/* The built-in table, and more lines from text (NULL = none). source: named in the error message.
 */
int wh_creator_rules_new(const char *text, const char *source, struct wh_creator_rules **ret_rules,
                         struct wh_error *error);
void wh_creator_rules_free(struct wh_creator_rules *rules); /* NULL allowed */

/* Is this frame skipped? function NULL = unknown: only module patterns for '*' match. */
bool wh_creator_skips(const struct wh_creator_rules *rules, const char *module,
                      const char *function);

#endif
