/* The part of Go's runtime that decides when memory dies: allocation by size class, registered
 * roots, and a stop-the-world mark-sweep collection. Types are in gotypes.h, maps in map.h.
 *
 *   runtime_mallocgc ──► one malloc() per object, entered in the heap table with its type
 *   runtime_GC       ──► pools age one generation, mark from the roots, free() what is unmarked
 *
 * The collector is precise: C locals are not roots. Collect only where no C local is needed
 * afterwards, or keep it in a variable registered with runtime_addroot().
 * Nothing here returns NULL: a simulator without memory ends with a message.
 * Context: allocation from any thread, collection while no other thread runs simulator code. */
#ifndef WH_SIM_RUNTIME_H
#define WH_SIM_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/gotypes.h"

/* --- allocation (malloc.c, sizeclass.c) --- */

/* A zeroed object of `size` bytes made of elements of `type`; size 0 gives a shared address. */
void *runtime_mallocgc(size_t size, const struct go_type *type);
void *runtime_newobject(const struct go_type *type);
void *runtime_makeslice(const struct go_type *type, int64_t count);
/* A channel without elements, as used for triggers: its 96-byte header. */
void *runtime_makechan(void);
/* The pointer array of `slice` with room for one more, grown as append() grows. */
void runtime_growslice(void *slice, const struct go_type *type);
struct go_string runtime_gostring(const char *text);
struct go_string runtime_gostringn(const void *bytes, int64_t count);

/* Bytes an object of `size` really takes: Go's class table up to 32 KiB, 8 KiB pages above. */
size_t runtime_roundupsize(size_t size);
void runtime_rounding(bool go_classes); /* false: objects take what was asked for */

/* --- roots and collection (gc.c) --- */

/* `variable` holds one element of `type` and lives until removed. */
void runtime_addroot(void *variable, const struct go_type *type);
void runtime_removeroot(const void *variable);
/* Called at the start of every collection, before marking (sync.Pool's clean-up). */
void runtime_register_cleanup(void (*cleanup)(void));
void runtime_GC(void);

/* --- figures --- */

struct runtime_stats {
    uint64_t live_bytes, live_objects; /* allocated and not yet swept */
    uint64_t total_bytes, total_objects;
    uint64_t peak_bytes;
    uint64_t collections;
    uint64_t swept_bytes, swept_objects; /* by the last collection */
};
struct runtime_stats runtime_stats(void);

/* Forgets every root and frees every object: for tests that run several scenarios in one process.
 */
void runtime_reset(void);

/* The simulator's own last word: prints the sentence and ends with status 4. */
_Noreturn void runtime_throw(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
