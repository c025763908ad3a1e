/* Writing events into the thread's open block. The order of steps is what the recorder's merge
 * relies on: room for the record (may change the block) -> busy = 1 -> stamp -> encode -> committed
 * -> busy = 0 so that any block that is not busy at some moment gets only later stamps from then
 * on.
 *
 * An allocation is stamped first thing after the real call, and its stack walked while the counter
 * is read, which takes as long as two cache misses. But the stamp must not lie before the moment
 * that a node of the stack was published (event.h). A node that this thread has in its cache is
 * older than its last stamp; if the walk went to the shared table, or into another block, it says
 * so in stamp_late, and the stamp is taken again.
 *
 * Fences. A free's stamp needs none: the counter was read before the instruction retired, and no
 * later store is seen by another thread before that; so it lies before the block can be given out
 * again. An allocation's does: without one the counter could be read before the loads that show
 * another thread's free. Nor does an allocation's while there has only been one thread with events
 * (is_alone): what it reads early could only lie before its own record, which writing forbids. It
 * is asked after the real call: who freed the block there had a state, and a number, before.
 *
 * An event that finds no room is counted, and the count is said in the stream at the next chance.
 */
#include "state.h"

/* Room for the next record and for a LOST record before it. */
WH_INLINE int has_room(struct wh_thread *t) {
    return WH_LIKELY((size_t)(t->writer.end - t->writer.cursor) >= 2 * WH_RECORD_MAX);
}

static void commit(struct wh_thread *t) {
    atomic_store_explicit(&t->block->committed, (uint32_t)(t->writer.cursor - t->block->payload),
                          memory_order_release);
    atomic_store_explicit(&t->block->busy, 0, memory_order_release);
}

WH_INLINE void set_busy(struct wh_thread *t) {
    atomic_store_explicit(&t->block->busy, 1, memory_order_relaxed);
    __asm__ volatile("" ::: "memory");
}

WH_INLINE int is_alone(void) {
    return atomic_load_explicit(&wh_process.next_serial, memory_order_acquire) == 2;
}

/* After the real call of an allocation. */
WH_INLINE uint64_t stamp(void) {
    if (!is_alone())
        wh_ticks_fence();
    return wh_ticks();
}

void wh_record_lost(struct wh_thread *t) {
    if (t)
        t->lost_unsaid++;
    if (wh_process.slot)
        atomic_fetch_add_explicit(&wh_process.slot->lost_events, 1, memory_order_relaxed);
}

/* Says how many events are missing here; room is there. */
static void say_lost(struct wh_thread *t) {
    struct wh_event e = {.kind = WH_EV_LOST, .number = t->lost_unsaid};
    t->lost_unsaid = 0;
    e.ticks = wh_ticks();
    if (e.ticks < t->writer.ticks)
        e.ticks = t->writer.ticks;
    wh_writer_put(&t->writer, &e);
}

static __attribute__((noinline)) int room_slow(struct wh_thread *t, size_t bytes) {
    if ((size_t)(t->writer.end - t->writer.cursor) < bytes + WH_RECORD_MAX && !wh_block_next(t))
        return 0;
    if (t->lost_unsaid) {
        set_busy(t);
        say_lost(t);
        commit(t);
    }
    return (size_t)(t->writer.end - t->writer.cursor) >= bytes;
}

WH_INLINE int room(struct wh_thread *t) {
    return WH_LIKELY(has_room(t) && !t->lost_unsaid) || room_slow(t, WH_RECORD_MAX);
}

WH_INLINE uint8_t *put_dt(struct wh_writer *w, uint8_t *p, uint64_t ticks) {
    if (WH_UNLIKELY(ticks < w->ticks))
        ticks = w->ticks;
    p = wh_put_varint_open(p, ticks - w->ticks);
    w->ticks = ticks;
    return p;
}

WH_INLINE uint8_t *put_address(struct wh_writer *w, uint8_t *p, uint64_t address) {
    p = wh_put_varint_open(p, wh_zigzag((int64_t)((address >> 3) - (w->address >> 3))));
    w->address = address;
    return p;
}

WH_INLINE uint8_t *put_stack(struct wh_writer *w, uint8_t *p, uint32_t stack) {
    p = wh_put_varint_open(p, wh_zigzag((int32_t)(stack - w->stack)));
    w->stack = stack;
    return p;
}

WH_INLINE uint8_t *put_tag(uint8_t *p, uint64_t first, uint64_t second, uint32_t kind,
                           uint32_t detail) {
    if (WH_UNLIKELY((first | second) & 7)) {
        *p++ = WH_EV_ODD;
        *p++ = (uint8_t)((first & 7) | (second & 7) << 3);
    }
    *p++ = (uint8_t)(kind | detail << 4);
    return p;
}

WH_INLINE void finish(struct wh_thread *t) {
    commit(t);
    if (WH_UNLIKELY(t->ended))
        wh_thread_late(t);
}

/* After an event that could not be written. */
static __attribute__((noinline)) void give_up(struct wh_thread *t) {
    wh_record_lost(t);
    if (t->ended)
        wh_thread_late(t);
}

/* Sampled mode: is this block to be an event? Then it is in the set. */
static __attribute__((noinline)) int is_sample(struct wh_thread *t, const void *block) {
    uint32_t due = wh_tls.sample_due;
    wh_tls.sample_due = 0;
    if (due && wh_sample_add(block))
        return 1;
    if (due)
        wh_record_lost(t);
    if (t->ended)
        wh_thread_late(t);
    return 0;
}

