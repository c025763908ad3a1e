/* From a code address to source-level frames: function, file, line, and what was inlined there.
 *
 * The function's name comes from the ELF symbol where there is one (its plainest alias is what
 * people know: malloc, not __libc_malloc), its lines and inlined functions from DWARF. Each address
 * is worked out once per module. */
#include "analyzer/symbol/module_internal.h"

#include <dwarf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct code_entry {
    uint64_t address;
    uint32_t first, count; /* count 0 = empty slot */
};

struct wh_code_cache {
    struct code_entry *entries; /* open addressing, power of two */
    size_t entry_count, used;
    struct wh_code *codes;
    size_t code_count, code_room;
};

void wh_code_cache_free(struct wh_code_cache *c) {
    if (!c)
        return;
    free(c->entries);
    free(c->codes);
    free(c);
}

static size_t code_slot(const struct wh_code_cache *c, uint64_t address) {
    size_t at = (size_t)((address * 0x9e3779b97f4a7c15ull) >> 20) & (c->entry_count - 1);
    while (c->entries[at].count && c->entries[at].address != address)
        at = (at + 1) & (c->entry_count - 1);
    return at;
}

static bool cache_grow(struct wh_code_cache *c) {
    struct wh_code_cache next = {.entry_count = c->entry_count ? c->entry_count * 2 : 256};
    next.entries = calloc(next.entry_count, sizeof(*next.entries));
    if (!next.entries)
        return false;
    for (size_t i = 0; i < c->entry_count; i++) {
        if (c->entries[i].count)
            next.entries[code_slot(&next, c->entries[i].address)] = c->entries[i];
    }
    free(c->entries);
    c->entries = next.entries;
    c->entry_count = next.entry_count;
    return true;
}

static void cache_put(struct wh_code_cache *c, uint64_t address, const struct wh_code *codes,
                      size_t count) {
    if (c->used * 4 >= c->entry_count * 3 && !cache_grow(c))
        return;
    if (c->code_count + count > c->code_room) {
        size_t room = (c->code_room + count) * 2;
        void *grown = realloc(c->codes, room * sizeof(*c->codes));
        if (!grown)
            return;
        c->codes = grown;
        c->code_room = room;
    }
    struct code_entry *e = &c->entries[code_slot(c, address)];
    *e = (struct code_entry){address, (uint32_t)c->code_count, (uint32_t)count};
    memcpy(c->codes + c->code_count, codes, count * sizeof(*codes));
    c->code_count += count;
    c->used++;
}

/* --- inlined functions
 * ----------------------------------------------------------------------------- */

/* Fills chain with the inlined calls that cover the address, outermost first. Blocks count for
 * nesting only. Returns how many. */
static size_t inline_chain(const Dwarf_Die *function, uint64_t address, Dwarf_Die *chain,
                           size_t max) {
    size_t count = 0;
    Dwarf_Die parent = *function, child;
    for (int depth = 0; depth < 256 && count < max; depth++) {
        if (dwarf_child(&parent, &child) != 0)
            break;
        bool found = false;
        do {
            int tag = dwarf_tag(&child);
            if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block)
                continue;
            if (dwarf_haspc(&child, address) != 1)
                continue;
            if (tag == DW_TAG_inlined_subroutine)
                chain[count++] = child;
            parent = child;
            found = true;
            break;
        } while (wh_die_next(&child));
        if (!found)
            break;
    }
    return count;
}

static uint64_t die_number(Dwarf_Die *die, unsigned name) {
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    return dwarf_formudata(dwarf_attr(die, name, &attribute), &value) == 0 ? value : 0;
}

/* Where an inlined call stands in its caller. */
static void call_site(struct wh_module *m, Dwarf_Die *call, struct wh_code *code) {
    code->line = (uint32_t)die_number(call, DW_AT_call_line);
    code->file = wh_texts_add_path(&m->texts, wh_die_file(call, DW_AT_call_file));
}

static void code_line(struct wh_module *m, struct wh_unit *u, uint64_t address,
                      struct wh_code *code) {
    int line = 0;
    Dwarf_Line *at = dwarf_getsrc_die(&u->die, address);
    if (!at)
        return;
    code->file = wh_texts_add_path(&m->texts, dwarf_linesrc(at, NULL, NULL));
    if (dwarf_lineno(at, &line) == 0 && line > 0)
        code->line = (uint32_t)line;
}

/* Works the frames of one address out; returns how many, at least 1. */
static size_t code_resolve(struct wh_module *m, uint64_t address, struct wh_code *codes,
                           size_t max) {
    struct wh_module_symbol symbol;
    struct wh_code *code = &codes[0];
    *code = (struct wh_code){0};
    const char *outer = NULL;
    if (wh_module_function_symbol(m, address, &symbol))
        outer = wh_module_pretty(m, symbol.name);
    code->function = outer;
    struct wh_unit *u = wh_module_unit_at(m, address);
    if (!u)
        return 1;
    code_line(m, u, address, code);
    Dwarf_Die function, chain[WH_CODE_MAX];
    if (!wh_unit_function_at(u, address, &function))
        return 1;
    if (!outer)
        outer = wh_module_die_name(m, &function);
    size_t count =
        inline_chain(&function, address, chain, max - 1 < WH_CODE_MAX ? max - 1 : WH_CODE_MAX);
    for (size_t i = 0; i < count; i++) {
        Dwarf_Die *call = &chain[count - 1 - i]; /* innermost first */
        codes[i].function = wh_module_die_name(m, call);
        codes[i].inlined = true;
        codes[i + 1] = (struct wh_code){0};
        call_site(m, call, &codes[i + 1]);
    }
    codes[count].function = outer;
    return count + 1;
}

/* A function that has no symbol is called by where it begins, so that its calls group. */
static void name_nameless(struct wh_module *m, uint64_t address, struct wh_code *code) {
    uint64_t start, end;
    char text[4200];
    if (code->function || !wh_module_function_range(m, address, &start, &end))
        return;
    snprintf(text, sizeof(text), "%s+0x%" PRIx64, wh_module_name(m), start);
    code->function = wh_texts_add(&m->texts, text);
}

size_t wh_module_code(struct wh_module *m, uint64_t address, struct wh_code *ret_codes,
                      size_t max) {
    struct wh_code codes[WH_CODE_MAX];
    if (!max)
        return 0;
    if (!m->code_cache)
        m->code_cache = calloc(1, sizeof(*m->code_cache));
    struct wh_code_cache *c = m->code_cache;
    size_t count;
    const struct wh_code *from = codes;
    const struct code_entry *e = c && c->entry_count ? &c->entries[code_slot(c, address)] : NULL;
    if (e && e->count) {
        count = e->count;
        from = c->codes + e->first;
    } else {
        count = code_resolve(m, address, codes, WH_CODE_MAX);
        name_nameless(m, address, &codes[count - 1]);
        if (c)
            cache_put(c, address, codes, count);
    }
    if (count > max) /* too many inlined: the function itself must stay */
        from += count - max;
    count = count < max ? count : max;
    memcpy(ret_codes, from, count * sizeof(*ret_codes));
    return count;
}
