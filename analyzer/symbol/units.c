/* Compile units and the functions in them, by address.
 *
 * .debug_aranges is optional (clang leaves it out), so units are indexed by their own ranges.
 * Functions of a unit are indexed when the first address falls into it: walking a large unit for
 * every address would make the first report slow. */
#include "analyzer/symbol/module_internal.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#define WALK_DEPTH_MAX 64 /* nesting of namespaces, classes, blocks: broken DWARF may loop */

bool wh_spans_add(struct wh_spans *s, uint64_t start, uint64_t end, uint32_t index) {
    if (end <= start)
        return true;
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 64;
        void *items = realloc(s->items, room * sizeof(*s->items));
        if (!items)
            return false;
        s->items = items;
        s->room = room;
    }
    s->items[s->count++] = (struct wh_span){.start = start, .end = end, .index = index};
    return true;
}

/* By start; the wider first, then by index, so that the order is the same in every run. */
static int span_compare(const void *a, const void *b) {
    const struct wh_span *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->end != y->end)
        return x->end > y->end ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

void wh_spans_sort(struct wh_spans *s) {
    if (s->count)
        qsort(s->items, s->count, sizeof(*s->items), span_compare);
    uint64_t reach = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i].end > reach)
            reach = s->items[i].end;
        s->items[i].reach = reach;
    }
}

