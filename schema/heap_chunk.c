/* The frozen heap of a snapshot as compressed slices (table snapshot_chunk): columns by
 * wh_heap_pack(), then zstd, whose first level takes a quarter of zlib's time for a result as
 * small. Slices are read back in order, part by part, because the parts refer to each other by
 * index. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "schema/store_internal.h"

/* A slice of WH_HEAP_SLICE items is far smaller; larger claims in a file are damage. */
#define SLICE_BYTES_MAX ((int64_t)256 << 20)

static uint64_t part_count(const struct wh_heap *heap, enum wh_heap_part part) {
    switch (part) {
    case WH_HEAP_NODES:
        return heap->node_count;
    case WH_HEAP_ROOTS:
        return heap->root_count;
    case WH_HEAP_EDGES:
        return heap->edges.count;
    default:
        return heap->texts_bytes;
    }
}

/* --- writing: slices are packed by a few threads at a time and stored in order --- */

#define PACKERS_MAX 4
#define LEVEL       1

/* What a thread needs again and again: fresh pages are dear. */
struct packer {
    unsigned char *raw, *data; /* of the slice: its columns, compressed */
    size_t raw_room, room;
    ZSTD_CCtx *zstd;
};

struct slice {
    const struct wh_heap *heap;
    enum wh_heap_part part;
    uint64_t first, count;
    struct packer *packer;
    size_t bytes, raw_bytes;
    int rc;
    struct wh_error error;
    pthread_t thread;
    bool has_thread;
};

static void release_packers(struct packer *packers, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        free(packers[i].raw);
        free(packers[i].data);
        (void)ZSTD_freeCCtx(packers[i].zstd);
    }
}

static bool make_room(unsigned char **memory, size_t *room, size_t bytes) {
    if (*room >= bytes)
        return true;
    free(*memory);
    *memory = malloc(bytes);
    *room = *memory ? bytes : 0;
    return *memory != NULL;
}

static void *pack_slice(void *argument) {
    struct slice *s = argument;
    struct packer *p = s->packer;
    bool has_room = make_room(&p->raw, &p->raw_room, wh_heap_pack_room(s->part, s->count));
    if (!p->zstd)
        p->zstd = ZSTD_createCCtx();
    if (has_room && p->zstd) {
        s->rc =
            wh_heap_pack(s->heap, s->part, s->first, s->count, p->raw, &s->raw_bytes, &s->error);
        if (s->rc)
            return NULL;
        has_room = make_room(&p->data, &p->room, ZSTD_compressBound(s->raw_bytes));
    }
    s->bytes = has_room && p->zstd
                   ? ZSTD_compressCCtx(p->zstd, p->data, p->room, p->raw, s->raw_bytes, LEVEL)
                   : 0;
    if (!s->bytes || ZSTD_isError(s->bytes))
        s->rc = wh_fail(&s->error, WH_ESYSTEM, "cannot compress a snapshot: out of memory");
    return NULL;
}

/* The threads take no signals: they are the caller's. The last slice is the caller's own. */
static void pack_slices(struct slice *slices, unsigned count) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i + 1 < count; i++)
        slices[i].has_thread = pthread_create(&slices[i].thread, NULL, pack_slice, &slices[i]) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    for (unsigned i = 0; i < count; i++)
        if (!slices[i].has_thread)
            (void)pack_slice(&slices[i]);
    for (unsigned i = 0; i < count; i++)
        if (slices[i].has_thread)
            (void)pthread_join(slices[i].thread, NULL);
}

static int put_slice(struct wh_query *q, const struct slice *s, struct wh_error *error) {
    if (s->rc) {
        if (error)
            *error = s->error;
        return s->rc;
    }
    wh_query_bind_int(q, 2, s->part);
    wh_query_bind_int(q, 3, (int64_t)s->first);
    wh_query_bind_int(q, 4, (int64_t)s->count);
    wh_query_bind_int(q, 5, (int64_t)s->raw_bytes);
    wh_query_bind_blob(q, 6, s->packer->data, s->bytes);
    int rc = wh_query_step(q, error);
    wh_query_reset(q);
    return rc;
}

static int put_slices(struct wh_query *q, struct slice *slices, unsigned count,
                      struct wh_error *error) {
    int rc = 0;
    pack_slices(slices, count);
    for (unsigned i = 0; i < count; i++) {
        if (rc == 0)
            rc = put_slice(q, &slices[i], error);
    }
    return rc;
}

static unsigned packer_count(void) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors > PACKERS_MAX ? PACKERS_MAX : (unsigned)processors;
}

int wh_store_put_heap(struct wh_store *store, int64_t snapshot_id, const struct wh_heap *heap,
                      struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store,
                           "INSERT INTO snapshot_chunk(snapshot_id, part, first, count, raw_bytes,"
                           " data) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                           &q, error);
    if (rc)
        return rc;
    struct slice slices[PACKERS_MAX];
    struct packer packers[PACKERS_MAX] = {0};
    unsigned waiting = 0, at_once = packer_count();
    wh_query_bind_int(q, 1, snapshot_id);
    for (int part = WH_HEAP_NODES; !rc && part <= WH_HEAP_TEXTS; part++) {
        uint64_t total = part_count(heap, (enum wh_heap_part)part);
        for (uint64_t first = 0; !rc && first < total; first += WH_HEAP_SLICE) {
            uint64_t count = total - first < WH_HEAP_SLICE ? total - first : WH_HEAP_SLICE;
            slices[waiting] = (struct slice){.heap = heap,
                                             .part = (enum wh_heap_part)part,
                                             .first = first,
                                             .count = count,
                                             .packer = &packers[waiting]};
            waiting++;
            if (waiting == at_once) {
                rc = put_slices(q, slices, waiting, error);
                waiting = 0;
            }
        }
    }
    if (!rc)
        rc = put_slices(q, slices, waiting, error);
    wh_query_close(q);
    release_packers(packers, PACKERS_MAX);
    return rc;
}

