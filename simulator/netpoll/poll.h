/* netpoll's poller for Linux (v0.2.4/v0.2.5): epoll, and per event *slot* a barrier of 32 slices
 * and 32 iovecs that the system call reads from.
 *
 * A slot belongs to a position in the returned batch, not to a connection. Until v0.2.5 nothing
 * cleared a slot after the call: after a surge the slots beyond the now smaller batches keep
 * referring to the last buffer they carried. That is the handbook's first case. Context: one
 * thread. */
#ifndef WH_SIM_NETPOLL_POLL_H
#define WH_SIM_NETPOLL_POLL_H

#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "netpoll/linkbuffer.h"

GO_SLICE(slice_iovec, struct iovec);
struct barrier { /* 48 bytes, and 768 + 512 behind it */
    struct slice_slice_byte bs;
    struct slice_iovec ivs;
};
GO_SLICE(slice_barrier, struct barrier);
GO_SLICE(slice_epollevent, struct epoll_event);

struct defaultPoll;

/* A method value: the receiver and what to call on it (16 bytes). */
struct method_value {
    void (*fn)(void);
    void *receiver;
};

struct FDOperator { /* 96 bytes */
    int64_t FD;
    struct method_value *OnRead; /* listeners only */
    struct method_value *OnWrite;
    struct method_value *OnHup;
    struct method_value *Inputs, *InputAck, *Outputs, *OutputAck;
    int64_t poll; /* index in pollmanager.polls; netpoll has an interface here */
    uint64_t state;
    struct FDOperator *next; /* in the operator cache */
    int32_t mode, index;
};
GO_SLICE(slice_operator, struct FDOperator *);

struct defaultPoll {
    int64_t fd; /* of epoll */
    int64_t size, caps;
    struct slice_epollevent events;
    struct slice_barrier barriers;
    struct slice_operator hups;
    int64_t last; /* events of the last epoll_wait */
};
GO_SLICE(slice_poll, struct defaultPoll *);

struct manager {
    int64_t NumLoops;
    struct slice_poll polls;
};
extern struct manager pollmanager;

enum poll_event { PollReadable, PollModReadable, PollDetach, PollR2RW, PollRW2R };

/* is_clearing: the v0.2.5 fix, barriers are cleared inside the system call wrappers. */
void netpoll_poll_init(bool is_clearing);
struct defaultPoll *netpoll_manager_Pick(void);

/* Serves until nothing is ready for timeout_ms: one epoll_wait's batch, then the goroutines it
 * woke. */
void netpoll_defaultPoll_Wait(struct defaultPoll *poll, int timeout_ms);
void FDOperator_Control(struct FDOperator *operator, enum poll_event event);

struct FDOperator *opcache_alloc(void);
void opcache_free(struct FDOperator *operator);
struct method_value *new_method_value(void (*fn)(void), void *receiver);

struct barrier *barrierPool_Get(void);
void barrierPool_Put(struct barrier *barrier);

/* sys_exec: the wrappers in which v0.2.5 clears what it used. */
ssize_t netpoll_readv(int fd, struct slice_slice_byte bs, struct slice_iovec ivs);
ssize_t netpoll_sendmsg(int fd, struct slice_slice_byte bs, struct slice_iovec ivs);

#endif
