/* The hook's own memory: bump allocation out of at most eight mappings, each twice the last, so
 * that a snapshot can exclude all of it by eight ranges and a short process touches next to
 * nothing. No address is given back; what can be re-used (thread states) is re-used by its owner.
 */
#include <sys/mman.h>

#include "state.h"

enum { CHUNKS = 8, PAGE = 4096 };
#define CHUNK_FIRST ((size_t)8 << 20)

static struct chunk {
    _Atomic uintptr_t start;
    _Atomic size_t used; /* may run past the end; only what lies inside was granted */
} chunks[CHUNKS];

static size_t chunk_size(unsigned i) {
    return CHUNK_FIRST << i;
}

/* Maps chunk i if nobody has. */
static uintptr_t chunk_start(unsigned i) {
    uintptr_t start = atomic_load_explicit(&chunks[i].start, memory_order_acquire);
    if (start)
        return start;
    long map = wh_sys6(SYS_mmap, 0, (long)chunk_size(i), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map < 0 && map > -4096)
        return 0;
    wh_sys3(SYS_madvise, map, chunk_size(i), 15 /* MADV_NOHUGEPAGE: touched sparsely */);
    if (!atomic_compare_exchange_strong(&chunks[i].start, &start, (uintptr_t)map)) {
        wh_sys2(SYS_munmap, map, chunk_size(i));
        return start;
    }
    if (wh_process.slot)
        wh_memory_describe(wh_process.slot);
    return (uintptr_t)map;
}

void *wh_memory_take(size_t bytes) {
    bytes = (bytes + 63) & ~(size_t)63;
    for (unsigned i = 0; i < CHUNKS; i++) {
        size_t size = chunk_size(i);
        if (bytes > size ||
            atomic_load_explicit(&chunks[i].used, memory_order_relaxed) > size - bytes)
            continue;
        uintptr_t start = chunk_start(i);
        if (!start)
            return NULL;
        size_t offset = atomic_fetch_add_explicit(&chunks[i].used, bytes, memory_order_relaxed);
        if (offset <= size - bytes)
            return (void *)(start + offset);
    }
    return NULL;
}

void *wh_memory_take_huge(void) {
    uintptr_t taken = (uintptr_t)wh_memory_take(2 * WH_HUGE_PAGE);
    if (!taken)
        return NULL;
    taken = (taken + WH_HUGE_PAGE - 1) & ~(uintptr_t)(WH_HUGE_PAGE - 1);
    wh_sys3(SYS_madvise, taken, WH_HUGE_PAGE, 14 /* MADV_HUGEPAGE */);
    return (void *)taken;
}

void wh_memory_clear(void *start, size_t bytes) {
    uintptr_t from = ((uintptr_t)start + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    uintptr_t to = ((uintptr_t)start + bytes) & ~(uintptr_t)(PAGE - 1);
    if (from < to && !atomic_load_explicit(&wh_process.may_be_filtered, memory_order_relaxed))
        wh_sys3(SYS_madvise, from, to - from, 4 /* MADV_DONTNEED */);
}

void wh_memory_describe(struct wh_process_slot *slot) {
    for (unsigned i = 0; i < CHUNKS; i++) {
        uintptr_t start = atomic_load_explicit(&chunks[i].start, memory_order_acquire);
        slot->private_start[i] = start;
        slot->private_end[i] = start ? start + chunk_size(i) : 0;
    }
}
