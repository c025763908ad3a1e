/* Buffers and nodes: netpoll.malloc/free, newLinkBufferNode and its pool. */
#include "netpoll/node.h"

#include "mcache/mcache.h"
#include "runtime/runtime.h"

struct netpoll_sizes netpoll_sizes = {4096, 8192, 8 << 20};

GO_TYPE(type_linkBufferNode, struct linkBufferNode, offsetof(struct linkBufferNode, buf.ptr),
        offsetof(struct linkBufferNode, origin), offsetof(struct linkBufferNode, next));
_Static_assert(sizeof(struct linkBufferNode) == 64, "as in netpoll v0.2.4");

static void *netpoll_glob_func2(struct sync_Pool *pool) {
    struct linkBufferNode *node = runtime_newobject(pool->type);
    node->refer = 1;
    return node;
}

static struct sync_Pool linkedPool = {
    .New = netpoll_glob_func2, .type = &type_linkBufferNode, .name = "linkedPool"};

void linkbuffer_init(void) {
    sync_Pool_register(&linkedPool, 1);
}

struct slice_byte netpoll_malloc(int64_t size, int64_t capacity) {
    if (capacity > netpoll_sizes.mallocMax)
        return (struct slice_byte){runtime_makeslice(&type_byte, capacity), size, capacity};
    return mcache_Malloc(size, capacity);
}

void netpoll_free(struct slice_byte buffer) {
    if (buffer.cap > netpoll_sizes.mallocMax)
        return;
    mcache_Free(buffer);
}

struct slice_byte slice_from(struct slice_byte s, int64_t from) {
    uint8_t *start = from < s.cap ? s.ptr + from : s.ptr;
    return (struct slice_byte){start, s.len - from, s.cap - from};
}

struct linkBufferNode *newLinkBufferNode(int64_t size) {
    struct linkBufferNode *node = sync_Pool_Get(&linkedPool);
    if (size <= 0) {
        node->readonly = true;
        return node;
    }
    if (size < netpoll_sizes.LinkBufferCap)
        size = netpoll_sizes.LinkBufferCap;
    node->buf = netpoll_malloc(0, size);
    return node;
}

void linkBufferNode_Release(struct linkBufferNode *node) {
    if (node->origin)
        linkBufferNode_Release(node->origin);
    if (--node->refer > 0)
        return;
    if (!node->readonly)
        netpoll_free(node->buf);
    *node = (struct linkBufferNode){.refer = 1};
    sync_Pool_Put(&linkedPool, node);
}
