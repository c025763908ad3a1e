/* Root variables: what the words in root memory belong to, by name.
 *
 *   global     one per symbol or typed variable; words in no symbol: section+offset
 *   tls, tsd   one per variable (or key) and thread
 *   stack      one per thread: its frames are not independent of one another. Which frame and local
 * a word lies in is told per word (wh_variables_slot) register   one per thread infra      the C
 * library's and the loader's own data: named as such, weaker than anything typed mapping    one
 * each
 *
 * Variables are ranked by kind, name and place in the file, never by address. Context: one thread.
 */
#ifndef WH_HOLDER_VARIABLE_H
#define WH_HOLDER_VARIABLE_H

#include "analyzer/graph/graph.h"
#include "analyzer/holder/table.h"
#include "analyzer/symbol/symbol.h"

struct wh_holder_variable {
    const char *name;   /* root.name: "cache", "tls:errors", "main()", "tsd[key 3, dtor=f]" */
    const char *module; /* file name; NULL = none */
    const char *file;   /* source file that defines it; NULL = no debug information */
    const struct wh_type *type;
    uint64_t address;                /* in the target; 0 = register */
    uint64_t place;                  /* address in the file or TLS image: orders without ASLR */
    uint64_t size;                   /* 0 = unknown */
    uint64_t first_edge, edge_count; /* in heap.edges */
    uint32_t tid;
    uint8_t kind; /* enum wh_root_kind */
    uint8_t strength, stage;
    uint8_t is_named;      /* a symbol was found */
    uint8_t is_executable; /* global of the program itself, not of a library */
};

struct wh_variables {
    struct wh_holder_variable *items; /* by rank */
    uint32_t count;
    size_t room;
    struct wh_graph_variable *graph; /* the same, as the graph wants it */
    uint32_t *edge_variable;         /* per root edge, see struct wh_graph_input */
    uint64_t first_root_edge;
};

/* The variable that an edge from a root belongs to. */
static inline uint32_t wh_variables_of_edge(const struct wh_variables *variables, uint64_t edge) {
    return variables->edge_variable[edge - variables->first_root_edge];
}

/* A word in a root: what a path through it begins with. */
struct wh_slot {
    const char *text;           /* "cache", "main()::list", "tls:x" */
    const char *function;       /* of a stack's frame; else NULL */
    const struct wh_type *type; /* NULL = unknown */
    uint64_t offset;            /* of the word in the variable that text names */
    uint64_t size;              /* of that variable; 0 = unknown */
    int is_whole; /* untyped and offset is meaningless: print none (frames, registers) */
};

/* Names every word of a root that points into a block. Reorders the root edges of *heap: by
 * variable, a thread's outer frames first. symbols may be NULL: everything is unnamed then. */
int wh_variables_resolve(struct wh_heap *heap, struct wh_symbols *symbols, int64_t process_id,
                         int64_t at_ns, struct wh_names *texts, struct wh_variables *ret,
                         struct wh_error *error);
void wh_variables_release(struct wh_variables *variables);

int wh_variables_slot(const struct wh_variables *variables, const struct wh_heap *heap,
                      struct wh_symbols *symbols, int64_t process_id, int64_t at_ns,
                      struct wh_names *texts, uint64_t edge, struct wh_slot *ret);

/* root.kind as a word. */
const char *wh_root_kind_name(unsigned kind);

#endif
