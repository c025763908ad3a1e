/* The loader's own blocks: recognised by the caller of the allocator. */
#include "analyzer/holder/runtime.h"
#include "analyzer/holder/table.h"

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

/* Blocks that nothing refers to and that the loader made. */
static int mark(const struct wh_heap *heap, const struct wh_frames *frames, uint8_t *adopted,
                const char **name, uint64_t *count, struct wh_error *error) {
    struct wh_map stacks = {0};
    int status = 0;
    memset(adopted, 1, heap->node_count);
    for (uint64_t i = 0; i < heap->edge_count; i++)
        if (heap->edges[i].edge_class > WH_EDGE_SUSPECT && heap->edges[i].from != heap->edges[i].to)
            adopted[heap->edges[i].to] = 0;
    for (uint32_t i = 0; i < heap->node_count && status == 0; i++) {
        if (!adopted[i])
            continue;
        struct wh_key key = {heap->nodes[i].stack_id, 0, 0};
        uint32_t is_loader = wh_map_find(&stacks, key);
        if (is_loader == WH_MAP_NONE) {
            const char *loader = loader_of(frames, heap->nodes[i].stack_id);
            *name = loader ? loader : *name;
            is_loader = loader != NULL;
            status = wh_map_add(&stacks, key, is_loader, error);
        }
        adopted[i] = is_loader != 0;
        *count += adopted[i];
    }
    wh_map_release(&stacks);
    return status;
}

int wh_runtime_adopt(struct wh_heap *heap, const struct wh_frames *frames, struct wh_error *error) {
    const char *name = NULL;
    uint64_t count = 0;
    uint8_t *adopted = malloc(heap->node_count ? heap->node_count : 1);
    if (!adopted)
        return wh_fail(error, WH_ESYSTEM, "no memory for the roots of a snapshot");
    int status = mark(heap, frames, adopted, &name, &count, error);
    if (status == 0 && count)
        status = grow(heap, name, count, error);
    for (uint32_t i = 0; i < heap->node_count && status == 0 && count; i++)
        if (adopted[i])
            heap->edges[heap->edge_count++] = (struct wh_heap_edge){
                .from = heap->root_count | WH_FROM_ROOT,
                .to = i,
                .from_offset = (uint64_t)heap->nodes[i].alloc_order * 8,
                .edge_class = WH_EDGE_TAGGED,
            };
    if (status == 0 && count)
        heap->root_count++;
    free(adopted);
    return status;
}
