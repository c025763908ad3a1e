/* Type handles: one struct wh_type per type of a module, made from DWARF when first met.
 *
 * The same struct is described once per compile unit; handles are unified by name, size and place
 * of declaration, so that paths through different units group and compare equal. */
#include "analyzer/symbol/type_internal.h"

#include <dwarf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEEL_MAX  32
#define NAME_ROOM 1024

enum wh_type_kind wh_type_kind(const struct wh_type *t) {
    return t->kind;
}

const char *wh_type_name(const struct wh_type *t) {
    return t->name;
}

uint64_t wh_type_size(const struct wh_type *t) {
    return t->size;
}

const struct wh_type *wh_type_pointee(const struct wh_type *t) {
    return t->kind == WH_TYPE_POINTER ? wh_type_complete(t->target) : NULL;
}

/* Looked for when a path first goes there: it may mean reading every unit of every module. */
const struct wh_type *wh_type_complete(const struct wh_type *constant) {
    struct wh_type *t = (struct wh_type *)(uintptr_t)constant;
    if (!t || !t->is_incomplete || !t->plain)
        return t;
    if (!t->tried_definition) {
        t->tried_definition = true;
        t->definition = wh_type_definition(t->module, t->plain);
    }
    return t->definition ? t->definition : t;
}

/* --- handles
 * ----------------------------------------------------------------------------------------- */

struct type_slot {
    const void *key; /* DIE address, or interned identity text */
    struct wh_type *type;
};

/* Two keys lead to a type: the address of its DIE, and what it is called and where it was declared.
 */
struct type_table {
    struct type_slot *slots;
    size_t slot_count, used;
};

static struct type_table *type_table(struct wh_module *m) {
    if (!m->type_table)
        m->type_table = calloc(1, sizeof(struct type_table));
    return m->type_table;
}

void wh_type_table_free(void *table) {
    struct type_table *t = table;
    if (t)
        free(t->slots);
    free(t);
}

static size_t type_slot(const struct type_table *t, const void *key) {
    size_t at =
        (size_t)(((uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15ull) >> 22) & (t->slot_count - 1);
    while (t->slots[at].key && t->slots[at].key != key)
        at = (at + 1) & (t->slot_count - 1);
    return at;
}

static struct wh_type *table_get(const struct type_table *t, const void *key) {
    return t && t->slot_count ? t->slots[type_slot(t, key)].type : NULL;
}

static void table_put(struct type_table *t, const void *key, struct wh_type *type) {
    if (!t)
        return;
    if (t->used * 2 >= t->slot_count) {
        struct type_table next = {.slot_count = t->slot_count ? t->slot_count * 2 : 512,
                                  .used = t->used};
        next.slots = calloc(next.slot_count, sizeof(*next.slots));
        if (!next.slots)
            return;
        for (size_t i = 0; i < t->slot_count; i++) {
            if (t->slots[i].key)
                next.slots[type_slot(&next, t->slots[i].key)] = t->slots[i];
        }
        free(t->slots);
        *t = next;
    }
    struct type_slot *slot = &t->slots[type_slot(t, key)];
    t->used += slot->key == NULL;
    *slot = (struct type_slot){key, type};
}

struct wh_type *wh_type_make(struct wh_module *m, enum wh_type_kind kind, const char *name,
                             uint64_t size) {
    struct wh_type *t = wh_texts_alloc(&m->texts, sizeof(*t));
    if (!t)
        return NULL;
    t->module = m;
    t->kind = kind;
    t->name = wh_texts_add(&m->texts, name);
    if (!t->name)
        t->name = "?";
    t->plain = t->name;
    t->size = size;
    t->filled = true;
    return t;
}

const struct wh_type *wh_type_make_pointer(struct wh_module *m, const struct wh_type *target) {
    char name[NAME_ROOM];
    snprintf(name, sizeof(name), "%s *", target ? target->name : "void");
    struct wh_type *t = wh_type_make(m, WH_TYPE_POINTER, name, 8);
    if (t)
        t->target = target;
    return t;
}

bool wh_type_make_member(struct wh_type *t, const char *name, uint64_t offset,
                         const struct wh_type *type) {
    struct wh_member *members =
        wh_texts_alloc(&t->module->texts, (t->member_count + 1) * sizeof(*members));
    if (!members || !type)
        return false;
    if (t->member_count)
        memcpy(members, t->members, t->member_count * sizeof(*members));
    members[t->member_count] = (struct wh_member){
        .name = wh_texts_add(&t->module->texts, name), .offset = offset, .type = type};
    t->members = members;
    t->member_count++;
    return true;
}

/* --- from a DIE to a handle
 * --------------------------------------------------------------------------- */

static bool is_qualifier(int tag) {
    return tag == DW_TAG_typedef || tag == DW_TAG_const_type || tag == DW_TAG_volatile_type ||
           tag == DW_TAG_restrict_type || tag == DW_TAG_atomic_type ||
           tag == DW_TAG_immutable_type || tag == DW_TAG_packed_type || tag == DW_TAG_shared_type;
}

static bool die_type(Dwarf_Die *die, Dwarf_Die *ret_type) {
    Dwarf_Attribute attribute;
    return dwarf_attr_integrate(die, DW_AT_type, &attribute) &&
           dwarf_formref_die(&attribute, ret_type);
}

static bool die_flag(Dwarf_Die *die, unsigned name) {
    Dwarf_Attribute attribute;
    bool flag = false;
    return dwarf_attr(die, name, &attribute) && dwarf_formflag(&attribute, &flag) == 0 && flag;
}

static const char *die_own_name(Dwarf_Die *die) {
    Dwarf_Attribute attribute;
    return dwarf_formstring(dwarf_attr(die, DW_AT_name, &attribute));
}

static bool is_c(Dwarf_Die *die) {
    Dwarf_Die unit;
    if (!dwarf_diecu(die, &unit, NULL, NULL))
        return true;
    switch (dwarf_srclang(&unit)) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
    case DW_LANG_Rust:
    case DW_LANG_D:
    case DW_LANG_Go:
        return false;
    default:
        return true;
    }
}

