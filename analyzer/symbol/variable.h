/* Variables: which global, static, thread-local or local variable lies at an address.
 *
 * With debug information a variable has a type and the source file that defines it; without, it is
 * an ELF symbol. Names: "cache", "file.c:counter" is never needed (the file is given apart),
 * statics of functions "fn()::name", C++ "ns::name". Context: analyzer, one thread at a time per
 * module. */
#ifndef WH_SYMBOL_VARIABLE_H
#define WH_SYMBOL_VARIABLE_H

#include "analyzer/symbol/module.h"
#include "analyzer/symbol/type.h"

struct wh_variable {
    const char *name;           /* NULL only from wh_variable_local: function known, variable not */
    const char *function;       /* local: the (perhaps inlined) function it belongs to; else NULL */
    const char *file;           /* source file that defines it; NULL = no debug information */
    const struct wh_type *type; /* NULL = unknown */
    uint64_t address;           /* file address or TLS offset of its first byte; locals: 0 */
    uint64_t size;              /* bytes; 0 = unknown */
    uint64_t offset;            /* of the address asked for, from its first byte */
};

/* The global or static variable at a file address. 0 = found; -1 = none: name it by module and
 * section. */
int wh_variable_at(struct wh_module *m, uint64_t file_address, struct wh_variable *ret_variable);

/* The thread-local variable at an offset of the module's TLS image. As above. */
int wh_variable_tls(struct wh_module *m, uint64_t tls_offset, struct wh_variable *ret_variable);

/* The local variable or parameter of the function at file_pc (return address - 1 for callers) whose
 * location there covers the slot at CFA + cfa_offset (negative as a rule). 0 = found; -1 = only
 * ret->function is set, NULL when even that is unknown. */
int wh_variable_local(struct wh_module *m, uint64_t file_pc, int64_t cfa_offset,
                      struct wh_variable *ret_variable);

/* The section that a file address lies in (".data", ".bss"), NULL = none. */
const char *wh_variable_section(struct wh_module *m, uint64_t file_address);

#endif
