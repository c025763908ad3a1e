/* The heap table: every live object with its size and type. Private to runtime/.
 *
 * The table must not itself look like a holder to whoever scans this process's memory: addresses
 * are kept inverted (~address is no user-space address, whatever bits are masked off), index words
 * have their top bit set. It lives in anonymous mappings, outside malloc, as Go's own metadata
 * does. */
#ifndef WH_SIM_RUNTIME_HEAP_H
#define WH_SIM_RUNTIME_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct go_type;

struct heap_object {
    uint64_t inverted_address;
    uint64_t size_and_mark; /* size * 2 + mark */
    const struct go_type *type;
};

#define HEAP_NONE UINT32_MAX

void heap_add(const void *address, size_t size, const struct go_type *type);
/* Index of the object that `address` points to or into, HEAP_NONE if it is in none. */
uint32_t heap_find(uint64_t address);
struct heap_object *heap_object(uint32_t index);
static inline uint64_t heap_address(const struct heap_object *object) {
    return ~object->inverted_address;
}
static inline size_t heap_size(const struct heap_object *object) {
    return (size_t)(object->size_and_mark >> 1);
}
/* Frees every unmarked object, clears the marks of the others. */
void heap_sweep(uint64_t *ret_bytes, uint64_t *ret_objects);

/* Growing memory straight from the kernel, as Go's runtime gets its own: no part of the Go heap,
 * and not in its profile. Contents are kept. */
void *heap_sysgrow(void *old, size_t old_bytes, size_t bytes);
void heap_sysfree(void *memory, size_t bytes);

#endif
