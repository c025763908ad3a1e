/* Anonymous mappings that the program makes for itself, as blocks of kind mmap. Not those of the
 * allocator, the loader or libc (by their caller, or because a hook is on the stack), not
 * reservations without access (PROT_NONE: they hold no memory), not below session.mmap_bytes_min.
 *
 * munmap, mremap and MAP_FIXED may take any part of any of them, so the tracked intervals are kept
 * in a sorted array. It has a lock, the only one in the hook: held for a few moves of memory, never
 * around a system call, with a bounded wait; mappings are rare. */
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "real.h"
#include "state.h"

enum { INTERVALS = 32768, PIECES = 64 };

struct interval {
    uintptr_t start, end;
};

static struct interval *intervals;
static uint32_t interval_count;
static _Atomic uint32_t lock;

void wh_mappings_forked(void) {
    atomic_store(&lock, 0);
}

static int take_lock(void) {
    for (uint32_t spins = 0; atomic_exchange_explicit(&lock, 1, memory_order_acquire); spins++) {
        if (spins > 100000)
            return 0;
        if (spins > 100)
            wh_sys0(SYS_sched_yield);
    }
    if (!intervals)
        intervals = wh_memory_take(INTERVALS * sizeof *intervals);
    if (intervals)
        return 1;
    atomic_store(&lock, 0);
    return 0;
}

static void drop_lock(void) {
    atomic_store_explicit(&lock, 0, memory_order_release);
}

/* The first interval that ends behind `address`. */
static uint32_t position(uintptr_t address) {
    uint32_t low = 0, high = interval_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (intervals[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert_at(uint32_t i, struct interval added) {
    for (uint32_t k = interval_count++; k > i; k--)
        intervals[k] = intervals[k - 1];
    intervals[i] = added;
}

static int track(uintptr_t start, uintptr_t end) {
    if (!take_lock())
        return 0;
    int fits = interval_count < INTERVALS;
    if (fits)
        insert_at(position(start), (struct interval){start, end});
    drop_lock();
    return fits;
}

/* Takes [start, end) out of what is tracked. Returns the number of pieces that were, in
 * *ret_pieces; *ret_whole: the only piece is a whole block. */
static uint32_t untrack(uintptr_t start, uintptr_t end, struct interval *ret_pieces,
                        int *ret_whole) {
    uint32_t n = 0;
    *ret_whole = 0;
    if (!intervals || start >= end || !take_lock())
        return 0;
    uint32_t i = position(start);
    while (i < interval_count && intervals[i].start < end && n < PIECES) {
        struct interval had = intervals[i];
        struct interval piece = {had.start > start ? had.start : start,
                                 had.end < end ? had.end : end};
        ret_pieces[n++] = piece;
        *ret_whole = n == 1 && piece.start == had.start && piece.end == had.end;
        if (piece.start > had.start && piece.end < had.end && interval_count < INTERVALS) {
            intervals[i].end = piece.start;
            insert_at(i + 1, (struct interval){piece.end, had.end});
        } else if (piece.start > had.start)
            intervals[i].end = piece.start;
        else if (piece.end < had.end)
            intervals[i].start = piece.end;
        else {
            for (uint32_t k = i + 1; k < interval_count; k++)
                intervals[k - 1] = intervals[k];
            interval_count--;
            continue;
        }
        i++;
    }
    drop_lock();
    return n;
}

/* Writes the end of every tracked part of [start, end). */
static void record_unmap(struct wh_thread *t, uintptr_t start, uintptr_t end, uintptr_t frame) {
    struct interval pieces[PIECES];
    uint32_t n;
    do {
        int whole;
        n = untrack(start, end, pieces, &whole);
        for (uint32_t i = 0; i < n; i++)
            if (n == 1 && whole)
                wh_record_free(t, (void *)pieces[i].start, frame);
            else
                wh_record_free_part(t, (void *)pieces[i].start, pieces[i].end - pieces[i].start,
                                    frame);
    } while (n == PIECES);
}

static uintptr_t page_up(size_t length) {
    return (length + 4095) & ~(uintptr_t)4095;
}

/* Is a mapping made from `caller` the program's own? */
static int is_programs(uintptr_t caller) {
    return !wh_in(&wh_process.libc, caller) && !wh_in(&wh_process.loader, caller) &&
           !wh_in(&wh_process.allocator, caller) && !wh_in(&wh_process.self, caller);
}

static void *mmap_before_libc(void *address, size_t length, int protection, int flags, int fd,
                              off_t at) {
    long result = wh_sys6(SYS_mmap, (long)address, (long)length, protection, flags, fd, at);
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return MAP_FAILED;
    }
    return (void *)result;
}

WH_INLINE void *map(void *address, size_t length, int protection, int flags, int fd, off_t at,
                    uintptr_t frame, uintptr_t caller) {
    void *(*real)(void *, size_t, int, int, int, off_t) =
        wh_real.mmap ? wh_real.mmap : mmap_before_libc;
    uint64_t least = wh_process.session ? wh_process.session->mmap_bytes_min : 0;
    int wanted = least && (flags & MAP_ANONYMOUS) && length >= least && protection != PROT_NONE &&
                 is_programs(caller);
    int replaces = (flags & MAP_FIXED) && interval_count;
    if (!wanted && !replaces)
        return real(address, length, protection, flags, fd, at);
    struct wh_scope scope = wh_enter(frame, caller);
    if (!scope.thread || scope.outer) { /* inside another hook: the allocator's */
        if (scope.thread)
            wh_leave(scope);
        return real(address, length, protection, flags, fd, at);
    }
    if (replaces) {
        wh_level(frame, WH_GUARD_ENCODE);
        record_unmap(scope.thread, (uintptr_t)address, (uintptr_t)address + page_up(length), frame);
        wh_level(frame, WH_GUARD_REAL);
    }
    void *result = real(address, length, protection, flags, fd, at);
    if (wanted && result != MAP_FAILED) {
        wh_level(frame, WH_GUARD_ENCODE);
        if (track((uintptr_t)result, (uintptr_t)result + page_up(length)))
            wh_record_alloc(scope.thread, WH_ALLOC_MMAP, result, page_up(length), frame);
        else
            wh_record_lost(scope.thread);
    }
    wh_leave(scope);
    return result;
}

WH_EXPORT void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t at) {
    return map(address, length, protection, flags, fd, at, WH_FRAME, WH_CALLER);
}

WH_EXPORT void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t at) {
    return map(address, length, protection, flags, fd, at, WH_FRAME, WH_CALLER);
}

