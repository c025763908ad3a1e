/* Inside of types, shared by type.c (handles from DIEs), type_index.c (names of types, search by
 * name and size), container.c (what library containers mean) and path.c (fields as text). */
#ifndef WH_SYMBOL_TYPE_INTERNAL_H
#define WH_SYMBOL_TYPE_INTERNAL_H

#include "analyzer/symbol/module_internal.h"
#include "analyzer/symbol/type.h"

struct wh_member {
    const char *name; /* "" = flattened: base class, anonymous member, a library's inner name */
    uint64_t offset;
    const struct wh_type *type;
    bool is_link; /* for what a pointer there leads to: see struct wh_type_field */
    bool is_elements;
    bool is_whole;
    bool is_slice;
};

struct wh_type {
    struct wh_module *module;
    enum wh_type_kind kind;
    const char *name;  /* for people */
    const char *plain; /* without "struct ", for lookups; NULL = nameless */
    uint64_t size;
    bool is_incomplete; /* only declared here */
    bool tried_definition;
    const struct wh_type *definition; /* of an incomplete type, once looked for; NULL = nowhere */
    bool is_float, is_bool_or_char;
    bool has_die; /* false = made up by container.c */
    Dwarf_Die die;
    /* Filled on demand, see wh_type_fill() */
    bool filled;
    const struct wh_type *target; /* POINTER: pointee; ARRAY: element */
    uint64_t count;               /* ARRAY: elements, 0 = flexible */
    struct wh_member *members;
    size_t member_count;
    bool has_flexible_end; /* the last member is an array without a size */
    bool hides_index;      /* as an array's element it does not appear in paths */
    uint64_t align;        /* 0 = not asked for yet */
    bool hides_names;      /* members of library internals do not appear in paths */
};

/* The handle of a type DIE; typedef and qualifiers are peeled. NULL = void, broken or no memory. */
const struct wh_type *wh_type_of_die(struct wh_module *m, Dwarf_Die *die);
/* The handle of the type that an attribute-bearing DIE (variable, member) has; NULL likewise. */
const struct wh_type *wh_type_of(struct wh_module *m, Dwarf_Die *die);

/* The definition of an incomplete type where there is one, else the type itself; NULL in, NULL out.
 */
const struct wh_type *wh_type_complete(const struct wh_type *t);

/* Reads members, pointee, element. Types are logically constant: filling is a cache. */
void wh_type_fill(const struct wh_type *t);

/* A struct made up by a container's printer: name, size and members as given (copied). NULL = no
 * memory. */
struct wh_type *wh_type_make(struct wh_module *m, enum wh_type_kind kind, const char *name,
                             uint64_t size);
const struct wh_type *wh_type_make_pointer(struct wh_module *m, const struct wh_type *target);
bool wh_type_make_member(struct wh_type *t, const char *name, uint64_t offset,
                         const struct wh_type *type);

/* Natural alignment: 1..16. */
uint64_t wh_type_align(const struct wh_type *t);

/* type_index.c: "ns::" before the name of a type in a namespace or class; "" = none. */
const char *wh_type_prefix(struct wh_module *m, Dwarf_Die *die);
/* The definition of a type that is only declared: in this module, else in another. NULL = none. */
const struct wh_type *wh_type_definition(struct wh_module *m, const char *plain_name);

/* container.c: replaces the members of a recognised library container by what they mean. */
void wh_type_fill_container(struct wh_type *t);
/* Opaque library types of which only the declaration is ever seen; NULL = not known. */
const struct wh_type *wh_type_builtin(struct wh_module *m, const char *plain_name);
/* The n-th template argument that is a type; NULL = none. */
const struct wh_type *wh_type_argument(const struct wh_type *t, unsigned n);

/* slice.c: a pointer and its length read as what they count. */
void wh_type_fill_slice(struct wh_type *t);

/* pretty.c: shortens std::string and default template arguments in place. */
void wh_pretty_simplify(char *text);

#endif
