/* Variables by address (variable.h).
 *
 * Statics and thread-locals of a module are indexed once, functions' own statics included. Locals
 * are looked for in the one function that covers the pc: their place is given from the frame's
 * base, which is translated to the CFA by the unwind table. */
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/symbol/type_internal.h"
#include "analyzer/symbol/variable.h"

#define NESTING_MAX 64

struct item {
    Dwarf_Die die;
    const char *function; /* of a function's static; NULL = none */
    uint64_t address;
};

struct wh_variable_index {
    struct item *items;
    size_t count, room;
    struct wh_spans statics, tls;
};

void wh_variable_index_free(struct wh_variable_index *v) {
    if (!v)
        return;
    free(v->items);
    free(v->statics.items);
    free(v->tls.items);
    free(v);
}

/* --- index
 * ------------------------------------------------------------------------------------------------
 */

enum place { PLACE_NONE, PLACE_STATIC, PLACE_TLS };

/* Where a variable lives for the whole run. */
static enum place static_place(Dwarf_Die *die, uint64_t *ret_address) {
    Dwarf_Attribute attribute, operand;
    Dwarf_Op *ops;
    size_t count;
    if (!dwarf_attr(die, DW_AT_location, &attribute) ||
        dwarf_getlocation(&attribute, &ops, &count) != 0 || !count)
        return PLACE_NONE;
    uint64_t value = ops[0].number;
    switch (ops[0].atom) {
    case DW_OP_addrx:
    case DW_OP_constx:
    case DW_OP_GNU_addr_index:
    case DW_OP_GNU_const_index:
        if (dwarf_getlocation_attr(&attribute, ops, &operand) != 0 ||
            dwarf_formaddr(&operand, &value) != 0)
            return PLACE_NONE;
        break;
    case DW_OP_addr:
    case DW_OP_const4u:
    case DW_OP_const8u:
        break;
    default:
        return PLACE_NONE;
    }
    *ret_address = value;
    if (count == 2 &&
        (ops[1].atom == DW_OP_form_tls_address || ops[1].atom == DW_OP_GNU_push_tls_address))
        return PLACE_TLS;
    bool is_address = ops[0].atom == DW_OP_addr || ops[0].atom == DW_OP_addrx ||
                      ops[0].atom == DW_OP_GNU_addr_index;
    return count == 1 && is_address && value ? PLACE_STATIC : PLACE_NONE;
}

static uint64_t variable_size(struct wh_module *m, Dwarf_Die *die, enum place place,
                              uint64_t address) {
    struct wh_module_symbol symbol;
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    Dwarf_Word size = 0;
    if (dwarf_attr_integrate(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, &type) &&
        dwarf_aggregate_size(&type, &size) == 0 && size)
        return size;
    bool found = place == PLACE_TLS ? wh_module_tls_symbol(m, address, &symbol)
                                    : wh_module_data_symbol(m, address, &symbol);
    return found && symbol.address == address ? symbol.size : 0;
}

static void add_variable(struct wh_module *m, struct wh_variable_index *v, Dwarf_Die *die,
                         const char *function) {
    uint64_t address;
    enum place place = static_place(die, &address);
    if (place == PLACE_NONE)
        return;
    uint64_t size = variable_size(m, die, place, address), end;
    if (!size || __builtin_add_overflow(address, size, &end))
        return;
    if (v->count == v->room) {
        size_t room = v->room ? v->room * 2 : 256;
        void *items = realloc(v->items, room * sizeof(*v->items));
        if (!items)
            return;
        v->items = items;
        v->room = room;
    }
    v->items[v->count] = (struct item){*die, function, address};
    wh_spans_add(place == PLACE_TLS ? &v->tls : &v->statics, address, end, (uint32_t)v->count++);
}

static void walk_variables(struct wh_module *m, struct wh_variable_index *v, Dwarf_Die *parent,
                           const char *function, int depth) {
    Dwarf_Die child;
    if (depth > NESTING_MAX || dwarf_child(parent, &child) != 0)
        return;
    do {
        switch (dwarf_tag(&child)) {
        case DW_TAG_variable:
            add_variable(m, v, &child, function);
            break;
        case DW_TAG_namespace:
        case DW_TAG_module:
        case DW_TAG_lexical_block:
            walk_variables(m, v, &child, function, depth + 1);
            break;
        case DW_TAG_subprogram:
            if (dwarf_haschildren(&child) > 0) {
                const char *name = wh_module_die_name(m, &child);
                walk_variables(m, v, &child, name ? name : "?", depth + 1);
            }
            break;
        default:
            break;
        }
    } while (wh_die_next(&child));
}

static struct wh_variable_index *variable_index(struct wh_module *m) {
    if (m->variables)
        return m->variables;
    m->variables = calloc(1, sizeof(*m->variables));
    if (!m->variables || !wh_module_read_units(m))
        return m->variables;
    for (size_t i = 0; i < m->unit_count; i++)
        walk_variables(m, m->variables, &m->units[i].body, NULL, 0);
    wh_spans_sort(&m->variables->statics);
    wh_spans_sort(&m->variables->tls);
    return m->variables;
}

