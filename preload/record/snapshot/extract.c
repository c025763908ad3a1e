/* wh_snapshot_scan: nodes, roots, edges, in this order; then the copy may go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/snapshot/extract.h"

/* Ranges of the target that the copy does not have (MADV_DONTFORK). */
static uint64_t count_missing(const struct wh_extract *x, const struct wh_frozen *copy) {
    uint64_t missing = 0;
    for (uint32_t i = 0; i < x->f->map_count; i++) {
        const struct wh_mapping *m = &x->f->maps[i];
        if (m->readable && m->path[0] != '[' && !wh_maps_find(copy, m->start) &&
            !wh_image_is_ours(x->f, m->start, m->end))
            missing += m->end - m->start;
    }
    return missing;
}

/* Ranges that are empty in the copy (MADV_WIPEONFORK): only smaps tells. One page alone is
 * somebody's mark of having been forked - the hook has one, crypto libraries do - and refers to
 * nothing. */
static uint64_t count_wiped(const struct wh_extract *x) {
    char path[64], line[4096];
    (void)snprintf(path, sizeof path, "/proc/%d/smaps", (int)x->f->image);
    FILE *file = fopen(path, "re");
    uint64_t wiped = 0;
    unsigned long long start = 0, end = 0;
    while (file && fgets(line, sizeof line, file)) {
        unsigned long long a, b;
        if (sscanf(line, "%llx-%llx ", &a, &b) == 2) {
            start = a;
            end = b;
        } else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " wf") && end - start > 4096 &&
                   !wh_image_is_ours(x->f, start, end)) {
            wiped += end - start;
        }
    }
    if (file)
        fclose(file);
    return wiped;
}

/* What is scanned although others may write it meanwhile. */
static uint64_t count_shared(const struct wh_extract *x) {
    const struct wh_heap *h = x->heap;
    uint64_t shared = x->shared_bytes;
    for (uint32_t i = 0; i < h->root_count; i++) {
        const struct wh_heap_root *r = &h->roots[i];
        const struct wh_mapping *m =
            r->kind == WH_ROOT_MAPPING ? wh_maps_find(x->f, r->start) : NULL;
        shared += m && m->shared ? r->end - r->start : 0;
    }
    return shared;
}

/* What the copy does not show as it was. */
static void note_differences(struct wh_extract *x) {
    char *text = wh_maps_read(x->f->image);
    struct wh_frozen copy = {0};
    uint64_t missing = 0, wiped = 0, shared = count_shared(x);
    if (text && wh_maps_parse(text, &copy.maps, &copy.map_count) == WH_OK) {
        missing = count_missing(x, &copy);
        wiped = count_wiped(x);
    }
    if (missing)
        wh_snapshot_caveat(x->figures,
                           "%llu KiB are not in the copy (MADV_DONTFORK) and were not scanned",
                           (unsigned long long)(missing >> 10));
    if (wiped)
        wh_snapshot_caveat(
            x->figures, "%llu KiB are empty in the copy (MADV_WIPEONFORK): nothing was found there",
            (unsigned long long)(wiped >> 10));
    if (shared)
        wh_snapshot_caveat(
            x->figures, "%llu KiB are shared mappings, which may have changed while they were read",
            (unsigned long long)(shared >> 10));
    free(copy.maps);
    free(text);
}

static int extract(struct wh_extract *x, uint64_t live_count, struct wh_error *error) {
    if ((x->f->is_sampled && wh_extract_unsampled(x, &live_count) != WH_OK) ||
        wh_extract_nodes(x, live_count) != WH_OK || wh_extract_roots(x) != WH_OK)
        return wh_fail(error, WH_ESYSTEM, "out of memory while scanning process %d",
                       (int)x->f->pid);
    if (x->f->is_copy)
        note_differences(x);
    if (wh_extract_edges(x) != WH_OK)
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