const struct wh_span *wh_spans_at(const struct wh_spans *s, uint64_t address) {
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->items[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    while (low-- > 0 && s->items[low].reach > address) {
        if (s->items[low].end > address)
            return &s->items[low];
    }
    return NULL;
}

static struct wh_unit *unit_new(struct wh_module *m) {
    if (m->unit_count == m->unit_room) {
        size_t room = m->unit_room ? m->unit_room * 2 : 64;
        void *units = realloc(m->units, room * sizeof(*m->units));
        if (!units)
            return NULL;
        m->units = units;
        m->unit_room = room;
    }
    struct wh_unit *u = &m->units[m->unit_count++];
    memset(u, 0, sizeof(*u));
    return u;
}

/* Adds all address ranges of a DIE. Zero-based ranges are code that the linker threw away. */
static void add_ranges(struct wh_spans *spans, Dwarf_Die *die, uint32_t index) {
    Dwarf_Addr base = 0, start = 0, end = 0;
    ptrdiff_t at = 0;
    for (int n = 0; n < 1 << 20 && (at = dwarf_ranges(die, at, &base, &start, &end)) > 0; n++) {
        if (start && !wh_spans_add(spans, start, end, index))
            return;
    }
}

bool wh_module_read_units(struct wh_module *m) {
    if (m->tried_debug)
        return m->dwarf != NULL;
    m->tried_debug = true;
    if (!wh_module_read_file(m))
        return false;
    Dwarf_Addr bias;
    m->dwarf = dwfl_module_getdwarf(m->mod, &bias);
    if (!m->dwarf)
        return false;
    Dwarf_CU *cu = NULL;
    uint8_t type;
    Dwarf_Die die, body;
    while (dwarf_get_units(m->dwarf, cu, &cu, NULL, &type, &die, &body) == 0) {
        if (type != DW_UT_compile && type != DW_UT_skeleton)
            continue;
        struct wh_unit *u = unit_new(m);
        if (!u)
            break;
        u->die = die;
        u->body = type == DW_UT_skeleton && body.cu ? body : die;
        add_ranges(&m->unit_spans, &u->die, (uint32_t)(m->unit_count - 1));
    }
    wh_spans_sort(&m->unit_spans);
    return true;
}

bool wh_module_has_debug(struct wh_module *m) {
    return wh_module_read_units(m) && m->unit_count > 0;
}

struct wh_unit *wh_module_unit_at(struct wh_module *m, uint64_t address) {
    if (!wh_module_read_units(m))
        return NULL;
    const struct wh_span *s = wh_spans_at(&m->unit_spans, address);
    return s ? &m->units[s->index] : NULL;
}

/* --- functions of a unit -------------------------------------------------------------------------
 */

static void add_function(struct wh_unit *u, Dwarf_Die *die) {
    if (!dwarf_hasattr(die, DW_AT_low_pc) && !dwarf_hasattr(die, DW_AT_ranges))
        return;
    if (u->function_count == u->function_room) {
        size_t room = u->function_room ? u->function_room * 2 : 64;
        void *functions = realloc(u->functions, room * sizeof(*u->functions));
        if (!functions)
            return;
        u->functions = functions;
        u->function_room = room;
    }
    u->functions[u->function_count] = *die;
    add_ranges(&u->function_spans, die, (uint32_t)u->function_count++);
}

/* Functions stand in the unit, in namespaces (Rust, C++) and in classes. */
static void walk_functions(struct wh_unit *u, Dwarf_Die *parent, int depth) {
    Dwarf_Die child;
    if (depth > WALK_DEPTH_MAX || dwarf_child(parent, &child) != 0)
        return;
    do {
        switch (dwarf_tag(&child)) {
        case DW_TAG_subprogram:
            add_function(u, &child);
            break;
        case DW_TAG_namespace:
        case DW_TAG_module:
        case DW_TAG_structure_type:
        case DW_TAG_class_type:
        case DW_TAG_union_type:
        case DW_TAG_enumeration_type:
            walk_functions(u, &child, depth + 1);
            break;
        default:
            break;
        }
    } while (wh_die_next(&child));
}

bool wh_unit_function_at(struct wh_unit *u, uint64_t address, Dwarf_Die *ret_die) {
    if (!u->tried_functions) {
        u->tried_functions = true;
        walk_functions(u, &u->body, 0);
        wh_spans_sort(&u->function_spans);
    }
    const struct wh_span *s = wh_spans_at(&u->function_spans, address);
    if (!s)
        return false;
    *ret_die = u->functions[s->index];
    return true;
}

bool wh_die_next(Dwarf_Die *die) {
    const void *before = die->addr;
    Dwarf_Die next;
    if (dwarf_siblingof(die, &next) != 0 || (uintptr_t)next.addr <= (uintptr_t)before)
        return false;
    *die = next;
    return true;
}

/* --- attributes
 * ------------------------------------------------------------------------------------ */

const char *wh_die_linkage_name(Dwarf_Die *die) {
    Dwarf_Attribute attribute;
    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
        dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
        return dwarf_formstring(&attribute);
    return NULL;
}

const char *wh_module_die_name(struct wh_module *m, Dwarf_Die *die) {
    const char *linkage = wh_die_linkage_name(die);
    if (linkage && linkage[0])
        return wh_module_pretty(m, linkage);
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attribute));
    return name && name[0] ? wh_module_pretty(m, name) : NULL;
}

const char *wh_die_file(Dwarf_Die *die, unsigned attribute_name) {
    Dwarf_Attribute attribute;
    Dwarf_Word index;
    Dwarf_Die unit;
    Dwarf_Half version = 0;
    Dwarf_Files *files = NULL;
    size_t count = 0;
    /* Not dwarf_decl_file(): it aborts where a unit has no line table. */
    if (!dwarf_attr_integrate(die, attribute_name, &attribute) ||
        dwarf_formudata(&attribute, &index) != 0 || !attribute.cu ||
        !dwarf_cu_die(attribute.cu, &unit, &version, NULL, NULL, NULL, NULL, NULL) ||
        (index == 0 && version < 5) || dwarf_getsrcfiles(&unit, &files, &count) != 0 ||
        index >= count)
        return NULL;
    return dwarf_filesrc(files, index, NULL, NULL);
}

const char *wh_module_die_file(struct wh_module *m, Dwarf_Die *die) {
    return wh_texts_add_path(&m->texts, wh_die_file(die, DW_AT_decl_file));
}
