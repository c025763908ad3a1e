/* The heap table: a dense array of objects, a hash of exact addresses into it, and an order by
 * address that is only made when a pointer into the middle of an object has to be resolved.
 *
 * Most pointers are exact, so marking rarely needs the order; sweeping compacts the array and
 * rebuilds the hash, which makes deletion from the hash unnecessary. */
#include "runtime/heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/runtime.h"

#define INDEX_USED 0x80000000u

static struct {
    struct heap_object *objects;
    uint32_t count, capacity;
    uint32_t *index; /* position | INDEX_USED, 0 = free */
    uint32_t index_size;
    uint32_t *order; /* positions by address; valid while is_ordered */
    uint32_t order_capacity;
    uint64_t inverted_lowest, inverted_highest; /* bounds of what was ever an object */
    bool is_ordered;
} table;

void *heap_sysgrow(void *old, size_t old_bytes, size_t bytes) {
    long mapped =
        syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == -1)
        runtime_throw("out of memory: cannot map %zu bytes", bytes);
    void *memory = (void *)mapped;
    if (old) {
        memcpy(memory, old, old_bytes);
        heap_sysfree(old, old_bytes);
    }
    return memory;
}

void heap_sysfree(void *memory, size_t bytes) {
    syscall(SYS_munmap, memory, bytes);
}

static uint32_t hash(uint64_t address) {
    return (uint32_t)((address >> 4) * 0x9E3779B97F4A7C15u >> 32);
}

static void index_add(uint32_t position) {
    uint32_t mask = table.index_size - 1;
    uint32_t slot = hash(heap_address(&table.objects[position])) & mask;
    while (table.index[slot])
        slot = (slot + 1) & mask;
    table.index[slot] = position | INDEX_USED;
}

static void index_rebuild(void) {
    memset(table.index, 0, (size_t)table.index_size * sizeof(*table.index));
    for (uint32_t i = 0; i < table.count; i++)
        index_add(i);
}

static void grow(void) {
    uint32_t capacity = table.capacity ? table.capacity * 2 : 4096;
    table.objects = heap_sysgrow(table.objects, table.capacity * sizeof(*table.objects),
                                 capacity * sizeof(*table.objects));
    if (table.index)
        heap_sysfree(table.index, table.index_size * sizeof(*table.index));
    table.capacity = capacity;
    table.index_size = capacity * 2;
    table.index = heap_sysgrow(NULL, 0, table.index_size * sizeof(*table.index));
    index_rebuild();
}

void heap_add(const void *address, size_t size, const struct go_type *type) {
    if (table.count == table.capacity)
        grow();
    uint64_t at = (uint64_t)(uintptr_t)address;
    table.objects[table.count] = (struct heap_object){
        .inverted_address = ~at, .size_and_mark = (uint64_t)size << 1, .type = type};
    index_add(table.count++);
    if (!table.inverted_lowest || at < ~table.inverted_lowest)
        table.inverted_lowest = ~at;
    if (!table.inverted_highest || at + size > ~table.inverted_highest)
        table.inverted_highest = ~(at + size);
    table.is_ordered = false;
}

static int compare_address(const void *a, const void *b) {
    uint64_t x = heap_address(&table.objects[*(const uint32_t *)a]);
    uint64_t y = heap_address(&table.objects[*(const uint32_t *)b]);
    return x < y ? -1 : x > y;
}

/* Unmapped after each collection: pairs of positions could be taken for addresses. */
static void forget_order(void) {
    if (table.order)
        heap_sysfree(table.order, table.order_capacity * sizeof(*table.order));
    table.order = NULL;
    table.is_ordered = false;
}

static void put_in_order(void) {
    forget_order();
    table.order = heap_sysgrow(NULL, 0, table.capacity * sizeof(*table.order));
    table.order_capacity = table.capacity;
    for (uint32_t i = 0; i < table.count; i++)
        table.order[i] = i;
    qsort(table.order, table.count, sizeof(*table.order), compare_address);
    table.is_ordered = true;
}

/* The last object that begins at or before `address`, if it reaches that far. */
static uint32_t find_inside(uint64_t address) {
    if (!table.is_ordered)
        put_in_order();
    uint32_t low = 0, high = table.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (heap_address(&table.objects[table.order[middle]]) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return HEAP_NONE;
    uint32_t position = table.order[low - 1];
    const struct heap_object *object = &table.objects[position];
    return address < heap_address(object) + heap_size(object) ? position : HEAP_NONE;
}

uint32_t heap_find(uint64_t address) {
    if (!table.count || address < ~table.inverted_lowest || address >= ~table.inverted_highest)
        return HEAP_NONE;
    uint32_t mask = table.index_size - 1;
    for (uint32_t slot = hash(address) & mask; table.index[slot]; slot = (slot + 1) & mask) {
        uint32_t position = table.index[slot] & ~INDEX_USED;
        if (heap_address(&table.objects[position]) == address)
            return position;
    }
    return find_inside(address);
}

struct heap_object *heap_object(uint32_t index) {
    return &table.objects[index];
}

void heap_sweep(uint64_t *ret_bytes, uint64_t *ret_objects) {
    uint32_t kept = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < table.count; i++) {
        struct heap_object *object = &table.objects[i];
        if (object->size_and_mark & 1) {
            object->size_and_mark &= ~(uint64_t)1;
            table.objects[kept++] = *object;
        } else {
            bytes += heap_size(object);
            free((void *)(uintptr_t)heap_address(object));
        }
    }
    *ret_bytes = bytes;
    *ret_objects = table.count - kept;
    table.count = kept;
    forget_order();
    if (table.index)
        index_rebuild();
}
