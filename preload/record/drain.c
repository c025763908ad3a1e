/* From the shared blocks into the recorder's own memory.
 *
 * A block is known from the moment its entry says OPEN. Its bytes are copied when the merge gets
 * there, and once: then only the copy is believed. So what a burst left behind waits in the shared
 * memory, whose bound it keeps to, and a sealed block goes back to the free list as soon as all of
 * it is copied. It waits there without being mapped here: a sealed block is read through the file,
 * so that the burst counts once, as the target's. What is hard is a target that writes rubbish
 * here: every number is bounded before it is used, and a block whose header makes no sense is
 * counted and left alone. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "record/recorder.h"

#define PENDING_THREADS 65536u
#define RESIDENT_BLOCKS 64u
#define POLL_BYTES_MAX  (8u << 20) /* paired of a running process before others have their turn */

/* --- blocks
 * ---------------------------------------------------------------------------------------- */

static bool is_moved(uint32_t index) {
    return index >= WH_MOVED_FIRST;
}

/* What a burst took beyond the first blocks does not stay mapped here: the pages are the file's. */
static void unmap(struct wh_recorder *r, uint32_t index) {
    if (index >= RESIDENT_BLOCKS && r->views[index].is_mapped)
        (void)madvise(wh_session_block(r->session, index), WH_BLOCK_BYTES, MADV_DONTNEED);
    r->views[index].is_mapped = false;
}

/* Copies a part of a block. One that is still written is looked at in place, where no system call
 * is needed. false: it cannot be read. */
static bool read_block(struct wh_recorder *r, uint32_t index, bool is_left, size_t offset, void *to,
                       size_t bytes) {
    if (is_moved(index))
        return wh_spill_read(r, index, offset, to, bytes);
    if (is_left && index >= RESIDENT_BLOCKS && !r->views[index].is_mapped &&
        pread(r->file_fd_session, to, bytes,
              (off_t)(WH_ARENA_OFFSET + (size_t)index * WH_BLOCK_BYTES + offset)) == (ssize_t)bytes)
        return true;
    r->views[index].is_mapped = true;
    memcpy(to, (const char *)wh_session_block(r->session, index) + offset, bytes);
    return true;
}

static uint32_t state_of(const struct wh_recorder *r, uint32_t index) {
    if (is_moved(index))
        return r->views[index].moved_uid ? WH_BLOCK_SEALED : WH_BLOCK_FREE;
    return atomic_load_explicit(&wh_session_entry(r->session, index)->state, memory_order_acquire);
}

static uint32_t uid_of(const struct wh_recorder *r, uint32_t index) {
    if (is_moved(index))
        return r->views[index].moved_uid;
    return atomic_load_explicit(&wh_session_entry(r->session, index)->process_uid,
                                memory_order_relaxed);
}

/* The block after one, those of the arena first: a block that is moved meanwhile is met again
 * rather than missed. UINT32_MAX: there is none. */
static uint32_t block_after(const struct wh_recorder *r, uint32_t index) {
    uint32_t used = atomic_load_explicit(&r->session->blocks_used, memory_order_relaxed);
    index++;
    if (index >= used && index < WH_MOVED_FIRST)
        index = WH_MOVED_FIRST;
    return index < WH_MOVED_FIRST + atomic_load(&r->spill.used) ? index : UINT32_MAX;
}
#define FIRST_BLOCK(r) block_after(r, UINT32_MAX)

static void give_back(struct wh_recorder *r, uint32_t index) {
    struct wh_block_view *v = &r->views[index];
    if (v->segment)
        v->segment->source = WH_NO_SOURCE;
    if (is_moved(index)) {
        wh_spill_free(r, index);
        return;
    }
    unmap(r, index);
    *v = (struct wh_block_view){.generation = v->generation + 1};
    wh_block_give(r->session, index);
}

