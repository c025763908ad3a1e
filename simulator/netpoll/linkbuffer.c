/* The link buffer, see linkbuffer.h. Follows netpoll v0.2.4 method by method, because which slice
 * of which node is handed out decides what a forgotten reference pins later. */
#include "netpoll/linkbuffer.h"

#include <string.h>

#include "netpoll/node.h"
#include "runtime/runtime.h"

GO_TYPE(type_LinkBuffer, struct LinkBuffer, offsetof(struct LinkBuffer, head),
        offsetof(struct LinkBuffer, read), offsetof(struct LinkBuffer, flush),
        offsetof(struct LinkBuffer, write), offsetof(struct LinkBuffer, caches.ptr));
_Static_assert(sizeof(struct LinkBuffer) == 72, "as in netpoll v0.2.4");

struct LinkBuffer *NewLinkBuffer(int64_t size) {
    struct LinkBuffer *b = runtime_newobject(&type_LinkBuffer);
    b->head = b->read = b->flush = b->write = newLinkBufferNode(size);
    return b;
}

int64_t LinkBuffer_Len(const struct LinkBuffer *b) {
    return b->length;
}

bool LinkBuffer_IsEmpty(const struct LinkBuffer *b) {
    return b->length == 0;
}

/* --- reading --- */

static bool isSingleNode(struct LinkBuffer *b, int64_t n) {
    while (linkBufferNode_Len(b->read) == 0 && b->read != b->flush)
        b->read = b->read->next;
    return linkBufferNode_Len(b->read) >= n;
}

static void copy_out(const struct linkBufferNode *node, uint8_t *to, int64_t n) {
    for (; n > 0; node = node->next) {
        int64_t part = linkBufferNode_Len(node) < n ? linkBufferNode_Len(node) : n;
        if (part > 0)
            memcpy(to, node->buf.ptr + node->off, (size_t)part);
        to += part;
        n -= part;
    }
}

static void add_cache(struct LinkBuffer *b, struct slice_byte p) {
    runtime_growslice(&b->caches, &type_slice_byte);
    b->caches.ptr[b->caches.len++] = p;
}

/* n bytes in one piece although they lie in several nodes; lives until Release. */
static struct slice_byte LinkBuffer_join(struct LinkBuffer *b, int64_t n) {
    struct slice_byte p;
    if (block1k < n && n <= netpoll_sizes.mallocMax) {
        p = netpoll_malloc(n, n);
        add_cache(b, p);
    } else {
        p = (struct slice_byte){runtime_makeslice(&type_byte, n), n, n};
    }
    copy_out(b->read, p.ptr, n);
    return p;
}

static void advance(struct LinkBuffer *b, int64_t n) {
    while (n > 0) {
        int64_t part = linkBufferNode_Len(b->read);
        if (part >= n) {
            b->read->off += n;
            return;
        }
        b->read->off += part;
        n -= part;
        b->read = b->read->next;
    }
}

struct slice_byte LinkBuffer_Next(struct LinkBuffer *b, int64_t n) {
    struct slice_byte p = LinkBuffer_Peek(b, n);
    b->length -= n;
    advance(b, n);
    return p;
}

struct slice_byte LinkBuffer_Peek(struct LinkBuffer *b, int64_t n) {
    if (!isSingleNode(b, n))
        return LinkBuffer_join(b, n);
    struct slice_byte p = slice_from(b->read->buf, b->read->off);
    p.len = n;
    return p;
}

struct slice_byte LinkBuffer_Peek_v061(struct LinkBuffer *b, int64_t n, bool is_one_cached) {
    if (isSingleNode(b, n))
        return LinkBuffer_Peek(b, n);
    if (!is_one_cached || b->caches.len == 0)
        return LinkBuffer_join(b, n);
    struct slice_byte *last = &b->caches.ptr[b->caches.len - 1];
    if (last->cap < n) {
        netpoll_free(*last);
        *last = netpoll_malloc(n, n);
    }
    last->len = n;
    copy_out(b->read, last->ptr, n);
    return *last;
}

void LinkBuffer_Skip(struct LinkBuffer *b, int64_t n) {
    b->length -= n;
    advance(b, n);
}

/* A private copy: it goes to the user and never comes back, so it must not be a pooled buffer. */
static struct go_string LinkBuffer_readBinary(struct LinkBuffer *b, int64_t n) {
    struct go_string text = {runtime_makeslice(&type_byte, n), n};
    copy_out(b->read, (uint8_t *)text.ptr, n);
    b->length -= n;
    advance(b, n);
    return text;
}

struct go_string LinkBuffer_ReadString(struct LinkBuffer *b, int64_t n) {
    return LinkBuffer_readBinary(b, n);
}

void LinkBuffer_Release(struct LinkBuffer *b) {
    while (b->read != b->flush && linkBufferNode_Len(b->read) == 0)
        b->read = b->read->next;
    while (b->head != b->read) {
        struct linkBufferNode *node = b->head;
        b->head = b->head->next;
        linkBufferNode_Release(node);
    }
    for (int64_t i = 0; i < b->caches.len; i++) {
        netpoll_free(b->caches.ptr[i]);
        b->caches.ptr[i] = (struct slice_byte){NULL, 0, 0};
    }
    b->caches.len = 0;
}