/* Size as said; 0 = not said. Struct sizes in DWARF are constants for every language we meet. */
static uint64_t die_size(Dwarf_Die *die) {
    int size = dwarf_bytesize(die);
    return size > 0 ? (uint64_t)size : 0;
}

static const char *keyword(int tag) {
    switch (tag) {
    case DW_TAG_union_type:
        return "union ";
    case DW_TAG_enumeration_type:
        return "enum ";
    case DW_TAG_class_type:
        return "class ";
    default:
        return "struct ";
    }
}

/* Names a struct, union, enum or base type. typedef_name: of the typedef that led to it, for
 * nameless ones. */
static void name_type(struct wh_type *t, Dwarf_Die *die, int tag, const char *typedef_name) {
    const char *own = die_own_name(die);
    char plain[NAME_ROOM], name[NAME_ROOM + 16];
    bool is_tagged = tag != DW_TAG_base_type && tag != DW_TAG_unspecified_type;
    if (own && own[0]) {
        snprintf(plain, sizeof(plain), "%s%s", is_tagged ? wh_type_prefix(t->module, die) : "",
                 own);
        wh_pretty_simplify(plain);
        t->plain = wh_texts_add(&t->module->texts, plain);
        snprintf(name, sizeof(name), "%s%s", is_tagged && is_c(die) ? keyword(tag) : "", plain);
        t->name = wh_texts_add(&t->module->texts, name);
    } else if (typedef_name) {
        t->name = t->plain = wh_texts_add(&t->module->texts, typedef_name);
    }
    if (!t->name)
        t->name = tag == DW_TAG_union_type ? "union {...}" : is_tagged ? "struct {...}" : "?";
}

/* What makes two descriptions one type: kind, name, size and where it was declared. NULL =
 * nameless. */
static const char *type_identity(struct wh_type *t, Dwarf_Die *die) {
    char text[NAME_ROOM * 3];
    int line = 0;
    if (!t->plain)
        return NULL;
    dwarf_decl_line(die, &line);
    const char *file = wh_die_file(die, DW_AT_decl_file);
    snprintf(text, sizeof(text), "\"%d %s %" PRIu64 " %s:%d", (int)t->kind, t->plain, t->size,
             file ? file : "", line);
    return wh_texts_add(&t->module->texts, text);
}

static struct wh_type *type_new(struct wh_module *m, Dwarf_Die *die, enum wh_type_kind kind) {
    struct wh_type *t = wh_type_make(m, kind, NULL, die_size(die));
    if (!t)
        return NULL;
    t->plain = NULL;
    t->name = NULL;
    t->filled = false;
    t->has_die = true;
    t->die = *die;
    return t;
}

static void name_pointer(struct wh_type *t) {
    Dwarf_Die target;
    char name[NAME_ROOM];
    const struct wh_type *to =
        die_type(&t->die, &target) ? wh_type_of_die(t->module, &target) : NULL;
    const char *own = die_own_name(&t->die); /* Rust names its pointers: &str, Box<T>, *mut T */
    if (own && own[0])
        snprintf(name, sizeof(name), "%s", own);
    else
        snprintf(name, sizeof(name), "%s%s*", to ? to->name : "void",
                 to && to->kind == WH_TYPE_POINTER ? "" : " ");
    t->name = wh_texts_add(&t->module->texts, name);
    t->size = t->size ? t->size : 8;
    t->target = to;
    t->filled = true;
}

