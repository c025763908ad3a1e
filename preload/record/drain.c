/* From the shared blocks into the recorder's own memory, and from there into chunks.
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

#define CHUNK_BYTES     (512u * 1024)
#define PENDING_THREADS 65536u
#define RESIDENT_BLOCKS 64u
#define POLL_BYTES_MAX  (8u << 20) /* paired of a running process before others have their turn */

/* --- blocks
 * ---------------------------------------------------------------------------------------- */

/* What a burst took beyond the first blocks does not stay mapped here: the pages are the file's. */
static void unmap(struct wh_recorder *r, uint32_t index) {
    if (index >= RESIDENT_BLOCKS && r->views[index].is_mapped)
        (void)madvise(wh_session_block(r->session, index), WH_BLOCK_BYTES, MADV_DONTNEED);
    r->views[index].is_mapped = false;
}

/* Copies a part of a block that its thread has left. One that is still written is looked at in
 * place, where no system call is needed. */
static void read_block(struct wh_recorder *r, uint32_t index, bool is_left, size_t offset, void *to,
                       size_t bytes) {
    const char *from = (const char *)wh_session_block(r->session, index) + offset;
    if (is_left && index >= RESIDENT_BLOCKS && !r->views[index].is_mapped &&
        pread(r->file_fd_session, to, bytes,
              (off_t)(WH_ARENA_OFFSET + (size_t)index * WH_BLOCK_BYTES + offset)) == (ssize_t)bytes)
        return;
    r->views[index].is_mapped = true;
    memcpy(to, from, bytes);
}

static void give_back(struct wh_recorder *r, uint32_t index) {
    unmap(r, index);
    if (r->views[index].segment)
        r->views[index].segment->source = WH_NO_SOURCE;
    r->views[index] = (struct wh_block_view){0};
    wh_block_give(r->session, index);
}

static bool is_sealed(const struct wh_recorder *r, uint32_t index) {
    return atomic_load_explicit(&wh_session_entry(r->session, index)->state,
                                memory_order_acquire) == WH_BLOCK_SEALED;
}

/* Payload bytes that were published. */
static uint32_t committed_of(struct wh_recorder *r, uint32_t index, bool is_left) {
    _Atomic uint32_t committed;
    if (is_left) {
        read_block(r, index, true, offsetof(struct wh_block, committed), &committed,
                   sizeof committed);
        return atomic_load_explicit(&committed, memory_order_relaxed);
    }
    r->views[index].is_mapped = true;
    return atomic_load_explicit(&wh_session_block(r->session, index)->committed,
                                memory_order_acquire);
}

/* The merge has read all that was copied of a block: copies what it gained. */
static bool fill(void *recorder, struct wh_segment *g) {
    struct wh_recorder *r = recorder;
    uint32_t index = g->source;
    struct wh_block_view *v = &r->views[index];
    bool is_final = v->is_final || is_sealed(r, index);
    uint32_t committed = committed_of(r, index, is_final);
    if (committed > WH_BLOCK_PAYLOAD || committed < v->consumed) {
        r->lost_blocks++;
        committed = v->consumed;
        is_final = true;
    }
    uint8_t *payload = wh_segment_payload(g);
    if (!payload) {
        r->lost_blocks++;
        committed = v->consumed;
        is_final = true;
    }
    uint32_t bytes = committed - v->consumed;
    if (bytes)
        read_block(r, index, is_final, offsetof(struct wh_block, payload) + v->consumed,
                   payload + v->consumed, bytes);
    g->bytes = v->consumed = committed;
    r->poll_bytes += bytes;
    if (is_final) {
        g->complete = true;
        give_back(r, index);
    }
    return bytes || is_final;
}

