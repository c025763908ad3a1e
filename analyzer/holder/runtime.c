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

static int add_root(struct wh_heap *heap, const char *name, uint64_t count,
                    struct wh_error *error) {
    size_t bytes = heap->texts_bytes ? heap->texts_bytes : 1, length = strlen(name) + 1;
    struct wh_heap_root *roots =
        realloc(heap->roots, ((size_t)heap->root_count + 1) * sizeof(*roots));
    heap->roots = roots ? roots : heap->roots;
    char *texts = realloc(heap->texts, bytes + length);
    heap->texts = texts ? texts : heap->texts;
    if (!roots || !texts)
        return wh_fail(error, WH_ESYSTEM, "no memory for the roots of a snapshot");
    texts[0] = 0;
    memcpy(texts + bytes, name, length);
    heap->texts_bytes = (uint32_t)(bytes + length);
    roots[heap->root_count++] = (struct wh_heap_root){
        .kind = WH_ROOT_INFRA, .text = (uint32_t)bytes, .end = count * sizeof(uint64_t)};
    return 0;
}

/* In the order of their birth, so that no address decides where a slot is. */
static int add_edges(struct wh_heap *heap, const uint8_t *adopted, uint32_t count,
                     struct wh_error *error) {
    uint32_t *blocks = malloc(count * sizeof(*blocks)), at = 0;
    int status = blocks ? 0 : wh_fail(error, WH_ESYSTEM, "no memory for the roots of a snapshot");
    for (uint32_t i = 0; i < heap->node_count && blocks; i++)
        if (adopted[i])
            blocks[at++] = i;
    wh_heap_sort_births(heap, blocks, at);
    for (uint32_t i = 0; i < at && status == 0; i++) {
        struct wh_heap_edge edge = {.from = (heap->root_count - 1) | WH_FROM_ROOT,
                                    .to = blocks[i],
                                    .from_offset = i * UINT64_C(8) & WH_OFFSET_MASK,
                                    .edge_class = WH_EDGE_TAGGED};
        status = wh_edges_add(&heap->edges, &edge, error);
    }
    free(blocks);
    return status;
}

/* Blocks that nothing refers to and that the loader made. */
static int mark(const struct wh_heap *heap, const struct wh_frames *frames, uint8_t *adopted,
                const char **name, uint32_t *count, struct wh_error *error) {
    struct wh_map stacks = {0};
    int status = 0;
    memset(adopted, 1, heap->node_count);
    struct wh_edge_walk w = {.edges = &heap->edges};
    while (wh_edge_next(&w))
        if (w.edge.edge_class > WH_EDGE_SUSPECT && w.edge.from != w.edge.to)
            adopted[w.edge.to] = 0;
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
    uint32_t count = 0;
    uint8_t *adopted = malloc(heap->node_count ? heap->node_count : 1);
    if (!adopted)
        return wh_fail(error, WH_ESYSTEM, "no memory for the roots of a snapshot");
    int status = mark(heap, frames, adopted, &name, &count, error);
    if (status == 0 && count)
        status = add_root(heap, name, count, error);
    if (status == 0 && count)
        status = add_edges(heap, adopted, count, error);
    free(adopted);
    return status;
}
