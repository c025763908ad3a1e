/* Grouped retention paths: from the strongest-path tree of a snapshot to a small trie of readable
 * steps.
 *
 * A node of the trie stands for all blocks whose path reads the same: same root text, same fields
 * with indices collapsed, same creators on the way. Recursion (lists, trees) is collapsed while the
 * trie grows: a step from a block to one of its own kind stays on a star node, `head->next*`; a
 * longer loop returns to the node where it began. So the trie is as small as the program's data
 * model, however large the heap. Context: one thread. */
#ifndef WH_HOLDER_PATH_H
#define WH_HOLDER_PATH_H

#include "analyzer/graph/graph.h"
#include "analyzer/holder/table.h"
#include "analyzer/holder/variable.h"

#define WH_PATH_NONE       UINT32_MAX
#define WH_PATH_NODES_MAX  400000u /* beyond that, deeper steps join their parent */
#define WH_PATH_STAR_STEPS 6
#define WH_ELEMENTS_SLICE  2 /* of `elements`: a slice's; its pointers' members read with a dot */

/* The ways of recursion that a star node stands for. */
struct wh_path_star {
    const char *steps[WH_PATH_STAR_STEPS];
    uint32_t count;
};

struct wh_path_node {
    uint32_t parent;             /* WH_PATH_NONE = the step leaves a root */
    uint32_t creator;            /* wh_frames id of the function that allocated the blocks here */
    const char *creator_name;    /* its name, "?" when unknown */
    const char *step;            /* collapsed: what this step adds to its parent's text */
    const char *function;        /* root steps from a stack: the frame's function, else NULL */
    const struct wh_type *type;  /* of the blocks here; NULL = unknown */
    struct wh_type_field *field; /* how the slot read; NULL = untyped step */
    struct wh_path_star *star;   /* NULL = a plain step */
    uint32_t star_child;         /* the star among its children, WH_PATH_NONE = none */
    uint32_t variable;           /* rank of the root variable */
    uint32_t depth;              /* steps from the root */
    uint32_t size;               /* untyped blocks with references: their size, else 0 */
    uint8_t elements;            /* type repeats through the block */
    uint8_t loop;                /* deeper steps came back here */
    uint8_t is_open;             /* untyped: the next step begins with the creator's name */
    /* filled by wh_paths_finish */
    const char *text;       /* the slot that refers to the blocks here */
    const char *own;        /* what the last step adds to it */
    const char *holder;     /* its short form, see wh_path_row */
    uint64_t subtree_bytes; /* of all blocks here and below */
};

/* One row of table path: blocks that read the same and have the same keeper. */
struct wh_path_row {
    const char *text;   /* every step */
    const char *holder; /* text, or with very many different paths the beginning that keeps most */
    const char *keeper; /* NULL = all explained */
    uint32_t variable;  /* smallest rank */
    uint32_t length;
    uint64_t bytes;
    uint32_t objects;
};

struct wh_paths {
    struct wh_path_node *nodes;
    uint32_t count;
    size_t room;
    uint32_t *node_of; /* per block; WH_PATH_NONE = lost */
    struct wh_path_row *rows;
    uint32_t row_count;
    size_t row_room;
    uint32_t *row_of; /* per block; WH_PATH_NONE = lost */
};

struct wh_holding;

/* Builds the trie for every held block (walk.c), its texts (path.c), keepers and rows (keeper.c).
 */
int wh_paths_build(struct wh_holding *h, struct wh_error *error);
int wh_paths_finish(struct wh_holding *h, struct wh_error *error);
int wh_paths_rows(struct wh_holding *h, struct wh_error *error);
void wh_paths_release(struct wh_paths *paths);

/* What a walker needs to read one edge; private to walk.c and to whoever prints concrete paths. */
struct wh_reading {
    const char *root_text;      /* set when the edge leaves a root */
    const char *function;       /* as in wh_path_node */
    struct wh_type_field field; /* valid if is_typed */
    int is_typed;
    const struct wh_type *type; /* of the target block */
    int elements;
    uint64_t offset; /* untyped: offset in block or variable; with stride, in the element */
    uint64_t stride; /* untyped: 0 = a single field, else one of many like slots */
    int is_whole;    /* untyped root without a meaningful offset */
};
struct wh_reader;
int wh_reader_open(struct wh_holding *h, struct wh_reader **ret, struct wh_error *error);
void wh_reader_close(struct wh_reader *reader);

/* How edge `edge` reads when it leaves a block of type (elements) or, for edges from roots, a root.
 */
int wh_reader_read(struct wh_reader *reader, uint32_t edge, const struct wh_type *type,
                   int elements, struct wh_reading *ret, struct wh_error *error);

/* The step's text after a parent reached through `previous` (NULL: from a root, or untyped);
 * creator: the parent block's, for untyped steps. collapsed: indices gone. */
void wh_reading_text(const struct wh_reading *reading, const struct wh_type_field *previous,
                     const char *creator, int collapsed, char *text, size_t size);

#endif
