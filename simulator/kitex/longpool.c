/* The long pool, see longpool.h. */
#include "kitex/longpool.h"

#include "runtime/runtime.h"

struct longPool *longPool;

GO_TYPE(type_longConn, struct longConn, offsetof(struct longConn, address.ptr),
        offsetof(struct longConn, buffer.ptr));
GO_TYPE(type_longPool, struct longPool, offsetof(struct longPool, idleList.ptr));

void longpool_init(void) {
    longPool = runtime_newobject(&type_longPool);
    runtime_addroot(&longPool, &type_pointer);
}

struct longConn *longpool_Dial(int64_t buffer_bytes) {
    struct longConn *conn = runtime_newobject(&type_longConn);
    conn->address = runtime_gostring("10.0.0.1:8888");
    conn->buffer.ptr = runtime_makeslice(&type_byte, buffer_bytes);
    conn->buffer.len = conn->buffer.cap = buffer_bytes;
    return conn;
}

void longpool_Put(struct longConn *conn) {
    struct slice_longConn *s = &longPool->idleList;
    runtime_growslice(s, &type_pointer);
    s->ptr[s->len++] = conn;
}

struct longConn *longpool_Pop(bool is_clearing) {
    struct slice_longConn *s = &longPool->idleList;
    if (s->len == 0)
        return NULL;
    struct longConn *conn = s->ptr[--s->len];
    if (is_clearing)
        s->ptr[s->len] = NULL;
    return conn;
}