/* Builds nested arrays for the dimensions of one array DIE, from the last to the first. */
static struct wh_type *make_array(struct wh_module *m, Dwarf_Die *die) {
    uint64_t counts[8];
    size_t dimensions = 0;
    Dwarf_Die child, element_die;
    if (!die_type(die, &element_die))
        return NULL;
    const struct wh_type *element = wh_type_of_die(m, &element_die);
    if (!element)
        return NULL;
    if (dwarf_child(die, &child) == 0) {
        do {
            Dwarf_Attribute attribute;
            Dwarf_Word value = 0;
            if (dwarf_tag(&child) != DW_TAG_subrange_type || dimensions == 8)
                continue;
            counts[dimensions] = 0;
            if (dwarf_attr(&child, DW_AT_count, &attribute) &&
                dwarf_formudata(&attribute, &value) == 0)
                counts[dimensions] = value;
            else if (dwarf_attr(&child, DW_AT_upper_bound, &attribute) &&
                     dwarf_formudata(&attribute, &value) == 0)
                counts[dimensions] = value + 1;
            dimensions++;
        } while (wh_die_next(&child));
    }
    if (!dimensions)
        counts[dimensions++] = 0;
    struct wh_type *t = NULL;
    while (dimensions--) {
        char name[NAME_ROOM];
        uint64_t count = counts[dimensions], size;
        if (__builtin_mul_overflow(count, element->size, &size))
            count = size = 0;
        if (count)
            snprintf(name, sizeof(name), "%s[%" PRIu64 "]", element->name, count);
        else
            snprintf(name, sizeof(name), "%s[]", element->name);
        t = wh_type_make(m, WH_TYPE_ARRAY, name, size);
        if (!t)
            return NULL;
        t->target = element;
        t->count = count;
        element = t;
    }
    return t;
}

/* A struct, union, class, enum or base type. */
static struct wh_type *make_named(struct wh_module *m, Dwarf_Die *die, int tag,
                                  const char *typedef_name) {
    enum wh_type_kind kind = tag == DW_TAG_union_type ? WH_TYPE_UNION
                             : tag == DW_TAG_structure_type || tag == DW_TAG_class_type
                                 ? WH_TYPE_STRUCT
                                 : WH_TYPE_SCALAR;
    Dwarf_Attribute attribute;
    Dwarf_Die whole;
    if (dwarf_hasattr(die, DW_AT_signature) &&
        dwarf_formref_die(dwarf_attr(die, DW_AT_signature, &attribute), &whole))
        die = &whole;
    struct wh_type *t = type_new(m, die, kind);
    if (!t)
        return NULL;
    name_type(t, die, tag, typedef_name);
    t->is_incomplete = die_flag(die, DW_AT_declaration);
    Dwarf_Word encoding;
    if (tag == DW_TAG_base_type &&
        dwarf_formudata(dwarf_attr(die, DW_AT_encoding, &attribute), &encoding) == 0) {
        t->is_float = encoding == DW_ATE_float || encoding == DW_ATE_complex_float;
        t->is_bool_or_char = encoding == DW_ATE_boolean || encoding == DW_ATE_signed_char ||
                             encoding == DW_ATE_unsigned_char || encoding == DW_ATE_UTF;
    }
    const char *identity = type_identity(t, die);
    struct wh_type *same = identity ? table_get(type_table(m), identity) : NULL;
    if (!same && identity)
        table_put(type_table(m), identity, t);
    return same ? same : t;
}

const struct wh_type *wh_type_of_die(struct wh_module *m, Dwarf_Die *start) {
    Dwarf_Die die = *start;
    const char *typedef_name = NULL;
    if (m->type_depth > 64) /* a type that contains itself by value: broken */
        return NULL;
    for (int i = 0; is_qualifier(dwarf_tag(&die)); i++) {
        if (dwarf_tag(&die) == DW_TAG_typedef && !typedef_name)
            typedef_name = die_own_name(&die);
        Dwarf_Die next;
        if (i == PEEL_MAX || !die_type(&die, &next))
            return NULL;
        die = next;
    }
    struct wh_type *t = table_get(type_table(m), die.addr);
    if (t)
        return t;
    m->type_depth++;
    int tag = dwarf_tag(&die);
    switch (tag) {
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        t = type_new(m, &die, WH_TYPE_POINTER);
        if (t) {
            t->name = "pointer"; /* while its own pointee is being named: struct node { struct node
                                  *next; } */
            t->filled = true;
            table_put(type_table(m), die.addr, t);
            name_pointer(t);
        }
        break;
    case DW_TAG_array_type:
        t = make_array(m, &die);
        break;
    case DW_TAG_subroutine_type:
        t = type_new(m, &die, WH_TYPE_FUNCTION);
        if (t)
            t->name = "function";
        break;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
    case DW_TAG_base_type:
        t = make_named(m, &die, tag, typedef_name);
        break;
    case DW_TAG_ptr_to_member_type:
    case DW_TAG_string_type:
    case DW_TAG_subrange_type:
        t = type_new(m, &die, WH_TYPE_SCALAR);
        if (t)
            t->name = "?";
        break;
    default:
        break;
    }
    m->type_depth--;
    if (t)
        table_put(type_table(m), die.addr, t);
    return t;
}

