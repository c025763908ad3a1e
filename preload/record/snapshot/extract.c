/* wh_snapshot_scan: nodes, roots, edges, in this order; then the copy may go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/snapshot/extract.h"

/* Ranges of the target that the copy does not have (MADV_DONTFORK). */
static void note_missing(struct wh_extract *x) {
    char *text = x->f->is_copy ? wh_maps_read(x->f->image) : NULL;
    struct wh_frozen copy = {0};
    uint64_t missing = 0;
    if (!text || wh_maps_parse(text, &copy.maps, &copy.map_count) != WH_OK) {
        free(text);
        return;
    }
    for (uint32_t i = 0; i < x->f->map_count; i++) {
        const struct wh_mapping *m = &x->f->maps[i];
        if (m->readable && m->path[0] != '[' && !wh_maps_find(&copy, m->start) &&
            !wh_image_is_ours(x->f, m->start, m->end))
            missing += m->end - m->start;
    }
    if (missing)
        wh_snapshot_caveat(x->figures,
                           "%llu KiB are not in the copy (MADV_DONTFORK) and were not scanned",
                           (unsigned long long)(missing >> 10));
    free(copy.maps);
    free(text);
}

static int extract(struct wh_extract *x, uint64_t live_count, struct wh_error *error) {
    note_missing(x);
    if ((x->f->is_sampled && wh_extract_unsampled(x, &live_count) != WH_OK) ||
        wh_extract_nodes(x, live_count) != WH_OK || wh_extract_roots(x) != WH_OK ||
        wh_extract_edges(x) != WH_OK)
        return wh_fail(error, WH_ESYSTEM, "out of memory while scanning process %d",
                       (int)x->f->pid);
    return WH_OK;
}

int wh_snapshot_scan(struct wh_frozen *frozen, struct wh_heap_node *live, uint64_t live_count,
                     struct wh_heap *ret_heap, struct wh_snapshot_figures *figures,
                     struct wh_error *error) {
    uint64_t begin = wh_snapshot_now_ns();
    *ret_heap = (struct wh_heap){.nodes = live};
    struct wh_extract x = {.f = frozen, .heap = ret_heap, .figures = figures};
    int status = extract(&x, live_count, error);
    wh_index_release(&x.index);
    free(x.cuts);
    figures->scan_ns = wh_snapshot_now_ns() - begin;
    wh_snapshot_abandon(frozen);
    if (status != WH_OK)
        wh_heap_release(ret_heap);
    return status;
}
