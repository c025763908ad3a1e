/* The loader's own blocks: recognised by the caller of the allocator. */
#include "analyzer/holder/runtime.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* The loader's file name when it called the allocator itself; NULL = somebody else did. */
static const char *loader_of(const struct wh_frames *frames, uint32_t stack) {
    struct wh_frame f;
    if (!wh_frames_get(frames, stack, 0, &f) || !f.module)
        return NULL;
    return fnmatch("ld-linux*", f.module, 0) == 0 || fnmatch("ld-*.so*", f.module, 0) == 0 ||
                   fnmatch("ld.so*", f.module, 0) == 0
               ? f.module
               : NULL;
}

static int grow(struct wh_heap *heap, const char *name, uint64_t count, struct wh_error *error) {
    size_t bytes = heap->texts_bytes ? heap->texts_bytes : 1, length = strlen(name) + 1;
    struct wh_heap_root *roots =
        realloc(heap->roots, ((size_t)heap->root_count + 1) * sizeof(*roots));
    heap->roots = roots ? roots : heap->roots;
    struct wh_heap_edge *edges = realloc(heap->edges, (heap->edge_count + count) * sizeof(*edges));
    heap->edges = edges ? edges : heap->edges;
    char *texts = realloc(heap->texts, bytes + length);
    heap->texts = texts ? texts : heap->texts;
    if (!roots || !edges || !texts)
        return wh_fail(error, WH_ESYSTEM, "no memory for the roots of a snapshot");
    texts[0] = 0;
    memcpy(texts + bytes, name, length);
    heap->texts_bytes = (uint32_t)(bytes + length);
    roots[heap->root_count] = (struct wh_heap_root){
        .kind = WH_ROOT_INFRA, .text = (uint32_t)bytes, .end = (uint64_t)heap->node_count * 8};
    return 0;
}

int wh_runtime_adopt(struct wh_heap *heap, const struct wh_frames *frames, struct wh_error *error) {
    const char *name = NULL;
    uint64_t count = 0;
    for (uint32_t i = 0; i < heap->node_count; i++) {
        const char *loader = loader_of(frames, heap->nodes[i].stack_id);
        count += loader != NULL;
        name = loader ? loader : name;
    }
    if (!count)
        return 0;
    int status = grow(heap, name, count, error);
    if (status < 0)
        return status;
    for (uint32_t i = 0; i < heap->node_count; i++)
        if (loader_of(frames, heap->nodes[i].stack_id))
            heap->edges[heap->edge_count++] = (struct wh_heap_edge){
                .from = heap->root_count | WH_FROM_ROOT,
                .to = i,
                .from_offset = (uint64_t)heap->nodes[i].alloc_order * 8,
                .edge_class = WH_EDGE_TAGGED,
            };
    heap->root_count++;
    return 0;
}
