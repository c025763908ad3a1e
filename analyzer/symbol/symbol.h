/* Symbols of a trace: the way from numbers in the trace to names, lines, variables and types.
 *
 *   module row ──► wh_module (file on disk) ──► code: functions, lines, inlines   module.h
 *        ▲                                 ├──► variables: globals, TLS, locals    variable.h
 *   (process, address, time)               └──► types: fields, pointees, paths     type.h
 *   stack_node ──► wh_symbol_resolve() ──► frame, stack, site.creator ──► wh_frames  frames.h
 *                        └── which frame is the creator: creator.h
 *
 * Everything is off-line: files of this machine only, never the network. A file that is gone or was
 * replaced since the recording is said (table note, kind 'symbols') and its frames read
 * module+0xoffset. Context: analyzer, one thread. */
#ifndef WH_SYMBOL_SYMBOL_H
#define WH_SYMBOL_SYMBOL_H

#include "analyzer/symbol/creator.h"
#include "analyzer/symbol/frames.h"
#include "analyzer/symbol/module.h"
#include "analyzer/symbol/type.h"
#include "analyzer/symbol/variable.h"
#include "base/error.h"

struct wh_store;

/* Resolves every stack in use (site, allocation.free_stack_id, folded.free_stack_id, snapshot
 * nodes) that is not resolved yet: fills frame and stack, sets stack.creator and site.creator.
 * Cheap when nothing is new. The store must be open for writing, no transaction begun. Extra
 * creator patterns come from the trace's key 'creator_skip' (text of the file given to --skip),
 * else from the file WHOHOLDS_SKIP names. */
int wh_symbol_resolve(struct wh_store *store, struct wh_error *error);

/* The same for single stacks that no table row names yet (acquirer stacks out of raw events).
 * Unknown ids and resolved ones are passed over. */
int wh_symbol_resolve_stacks(struct wh_store *store, const uint32_t *stack_ids, size_t count,
                             struct wh_error *error);

struct wh_symbols;
/* As wh_symbol_resolve() with modules that are open: what is read of their files serves others too.
 */
int wh_symbol_resolve_with(struct wh_store *store, struct wh_symbols *symbols,
                           struct wh_error *error);

/* As wh_symbol_resolve after dropping what was resolved: for new patterns or files that came back.
 */
int wh_symbol_resolve_again(struct wh_store *store, struct wh_error *error);

/* --- the modules of a trace --------------------------------------------------------------------
 */

/* Reads table module. Files are opened when first asked for, once per build-id (else path). */
int wh_symbols_open(struct wh_store *store, struct wh_symbols **ret_symbols,
                    struct wh_error *error);
/* Another user, who closes it too. */
struct wh_symbols *wh_symbols_share(struct wh_symbols *symbols);
void wh_symbols_close(struct wh_symbols *s); /* frees all modules, texts and types; NULL allowed */

/* A row of table module. */
struct wh_symbols_row {
    int64_t id, process_id;
    uint64_t start, end, load_bias;
    int64_t load_ns, unload_ns;  /* unload_ns: INT64_MAX = mapped to the end */
    const char *path, *build_id; /* build_id may be NULL */
    bool is_executable;          /* the program itself, not a library */
};

/* The row that covered `address` of a process at a time. at_ns INT64_MAX = the last one that ever
 * did. NULL = none. */
const struct wh_symbols_row *wh_symbols_find(const struct wh_symbols *s, int64_t process_id,
                                             uint64_t address, int64_t at_ns);
const struct wh_symbols_row *wh_symbols_row(const struct wh_symbols *s,
                                            int64_t module_id); /* NULL = no such id */

/* The file behind a row (module.id as in wh_heap_root.module), opened on first use. NULL = no such
 * id or no memory. */
struct wh_module *wh_symbols_module(struct wh_symbols *s, int64_t module_id);

/* Text of a code address of a process for people: function name, else "module+0xoff", else
 * "0xaddress". is_return: look up address - 1. Writes at most size bytes. */
void wh_symbols_describe(struct wh_symbols *s, int64_t process_id, uint64_t address, int64_t at_ns,
                         bool is_return, char *text, size_t size);

#endif
