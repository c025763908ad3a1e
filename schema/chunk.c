/* Raw events of a thread as compressed rows of event_chunk. */
#include <stdlib.h>
#include <zlib.h>

#include "schema/store_internal.h"

int wh_store_put_chunk(struct wh_store *store, const struct wh_chunk *chunk,
                       struct wh_error *error) {
    uLongf bytes = compressBound(chunk->bytes);
    unsigned char *data = malloc(bytes);
    if (!data)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    if (compress2(data, &bytes, chunk->data, chunk->bytes, 1) != Z_OK) {
        free(data);
        return wh_fail(error, WH_ESYSTEM, "cannot compress events");
    }
    struct wh_query *q = NULL;
    int rc = wh_query_open(store,
                           "INSERT INTO event_chunk(process_id, thread_serial, first_ns, last_ns,"
                           " events, raw_bytes, data) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                           &q, error);
    if (!rc) {
        wh_query_bind_int(q, 1, chunk->process_id);
        wh_query_bind_int(q, 2, chunk->thread_serial);
        wh_query_bind_int(q, 3, (int64_t)chunk->first_ns);
        wh_query_bind_int(q, 4, (int64_t)chunk->last_ns);
        wh_query_bind_int(q, 5, (int64_t)chunk->events);
        wh_query_bind_int(q, 6, (int64_t)chunk->bytes);
        wh_query_bind_blob(q, 7, data, bytes);
        rc = wh_query_step(q, error);
    }
    wh_query_close(q);
    free(data);
    return rc;
}
