/* Inside of resolving, shared by resolve.c (the tables) and infer.c (wrappers without a name). */
#ifndef WH_SYMBOL_RESOLVE_INTERNAL_H
#define WH_SYMBOL_RESOLVE_INTERNAL_H

#include <sys/types.h>

#include "analyzer/symbol/symbols_internal.h"
#include "analyzer/symbol/wrapper.h"

struct node {
    int64_t id, process_id;
    int64_t parent_id;
    uint64_t address;
    uint32_t location; /* index, NO_LOCATION = not yet; unused where modules overlap in time */
};

/* The frames of one address of one file (or of no file). */
struct location {
    const struct wh_module *module; /* NULL = none */
    uint64_t address;               /* file address as asked for */
    uint32_t first, count;          /* in frames */
    bool is_restorer; /* the signal trampoline: its caller was interrupted, not calling */
};

struct frame {
    const char *module;
    uint64_t address;
    struct wh_code code;
    const char *name; /* function, else module+0xoffset */
    unsigned char level;
    bool is_candidate; /* may be a wrapper without a name: wrapper.h */
    const struct wh_module *owner;
};

struct first_use {
    int64_t stack_id, at_ns;
};

struct resolver {
    struct wh_store *store;
    struct wh_symbols *symbols;
    struct wh_creator_rules *rules;
    struct node *nodes;
    size_t node_count;
    struct location *locations;
    size_t location_count, location_room;
    uint32_t *slots; /* open addressing over locations: index + 1 */
    size_t slot_count;
    struct frame *frames;
    size_t frame_count, frame_room, frame_next;
    int64_t frame_id; /* id of frames[0] */
    int64_t *stacks;  /* to do */
    size_t stack_count, stack_next;
    struct first_use *uses; /* by stack id; only where modules overlap */
    size_t use_count;
    bool has_overlap;
    bool wants_all; /* every stack in use, not single ones */
    char *json;
    size_t json_room;
    unsigned char *levels; /* of the stack at hand */
    uint32_t *indexes;     /* of its frames */
    struct wh_wrapper_frame *seen;
    size_t seen_room;
    const char **inferred; /* names of wrappers without a name */
    size_t inferred_count, inferred_room;
    size_t depth_room;
    struct wh_error *error;
};

/* Collects the frames of a stack, leaf first, into indexes and levels. Returns how many, -1 = no
 * memory. */
ssize_t wh_resolver_frames(struct resolver *r, int64_t stack_id);

/* On the first resolution of a trace: finds the wrappers and marks their frames as allocators.
 * Later ones read what it found from trace.creator_inferred. */
int wh_resolver_infer(struct resolver *r);

/* Makes room for one more item; false = no memory. */
bool wh_resolver_grow(void **items, size_t *room, size_t count, size_t item_bytes);
int wh_resolver_no_memory(struct resolver *r);

#endif
