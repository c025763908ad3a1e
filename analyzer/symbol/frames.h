/* The symbolized stacks of a trace in memory: what is on which stack, quickly.
 *
 * Loaded from the tables frame and stack after wh_symbol_resolve(). Names are interned by kind:
 * within one wh_frames equal names of a kind have equal ids; 0 = none. Context: analyzer, read-only
 * after loading, so any thread. */
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

enum wh_frames_kind {
    WH_FRAMES_FUNCTION, /* a frame's name: function, else "module+0xoffset" */
    WH_FRAMES_FILE,     /* source file */
    WH_FRAMES_MODULE,   /* file name of the module */
};

uint32_t wh_frames_id(const struct wh_frames *f, enum wh_frames_kind kind, const char *name);
uint32_t wh_frames_creator_id(const struct wh_frames *f, uint32_t stack_id); /* kind FUNCTION */

/* Does a name appear anywhere on the stack? Inlined functions count. Needed by "keeper": a
 * container is explained when the function that allocated it is on the block's creator stack, a
 * root variable when the source file (else the module) that defines it is. id 0 is on no stack. */
bool wh_frames_has(const struct wh_frames *f, uint32_t stack_id, enum wh_frames_kind kind,
                   uint32_t id);

/* One frame of a stack, depth 0 = caller of the allocator. */
struct wh_frame {
    const char *function, *file, *module; /* NULL = unknown */
    uint32_t line;                        /* 0 = unknown */
    bool inlined;
    uint64_t address;
};
size_t wh_frames_depth(const struct wh_frames *f, uint32_t stack_id);
bool wh_frames_get(const struct wh_frames *f, uint32_t stack_id, size_t depth,
                   struct wh_frame *ret_frame);

#endif
