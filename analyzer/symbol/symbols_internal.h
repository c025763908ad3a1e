/* Inside of wh_symbols, shared by symbols.c and resolve.c. */
#ifndef WH_SYMBOL_SYMBOLS_INTERNAL_H
#define WH_SYMBOL_SYMBOLS_INTERNAL_H

#include "analyzer/symbol/symbol.h"
#include "analyzer/symbol/text.h"

#define NO_MODULE UINT32_MAX

struct row {
    struct wh_symbols_row row; /* first: a pointer to it is a pointer to this */
    uint64_t reach;            /* largest end of this and the process's rows before it */
    uint32_t module;           /* index into modules, NO_MODULE = not opened yet */
};

struct wh_symbols {
    unsigned references;
    struct row *rows; /* by process, start */
    size_t row_count;
    struct wh_module **modules;
    size_t module_count;
    struct wh_texts texts;
};

/* wh_symbols_find(), and whether more than one row ever covered the address. */
const struct wh_symbols_row *wh_symbols_candidate(const struct wh_symbols *s, int64_t process_id,
                                                  uint64_t address, int64_t at_ns,
                                                  bool *ret_ambiguous);

/* The file behind a row of s, opened on first use; NULL = no memory. */
struct wh_module *wh_symbols_module_of(struct wh_symbols *s, const struct wh_symbols_row *row);

#endif
