/* The symbolized stacks of a trace in memory: what is on which stack, quickly.
 *
 * Loaded from the tables frame and stack after wh_symbol_resolve(). Functions, source files and
 * modules are interned: equal texts have equal ids within one wh_frames, 0 = none. Context:
 * analyzer, read-only after loading, so any thread. */
#ifndef WH_SYMBOL_FRAMES_H
#define WH_SYMBOL_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct wh_store;
struct wh_frames;

int wh_frames_load(struct wh_store *store, struct wh_frames **ret_frames, struct wh_error *error);
void wh_frames_free(struct wh_frames *f); /* NULL allowed */

/* Name of a stack's creator frame, as in stack.creator. NULL = unknown stack or no frame. */
const char *wh_frames_creator(const struct wh_frames *f, uint32_t stack_id);

/* Interned ids. *_of the creator frame of a stack; *_id of a text. 0 = none. */
uint32_t wh_frames_creator_id(const struct wh_frames *f, uint32_t stack_id);
uint32_t wh_frames_text_id(const struct wh_frames *f, const char *text);
const char *wh_frames_text(const struct wh_frames *f, uint32_t text_id); /* "" for 0 */

/* Does a function (name or id), source file or module (file name) appear anywhere on the stack?
 * Inlined functions count. Needed by "keeper": a container is explained when the function that
 * allocated it is on the block's creator stack, a root variable when the file (else the module)
 * that defines it is. */
bool wh_frames_has(const struct wh_frames *f, uint32_t stack_id, uint32_t text_id);
bool wh_frames_has_function(const struct wh_frames *f, uint32_t stack_id, const char *function);
bool wh_frames_has_file(const struct wh_frames *f, uint32_t stack_id, const char *file);
bool wh_frames_has_module(const struct wh_frames *f, uint32_t stack_id, const char *module);

#endif