WH_EXPORT int munmap(void *address, size_t length) {
    if (!wh_real.munmap) {
        long result = wh_sys2(SYS_munmap, address, length);
        errno = result ? (int)-result : errno;
        return result ? -1 : 0;
    }
    if (!interval_count || ((uintptr_t)address & 4095) || !length)
        return wh_real.munmap(address, length);
    struct wh_scope scope = wh_enter(WH_FRAME, WH_CALLER);
    if (scope.thread) {
        wh_level(WH_FRAME, WH_GUARD_ENCODE);
        record_unmap(scope.thread, (uintptr_t)address, (uintptr_t)address + page_up(length),
                     WH_FRAME);
        wh_level(WH_FRAME, WH_GUARD_REAL);
    }
    int result = wh_real.munmap(address, length);
    if (scope.thread)
        wh_leave(scope);
    return result;
}

/* mremap of what is tracked: the old bytes end and the new ones begin in one event. */
static void *remap(struct wh_scope scope, void *old, size_t old_length, size_t length, int flags,
                   void *wish, uintptr_t frame) {
    struct interval pieces[PIECES];
    int whole;
    uint32_t n = untrack((uintptr_t)old, (uintptr_t)old + page_up(old_length), pieces, &whole);
    struct wh_realloc begun = wh_record_realloc_begin(scope.thread, frame);
    void *result = wh_real.mremap(old, old_length, length, flags, wish);
    if (result == MAP_FAILED) { /* nothing has changed */
        for (uint32_t i = 0; i < n; i++)
            track(pieces[i].start, pieces[i].end);
        wh_record_realloc_failed(scope.thread);
        return result;
    }
    uintptr_t end = (uintptr_t)result + page_up(length);
    if (n == 1 && whole) {
        wh_record_realloc_end(scope.thread, begun, WH_ALLOC_MMAP, pieces[0].start, result,
                              page_up(length));
    } else {
        wh_record_realloc_failed(scope.thread);
        for (uint32_t i = 0; i < n; i++)
            wh_record_free_part(scope.thread, (void *)pieces[i].start,
                                pieces[i].end - pieces[i].start, frame);
        wh_record_alloc(scope.thread, WH_ALLOC_MMAP, result, page_up(length), frame);
    }
    track((uintptr_t)result, end);
    return result;
}

static int is_tracked(uintptr_t start, uintptr_t end) {
    if (!interval_count || !take_lock())
        return 0;
    uint32_t i = position(start);
    int result = i < interval_count && intervals[i].start < end;
    drop_lock();
    return result;
}

WH_EXPORT void *mremap(void *old, size_t old_length, size_t length, int flags, ...) {
    va_list more;
    va_start(more, flags);
    void *wish = flags & MREMAP_FIXED ? va_arg(more, void *) : NULL;
    va_end(more);
    if (!wh_real.mremap) {
        long raw = wh_sys5(SYS_mremap, old, old_length, length, flags, wish);
        errno = raw < 0 && raw > -4096 ? (int)-raw : errno;
        return raw < 0 && raw > -4096 ? MAP_FAILED : (void *)raw;
    }
    if (!is_tracked((uintptr_t)old, (uintptr_t)old + page_up(old_length ? old_length : 1)))
        return wh_real.mremap(old, old_length, length, flags, wish);
    struct wh_scope scope = wh_enter(WH_FRAME, WH_CALLER);
    if (!scope.thread)
        return wh_real.mremap(old, old_length, length, flags, wish);
    wh_level(WH_FRAME, WH_GUARD_ENCODE);
    if (flags & MREMAP_FIXED)
        record_unmap(scope.thread, (uintptr_t)wish, (uintptr_t)wish + page_up(length), WH_FRAME);
    void *result = remap(scope, old, old_length, length, flags, wish, WH_FRAME);
    wh_leave(scope);
    return result;
}
