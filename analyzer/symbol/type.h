/* Types from debug information: where in a type an offset lies, and what a pointer there points to.
 *
 * A type is an opaque handle, unique within its module; equal handles = same type. typedef, const,
 * volatile are gone: a handle is what lies in memory. Handles live as long as their module.
 *
 * A path is built by its walker step by step: text of the root variable, then for every edge where
 * the slot lies in the type at hand (wh_type_at) and how that reads (wh_path_append). Containers of
 * libstdc++, Rust's std and GLib read as what they mean, not as how they are built: `m[*].second`
 * rather than `m._M_t._M_impl._M_header._M_parent->_M_left->...`; links inside them read as
 * nothing. Context: analyzer, one thread at a time. */
#ifndef WH_SYMBOL_TYPE_H
#define WH_SYMBOL_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wh_type;
struct wh_module;

enum wh_type_kind {
    WH_TYPE_SCALAR,  /* integer, float, enum, member pointer, unknown */
    WH_TYPE_POINTER, /* pointers and references */
    WH_TYPE_STRUCT,  /* struct, class */
    WH_TYPE_UNION,   /* union, Rust enum with data */
    WH_TYPE_ARRAY,
    WH_TYPE_FUNCTION,
};

enum wh_type_kind wh_type_kind(const struct wh_type *t);

/* Name for people: "struct conn", "std::string", "char *", "int[16]". Never NULL. */
const char *wh_type_name(const struct wh_type *t);

/* Bytes; 0 = unknown (void, function, incomplete type that no module defines). */
uint64_t wh_type_size(const struct wh_type *t);

/* What a pointer points to. NULL = not a pointer, void *, or unknown. An incomplete struct is
 * replaced by its definition elsewhere in the module or in another open module of the same name,
 * where there is one. */
const struct wh_type *wh_type_pointee(const struct wh_type *t);

/* What is known of the block a slot refers to; helps to choose between members of a union and to
 * decide what an array is. 0 / NULL = unknown. */
struct wh_type_want {
    uint64_t target_size;              /* size of the block that the slot points into */
    uint64_t target_offset;            /* offset in it */
    const struct wh_type *target_type; /* its type, when another path has established it */
};

#define WH_FIELD_TEXT 256
struct wh_type_field {
    char
        text[WH_FIELD_TEXT]; /* ".buckets[3].next"; "" = the value itself; starts with '.' or '[' */
    char collapsed[WH_FIELD_TEXT]; /* the same with indices gone: ".buckets[*].next" */
    const struct wh_type *type;    /* of the innermost thing at the offset; may be NULL */
    uint64_t offset;               /* bytes of the slot into that thing; 0 for a whole pointer */
    bool is_pointer;               /* a pointer lies exactly there */
    bool is_link;     /* container's inner link: the step through it adds nothing to the path */
    bool is_elements; /* the block behind it holds elements one after another: reads as [i] */
    bool is_whole;    /* pointee describes the block from its first byte, wherever it points */
    bool is_slice;    /* is_elements of a pointer with its length: elements are its own members */
    bool is_element;  /* a pointer that is itself an element of such a slice: polls[*].barriers */
    const struct wh_type *pointee; /* of the block behind the pointer; NULL = void * or unknown */
};

/* Describes the slot at `offset` of a block (or variable) of `block_size` bytes that begins with a
 * t. When the block is larger than t it is taken as an array of t: "[2].next"; a struct that ends
 * in a flexible array member takes the rest for it. elements: true = always an array, even with
 * room for one only (the pointer that led here had is_elements). block_size 0 = exactly one t. 0 =
 * described (perhaps only partly: is_pointer false means the type says no pointer lies there, which
 * contradicts an edge); -1 = the offset is outside, or t is NULL or has no size. */
int wh_type_at(const struct wh_type *t, uint64_t block_size, uint64_t offset, bool elements,
               const struct wh_type_want *want, struct wh_type_field *ret_field);

/* Tells a field that its block was reached through a slice, for how the next step reads. */
void wh_type_mark_element(const struct wh_type *t, struct wh_type_field *field);

/* Appends to path how the next field reads. previous: field of the step before (NULL: `field` lies
 * in the root variable whose name stands in path). "->" between pointer and member, "." where
 * the pointer is a slice's element, "[i]" for elements, nothing for links. The text is cut at size.
 */
void wh_path_append(char *path, size_t size, const struct wh_type_field *previous,
                    const struct wh_type_field *field, bool collapsed);

/* container_of: a typed pointer to `inner` lands at `offset` > 0 of a block of block_size bytes:
 * the struct of that size (unique in the module's debug information) that has an `inner` exactly
 * there. NULL = none or several. */
const struct wh_type *wh_type_container(const struct wh_type *inner, uint64_t offset,
                                        uint64_t block_size);

/* Named structs and classes of exactly `size` bytes in a module, in order of name; how many (at
 * most max are written). Reads all of the module's debug information once. */
size_t wh_type_of_size(struct wh_module *m, uint64_t size, const struct wh_type **ret_types,
                       size_t max);

/* The struct, class or union with this name ("conn", "std::string" as wh_type_name gives it without
 * "struct "). NULL = none with a definition in this module. */
const struct wh_type *wh_type_named(struct wh_module *m, const char *name);

/* How many bytes at `offset` of a t may hold pointers at all: false = the type proves that the word
 * there is none (int, char[], double). Unknown types: true. */
bool wh_type_may_point(const struct wh_type *t, uint64_t block_size, uint64_t offset);

#endif
