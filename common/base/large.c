/* Alignment to a huge page, then advice. Memory that is never touched is never
 * there, so generous rooms cost nothing. */
#include "base/large.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LINE_BYTES  ((size_t)64)
#define HUGE_BYTES  ((size_t)2 << 20)
#define LARGE_BYTES (2 * HUGE_BYTES) /* below, huge pages would waste more than they save */

void *wh_large_alloc(size_t bytes) {
    if (bytes < LARGE_BYTES)
        return aligned_alloc(LINE_BYTES, (bytes + LINE_BYTES) & ~(LINE_BYTES - 1));
    size_t whole = (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
    void *memory = whole < bytes ? NULL : aligned_alloc(HUGE_BYTES, whole);
    if (memory)
        (void)madvise(memory, bytes & ~(HUGE_BYTES - 1), MADV_HUGEPAGE);
    return memory;
}

void wh_large_trim(void *memory, size_t bytes, size_t room) {
    uintptr_t from = ((uintptr_t)memory + bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
    uintptr_t end = ((uintptr_t)memory + room) & ~(HUGE_BYTES - 1);
    if (memory && room >= LARGE_BYTES && end > from)
        (void)madvise((void *)from, end - from, MADV_DONTNEED);
}