/* --- reading --- */

/* A slice as it was before compression: exactly raw_bytes. Early traces have zlib's. */
static bool unpack(const void *data, size_t bytes, unsigned char *raw, size_t raw_bytes) {
    static const unsigned char zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    if (bytes >= sizeof zstd && memcmp(data, zstd, sizeof zstd) == 0)
        return ZSTD_decompress(raw, raw_bytes, data, bytes) == raw_bytes;
    uLongf got = raw_bytes;
    return uncompress(raw, &got, data, bytes) == Z_OK && got == raw_bytes;
}

/* Appends the slice that q stands on. */
static int get_slice(struct wh_query *q, struct wh_heap *heap, const char *path,
                     struct wh_error *error) {
    int64_t part = wh_query_int(q, 0), first = wh_query_int(q, 1), count = wh_query_int(q, 2);
    int64_t raw_bytes = wh_query_int(q, 3);
    size_t bytes;
    const void *data = wh_query_blob(q, 4, &bytes);
    if (part < WH_HEAP_NODES || part > WH_HEAP_TEXTS || count < 1 || count > WH_HEAP_SLICE ||
        raw_bytes < 0 || raw_bytes > SLICE_BYTES_MAX ||
        (uint64_t)first != part_count(heap, (enum wh_heap_part)part))
        return wh_fail(error, WH_EINPUT, "'%s' is damaged: a slice of a snapshot is out of order",
                       path);
    unsigned char *raw = malloc((size_t)raw_bytes + 1);
    if (!raw)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    int rc;
    if (!unpack(data, bytes, raw, (size_t)raw_bytes))
        rc = wh_fail(error, WH_EINPUT, "'%s' is damaged: a slice of a snapshot cannot be unpacked",
                     path);
    else
        rc = wh_heap_unpack(heap, (enum wh_heap_part)part, (uint64_t)count, raw, (size_t)raw_bytes,
                            error);
    free(raw);
    return rc;
}

/* Sizes the arrays once: growing them slice by slice would copy them again and again. */
static int reserve(struct wh_store *store, int64_t snapshot_id, struct wh_heap *heap,
                   struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store,
                           "SELECT part, sum(count) FROM snapshot_chunk WHERE snapshot_id = ?1"
                           " AND count BETWEEN 1 AND raw_bytes GROUP BY part",
                           &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, snapshot_id);
    while ((rc = wh_query_step(q, error)) == 1) {
        int64_t part = wh_query_int(q, 0), count = wh_query_int(q, 1);
        if (part >= WH_HEAP_NODES && part <= WH_HEAP_TEXTS && count > 0)
            rc = wh_heap_reserve(heap, (enum wh_heap_part)part, (uint64_t)count, error);
        if (rc < 0)
            break;
    }
    wh_query_close(q);
    return rc < 0 ? rc : 0;
}

void wh_store_keep_heap(struct wh_store *store, int64_t snapshot_id, struct wh_heap *heap) {
    wh_heap_release(&store->kept);
    store->kept = *heap;
    store->kept_id = snapshot_id;
    *heap = (struct wh_heap){0};
}

static bool take_kept(struct wh_store *store, int64_t snapshot_id, struct wh_heap *ret_heap) {
    if (!store->kept_id || store->kept_id != snapshot_id)
        return false;
    *ret_heap = store->kept;
    store->kept = (struct wh_heap){0};
    store->kept_id = 0;
    return true;
}

int wh_store_get_heap(struct wh_store *store, int64_t snapshot_id, struct wh_heap *ret_heap,
                      struct wh_error *error) {
    if (take_kept(store, snapshot_id, ret_heap))
        return 0;
    struct wh_heap heap = {0};
    int slices = 0, rc = reserve(store, snapshot_id, &heap, error);
    if (rc) {
        wh_heap_release(&heap);
        return rc;
    }
    struct wh_query *q;
    rc = wh_query_open(store,
                       "SELECT part, first, count, raw_bytes, data FROM snapshot_chunk"
                       " WHERE snapshot_id = ?1 ORDER BY part, first",
                       &q, error);
    if (rc) {
        wh_heap_release(&heap);
        return rc;
    }
    wh_query_bind_int(q, 1, snapshot_id);
    while ((rc = wh_query_step(q, error)) == 1) {
        slices++;
        rc = get_slice(q, &heap, store->path, error);
        if (rc)
            break;
    }
    wh_query_close(q);
    if (rc == WH_EINPUT && store->version && store->version < WH_SCHEMA_VERSION)
        rc = wh_fail(error, WH_EINPUT,
                     "'%s' is of schema %d, whose snapshots this whoholds (schema %d) does not "
                     "read: record again to ask for holders",
                     store->path, store->version, WH_SCHEMA_VERSION);
    if (!rc && !slices)
        rc = wh_fail(error, WH_ENOTFOUND, "'%s' has no heap of snapshot %lld", store->path,
                     (long long)snapshot_id);
    if (!rc && !heap.edges.items)
        rc = wh_edges_open(&heap.edges, heap.node_count, NULL, 0, error);
    if (!rc)
        wh_edges_finish(&heap.edges);
    if (rc)
        wh_heap_release(&heap);
    else
        *ret_heap = heap;
    return rc;
}