void LinkBuffer_Close(struct LinkBuffer *b) {
    b->length = b->mallocSize = 0;
    for (struct linkBufferNode *node = b->head; node;) {
        struct linkBufferNode *next = node->next;
        linkBufferNode_Release(node);
        node = next;
    }
    b->head = b->read = b->flush = b->write = NULL;
    b->caches = (struct slice_slice_byte){NULL, 0, 0};
}

/* --- writing --- */

static void LinkBuffer_growth(struct LinkBuffer *b, int64_t n) {
    while (b->write->readonly || b->write->buf.cap - b->write->malloc < n) {
        if (!b->write->next) {
            b->write->next = newLinkBufferNode(n);
            b->write = b->write->next;
            return;
        }
        b->write = b->write->next;
    }
}

static struct slice_byte node_malloc(struct linkBufferNode *node, int64_t n) {
    struct slice_byte p = slice_from(node->buf, node->malloc);
    p.len = n;
    node->malloc += n;
    return p;
}

struct slice_byte LinkBuffer_Malloc(struct LinkBuffer *b, int64_t n) {
    b->mallocSize += n;
    LinkBuffer_growth(b, n);
    return node_malloc(b->write, n);
}

void LinkBuffer_WriteDirect(struct LinkBuffer *b, struct slice_byte p, int64_t remainLen) {
    struct linkBufferNode *origin = b->flush;
    int64_t before =
        b->mallocSize - remainLen; /* written ahead of p, counted from the flush point */
    for (int64_t open = origin->malloc - origin->buf.len; open < before;
         open = origin->malloc - origin->buf.len) {
        before -= open;
        origin = origin->next;
    }
    before += origin->buf.len;

    struct linkBufferNode *data = newLinkBufferNode(0);
    data->buf = (struct slice_byte){p.ptr, 0, p.cap};
    data->malloc = p.len;
    struct linkBufferNode *rest = newLinkBufferNode(0);
    rest->off = before;
    rest->buf = (struct slice_byte){origin->buf.ptr, before, origin->buf.cap};
    rest->malloc = origin->malloc;
    rest->readonly = false;
    origin->malloc = before;
    origin->readonly = true;
    data->next = rest;
    rest->next = origin->next;
    origin->next = data;
    while (b->write->next)
        b->write = b->write->next;
    b->mallocSize += p.len;
}

void LinkBuffer_Flush(struct LinkBuffer *b) {
    b->mallocSize = 0;
    if (b->write->buf.cap >
        netpoll_sizes.pagesize) { /* a large tail would stay with the connection */
        b->write->next = newLinkBufferNode(0);
        b->write = b->write->next;
    }
    for (struct linkBufferNode *node = b->flush; node; node = node->next) {
        if (node->malloc > node->buf.len) {
            b->length += node->malloc - node->buf.len;
            node->buf.len = node->malloc;
        }
        if (node == b->write)
            break;
    }
    b->flush = b->write;
}

/* --- the connection's side --- */

struct slice_byte LinkBuffer_book(struct LinkBuffer *b, int64_t bookSize, int64_t maxSize) {
    int64_t room = b->write->buf.cap - b->write->malloc;
    if (room == 0) {
        room = maxSize;
        b->write->next = newLinkBufferNode(maxSize);
        b->write = b->write->next;
    }
    return node_malloc(b->write, room < bookSize ? room : bookSize);
}

int64_t LinkBuffer_bookAck(struct LinkBuffer *b, int64_t n) {
    b->write->malloc = n + b->write->buf.len;
    b->write->buf.len = b->write->malloc;
    b->flush = b->write;
    b->length += n;
    return b->length;
}

struct slice_slice_byte LinkBuffer_GetBytes(struct LinkBuffer *b, struct slice_slice_byte p) {
    int64_t i = 0;
    struct linkBufferNode *node = b->read;
    for (; node != b->flush && i < p.len; node = node->next)
        if (linkBufferNode_Len(node) > 0)
            p.ptr[i++] = slice_from(node->buf, node->off);
    if (i < p.len)
        p.ptr[i++] = slice_from(b->flush->buf, b->flush->off);
    return (struct slice_slice_byte){p.ptr, i, p.cap};
}

int64_t LinkBuffer_calcMaxSize(const struct LinkBuffer *b) {
    int64_t sum = b->write->buf.len;
    for (const struct linkBufferNode *node = b->head; node != b->read; node = node->next)
        sum += node->buf.len;
    return sum;
}

void LinkBuffer_resetTail(struct LinkBuffer *b, int64_t maxSize) {
    if (maxSize <= netpoll_sizes.pagesize) {
        if (!b->write->origin && b->write->refer == 1) {
            b->write->off = b->write->malloc = 0;
            b->write->buf.len = 0;
        }
        return;
    }
    b->write->next = newLinkBufferNode(0);
    b->write = b->write->next;
    b->flush = b->write;
}
