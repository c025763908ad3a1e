/* Memory for calls that come before the real allocator is known: dlsym itself allocates while we
 * look malloc up. A few small blocks, never given back, recognised for ever. Each has a header of
 * 16 bytes with its size. When the static part is full, mappings follow; they are few, so a list
 * will do. */
#include <errno.h>
#include <sys/mman.h>

#include "state.h"

enum { STATIC_BYTES = 16384, MAP_BYTES = 1 << 20, MAPS = 64, HEADER = 16 };

static _Alignas(64) char first[STATIC_BYTES];
static _Atomic size_t first_used;
static struct {
    _Atomic uintptr_t start;
    size_t bytes;
    _Atomic size_t used;
} maps[MAPS];

/* One enclosing range makes the common answer "no" a single comparison. */
uintptr_t wh_early_low, wh_early_high;

static void widen(uintptr_t low, uintptr_t high) {
    if (!wh_early_high || low < wh_early_low)
        wh_early_low = low;
    if (high > wh_early_high)
        wh_early_high = high;
}

int wh_early_owns_slow(const void *block) {
    uintptr_t p = (uintptr_t)block;
    if (p - (uintptr_t)first < sizeof first)
        return 1;
    for (unsigned i = 0; i < MAPS; i++) {
        uintptr_t start = atomic_load_explicit(&maps[i].start, memory_order_acquire);
        if (!start)
            return 0;
        if (p - start < maps[i].bytes)
            return 1;
    }
    return 0;
}

void wh_early_except(void) {
    wh_sample_except((uintptr_t)first, (uintptr_t)first + sizeof first);
    for (unsigned i = 0; i < MAPS && atomic_load(&maps[i].start); i++)
        wh_sample_except(maps[i].start, maps[i].start + maps[i].bytes);
}

/* Carves `need` bytes, whose last `size` are aligned, out of [start, start + bytes). */
static void *carve(uintptr_t start, size_t bytes, _Atomic size_t *used, size_t alignment,
                   size_t size) {
    size_t at = atomic_load(used);
    for (;;) {
        uintptr_t block = (start + at + HEADER + alignment - 1) & ~(alignment - 1);
        size_t end = block + size - start;
        if (end > bytes || end < size)
            return NULL;
        if (atomic_compare_exchange_weak(used, &at, (end + 15) & ~(size_t)15)) {
            *(size_t *)(block - HEADER) = size;
            return (void *)block;
        }
    }
}

void *wh_early_memalign(size_t alignment, size_t size) {
    if (alignment < 16)
        alignment = 16;
    if (size > (size_t)1 << 40 || alignment > (size_t)1 << 30)
        return NULL;
    widen((uintptr_t)first, (uintptr_t)first + sizeof first);
    void *block = carve((uintptr_t)first, sizeof first, &first_used, alignment, size);
    for (unsigned i = 0; !block && i < MAPS; i++) {
        if (!atomic_load(&maps[i].start)) {
            size_t bytes =
                size + alignment + HEADER > MAP_BYTES ? size + alignment + HEADER : MAP_BYTES;
            long map = wh_sys6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (map < 0 && map > -4096)
                return NULL;
            maps[i].bytes = bytes;
            widen((uintptr_t)map, (uintptr_t)map + bytes);
            atomic_store(&maps[i].start, (uintptr_t)map);
            wh_sample_except((uintptr_t)map, (uintptr_t)map + bytes);
        }
        block = carve(atomic_load(&maps[i].start), maps[i].bytes, &maps[i].used, alignment, size);
    }
    return block;
}

void *wh_early_malloc(size_t size) {
    void *block = wh_early_memalign(16, size);
    if (!block)
        errno = ENOMEM;
    return block;
}

void *wh_early_calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return wh_early_malloc(bytes); /* fresh pages are zero and blocks are never re-used */
}

size_t wh_early_size(const void *block) {
    return block ? *(const size_t *)((uintptr_t)block - HEADER) : 0;
}

void *wh_early_realloc(void *block, size_t size) {
    char *fresh = wh_early_malloc(size);
    size_t bytes = wh_early_size(block);
    for (size_t i = 0; fresh && i < bytes && i < size; i++)
        fresh[i] = ((char *)block)[i];
    return fresh;
}

void wh_early_free(void *block) {
    (void)block;
}
