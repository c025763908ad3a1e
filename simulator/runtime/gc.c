/* Mark and sweep. The only place where an object dies.
 *
 * Marking is precise: from the registered root variables along the pointer maps of the types, with
 * an explicit stack of table positions. A pointer anywhere into an object keeps the whole of it, as
 * in Go; this is what turns a one-byte slice into a leak. */
#include <string.h>
#include <sys/mman.h>

#include "runtime/heap.h"
#include "runtime/malloc_internal.h"
#include "runtime/runtime.h"

#define ROOTS_MAX    256
#define CLEANUPS_MAX 4

static struct {
    struct {
        void *variable;
        const struct go_type *type;
    } roots[ROOTS_MAX];
    uint32_t root_count;
    void (*cleanups[CLEANUPS_MAX])(void);
    uint32_t cleanup_count;
    uint32_t *grey; /* ~position in the heap table: marked, not yet scanned */
    uint32_t grey_count, grey_capacity;
} gc;

void runtime_addroot(void *variable, const struct go_type *type) {
    if (gc.root_count == ROOTS_MAX)
        runtime_throw("more than %d roots", ROOTS_MAX);
    gc.roots[gc.root_count].variable = variable;
    gc.roots[gc.root_count++].type = type;
}

void runtime_removeroot(const void *variable) {
    for (uint32_t i = 0; i < gc.root_count; i++)
        if (gc.roots[i].variable == variable) {
            gc.roots[i] = gc.roots[--gc.root_count];
            return;
        }
}

void runtime_register_cleanup(void (*cleanup)(void)) {
    for (uint32_t i = 0; i < gc.cleanup_count; i++)
        if (gc.cleanups[i] == cleanup)
            return;
    if (gc.cleanup_count == CLEANUPS_MAX)
        runtime_throw("more than %d clean-up functions", CLEANUPS_MAX);
    gc.cleanups[gc.cleanup_count++] = cleanup;
}

static void mark(uint64_t address) {
    uint32_t index = heap_find(address);
    if (index == HEAP_NONE)
        return;
    struct heap_object *object = heap_object(index);
    if (object->size_and_mark & 1)
        return;
    object->size_and_mark |= 1;
    if (object->type->pointer_count == 0)
        return;
    if (gc.grey_count == gc.grey_capacity) {
        uint32_t capacity = gc.grey_capacity ? gc.grey_capacity * 2 : 4096;
        gc.grey =
            heap_sysgrow(gc.grey, gc.grey_capacity * sizeof(*gc.grey), capacity * sizeof(*gc.grey));
        gc.grey_capacity = capacity;
    }
    gc.grey[gc.grey_count++] = ~index; /* inverted: a pair of them must not look like an address */
}

static void scan(const char *memory, size_t bytes, const struct go_type *type) {
    for (; bytes >= type->size; memory += type->size, bytes -= type->size)
        for (uint32_t i = 0; i < type->pointer_count; i++) {
            uint64_t pointer;
            memcpy(&pointer, memory + type->pointers[i], sizeof(pointer));
            if (pointer)
                mark(pointer);
        }
}

static void gc_mark(void) {
    for (uint32_t i = 0; i < gc.root_count; i++)
        scan(gc.roots[i].variable, gc.roots[i].type->size, gc.roots[i].type);
    while (gc.grey_count) {
        const struct heap_object *object = heap_object(~gc.grey[--gc.grey_count]);
        scan((const char *)(uintptr_t)heap_address(object), heap_size(object), object->type);
    }
}

static void gc_sweep(void) {
    uint64_t bytes, objects;
    heap_sweep(&bytes, &objects);
    malloc_collected(bytes, objects);
}

void runtime_GC(void) {
    for (uint32_t i = 0; i < gc.cleanup_count; i++)
        gc.cleanups[i]();
    gc_mark();
    gc_sweep();
}

void runtime_reset(void) {
    gc.root_count = 0;
    gc_sweep();
}