/* Payload bytes that were published; UINT32_MAX: the block cannot be read. */
static uint32_t committed_of(struct wh_recorder *r, uint32_t index, bool is_left) {
    struct wh_block_view *v = &r->views[index];
    _Atomic uint32_t committed;
    if (!is_left) {
        v->is_mapped = true;
        return atomic_load_explicit(&wh_session_block(r->session, index)->committed,
                                    memory_order_acquire);
    }
    if (!v->left_bytes) {
        if (!read_block(r, index, true, offsetof(struct wh_block, committed), &committed,
                        sizeof committed))
            return UINT32_MAX;
        v->left_bytes = atomic_load_explicit(&committed, memory_order_relaxed);
    }
    return v->left_bytes;
}

/* What a block gained since it was read last, appended to its segment. The lock is held. */
static bool copy_block(struct wh_recorder *r, struct wh_segment *g) {
    uint32_t index = g->source;
    struct wh_block_view *v = &r->views[index];
    bool is_final = v->is_final || state_of(r, index) == WH_BLOCK_SEALED;
    uint32_t committed = committed_of(r, index, is_final);
    uint32_t bytes = committed - v->consumed;
    uint8_t *payload = wh_segment_payload(g);
    bool is_wrong = committed > WH_BLOCK_PAYLOAD || committed < v->consumed || !payload;
    if (!is_wrong && bytes)
        is_wrong = !read_block(r, index, is_final, offsetof(struct wh_block, payload) + v->consumed,
                               payload + v->consumed, bytes);
    if (is_wrong) {
        r->lost_blocks++;
        committed = v->consumed;
        bytes = 0;
        is_final = true;
    }
    g->bytes = v->consumed = committed;
    r->poll_bytes += bytes;
    if (is_final) {
        g->complete = true;
        give_back(r, index);
    }
    return bytes || is_final;
}

/* The merge has read all that was copied of a block: copies what it gained. */
static bool fill(void *recorder, struct wh_segment *g) {
    struct wh_recorder *r = recorder;
    pthread_mutex_lock(&r->spill.lock);
    bool result = copy_block(r, g);
    pthread_mutex_unlock(&r->spill.lock);
    return result;
}

/* Starts a segment for a block seen for the first time. NULL: its header cannot be right. */
static struct wh_segment *adopt(struct wh_recorder *r, uint32_t index, uint32_t uid) {
    struct wh_block_view *v = &r->views[index];
    struct wh_block header;
    if (!read_block(r, index, state_of(r, index) == WH_BLOCK_SEALED, 0, &header, sizeof header))
        return NULL;
    struct wh_process *p = wh_recorder_process(r, uid);
    if (!p || p->phase == WH_PHASE_DONE || header.process_uid != uid || !header.thread_serial)
        return NULL;
    struct wh_image_thread *t = wh_image_thread(&p->image, header.thread_serial, false);
    if (!t) {
        if (p->image.thread_count >= PENDING_THREADS)
            return NULL;
        t = wh_image_thread(&p->image, header.thread_serial, true);
        if (!t)
            return NULL;
        t->stream.tid = header.tid;
        t->stream.pair.id = ++r->last_thread_id;
        t->first_ticks = header.base_ticks;
        t->dirty = true;
        t->stream.next_sequence = 0;
        t->stream.fill = fill;
        t->stream.fill_arg = r;
    }
    v->segment = wh_stream_segment(&t->stream, &header, WH_BLOCK_PAYLOAD);
    if (v->segment)
        v->segment->source = index;
    v->process = p;
    v->thread = t;
    v->consumed = 0;
    return v->segment;
}

static void feed(struct wh_recorder *r, struct wh_image *image, struct wh_stream *stream) {
    if (wh_merge_feed(&image->merge, stream))
        r->lost_blocks++;
}

/* Its thread, when it is a block to read; the lock is held. */
static struct wh_block_view *look(struct wh_recorder *r, uint32_t index) {
    struct wh_block_view *v = &r->views[index];
    uint32_t state = state_of(r, index);
    if ((state != WH_BLOCK_OPEN && state != WH_BLOCK_SEALED) ||
        (!v->segment && !adopt(r, index, uid_of(r, index))))
        return NULL;
    /* Before its bytes: a thread that is busy now may still publish a record stamped long ago. */
    if (state == WH_BLOCK_SEALED || v->is_final) {
        unmap(r, index);
    } else {
        v->is_mapped = true;
        if (atomic_load_explicit(&wh_session_block(r->session, index)->busy, memory_order_acquire))
            v->thread->stream.busy = true;
    }
    return v;
}

