/* The poller, see poll.h: growing arrays, the event loop, what becomes of an event. */
#include "netpoll/poll.h"

#include <errno.h>
#include <string.h>

#include "gopool/gopool.h"
#include "netpoll/barrier.h"
#include "netpoll/sys.h"
#include "runtime/runtime.h"

#define POLL_SIZE_FIRST 128
#define POLL_SIZE_MAX   (128 * 1024)

struct manager pollmanager;

GO_TYPE(type_manager, struct manager, offsetof(struct manager, polls.ptr));
GO_TYPE(type_defaultPoll, struct defaultPoll, offsetof(struct defaultPoll, events.ptr),
        offsetof(struct defaultPoll, barriers.ptr), offsetof(struct defaultPoll, hups.ptr));

/* Brand-new arrays: growing drops whatever the old slots still referred to. */
static void netpoll_pollArgs_reset(struct defaultPoll *poll, int64_t size) {
    poll->size = size;
    poll->events.ptr = runtime_makeslice(&type_epollevent, size);
    poll->events.len = poll->events.cap = size;
    poll->barriers.ptr = runtime_makeslice(&type_barrier, size);
    poll->barriers.len = poll->barriers.cap = size;
    for (int64_t i = 0; i < size; i++) {
        struct barrier *slot = &poll->barriers.ptr[i];
        slot->bs.ptr = runtime_makeslice(&type_slice_byte, poll->caps);
        slot->bs.len = slot->bs.cap = poll->caps;
        slot->ivs.ptr = runtime_makeslice(&type_iovec, poll->caps);
        slot->ivs.len = slot->ivs.cap = poll->caps;
    }
}

void netpoll_poll_init(bool is_clearing) {
    barrier_init(is_clearing);
    pollmanager = (struct manager){.NumLoops = 1};
    runtime_addroot(&pollmanager, &type_manager);
    struct defaultPoll *poll = runtime_newobject(&type_defaultPoll);
    runtime_growslice(&pollmanager.polls, &type_pointer);
    pollmanager.polls.ptr[pollmanager.polls.len++] = poll;
    poll->fd = netpoll_sys->epoll_create();
    if (poll->fd < 0)
        runtime_throw("cannot create an epoll descriptor: %s", strerror(errno));
    poll->caps = barriercap;
    netpoll_pollArgs_reset(poll, POLL_SIZE_FIRST);
}

struct defaultPoll *netpoll_manager_Pick(void) {
    return pollmanager.polls.ptr[0];
}

static void append_hup(struct defaultPoll *poll, struct FDOperator *operator) {
    runtime_growslice(&poll->hups, &type_pointer);
    poll->hups.ptr[poll->hups.len++] = operator;
}

/* Event arrays are bytes to Go's collector: what the kernel hands back holds nothing. Operators are
 * therefore registered in a form that is no pointer to a scanner of this memory either. */
static struct FDOperator *operator_of(const struct epoll_event *event) {
    return (struct FDOperator *)(uintptr_t)~event->data.u64;
}

typedef void on_read_fn(void *receiver, struct defaultPoll *poll);
typedef struct slice_slice_byte vectors_fn(void *receiver, struct slice_slice_byte vs);
typedef void ack_fn(void *receiver, int64_t n);

static void netpoll_detaches(struct defaultPoll *poll) {
    for (int64_t i = 0; i < poll->hups.len; i++) {
        struct FDOperator *operator= poll->hups.ptr[i];
        FDOperator_Control(operator, PollDetach);
        gopool_CtxGo((gopool_fn *)operator->OnHup->fn, operator->OnHup->receiver);
    }
    poll->hups = (struct slice_operator){NULL, 0, 0};
}

/* One function, as in netpoll: creator stacks go straight from here into the connection. */
static void netpoll_defaultPoll_handler(struct defaultPoll *poll, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        struct FDOperator *op = operator_of(&poll->events.ptr[i]);
        struct barrier *slot = &poll->barriers.ptr[i];
        uint32_t events = poll->events.ptr[i].events;
        if ((events & EPOLLIN) && op->OnRead) {
            ((on_read_fn *)op->OnRead->fn)(op->OnRead->receiver, poll);
        } else if (events & EPOLLIN) {
            struct slice_slice_byte bs =
                ((vectors_fn *)op->Inputs->fn)(op->Inputs->receiver, slot->bs);
            ssize_t n = netpoll_readv((int)op->FD, bs, slot->ivs);
            int error = n < 0 ? errno : 0;
            ((ack_fn *)op->InputAck->fn)(op->InputAck->receiver, n);
            if (error && error != EAGAIN && error != EINTR) {
                append_hup(poll, op);
                continue;
            }
        }
        if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) {
            append_hup(poll, op);
            continue;
        }
        if (events & EPOLLOUT) {
            struct slice_slice_byte bs =
                ((vectors_fn *)op->Outputs->fn)(op->Outputs->receiver, slot->bs);
            if (bs.len == 0)
                continue;
            ssize_t n = netpoll_sendmsg((int)op->FD, bs, slot->ivs);
            int error = n < 0 ? errno : 0;
            ((ack_fn *)op->OutputAck->fn)(op->OutputAck->receiver, n);
            if (error && error != EAGAIN)
                append_hup(poll, op);
        }
    }
    netpoll_detaches(poll);
}

void netpoll_defaultPoll_Wait(struct defaultPoll *poll, int timeout_ms) {
    for (;;) {
        if (poll->last == poll->size && poll->size < POLL_SIZE_MAX)
            netpoll_pollArgs_reset(poll, poll->size << 1);
        int n =
            netpoll_sys->epoll_wait((int)poll->fd, poll->events.ptr, (int)poll->size, timeout_ms);
        if (n < 0 && errno != EINTR)
            runtime_throw("epoll_wait failed: %s", strerror(errno));
        poll->last = n > 0 ? n : 0;
        if (n <= 0)
            return;
        netpoll_defaultPoll_handler(poll, n);
        gopool_run();
    }
}

void FDOperator_Control(struct FDOperator *operator, enum poll_event event) {
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLRDHUP | EPOLLERR,
                                 .data.u64 = ~(uint64_t)(uintptr_t) operator};
    int op = EPOLL_CTL_MOD;
    switch (event) {
    case PollReadable:
        op = EPOLL_CTL_ADD;
        break;
    case PollDetach:
        op = EPOLL_CTL_DEL;
        break;
    case PollR2RW:
        wanted.events |= EPOLLOUT;
        break;
    case PollModReadable:
    case PollRW2R:
        break;
    }
    const struct defaultPoll *poll = pollmanager.polls.ptr[operator->poll];
    if (netpoll_sys->epoll_ctl((int)poll->fd, op, (int)operator->FD, &wanted) < 0)
        runtime_throw("epoll_ctl failed for descriptor %d: %s", (int)operator->FD, strerror(errno));
}
