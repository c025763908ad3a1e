/* mcache, see mcache.h. The pool keeps a boxed slice header (24 bytes) per buffer, as the version
 * that the handbook's services used did; the box is garbage as soon as the buffer is taken. */
#include "mcache/mcache.h"

#include "runtime/runtime.h"
#include "whoholds.h"

struct sync_Pool caches[MCACHE_CLASSES];

int mcache_class(int64_t size) {
    if (size == 0)
        return 0;
    int log2 = 63 - __builtin_clzll((unsigned long long)size);
    return (size & (size - 1)) == 0 ? log2 : log2 + 1;
}

static void *mcache_init_0_func1(struct sync_Pool *pool) {
    int64_t capacity = (int64_t)1 << (pool - caches);
    uint8_t *bytes = runtime_makeslice(&type_byte, capacity);
    struct slice_byte *box = runtime_newobject(&type_slice_byte);
    *box = (struct slice_byte){bytes, 0, capacity};
    return box;
}

void mcache_init(void) {
    for (int i = 0; i < MCACHE_CLASSES; i++) {
        caches[i].New = mcache_init_0_func1;
        caches[i].type = &type_slice_byte;
    }
    sync_Pool_register(caches, MCACHE_CLASSES);
}

struct slice_byte mcache_Malloc(int64_t size, int64_t capacity) {
    int64_t wanted = capacity > size ? capacity : size;
    struct slice_byte buffer = *(struct slice_byte *)sync_Pool_Get(&caches[mcache_class(wanted)]);
    buffer.len = size;
    if (sync_is_annotating())
        whoholds_acquire(buffer.ptr, (size_t)buffer.cap, "mcache");
    return buffer;
}

void mcache_Free(struct slice_byte buffer) {
    if (buffer.cap == 0 || (buffer.cap & (buffer.cap - 1)) != 0)
        return;
    struct slice_byte *box = runtime_newobject(&type_slice_byte);
    *box = (struct slice_byte){buffer.ptr, 0, buffer.cap};
    sync_Pool_Put(&caches[mcache_class(buffer.cap)], box);
    if (sync_is_annotating())
        whoholds_release(buffer.ptr);
}
