/* Names of types: which namespace a type stands in, which type has a name or a size.
 *
 * DWARF has no way up from a type to its namespace, so the types of a unit are walked once and
 * remembered by the place of their DIE. Searches by name or size walk every unit of the module,
 * once. */
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/symbol/type_internal.h"

#define NESTING_MAX 32
#define NAME_ROOM   1024

struct index_slot {
    const void *key; /* DIE address, unit or interned name */
    const char *prefix;
    uint32_t definition; /* index into definitions + 1 */
};

struct definition {
    Dwarf_Die die;
    uint64_t size;
    const char *name; /* plain */
};

struct wh_type_index {
    struct index_slot *slots; /* open addressing, power of two */
    size_t slot_count, used;
    struct definition *definitions;
    size_t definition_count, definition_room;
    bool walked_all, sorted;
};

void wh_type_index_free(struct wh_type_index *t) {
    if (!t)
        return;
    free(t->slots);
    free(t->definitions);
    free(t);
}

static struct wh_type_index *type_index(struct wh_module *m) {
    if (!m->type_index)
        m->type_index = calloc(1, sizeof(*m->type_index));
    return m->type_index;
}

static size_t index_slot(const struct wh_type_index *t, const void *key) {
    size_t at =
        (size_t)(((uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15ull) >> 22) & (t->slot_count - 1);
    while (t->slots[at].key && t->slots[at].key != key)
        at = (at + 1) & (t->slot_count - 1);
    return at;
}

static struct index_slot *index_get(const struct wh_type_index *t, const void *key) {
    if (!t || !t->slot_count || !key)
        return NULL;
    struct index_slot *slot = &t->slots[index_slot(t, key)];
    return slot->key ? slot : NULL;
}

/* The slot of a key, made if need be; NULL = no memory. */
static struct index_slot *index_put(struct wh_type_index *t, const void *key) {
    if (t->used * 2 >= t->slot_count) {
        struct wh_type_index next = {.slot_count = t->slot_count ? t->slot_count * 2 : 1024};
        next.slots = calloc(next.slot_count, sizeof(*next.slots));
        if (!next.slots)
            return NULL;
        for (size_t i = 0; i < t->slot_count; i++) {
            if (t->slots[i].key)
                next.slots[index_slot(&next, t->slots[i].key)] = t->slots[i];
        }
        free(t->slots);
        t->slots = next.slots;
        t->slot_count = next.slot_count;
    }
    struct index_slot *slot = &t->slots[index_slot(t, key)];
    if (!slot->key) {
        slot->key = key;
        t->used++;
    }
    return slot;
}

static void add_definition(struct wh_module *m, struct wh_type_index *t, Dwarf_Die *die,
                           const char *name) {
    Dwarf_Attribute attribute;
    bool declared = false;
    int size = dwarf_bytesize(die);
    if (size <= 0 || !name[0] ||
        (dwarf_attr(die, DW_AT_declaration, &attribute) &&
         dwarf_formflag(&attribute, &declared) == 0 && declared))
        return;
    char plain[NAME_ROOM];
    snprintf(plain, sizeof(plain), "%s", name);
    wh_pretty_simplify(plain);
    const char *key = wh_texts_add(&m->texts, plain);
    struct index_slot *slot = key ? index_put(t, key) : NULL;
    if (!slot || slot->definition)
        return;
    if (t->definition_count == t->definition_room) {
        size_t room = t->definition_room ? t->definition_room * 2 : 256;
        void *grown = realloc(t->definitions, room * sizeof(*t->definitions));
        if (!grown)
            return;
        t->definitions = grown;
        t->definition_room = room;
    }
    t->definitions[t->definition_count++] = (struct definition){*die, (uint64_t)size, key};
    slot->definition = (uint32_t)t->definition_count;
}

/* typedef struct {...} name: the nameless struct is known by the typedef. */
static void add_typedef(struct wh_module *m, struct wh_type_index *t, Dwarf_Die *die,
                        const char *name) {
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    if (!dwarf_attr(die, DW_AT_type, &attribute) || !dwarf_formref_die(&attribute, &type))
        return;
    int tag = dwarf_tag(&type);
    if ((tag == DW_TAG_structure_type || tag == DW_TAG_union_type) &&
        !dwarf_hasattr(&type, DW_AT_name))
        add_definition(m, t, &type, name);
}

static void walk_types(struct wh_module *m, struct wh_type_index *t, Dwarf_Die *parent,
                       const char *prefix, int depth) {
    Dwarf_Die child;
    if (depth > NESTING_MAX || dwarf_child(parent, &child) != 0)
        return;
    do {
        Dwarf_Attribute attribute;
        char name[NAME_ROOM];
        int tag = dwarf_tag(&child);
        if (tag != DW_TAG_structure_type && tag != DW_TAG_class_type && tag != DW_TAG_union_type &&
            tag != DW_TAG_enumeration_type && tag != DW_TAG_namespace && tag != DW_TAG_typedef)
            continue;
        const char *own = dwarf_formstring(dwarf_attr(&child, DW_AT_name, &attribute));
        if (!own && tag == DW_TAG_namespace)
            own = "{anonymous}";
        snprintf(name, sizeof(name), "%s%s", prefix, own ? own : "");
        if (tag == DW_TAG_typedef) {
            add_typedef(m, t, &child, name);
            continue;
        }
        if (tag != DW_TAG_namespace && prefix[0]) {
            struct index_slot *slot = index_put(t, child.addr);
            if (slot)
                slot->prefix = prefix;
        }
        if (tag != DW_TAG_namespace && tag != DW_TAG_enumeration_type && own)
            add_definition(m, t, &child, name);
        if (tag == DW_TAG_enumeration_type || !own)
            continue;
        strncat(name, "::", sizeof(name) - strlen(name) - 1);
        const char *inner = wh_texts_add(&m->texts, name);
        if (inner)
            walk_types(m, t, &child, inner, depth + 1);
    } while (wh_die_next(&child));
}

static void walk_unit(struct wh_module *m, struct wh_type_index *t, Dwarf_Die *unit) {
    struct index_slot *slot = index_put(t, unit->cu);
    if (!slot || slot->prefix)
        return;
    slot->prefix = ""; /* = walked */
    walk_types(m, t, unit, "", 0);
}

static struct wh_type_index *walk_all(struct wh_module *m) {
    struct wh_type_index *t = type_index(m);
    if (!t || t->walked_all)
        return t;
    t->walked_all = true;
    if (!wh_module_read_units(m))
        return t;
    Dwarf_CU *cu = NULL;
    uint8_t type;
    Dwarf_Die die, body;
    while (dwarf_get_units(m->dwarf, cu, &cu, NULL, &type, &die, &body) == 0)
        walk_unit(m, t, type == DW_UT_skeleton && body.cu ? &body : &die);
    return t;
}

const char *wh_type_prefix(struct wh_module *m, Dwarf_Die *die) {
    struct wh_type_index *t = type_index(m);
    Dwarf_Die unit;
    if (!t || !dwarf_diecu(die, &unit, NULL, NULL))
        return "";
    walk_unit(m, t, &unit);
    struct index_slot *slot = index_get(t, die->addr);
    return slot && slot->prefix ? slot->prefix : "";
}

const struct wh_type *wh_type_named(struct wh_module *m, const char *name) {
    struct wh_type_index *t = walk_all(m);
    static const char *const keywords[] = {"struct ", "union ", "class "};
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strncmp(name, keywords[i], strlen(keywords[i])) == 0)
            name += strlen(keywords[i]);
    }
    struct index_slot *slot = index_get(t, wh_texts_find(&m->texts, name));
    if (!slot || !slot->definition)
        return NULL;
    return wh_type_of_die(m, &t->definitions[slot->definition - 1].die);
}

