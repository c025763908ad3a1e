/* Barriers, their pool, the operator cache, and the system call wrappers that use barriers.
 *
 * iovecs() copies the non-empty slices' bases into ivs: one buffer, two references per slot. The
 * fix of v0.2.5 is reset_iovecs(), right after the system call; an early return still skips it. */
#include "netpoll/barrier.h"

#include "netpoll/sys.h"
#include "runtime/runtime.h"
#include "sync/pool.h"

#define OPERATOR_BATCH (4096 / sizeof(struct FDOperator))

const struct go_type type_epollevent = {"struct epoll_event", sizeof(struct epoll_event), 0, NULL};
GO_TYPE(type_iovec, struct iovec, offsetof(struct iovec, iov_base));
GO_TYPE(type_barrier, struct barrier, offsetof(struct barrier, bs.ptr),
        offsetof(struct barrier, ivs.ptr));
GO_TYPE(type_method_value, struct method_value, offsetof(struct method_value, receiver));
GO_TYPE(type_FDOperator, struct FDOperator, offsetof(struct FDOperator, OnRead),
        offsetof(struct FDOperator, OnWrite), offsetof(struct FDOperator, OnHup),
        offsetof(struct FDOperator, Inputs), offsetof(struct FDOperator, InputAck),
        offsetof(struct FDOperator, Outputs), offsetof(struct FDOperator, OutputAck),
        offsetof(struct FDOperator, next));
_Static_assert(sizeof(struct barrier) == 48 && sizeof(struct FDOperator) == 96,
               "as in netpoll v0.2.4");
_Static_assert(sizeof(struct epoll_event) == 12, "packed, as the kernel's on amd64");

/* Operators are made in batches and never given back: their number grows to the peak of
 * connections. Only the free ones are referred to here; those in use belong to their connection.
 * (netpoll also keeps a slice of all, which makes it a second holder of every connection.) */
struct operatorCache {
    struct FDOperator *first; /* free list */
    int64_t count;
};
static struct operatorCache opcache;
GO_TYPE(type_operatorCache, struct operatorCache, offsetof(struct operatorCache, first));

static bool is_clearing_barriers;

static void *netpoll_glob_func1(struct sync_Pool *pool) {
    struct barrier *barrier = runtime_newobject(pool->type);
    barrier->bs.ptr = runtime_makeslice(&type_slice_byte, barriercap);
    barrier->bs.len = barrier->bs.cap = barriercap;
    barrier->ivs.ptr = runtime_makeslice(&type_iovec, barriercap);
    barrier->ivs.len = barrier->ivs.cap = barriercap;
    return barrier;
}

static struct sync_Pool barrierPool = {
    .New = netpoll_glob_func1, .type = &type_barrier, .name = "barrierPool"};

void barrier_init(bool is_clearing) {
    is_clearing_barriers = is_clearing;
    sync_Pool_register(&barrierPool, 1);
    opcache = (struct operatorCache){NULL, 0};
    runtime_addroot(&opcache, &type_operatorCache);
}

struct barrier *barrierPool_Get(void) {
    return sync_Pool_Get(&barrierPool);
}

void barrierPool_Put(struct barrier *barrier) {
    sync_Pool_Put(&barrierPool, barrier);
}

struct FDOperator *opcache_alloc(void) {
    if (!opcache.first) {
        for (size_t i = 0; i < OPERATOR_BATCH; i++) {
            struct FDOperator *made = runtime_newobject(&type_FDOperator);
            made->index = (int32_t)opcache.count++;
            made->next = opcache.first;
            opcache.first = made;
        }
    }
    struct FDOperator *operator= opcache.first;
    opcache.first = operator->next;
    operator->next = NULL;
    return operator;
}

void opcache_free(struct FDOperator *operator) {
    *operator=(struct FDOperator){.next = opcache.first, .index = operator->index };
    opcache.first = operator;
}

struct method_value *new_method_value(void (*fn)(void), void *receiver) {
    struct method_value *value = runtime_newobject(&type_method_value);
    *value = (struct method_value){fn, receiver};
    return value;
}

static int iovecs(struct slice_slice_byte bs, struct slice_iovec ivs) {
    int count = 0;
    for (int64_t i = 0; i < bs.len; i++)
        if (bs.ptr[i].len > 0)
            ivs.ptr[count++] = (struct iovec){bs.ptr[i].ptr, (size_t)bs.ptr[i].len};
    return count;
}

static void reset_iovecs(struct slice_slice_byte bs, struct slice_iovec ivs, int used) {
    for (int64_t i = 0; i < bs.len; i++)
        bs.ptr[i] = (struct slice_byte){NULL, 0, 0};
    for (int i = 0; i < used; i++)
        ivs.ptr[i].iov_base = NULL;
}

ssize_t netpoll_readv(int fd, struct slice_slice_byte bs, struct slice_iovec ivs) {
    int count = iovecs(bs, ivs);
    if (count == 0)
        return 0;
    ssize_t n = netpoll_sys->readv(fd, ivs.ptr, count);
    if (is_clearing_barriers)
        reset_iovecs(bs, ivs, count);
    return n;
}

ssize_t netpoll_sendmsg(int fd, struct slice_slice_byte bs, struct slice_iovec ivs) {
    int count = iovecs(bs, ivs);
    if (count == 0)
        return 0;
    ssize_t n = netpoll_sys->sendmsg(fd, ivs.ptr, count);
    if (is_clearing_barriers)
        reset_iovecs(bs, ivs, count);
    return n;
}
