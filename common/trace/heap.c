/* A frozen heap's life and its storage form. */
#include "trace/heap.h"

#include <stdlib.h>

void wh_heap_release(struct wh_heap *heap)
{
    free(heap->nodes);
    free(heap->roots);
    free(heap->edges);
    free(heap->texts);
    *heap = (struct wh_heap){0};
}
