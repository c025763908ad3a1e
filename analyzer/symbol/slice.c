/* Slices written by hand: a struct of one pointer and its length, with or without a capacity, is
 * what it counts. Its pointer member reads as nothing and leads to elements, so that a path says
 * `polls[*]` where the program says `polls.ptr[i]`.
 *
 * Decided by structure, never by the type's name: all members are there and nothing else, the
 * integers are as wide as a length, and the members are called what people call them. The names
 * are needed because { struct node *next; int id; } has the same shape. */
#include <string.h>

#include "analyzer/symbol/type_internal.h"

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* "m_data", "_len", "iov_base": what the word itself says. */
static const char *bare(const char *name) {
    if (strncmp(name, "m_", 2) == 0)
        return name + 2;
    if (strncmp(name, "iov_", 4) == 0)
        return name + 4;
    return name + strspn(name, "_");
}

static bool is_start(const struct wh_member *m) {
    static const char *const names[] = {"ptr",      "data",  "p",    "base",  "begin",
                                        "buf",      "elem",  "elts", "elems", "items",
                                        "elements", "array", NULL};
    return m->type->kind == WH_TYPE_POINTER && is_one_of(bare(m->name), names);
}

static bool is_length(const struct wh_member *m) {
    static const char *const names[] = {"len",  "length", "size",     "n",     "count",     "nelts",
                                        "used", "cap",    "capacity", "alloc", "allocated", NULL};
    return m->type->kind == WH_TYPE_SCALAR && !m->type->is_float && !m->type->is_bool_or_char &&
           m->type->size >= 4 && is_one_of(bare(m->name), names);
}

void wh_type_fill_slice(struct wh_type *t) {
    struct wh_member *start = NULL;
    size_t lengths = 0;
    if (t->kind != WH_TYPE_STRUCT || t->size > 24 || t->member_count < 2 || t->member_count > 3)
        return;
    for (size_t i = 0; i < t->member_count; i++) {
        if (is_length(&t->members[i]))
            lengths++;
        else if (!start && is_start(&t->members[i]))
            start = &t->members[i];
        else
            return;
    }
    if (!start || lengths + 1 != t->member_count)
        return;
    start->name = "";
    start->is_elements = true;
    start->is_slice = true;
}
