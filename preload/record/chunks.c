/* Raw events of a thread, cut off where pairing got to, into the trace: packed by the helper,
 * stored by the main thread, in the order in which they were cut. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/recorder.h"

#define CHUNK_BYTES (512u * 1024)

/* Helper. */
static void pack(void *parcel) {
    struct wh_parcel *c = parcel;
    struct wh_recorder *r = c->recorder;
    unsigned char *packed, *data = NULL;
    size_t bytes = 0;
    if (wh_chunk_pack(&r->packer, &c->chunk, wh_pace_rest, r, &packed, &bytes) == 0) {
        if (bytes > c->cut.room && (data = realloc(c->cut.data, bytes)) != NULL) {
            c->cut.data = data;
            c->cut.room = bytes;
        }
        if (bytes <= c->cut.room)
            memcpy(c->cut.data, packed, bytes); /* the events are not needed any more */
        else
            bytes = 0;
    }
    c->packed_bytes = bytes;
    atomic_store(&c->is_packed, true);
}

/* Stores what is packed; wait = all of it. */
static void store(struct wh_recorder *r, bool wait) {
    if (wait)
        wh_helper_wait(&r->helper);
    while (r->parcel_count && atomic_load(&r->parcels[r->parcel_first].is_packed)) {
        const struct wh_parcel *c = &r->parcels[r->parcel_first];
        struct wh_error error;
        if (c->packed_bytes) {
            wh_content_chunk(r->content, &c->chunk, c->cut.data, c->packed_bytes);
        } else {
            wh_fail(&error, WH_ESYSTEM, "cannot compress events: out of memory");
            wh_content_fail(r->content, &error);
        }
        r->parcel_first = (r->parcel_first + 1) % WH_PARCELS;
        r->parcel_count--;
    }
}

/* While the target takes one of two processors, a second thread would only be in the first one's
 * way. */
static bool has_room_for_two(const struct wh_recorder *r) {
    return !atomic_load(&r->pace.is_leisurely) || sysconf(_SC_NPROCESSORS_ONLN) > 2;
}

static void cut(struct wh_recorder *r, struct wh_process *p, struct wh_image_thread *t) {
    if (t->stream.chunk_bytes >= CHUNK_BYTES && has_room_for_two(r))
        wh_helper_start(&r->helper);
    if (r->parcel_count == WH_PARCELS)
        store(r, true);
    struct wh_parcel *c = &r->parcels[(r->parcel_first + r->parcel_count) % WH_PARCELS];
    c->recorder = r;
    c->chunk = (struct wh_chunk){
        .process_id = p->image.id,
        .thread_serial = t->stream.serial,
        .first_ns = wh_clock_ns(&r->clock, t->stream.chunk_first_ticks),
        .last_ns = wh_clock_ns(&r->clock, t->stream.last_ticks),
        .events = t->stream.chunk_records,
    };
    if (wh_stream_cut(&t->stream, &c->cut) || !c->cut.bytes)
        return;
    c->chunk.data = c->cut.data;
    c->chunk.bytes = c->cut.bytes;
    atomic_store(&c->is_packed, false);
    r->parcel_count++;
    wh_helper_give(&r->helper, pack, c);
}

void wh_recorder_chunks(struct wh_recorder *r, struct wh_process *p, bool all) {
    for (struct wh_image_thread *t = wh_image_next_thread(&p->image, NULL); t;
         t = wh_image_next_thread(&p->image, t)) {
        if (!t->stream.chunk_records || (!all && t->stream.chunk_bytes < CHUNK_BYTES))
            continue;
        wh_recorder_need_clock(r);
        cut(r, p, t);
    }
    store(r, all);
}

void wh_recorder_release_chunks(struct wh_recorder *r) {
    for (unsigned i = 0; i < WH_PARCELS; i++)
        free(r->parcels[i].cut.data);
    memset(r->parcels, 0, sizeof r->parcels);
    wh_packer_free(r->packer);
    r->packer = NULL;
}
