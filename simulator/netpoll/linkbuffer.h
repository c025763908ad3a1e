/* netpoll's link buffer (v0.2.4): a chain of nodes, read at one end, written at the other.
 *
 *   head ─► … ─► read ─► … ─► flush ─► … ─► write
 *   released     readable      malloc'ed, not yet flushed
 *
 * In a node: buf.len = flushed bytes, off = read so far, malloc = written so far (≥ buf.len while a
 * write is open). A readonly node does not own its bytes: releasing it only forgets them.
 * Context: one thread. */
#ifndef WH_SIM_NETPOLL_LINKBUFFER_H
#define WH_SIM_NETPOLL_LINKBUFFER_H

#include <stdbool.h>

#include "runtime/gotypes.h"

#define block1k    1024
#define barriercap 32

struct linkBufferNode { /* 64 bytes */
    struct slice_byte buf;
    int64_t off, malloc;
    int32_t refer;
    bool readonly;
    struct linkBufferNode *origin; /* the node whose bytes this one slices */
    struct linkBufferNode *next;
};

struct LinkBuffer { /* 72 bytes */
    int64_t length, mallocSize;
    struct linkBufferNode *head, *read, *flush, *write;
    struct slice_slice_byte
        caches; /* buffers that joined bytes of several nodes; freed by Release */
};

extern const struct go_type type_LinkBuffer;

/* Sizes that scenarios may change; the defaults are netpoll's. */
struct netpoll_sizes {
    int64_t LinkBufferCap; /* smallest node that is allocated: 4096 */
    int64_t pagesize;      /* first input buffer, and largest tail that stays: 8192 */
    int64_t mallocMax;     /* above, buffers are neither pooled nor booked: 8 MiB */
};
extern struct netpoll_sizes netpoll_sizes;

void linkbuffer_init(void); /* its pools */

struct slice_byte netpoll_malloc(int64_t size, int64_t capacity);
void netpoll_free(struct slice_byte buffer);
/* s[from:]; like Go it never points past the end of the object. */
struct slice_byte slice_from(struct slice_byte s, int64_t from);

struct LinkBuffer *NewLinkBuffer(int64_t size);
int64_t LinkBuffer_Len(const struct LinkBuffer *b);
bool LinkBuffer_IsEmpty(const struct LinkBuffer *b);

/* Reading. The caller checks the length first: these take n ≤ LinkBuffer_Len(). */
struct slice_byte LinkBuffer_Next(struct LinkBuffer *b, int64_t n);
struct slice_byte LinkBuffer_Peek(struct LinkBuffer *b, int64_t n);
void LinkBuffer_Skip(struct LinkBuffer *b, int64_t n);
struct go_string LinkBuffer_ReadString(struct LinkBuffer *b, int64_t n);
void LinkBuffer_Release(struct LinkBuffer *b);
void LinkBuffer_Close(struct LinkBuffer *b);
/* Peek as of v0.6.1: each one across nodes adds a buffer to caches; with is_one_cached it reuses
 * the last. */
struct slice_byte LinkBuffer_Peek_v061(struct LinkBuffer *b, int64_t n, bool is_one_cached);

/* Writing. */
struct slice_byte LinkBuffer_Malloc(struct LinkBuffer *b, int64_t n);
void LinkBuffer_WriteDirect(struct LinkBuffer *b, struct slice_byte p, int64_t remainLen);
void LinkBuffer_Flush(struct LinkBuffer *b);

/* What the connection uses to fill and drain it. */
struct slice_byte LinkBuffer_book(struct LinkBuffer *b, int64_t bookSize, int64_t maxSize);
int64_t LinkBuffer_bookAck(struct LinkBuffer *b, int64_t n); /* returns the unread length */
struct slice_slice_byte LinkBuffer_GetBytes(struct LinkBuffer *b, struct slice_slice_byte p);
int64_t LinkBuffer_calcMaxSize(const struct LinkBuffer *b);
void LinkBuffer_resetTail(struct LinkBuffer *b, int64_t maxSize);

#endif
