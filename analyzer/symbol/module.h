/* A program or library file on disk, opened for its symbols and debug information.
 *
 * A module is known by path and build-id. What is opened, in this order: the file itself when its
 * build-id is the recorded one; a file under /usr/lib/debug/.build-id when the file is gone or was
 * replaced; nothing. Separate debug files (build-id, .gnu_debuglink), dwz files, compressed
 * sections and .gnu_debugdata are found by elfutils, on this machine only: the network is never
 * asked. A file that is gone, replaced or broken is not an error: the module then has no symbols
 * and wh_module_problem() says why.
 *
 * Addresses here are the file's own ("file addresses"): address in memory - load bias.
 * Ownership: a module and every text and type that comes from it live until wh_module_free().
 * Context: analyzer, one thread at a time per module. */
#ifndef WH_SYMBOL_MODULE_H
#define WH_SYMBOL_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wh_module;

/* Opens a module. build_id: lower-case hex, NULL or "" = unknown (whatever is at path is believed).
 * NULL only when memory runs out. Cheap: symbol table and debug information are read when first
 * asked for. */
struct wh_module *wh_module_open(const char *path, const char *build_id);
void wh_module_free(struct wh_module *m); /* NULL allowed */

const char *wh_module_path(const struct wh_module *m);
const char *wh_module_name(const struct wh_module *m); /* last part of the path; "[vdso]" */

/* A sentence for the user when names are missing: "'/x/y' was replaced since the recording"; NULL =
 * fine. */
const char *wh_module_problem(const struct wh_module *m);
bool wh_module_has_debug(struct wh_module *m); /* DWARF is there (reads section headers) */

/* One ELF symbol. name is as in the file (mangled). */
struct wh_module_symbol {
    uint64_t address;
    uint64_t size; /* 0 in the file = up to the next symbol or the end of the section */
    const char *name;
};

/* The function or data symbol that covers a file address. Among several at one address, the global
 * one with the plainest name. False = none. */
bool wh_module_function_symbol(struct wh_module *m, uint64_t address,
                               struct wh_module_symbol *ret_symbol);
bool wh_module_data_symbol(struct wh_module *m, uint64_t address,
                           struct wh_module_symbol *ret_symbol);
bool wh_module_tls_symbol(struct wh_module *m, uint64_t tls_offset,
                          struct wh_module_symbol *ret_symbol);

/* Name for people: C++ and Rust demangled without parameter lists, compiler's clone suffixes
 * (.cold, .part.0, .constprop.0 ...) gone, std::string and default template arguments shortened.
 * The text belongs to the module. Never NULL. */
const char *wh_module_pretty(struct wh_module *m, const char *linkage_name);

/* One source-level frame at an address. */
struct wh_code {
    const char *function; /* for people; "module+0xstart" without a symbol; NULL = unknown */
    const char *file;     /* source file; NULL = no debug information */
    uint32_t line;        /* 1..; 0 = unknown */
    bool inlined;         /* inlined into the next one */
};

/* The frames at a file address, innermost first: inlined functions, then the function itself. Give
 * return address - 1 for a caller. Returns how many were written, 1..max; with no symbol at all one
 * frame without a name. Results are cached. */
#define WH_CODE_MAX 32
size_t wh_module_code(struct wh_module *m, uint64_t address, struct wh_code *ret_codes, size_t max);

/* Where the function around an address begins and ends by the unwind table, which stripped files
 * keep. False = not told. */
bool wh_module_function_range(struct wh_module *m, uint64_t address, uint64_t *ret_start,
                              uint64_t *ret_end);

/* Is the code at a file address the trampoline to which signal handlers return? The frame above it
 * was interrupted there, so its address must be taken as it is. */
bool wh_module_is_restorer(struct wh_module *m, uint64_t address);

#endif