/* --- statics
 * ------------------------------------------------------------------------------------------------
 */

static const char *item_name(struct wh_module *m, struct item *item) {
    char text[2048];
    if (!item->function) {
        const char *name = wh_module_die_name(m, &item->die);
        return name ? name : "?";
    }
    const char *own = dwarf_diename(&item->die);
    snprintf(text, sizeof(text), "%s()::%s", item->function, own ? own : "?");
    return wh_texts_add(&m->texts, text);
}

static int describe_static(struct wh_module *m, const struct wh_spans *spans, uint64_t at,
                           struct wh_variable *ret) {
    const struct wh_span *span = wh_spans_at(spans, at);
    if (!span)
        return -1;
    struct item *item = &m->variables->items[span->index];
    *ret = (struct wh_variable){.name = item_name(m, item),
                                .file = wh_module_die_file(m, &item->die),
                                .type = wh_type_of(m, &item->die),
                                .address = span->start,
                                .size = span->end - span->start,
                                .offset = at - span->start};
    return ret->name ? 0 : -1;
}

static int describe_symbol(struct wh_module *m, const struct wh_module_symbol *symbol, uint64_t at,
                           struct wh_variable *ret) {
    *ret = (struct wh_variable){.name = wh_module_pretty(m, symbol->name),
                                .address = symbol->address,
                                .size = symbol->size,
                                .offset = at - symbol->address};
    return 0;
}

int wh_variable_at(struct wh_module *m, uint64_t file_address, struct wh_variable *ret_variable) {
    struct wh_module_symbol symbol;
    struct wh_variable_index *v = variable_index(m);
    *ret_variable = (struct wh_variable){0};
    if (v && describe_static(m, &v->statics, file_address, ret_variable) == 0)
        return 0;
    if (wh_module_data_symbol(m, file_address, &symbol))
        return describe_symbol(m, &symbol, file_address, ret_variable);
    return -1;
}

int wh_variable_tls(struct wh_module *m, uint64_t tls_offset, struct wh_variable *ret_variable) {
    struct wh_module_symbol symbol;
    struct wh_variable_index *v = variable_index(m);
    *ret_variable = (struct wh_variable){0};
    if (v && describe_static(m, &v->tls, tls_offset, ret_variable) == 0)
        return 0;
    if (wh_module_tls_symbol(m, tls_offset, &symbol))
        return describe_symbol(m, &symbol, tls_offset, ret_variable);
    return -1;
}

const char *wh_variable_section(struct wh_module *m, uint64_t file_address) {
    GElf_Addr bias;
    size_t names = 0;
    Elf_Scn *scn = NULL;
    Elf *elf = wh_module_read_file(m) ? dwfl_module_getelf(m->mod, &bias) : NULL;
    if (!elf || elf_getshdrstrndx(elf, &names) != 0)
        return NULL;
    while ((scn = elf_nextscn(elf, scn))) {
        GElf_Shdr shdr;
        if (!gelf_getshdr(scn, &shdr) || !(shdr.sh_flags & SHF_ALLOC) ||
            (shdr.sh_flags & SHF_TLS) || file_address < shdr.sh_addr ||
            file_address - shdr.sh_addr >= shdr.sh_size)
            continue;
        return wh_texts_add(&m->texts, elf_strptr(elf, names, shdr.sh_name));
    }
    return NULL;
}

/* --- locals
 * -------------------------------------------------------------------------------------------------
 */

enum { DWARF_RBP = 6, DWARF_RSP = 7 };

/* CFA minus a register at a pc, by the unwind table; false = the CFA is not given by that register.
 */
static bool cfa_of_register(struct wh_module *m, uint64_t pc, unsigned reg, int64_t *ret_distance) {
    Dwarf_Addr bias;
    Dwarf_CFI *cfi = dwfl_module_eh_cfi(m->mod, &bias);
    Dwarf_Frame *frame = NULL;
    Dwarf_Op *ops;
    size_t count = 0;
    if (!cfi || dwarf_cfi_addrframe(cfi, pc - bias, &frame) != 0)
        return false;
    bool ok = false;
    if (dwarf_frame_cfa(frame, &ops, &count) == 0 && count == 1) {
        if (ops[0].atom == DW_OP_breg0 + reg) {
            *ret_distance = (int64_t)ops[0].number;
            ok = true;
        } else if (ops[0].atom == DW_OP_bregx && ops[0].number == reg) {
            *ret_distance = (int64_t)ops[0].number2;
            ok = true;
        }
    }
    free(frame);
    /* With a frame pointer rbp is saved just below the return address, whatever the CFA is given
     * by. */
    if (!ok && reg == DWARF_RBP) {
        *ret_distance = 16;
        ok = true;
    }
    return ok;
}