/* Starts a segment for a block seen for the first time. NULL: its header cannot be right. */
static struct wh_segment *adopt(struct wh_recorder *r, uint32_t index, uint32_t uid) {
    struct wh_block_view *v = &r->views[index];
    struct wh_block header;
    read_block(r, index, is_sealed(r, index), 0, &header, sizeof header);
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

static void drain_block(struct wh_recorder *r, uint32_t index) {
    struct wh_block_entry *entry = wh_session_entry(r->session, index);
    struct wh_block_view *v = &r->views[index];
    uint32_t state = atomic_load_explicit(&entry->state, memory_order_acquire);
    if (state != WH_BLOCK_OPEN && state != WH_BLOCK_SEALED)
        return;
    if (!v->segment &&
        !adopt(r, index, atomic_load_explicit(&entry->process_uid, memory_order_relaxed)))
        return;
    /* Before its bytes: a thread that is busy now may still publish a record stamped long ago. */
    const struct wh_block *block = wh_session_block(r->session, index);
    struct wh_image *image = &v->process->image;
    struct wh_stream *stream = &v->thread->stream;
    if (state == WH_BLOCK_SEALED || v->is_final) {
        unmap(r, index);
    } else {
        v->is_mapped = true;
        if (atomic_load_explicit(&block->busy, memory_order_acquire))
            stream->busy = true;
    }
    if (!stream->has_head)
        feed(r, image, stream);
}

static uint32_t blocks_used(const struct wh_recorder *r) {
    uint32_t used = atomic_load_explicit(&r->session->blocks_used, memory_order_relaxed);
    return used < WH_BLOCK_MAX ? used : WH_BLOCK_MAX;
}

void wh_recorder_drain(struct wh_recorder *r) {
    uint32_t used = blocks_used(r);
    for (struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p)) {
        if (p->phase == WH_PHASE_DONE)
            continue;
        for (struct wh_image_thread *t = wh_image_next_thread(&p->image, NULL); t;
             t = wh_image_next_thread(&p->image, t))
            t->stream.busy = false;
    }
    for (uint32_t i = 0; i < used; i++)
        drain_block(r, i);
}

uint64_t wh_recorder_backlog(struct wh_recorder *r, const struct wh_process *p) {
    uint32_t used = blocks_used(r);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < used; i++) {
        const struct wh_block_entry *entry = wh_session_entry(r->session, i);
        if (atomic_load_explicit(&entry->process_uid, memory_order_relaxed) != p->image.id ||
            atomic_load_explicit(&entry->state, memory_order_acquire) == WH_BLOCK_FREE)
            continue;
        uint32_t committed = committed_of(r, i, is_sealed(r, i));
        if (committed <= WH_BLOCK_PAYLOAD && committed > r->views[i].consumed)
            bytes += committed - r->views[i].consumed;
    }
    return bytes;
}

void wh_recorder_reclaim(struct wh_recorder *r, struct wh_process *p) {
    uint32_t used = blocks_used(r);
    for (uint32_t i = 0; i < used; i++) {
        struct wh_block_entry *entry = wh_session_entry(r->session, i);
        if (atomic_load_explicit(&entry->process_uid, memory_order_relaxed) != p->image.id)
            continue;
        uint32_t state = atomic_load_explicit(&entry->state, memory_order_acquire);
        if (state != WH_BLOCK_FREE && (r->views[i].segment || adopt(r, i, p->image.id)))
            r->views[i].is_final = true;
        else
            give_back(r, i);
    }
    for (struct wh_image_thread *t = wh_image_next_thread(&p->image, NULL); t;
         t = wh_image_next_thread(&p->image, t)) {
        t->stream.skip_gaps = true;
        t->stream.busy = false;
        feed(r, &p->image, &t->stream);
    }
}

void wh_recorder_give_back(struct wh_recorder *r, const struct wh_process *p) {
    uint32_t used = blocks_used(r);
    for (uint32_t i = 0; i < used; i++)
        if (r->views[i].process == p)
            give_back(r, i);
}

/* --- chunks
 * ---------------------------------------------------------------------------------------- */

static void put_chunk(struct wh_recorder *r, struct wh_process *p, struct wh_image_thread *t) {
    struct wh_chunk chunk = {
        .process_id = p->image.id,
        .thread_serial = t->stream.serial,
        .first_ns = wh_clock_ns(&r->clock, t->stream.chunk_first_ticks),
        .last_ns = wh_clock_ns(&r->clock, t->stream.last_ticks),
        .events = t->stream.chunk_records,
    };
    unsigned char *data;
    if (wh_stream_cut(&t->stream, &data, &chunk.bytes))
        return;
    chunk.data = data;
    if (data)
        wh_content_chunk(r->content, &chunk);
    free(data);
}

void wh_recorder_chunks(struct wh_recorder *r, struct wh_process *p, bool all) {
    for (struct wh_image_thread *t = wh_image_next_thread(&p->image, NULL); t;
         t = wh_image_next_thread(&p->image, t)) {
        if (!t->stream.chunk_records || (!all && t->stream.chunk_bytes < CHUNK_BYTES))
            continue;
        wh_recorder_need_clock(r);
        put_chunk(r, p, t);
    }
}

bool wh_recorder_pulse(void *recorder, struct wh_image *image) {
    struct wh_recorder *r = recorder;
    struct wh_process *p = wh_recorder_process(r, image->id);
    atomic_fetch_add_explicit(&r->session->recorder_beat, 1, memory_order_relaxed);
    if (p)
        wh_recorder_chunks(r, p, false);
    return r->may_stop && r->poll_bytes >= POLL_BYTES_MAX;
}
