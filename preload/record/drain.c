/* From the shared blocks into the recorder's own memory, and from there into chunks.
 *
 * A block is looked at from the moment its entry says OPEN. The committed bytes are copied once,
 * then only the copy is believed; a sealed block goes back to the free list as soon as it is
 * copied. What is hard is a target that writes rubbish here: every number is bounded before it is
 * used, and a block whose header makes no sense is counted and left alone. */
#include <stdlib.h>
#include <string.h>

#include "record/recorder.h"

#define CHUNK_BYTES     (512u * 1024)
#define PENDING_THREADS 65536u
#define POLL_BYTES_MAX  (32u << 20) /* copied ahead of the pairing */

/* --- blocks
 * ---------------------------------------------------------------------------------------- */

/* Starts a segment for a block seen for the first time. NULL: its header cannot be right. */
static struct wh_segment *adopt(struct wh_recorder *r, uint32_t index, uint32_t uid) {
    struct wh_block_view *v = &r->views[index];
    struct wh_block header;
    memcpy(&header, wh_session_block(r->session, index), sizeof header);
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
    }
    v->segment = wh_stream_segment(&t->stream, &header, WH_BLOCK_PAYLOAD);
    v->process = p;
    v->thread = t;
    v->consumed = 0;
    return v->segment;
}

/* Copies what a block gained. */
static void copy_block(struct wh_recorder *r, uint32_t index, bool is_final) {
    struct wh_block_view *v = &r->views[index];
    struct wh_block *block = wh_session_block(r->session, index);
    /* Before the bytes: a thread that is busy now may still publish a record stamped long ago. */
    v->thread->stream.busy =
        !is_final && atomic_load_explicit(&block->busy, memory_order_acquire) != 0;
    uint32_t committed = atomic_load_explicit(&block->committed, memory_order_acquire);
    if (committed > WH_BLOCK_PAYLOAD || committed < v->consumed) {
        r->lost_blocks++;
        committed = v->consumed;
        is_final = true;
    }
    uint32_t bytes = committed - v->consumed;
    if (bytes) {
        memcpy(v->segment->header.payload + v->consumed, block->payload + v->consumed, bytes);
        v->segment->bytes = committed;
        v->consumed = committed;
        r->poll_bytes += bytes;
    }
    if (is_final)
        v->segment->complete = true;
    if (bytes || is_final)
        if (wh_merge_feed(&v->process->image.merge, &v->thread->stream))
            r->lost_blocks++;
}

static void give_back(struct wh_recorder *r, uint32_t index) {
    r->views[index] = (struct wh_block_view){0};
    wh_block_give(r->session, index);
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
    bool sealed = state == WH_BLOCK_SEALED;
    copy_block(r, index, sealed);
    if (sealed)
        give_back(r, index);
}

static uint32_t blocks_used(const struct wh_recorder *r) {
    uint32_t used = atomic_load_explicit(&r->session->blocks_used, memory_order_relaxed);
    return used < WH_BLOCK_MAX ? used : WH_BLOCK_MAX;
}

void wh_recorder_drain(struct wh_recorder *r) {
    uint32_t used = blocks_used(r);
    for (uint32_t i = 0; i < used; i++)
        drain_block(r, i);
}

void wh_recorder_pulse(void *recorder) {
    struct wh_recorder *r = recorder;
    atomic_fetch_add_explicit(&r->session->recorder_beat, 1, memory_order_relaxed);
    if (r->poll_bytes > POLL_BYTES_MAX)
        return;
    wh_recorder_drain(r);
}

void wh_recorder_reclaim(struct wh_recorder *r, struct wh_process *p) {
    uint32_t used = blocks_used(r);
    for (uint32_t i = 0; i < used; i++) {
        struct wh_block_entry *entry = wh_session_entry(r->session, i);
        if (atomic_load_explicit(&entry->process_uid, memory_order_relaxed) != p->image.id)
            continue;
        uint32_t state = atomic_load_explicit(&entry->state, memory_order_acquire);
        if (state != WH_BLOCK_FREE && (r->views[i].segment || adopt(r, i, p->image.id)))
            copy_block(r, i, true);
        give_back(r, i);
    }
    for (struct wh_image_thread *t = wh_image_next_thread(&p->image, NULL); t;
         t = wh_image_next_thread(&p->image, t)) {
        t->stream.skip_gaps = true;
        t->stream.busy = false;
        for (struct wh_segment *g = t->stream.first; g; g = g->next)
            g->complete = true;
        if (wh_merge_feed(&p->image.merge, &t->stream))
            r->lost_blocks++;
    }
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
