/* A stored snapshot slice may be anything: unpacking it must refuse or succeed, and a heap that
 * passed wh_heap_check() must survive packing again. Input: part, count (2 bytes), then the slice's
 * bytes. */
#include <stdlib.h>

#include "trace/heap.h"

#define NODES 100u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum wh_heap_part parts[] = {WH_HEAP_NODES, WH_HEAP_ROOTS, WH_HEAP_EDGES,
                                              WH_HEAP_TEXTS};
    struct wh_heap heap = {0};
    struct wh_error error;
    if (size < 3)
        return 0;
    if (parts[data[0] % 4] == WH_HEAP_EDGES) { /* edges need something to begin and end in */
        heap.nodes = calloc(NODES, sizeof *heap.nodes);
        heap.roots = calloc(NODES, sizeof *heap.roots);
        if (!heap.nodes || !heap.roots)
            abort();
        for (uint32_t i = 0; i < NODES; i++)
            heap.nodes[i].address = (i + 1) & WH_ADDRESS_MASK;
        heap.node_count = heap.root_count = NODES;
    }
    enum wh_heap_part part = parts[data[0] % 4];
    uint64_t count = data[1] | (uint64_t)data[2] << 8;
    int rc = wh_heap_unpack(&heap, part, count, data + 3, size - 3, &error);
    if (rc == 0 && heap.edges.items)
        wh_edges_finish(&heap.edges);
    if (rc == 0 && wh_heap_check(&heap, &error) == 0) {
        unsigned char *again = malloc(wh_heap_pack_room(part, count));
        size_t bytes = 0;
        if (!again || wh_heap_pack(&heap, part, 0, count, again, &bytes, &error) != 0)
            abort();
        free(again);
    }
    wh_heap_release(&heap);
    return 0;
}
