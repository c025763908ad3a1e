/* Inside of a module, shared by module.c (files, symbol tables), units.c (compile units), code.c
 * (frames), variable.c and type.c. Everything is read lazily: `tried_*` says that it was, with
 * whatever success. */
#ifndef WH_SYMBOL_MODULE_INTERNAL_H
#define WH_SYMBOL_MODULE_INTERNAL_H

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>

#include "analyzer/symbol/module.h"
#include "analyzer/symbol/text.h"
#include "analyzer/symbol/type.h"

/* Symbols of one sort, by address; one a start address. */
struct wh_symbol_table {
    struct wh_module_symbol *items;
    size_t count, room;
};

/* A range of addresses and what covers it: a unit, a function of a unit, a variable. */
struct wh_span {
    uint64_t start, end;
    uint64_t
        reach; /* largest end of this and all spans before it: how far back a search must look */
    uint32_t index;
};
struct wh_spans {
    struct wh_span *items;
    size_t count, room;
};

struct wh_unit {
    Dwarf_Die die;  /* compile unit; the skeleton where debug information is split */
    Dwarf_Die body; /* where its functions and types are: die, or the split unit */
    bool tried_functions;
    struct wh_spans function_spans; /* index into functions */
    Dwarf_Die *functions;
    size_t function_count, function_room;
};

struct wh_code_cache;
struct wh_variable_index;
struct wh_type_index;

struct wh_module {
    char *path, *name, *build_id;
    char *problem;
    struct wh_texts texts;

    bool tried_file;
    Dwfl *dwfl;
    Dwfl_Module *mod; /* NULL = no file to read */

    bool tried_symbols;
    struct wh_symbol_table functions, objects, tls;

    bool tried_starts;
    const unsigned char *starts; /* sorted table of .eh_frame_hdr; NULL = none */
    size_t start_count;
    uint64_t starts_base; /* its entries are relative to this file address */

    bool tried_debug;
    Dwarf *dwarf; /* NULL = none */
    struct wh_unit *units;
    size_t unit_count, unit_room;
    struct wh_spans unit_spans;

    struct wh_code_cache *code_cache;
    struct wh_variable_index *variables;
    struct wh_type_index *type_index;
    void *type_table; /* type.c's handles by DIE and by identity */
    int type_depth;   /* of the type being read: stops what contains itself */

    /* Set by the owner of several modules (symbols.c): finds a definition that this module only
     * declares. */
    const struct wh_type *(*find_type)(void *arg, const struct wh_module *asker, const char *name);
    void *find_type_arg;
};

/* module.c: opens the file; false = nothing to read. */
bool wh_module_read_file(struct wh_module *m);

/* units.c: reads the list of units; false = no debug information. */
bool wh_module_read_units(struct wh_module *m);
/* The unit whose code covers an address, NULL = none. */
struct wh_unit *wh_module_unit_at(struct wh_module *m, uint64_t address);
/* The concrete function that covers an address; false = none. */
bool wh_unit_function_at(struct wh_unit *u, uint64_t address, Dwarf_Die *ret_die);
/* Goes to the next sibling; false at the last one, and where broken data would lead backwards. */
bool wh_die_next(Dwarf_Die *die);
/* The name of a function or variable for people, through abstract origins and specifications; NULL
 * = none. */
const char *wh_module_die_name(struct wh_module *m, Dwarf_Die *die);
/* Attributes followed through DW_AT_abstract_origin and DW_AT_specification. */
const char *wh_die_linkage_name(Dwarf_Die *die);
/* The source file that an attribute (DW_AT_decl_file, DW_AT_call_file) names; NULL = none. */
const char *wh_die_file(Dwarf_Die *die, unsigned attribute_name);
/* Source file that declares it, cleaned and interned; NULL = not told. */
const char *wh_module_die_file(struct wh_module *m, Dwarf_Die *die);

/* Spans: add all, sort once, then look up. add: false = no memory. */
bool wh_spans_add(struct wh_spans *s, uint64_t start, uint64_t end, uint32_t index);
void wh_spans_sort(struct wh_spans *s);
/* The narrowest span that covers an address, NULL = none. */
const struct wh_span *wh_spans_at(const struct wh_spans *s, uint64_t address);

/* Freed with the module by their own files. */
void wh_code_cache_free(struct wh_code_cache *c);
void wh_variable_index_free(struct wh_variable_index *v);
void wh_type_index_free(struct wh_type_index *t);
void wh_type_table_free(void *table);

#endif
