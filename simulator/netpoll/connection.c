/* netpoll's connection, see connection.h: the poller's side (inputs, outputs, hup), the user's side
 * (flush, Release, Close) and what both leave behind in barriers. */
#include "netpoll/connection.h"

#include <errno.h>
#include <string.h>

#include "gopool/gopool.h"
#include "netpoll/sys.h"
#include "runtime/runtime.h"

GO_TYPE(type_connection, struct connection, offsetof(struct connection, network.ptr),
        offsetof(struct connection, localAddr.data), offsetof(struct connection, remoteAddr.data),
        offsetof(struct connection, ctx.data), offsetof(struct connection, operator),
        offsetof(struct connection, readTimer), offsetof(struct connection, readTrigger),
        offsetof(struct connection, writeTrigger), offsetof(struct connection, inputBuffer),
        offsetof(struct connection, outputBuffer), offsetof(struct connection, inputBarrier),
        offsetof(struct connection, outputBarrier));
_Static_assert(sizeof(struct connection) == 280, "as in netpoll v0.2.4");

int64_t connection_bookSize = 512;

/* --- the poller's side --- */

static struct slice_slice_byte connection_inputs(struct connection *c, struct slice_slice_byte vs) {
    vs.ptr[0] = LinkBuffer_book(c->inputBuffer, c->bookSize, c->maxSize);
    vs.len = 1;
    return vs;
}

static void connection_onRequest_func2(struct connection *c) {
    c->onRequest(c);
}

static void connection_onProcess_func1(void *arg) {
    struct connection *c = arg;
    c->isProcessing = false;
    if (c->isActive)
        connection_onRequest_func2(c);
}

static void connection_inputAck(struct connection *c, int64_t n) {
    if (n <= 0) {
        LinkBuffer_bookAck(c->inputBuffer, 0);
        return;
    }
    if (n == c->bookSize && c->bookSize < netpoll_sizes.mallocMax)
        c->bookSize <<= 1;
    int64_t length = LinkBuffer_bookAck(c->inputBuffer, n);
    if (c->maxSize < length)
        c->maxSize = length;
    if (c->maxSize > netpoll_sizes.mallocMax)
        c->maxSize = netpoll_sizes.mallocMax;
    if (c->onRequest && !c->isProcessing && length >= c->waitReadSize) {
        c->isProcessing = true;
        gopool_CtxGo(connection_onProcess_func1, c);
    }
}

static struct slice_slice_byte connection_outputs(struct connection *c,
                                                  struct slice_slice_byte vs) {
    if (LinkBuffer_IsEmpty(c->outputBuffer)) {
        FDOperator_Control(c->operator, PollRW2R);
        return (struct slice_slice_byte){NULL, 0, 0};
    }
    return LinkBuffer_GetBytes(c->outputBuffer, vs);
}

static void connection_outputAck(struct connection *c, int64_t n) {
    if (n > 0) {
        LinkBuffer_Skip(c->outputBuffer, n);
        LinkBuffer_Release(c->outputBuffer);
    }
    if (LinkBuffer_IsEmpty(c->outputBuffer))
        FDOperator_Control(c->operator, PollRW2R);
}

/* The barriers go back as they are: since nothing clears them, the pool inherits their references.
 */
static void connection_closeBuffer(struct connection *c) {
    LinkBuffer_Close(c->inputBuffer);
    barrierPool_Put(c->inputBarrier);
    LinkBuffer_Close(c->outputBuffer);
    barrierPool_Put(c->outputBarrier);
}

static void connection_onClose(struct connection *c) {
    if (!c->isActive)
        return;
    c->isActive = false;
    if (c->closeCallback)
        c->closeCallback(c);
    netpoll_sys->close((int)c->fd);
    opcache_free(c->operator);
    c->operator= NULL;
    connection_closeBuffer(c);
}

static void connection_onHup(struct connection *c) {
    connection_onClose(c);
}

/* --- set-up --- */

static void connection_initFDOperator(struct connection *c) {
    struct FDOperator *op = opcache_alloc();
    op->FD = c->fd;
    op->poll = 0; /* of GOMAXPROCS / 20 + 1 */
    op->OnHup = new_method_value((void (*)(void))connection_onHup, c);
    op->Inputs = new_method_value((void (*)(void))connection_inputs, c);
    op->InputAck = new_method_value((void (*)(void))connection_inputAck, c);
    op->Outputs = new_method_value((void (*)(void))connection_outputs, c);
    op->OutputAck = new_method_value((void (*)(void))connection_outputAck, c);
    c->operator= op;
}

void connection_init(struct connection *c, int fd, connection_handler *onRequest,
                     void (*closeCallback)(struct connection *c)) {
    c->fd = fd;
    c->onRequest = onRequest;
    c->closeCallback = closeCallback;
    c->bookSize = connection_bookSize;
    c->maxSize = netpoll_sizes.pagesize;
    c->waitReadSize = 4;
    c->readTrigger = runtime_makechan();
    c->writeTrigger = runtime_makechan();
    c->inputBuffer = NewLinkBuffer(netpoll_sizes.pagesize);
    c->outputBuffer = NewLinkBuffer(0);
    c->inputBarrier = barrierPool_Get();
    c->outputBarrier = barrierPool_Get();
    c->isActive = true;
    connection_initFDOperator(c);
    FDOperator_Control(c->operator, PollReadable);
}

/* --- the user's side --- */

void connection_Release(struct connection *c) {
    if (LinkBuffer_IsEmpty(c->inputBuffer)) {
        int64_t maxSize = LinkBuffer_calcMaxSize(c->inputBuffer);
        if (maxSize > netpoll_sizes.mallocMax)
            maxSize = netpoll_sizes.mallocMax;
        if (maxSize > c->maxSize)
            c->maxSize = maxSize;
        LinkBuffer_resetTail(c->inputBuffer, c->maxSize);
    }
    LinkBuffer_Release(c->inputBuffer);
}

void connection_flush(struct connection *c) {
    LinkBuffer_Flush(c->outputBuffer);
    if (LinkBuffer_IsEmpty(c->outputBuffer))
        return;
    struct slice_slice_byte bs = LinkBuffer_GetBytes(c->outputBuffer, c->outputBarrier->bs);
    ssize_t n = netpoll_sendmsg((int)c->fd, bs, c->outputBarrier->ivs);
    if (n < 0 && errno != EAGAIN)
        return;
    if (n > 0) {
        LinkBuffer_Skip(c->outputBuffer, n);
        LinkBuffer_Release(c->outputBuffer);
    }
    if (!LinkBuffer_IsEmpty(c->outputBuffer))
        FDOperator_Control(c->operator, PollR2RW);
}

void connection_Close(struct connection *c) {
    if (!c->isActive)
        return;
    FDOperator_Control(c->operator, PollDetach);
    connection_onClose(c);
}

struct go_string connection_ReadString(struct connection *c, int64_t n) {
    return LinkBuffer_ReadString(c->inputBuffer, n);
}

struct slice_byte connection_Malloc(struct connection *c, int64_t n) {
    return LinkBuffer_Malloc(c->outputBuffer, n);
}