void wh_record_alloc(struct wh_thread *t, uint32_t kind, const void *block, size_t size,
                     uintptr_t frame) {
    if (WH_UNLIKELY(wh_process.sample_bytes) && kind != WH_ALLOC_MMAP && !is_sample(t, block))
        return;
    if (WH_UNLIKELY(!room(t))) {
        give_up(t);
        return;
    }
    struct wh_writer *w = &t->writer;
    set_busy(t);
    t->stamp_late = 0;
    uint64_t ticks = stamp();
    uint32_t stack = wh_unwind(t, frame);
    if (WH_UNLIKELY(t->stamp_late)) {
        if (!room(t)) {
            give_up(t);
            return;
        }
        set_busy(t);
        ticks = stamp();
    }
    uint8_t *p = put_tag(w->cursor, (uintptr_t)block, 0, WH_EV_ALLOC, kind);
    p = put_dt(w, p, ticks);
    p = put_address(w, p, (uintptr_t)block);
    p = wh_put_varint_open(p, size);
    w->cursor = put_stack(w, p, stack);
    finish(t);
}

WH_INLINE void record_free(struct wh_thread *t, const void *block, size_t size, uint32_t detail,
                           uintptr_t frame) {
    uint32_t stack = 0;
    if (WH_UNLIKELY(wh_process.free_stacks)) {
        stack = wh_unwind(t, frame);
        detail |= 1;
    }
    if (WH_UNLIKELY(!room(t))) {
        give_up(t);
        return;
    }
    struct wh_writer *w = &t->writer;
    set_busy(t);
    uint64_t ticks = wh_ticks();
    uint8_t *p = put_tag(w->cursor, (uintptr_t)block, 0, WH_EV_FREE, detail);
    p = put_dt(w, p, ticks);
    p = put_address(w, p, (uintptr_t)block);
    if (detail & 1)
        p = put_stack(w, p, stack);
    if (detail & 2)
        p = wh_put_varint_open(p, size);
    w->cursor = p;
    finish(t);
}

void wh_record_free(struct wh_thread *t, const void *block, uintptr_t frame) {
    record_free(t, block, 0, 0, frame);
}

void wh_record_free_part(struct wh_thread *t, const void *block, size_t size, uintptr_t frame) {
    record_free(t, block, size, 2, frame);
}

struct wh_realloc wh_record_realloc_begin(struct wh_thread *t, uintptr_t frame) {
    struct wh_realloc begun = {.stack = wh_unwind(t, frame)};
    begun.room = (uint32_t)room(t);
    if (begun.room) {
        set_busy(t);
        begun.before = wh_ticks();
        if (begun.before < t->writer.ticks)
            begun.before = t->writer.ticks;
    }
    return begun;
}

void wh_record_realloc_end(struct wh_thread *t, struct wh_realloc begun, uint32_t kind,
                           uintptr_t old_block, const void *block, size_t size) {
    if (!begun.room) {
        give_up(t);
        return;
    }
    struct wh_writer *w = &t->writer;
    uint64_t ticks = stamp();
    if (ticks < begun.before)
        ticks = begun.before;
    uint8_t *p = put_tag(w->cursor, old_block, (uintptr_t)block, WH_EV_REALLOC, kind);
    p = put_dt(w, p, ticks);
    p = wh_put_varint_open(p, ticks - begun.before);
    p = put_address(w, p, old_block);
    p = put_address(w, p, (uintptr_t)block);
    p = wh_put_varint_open(p, size);
    w->cursor = put_stack(w, p, begun.stack);
    finish(t);
}

void wh_record_realloc_freed(struct wh_thread *t, struct wh_realloc begun, uintptr_t old_block) {
    if (!begun.room) {
        give_up(t);
        return;
    }
    struct wh_writer *w = &t->writer;
    uint32_t detail = wh_process.free_stacks ? 1 : 0;
    uint8_t *p = put_tag(w->cursor, old_block, 0, WH_EV_FREE, detail);
    p = put_dt(w, p, begun.before);
    p = put_address(w, p, old_block);
    if (detail)
        p = put_stack(w, p, begun.stack);
    w->cursor = p;
    finish(t);
}

void wh_record_realloc_failed(struct wh_thread *t) {
    if (t->block)
        atomic_store_explicit(&t->block->busy, 0, memory_order_release);
    if (t->ended)
        wh_thread_late(t);
}

int wh_record_node(struct wh_thread *t, uint32_t id, uint32_t parent, uint64_t ip) {
    struct wh_event e = {.kind = WH_EV_NODE, .node = id, .parent = parent, .ip = ip};
    if (!room(t))
        return 0;
    wh_writer_put(&t->writer, &e);
    atomic_store_explicit(&t->block->committed, (uint32_t)(t->writer.cursor - t->block->payload),
                          memory_order_release);
    return 1;
}

int wh_record_event(struct wh_thread *t, struct wh_event *e) {
    if (!room_slow(t, WH_RECORD_MAX + (size_t)e->text_bytes + e->text2_bytes))
        return 0;
    set_busy(t);
    wh_ticks_fence();
    e->ticks = wh_ticks();
    if (e->ticks < t->writer.ticks)
        e->ticks = t->writer.ticks;
    e->before_ticks = e->ticks;
    int written = wh_writer_put(&t->writer, e) != 0;
    commit(t);
    return written;
}