/* The frame base of a function relative to its CFA. */
static bool frame_base(struct wh_module *m, Dwarf_Die *function, uint64_t pc, int64_t *ret_offset) {
    Dwarf_Attribute attribute;
    Dwarf_Op *ops;
    size_t count = 0;
    int64_t distance;
    if (!dwarf_attr_integrate(function, DW_AT_frame_base, &attribute) ||
        dwarf_getlocation_addr(&attribute, pc, &ops, &count, 1) != 1 || count != 1)
        return false;
    if (ops[0].atom == DW_OP_call_frame_cfa) {
        *ret_offset = 0;
        return true;
    }
    unsigned reg = ops[0].atom;
    int64_t plus = 0;
    if (reg >= DW_OP_breg0 && reg <= DW_OP_breg31) {
        plus = (int64_t)ops[0].number;
        reg -= DW_OP_breg0;
    } else if (reg >= DW_OP_reg0 && reg <= DW_OP_reg31) {
        reg -= DW_OP_reg0;
    } else {
        return false;
    }
    if (!cfa_of_register(m, pc, reg, &distance))
        return false;
    *ret_offset = plus - distance;
    return true;
}

/* Where in the frame a local lies at a pc, from the CFA; false = not in memory there. */
static bool local_offset(struct wh_module *m, Dwarf_Die *variable, uint64_t pc, bool has_base,
                         int64_t base, int64_t *ret_offset) {
    Dwarf_Attribute attribute;
    Dwarf_Op *ops;
    size_t count = 0;
    int64_t distance;
    if (!dwarf_attr(variable, DW_AT_location, &attribute) ||
        dwarf_getlocation_addr(&attribute, pc, &ops, &count, 1) != 1 || !count)
        return false;
    if (ops[0].atom == DW_OP_fbreg && count == 1 && has_base) {
        *ret_offset = base + (int64_t)ops[0].number;
        return true;
    }
    if (ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg31 && count == 1 &&
        cfa_of_register(m, pc, ops[0].atom - DW_OP_breg0, &distance)) {
        *ret_offset = (int64_t)ops[0].number - distance;
        return true;
    }
    return false;
}

struct local_search {
    struct wh_module *m;
    uint64_t pc;
    int64_t slot, base;
    bool has_base;
    struct wh_variable *ret;
};

/* Looks through a scope and the scopes in it that cover the pc; the innermost find wins. */
static void search_locals(struct local_search *s, Dwarf_Die *scope, const char *function,
                          int depth) {
    Dwarf_Die child;
    if (depth > NESTING_MAX || dwarf_child(scope, &child) != 0)
        return;
    do {
        int tag = dwarf_tag(&child);
        int64_t at;
        if (tag == DW_TAG_variable || tag == DW_TAG_formal_parameter) {
            if (!local_offset(s->m, &child, s->pc, s->has_base, s->base, &at))
                continue;
            const struct wh_type *type = wh_type_of(s->m, &child);
            uint64_t size = type && wh_type_size(type) ? wh_type_size(type) : 8;
            const char *name = dwarf_diename(&child);
            if (!name || s->slot < at || (uint64_t)(s->slot - at) >= size)
                continue;
            *s->ret = (struct wh_variable){.name = wh_texts_add(&s->m->texts, name),
                                           .function = function,
                                           .file = wh_module_die_file(s->m, &child),
                                           .type = type,
                                           .size = size,
                                           .offset = (uint64_t)(s->slot - at)};
        } else if ((tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine) &&
                   dwarf_haspc(&child, s->pc) == 1) {
            const char *inner =
                tag == DW_TAG_inlined_subroutine ? wh_module_die_name(s->m, &child) : NULL;
            search_locals(s, &child, inner ? inner : function, depth + 1);
        }
    } while (wh_die_next(&child));
}

int wh_variable_local(struct wh_module *m, uint64_t file_pc, int64_t cfa_offset,
                      struct wh_variable *ret_variable) {
    struct wh_code codes[WH_CODE_MAX];
    size_t count = wh_module_code(m, file_pc, codes, WH_CODE_MAX);
    Dwarf_Die function;
    *ret_variable = (struct wh_variable){0};
    if (!count)
        return -1;
    const struct wh_code *outermost = &codes[count - 1];
    ret_variable->function = outermost->function;
    ret_variable->file = outermost->file;
    struct wh_unit *u = wh_module_unit_at(m, file_pc);
    if (!u || !wh_unit_function_at(u, file_pc, &function))
        return -1;
    struct local_search search = {.m = m, .pc = file_pc, .slot = cfa_offset, .ret = ret_variable};
    search.has_base = frame_base(m, &function, file_pc, &search.base);
    search_locals(&search, &function, outermost->function, 0);
    return ret_variable->name ? 0 : -1;
}