static void drain_block(struct wh_recorder *r, uint32_t index) {
    pthread_mutex_lock(&r->spill.lock);
    const struct wh_block_view *v = look(r, index);
    struct wh_image *image = v ? &v->process->image : NULL;
    struct wh_stream *stream = v ? &v->thread->stream : NULL;
    pthread_mutex_unlock(&r->spill.lock);
    if (stream && !stream->has_head)
        feed(r, image, stream);
}

void wh_recorder_drain(struct wh_recorder *r) {
    for (struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p)) {
        if (p->phase == WH_PHASE_DONE)
            continue;
        for (struct wh_image_thread *t = wh_image_next_thread(&p->image, NULL); t;
             t = wh_image_next_thread(&p->image, t))
            t->stream.busy = false;
    }
    for (uint32_t i = FIRST_BLOCK(r); i != UINT32_MAX; i = block_after(r, i))
        drain_block(r, i);
}

uint64_t wh_recorder_backlog(struct wh_recorder *r, const struct wh_process *p) {
    uint64_t bytes = 0;
    pthread_mutex_lock(&r->spill.lock);
    for (uint32_t i = FIRST_BLOCK(r); i != UINT32_MAX; i = block_after(r, i)) {
        uint32_t state = state_of(r, i);
        if (uid_of(r, i) != p->image.id || state == WH_BLOCK_FREE)
            continue;
        uint32_t committed = committed_of(r, i, state == WH_BLOCK_SEALED);
        if (committed <= WH_BLOCK_PAYLOAD && committed > r->views[i].consumed)
            bytes += committed - r->views[i].consumed;
    }
    pthread_mutex_unlock(&r->spill.lock);
    return bytes;
}

void wh_recorder_reclaim(struct wh_recorder *r, struct wh_process *p) {
    pthread_mutex_lock(&r->spill.lock);
    for (uint32_t i = FIRST_BLOCK(r); i != UINT32_MAX; i = block_after(r, i)) {
        if (uid_of(r, i) != p->image.id)
            continue;
        if (state_of(r, i) != WH_BLOCK_FREE && (r->views[i].segment || adopt(r, i, p->image.id)))
            r->views[i].is_final = true;
        else
            give_back(r, i);
    }
    pthread_mutex_unlock(&r->spill.lock);
    for (struct wh_image_thread *t = wh_image_next_thread(&p->image, NULL); t;
         t = wh_image_next_thread(&p->image, t)) {
        t->stream.skip_gaps = true;
        t->stream.busy = false;
        feed(r, &p->image, &t->stream);
    }
}

void wh_recorder_give_back(struct wh_recorder *r, const struct wh_process *p) {
    pthread_mutex_lock(&r->spill.lock);
    for (uint32_t i = FIRST_BLOCK(r); i != UINT32_MAX; i = block_after(r, i))
        if (r->views[i].process == p)
            give_back(r, i);
    pthread_mutex_unlock(&r->spill.lock);
}

/* --- in the middle of pairing
 * ---------------------------------------------------------------------------------------- */

bool wh_recorder_pulse(void *recorder, struct wh_image *image) {
    struct wh_recorder *r = recorder;
    struct wh_process *p = wh_recorder_process(r, image->id);
    atomic_fetch_add_explicit(&r->session->recorder_beat, 1, memory_order_relaxed);
    if (r->poll_bytes > WH_BUSY_BYTES)
        atomic_store(&r->pace.is_calm, false);
    wh_pace_rest(r);
    if (p)
        wh_recorder_chunks(r, p, false);
    if (!r->is_frozen)
        wh_recorder_flush(r);
    /* Enough, or somebody waits: also in the poll after the one in which the bell rang, which may
     * be the first to know the process that rang it. */
    bool cut =
        r->may_stop && (r->poll_bytes >= POLL_BYTES_MAX || r->is_asked ||
                        atomic_load(&r->session->bell) != atomic_load(&r->pace.bell_answered));
    r->is_cut |= cut;
    return cut;
}