const struct wh_type *wh_type_definition(struct wh_module *m, const char *plain_name) {
    const struct wh_type *t = wh_type_named(m, plain_name);
    if (!t && m->find_type)
        t = m->find_type(m->find_type_arg, m, plain_name);
    return t ? t : wh_type_builtin(m, plain_name);
}

/* --- by size
 * --------------------------------------------------------------------------------------------- */

static int definition_compare(const void *a, const void *b) {
    const struct definition *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Sorts the definitions by size and name; the slots follow. */
static void sort_definitions(struct wh_type_index *t) {
    if (t->sorted || !t->definition_count)
        return;
    t->sorted = true;
    qsort(t->definitions, t->definition_count, sizeof(*t->definitions), definition_compare);
    for (size_t i = 0; i < t->definition_count; i++) {
        struct index_slot *slot = index_get(t, t->definitions[i].name);
        if (slot)
            slot->definition = (uint32_t)i + 1;
    }
}

size_t wh_type_of_size(struct wh_module *m, uint64_t size, const struct wh_type **ret_types,
                       size_t max) {
    struct wh_type_index *t = walk_all(m);
    if (!t)
        return 0;
    sort_definitions(t);
    size_t low = 0, high = t->definition_count, count = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->definitions[middle].size < size)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < t->definition_count && t->definitions[low].size == size; low++) {
        const struct wh_type *found = wh_type_of_die(m, &t->definitions[low].die);
        if (!found)
            continue;
        if (count < max)
            ret_types[count] = found;
        count++;
    }
    return count;
}

/* Does an `inner` begin exactly at this offset of t, at any depth? */
static bool has_inner(const struct wh_type *t, uint64_t offset, const struct wh_type *inner,
                      int *budget) {
    if (--*budget < 0 ||
        (t->kind != WH_TYPE_STRUCT && t->kind != WH_TYPE_UNION && t->kind != WH_TYPE_ARRAY))
        return false;
    if (t->kind == WH_TYPE_ARRAY) {
        if (!t->target || !t->target->size || offset >= t->size)
            return false;
        offset %= t->target->size;
        return (offset == 0 && t->target == inner) || has_inner(t->target, offset, inner, budget);
    }
    wh_type_fill(t);
    for (size_t i = 0; i < t->member_count; i++) {
        const struct wh_member *member = &t->members[i];
        if (offset < member->offset || offset - member->offset >= member->type->size)
            continue;
        if ((offset == member->offset && member->type == inner) ||
            has_inner(member->type, offset - member->offset, inner, budget))
            return true;
    }
    return false;
}

const struct wh_type *wh_type_container(const struct wh_type *inner, uint64_t offset,
                                        uint64_t block_size) {
    enum { CANDIDATES_MAX = 256 };
    const struct wh_type *candidates[CANDIDATES_MAX], *found = NULL;
    size_t count = wh_type_of_size(inner->module, block_size, candidates, CANDIDATES_MAX);
    if (count > CANDIDATES_MAX)
        return NULL; /* so many of one size: none is known to be the only one */
    for (size_t i = 0; i < count; i++) {
        int budget = 256;
        if (candidates[i] == found || candidates[i] == inner ||
            !has_inner(candidates[i], offset, inner, &budget))
            continue;
        if (found)
            return NULL;
        found = candidates[i];
    }
    return found;
}