const struct wh_type *wh_type_of(struct wh_module *m, Dwarf_Die *die) {
    Dwarf_Die type;
    return die_type(die, &type) ? wh_type_of_die(m, &type) : NULL;
}

/* --- members
 * ------------------------------------------------------------------------------------------- */

/* Offset of a member in its struct; false = not constant (virtual base) or a bit-field. */
static bool member_offset(Dwarf_Die *die, uint64_t *ret_offset) {
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    Dwarf_Op *ops;
    size_t count;
    if (dwarf_hasattr(die, DW_AT_bit_size))
        return false;
    *ret_offset = 0;
    if (!dwarf_attr(die, DW_AT_data_member_location, &attribute))
        return true; /* union member, first member of some producers */
    if (dwarf_formudata(&attribute, &value) == 0) {
        *ret_offset = value;
        return true;
    }
    if (dwarf_getlocation(&attribute, &ops, &count) == 0 && count == 1 &&
        ops[0].atom == DW_OP_plus_uconst) {
        *ret_offset = ops[0].number;
        return true;
    }
    return false;
}

static void add_member(struct wh_type *t, Dwarf_Die *die, const char *name) {
    uint64_t offset;
    const struct wh_type *type = wh_type_of(t->module, die);
    if (!type || die_flag(die, DW_AT_external) || die_flag(die, DW_AT_declaration) ||
        !member_offset(die, &offset))
        return;
    /* Rust's tuple fields are __0, __1; people write .0, .1 */
    if (name[0] == '_' && name[1] == '_' && name[2] >= '0' && name[2] <= '9')
        name += 2;
    wh_type_make_member(t, t->hides_names && name[0] == '_' ? "" : name, offset, type);
}

/* Members of a struct; of a Rust enum also those of all its variants, which overlap. */
static void add_members(struct wh_type *t, Dwarf_Die *parent, int depth) {
    Dwarf_Die child;
    if (depth > 4 || dwarf_child(parent, &child) != 0)
        return;
    do {
        const char *name = die_own_name(&child);
        switch (dwarf_tag(&child)) {
        case DW_TAG_member:
            add_member(t, &child, name ? name : "");
            break;
        case DW_TAG_inheritance:
            add_member(t, &child, "");
            break;
        case DW_TAG_variant_part:
        case DW_TAG_variant:
            add_members(t, &child, depth + 1);
            break;
        default:
            break;
        }
    } while (wh_die_next(&child));
}

void wh_type_fill(const struct wh_type *constant) {
    struct wh_type *t = (struct wh_type *)(uintptr_t)constant;
    if (t->filled)
        return;
    t->filled = true;
    if (!t->has_die || (t->kind != WH_TYPE_STRUCT && t->kind != WH_TYPE_UNION))
        return;
    t->hides_names =
        t->plain && (!strncmp(t->plain, "std::", 5) || !strncmp(t->plain, "__gnu_cxx::", 11));
    add_members(t, &t->die, 0);
    wh_type_fill_container(t);
    wh_type_fill_slice(t);
    if (t->kind == WH_TYPE_STRUCT && t->member_count) {
        const struct wh_type *last = t->members[t->member_count - 1].type;
        t->has_flexible_end = last->kind == WH_TYPE_ARRAY && last->count == 0;
    }
}

uint64_t wh_type_align(const struct wh_type *constant) {
    struct wh_type *t = (struct wh_type *)(uintptr_t)constant;
    if (t->align)
        return t->align;
    t->align = 1; /* ends the recursion where a broken type contains itself */
    if (t->kind == WH_TYPE_ARRAY) {
        t->align = t->target ? wh_type_align(t->target) : 1;
    } else if (t->kind == WH_TYPE_STRUCT || t->kind == WH_TYPE_UNION) {
        wh_type_fill(t);
        for (size_t i = 0; i < t->member_count; i++) {
            uint64_t align = wh_type_align(t->members[i].type);
            t->align = align > t->align ? align : t->align;
        }
    } else if (t->size == 2 || t->size == 4 || t->size == 8 || t->size == 16) {
        t->align = t->size;
    }
    return t->align;
}
