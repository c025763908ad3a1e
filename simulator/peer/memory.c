/* --io=memory: what sockets and epoll do, for connections that are rows of a table.
 *
 * A row holds the message that is on its way in (only its description; bytes are made when read)
 * and how many sent bytes the peer has not taken. Readiness is level-triggered, in order of
 * connection. */
#include "peer/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "netpoll/sys.h"
#include "runtime/runtime.h"

#define FD_FIRST       1000000 /* descriptors of this network; far from real ones */
#define FD_LISTENER    (FD_FIRST - 1)
#define FD_EPOLL       (FD_FIRST - 2)
#define SNDBUF_DEFAULT (208 * 1024)

struct row {
    struct message message; /* on its way in, if read < total */
    uint32_t index;         /* its position in the range that sent it */
    uint64_t read, total;
    uint64_t unsent;   /* bytes in the send buffer */
    uint32_t interest; /* events the poller wants; 0 = not registered */
    uint64_t user;     /* what the poller registered with it */
    bool is_closed_there, is_closed_here;
};

static struct {
    struct row *rows;
    int64_t count, accepted, capacity, sndbuf;
    struct row listener; /* only interest and user */
    int64_t turn;        /* where the next batch begins */
} net;

void memory_start(int64_t connections, int64_t sndbuf) {
    memset(&net, 0, sizeof(net));
    net.capacity = connections;
    net.sndbuf = sndbuf ? sndbuf : SNDBUF_DEFAULT;
    net.rows = mmap(NULL, (size_t)(connections + 1) * sizeof(*net.rows), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (net.rows == MAP_FAILED)
        runtime_throw("out of memory: %lld connections", (long long)connections);
}

int memory_listener(void) {
    return FD_LISTENER;
}

int memory_dial(void) {
    net.accepted = ++net.count;
    return FD_FIRST + (int)net.count - 1;
}

bool memory_done(void) {
    return true;
}

void memory_order(const struct peer_command *command) {
    if (command->op == PEER_CONNECT) {
        net.count += command->count;
        return;
    }
    for (uint32_t i = 0; i < command->count; i++) {
        struct row *row = &net.rows[command->first + i];
        if (command->op == PEER_SEND) {
            row->message = command->message;
            row->index = i;
            row->read = 0;
            row->total = message_total(&command->message);
        } else {
            row->unsent = 0;
            row->is_closed_there |= command->op == PEER_CLOSE;
        }
    }
}

static struct row *row_of(int fd) {
    if (fd == FD_LISTENER)
        return &net.listener;
    int64_t index = fd - FD_FIRST;
    return index >= 0 && index < net.count ? &net.rows[index] : NULL;
}

static int memory_epoll_create(void) {
    return FD_EPOLL;
}

static int memory_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event) {
    (void)epoll;
    struct row *row = row_of(fd);
    if (!row) {
        errno = EBADF;
        return -1;
    }
    row->interest = op == EPOLL_CTL_DEL ? 0 : event->events;
    row->user = event->data.u64;
    return 0;
}

static uint32_t ready(const struct row *row) {
    uint32_t events = 0;
    if (row->read < row->total)
        events |= EPOLLIN;
    if (row->is_closed_there)
        events |= EPOLLIN | EPOLLRDHUP | EPOLLHUP;
    if (row->unsent < (uint64_t)net.sndbuf)
        events |= EPOLLOUT;
    return row->is_closed_here ? 0 : events & row->interest;
}

static int memory_epoll_wait(int epoll, struct epoll_event *events, int size, int timeout_ms) {
    (void)epoll;
    (void)timeout_ms;
    int n = 0;
    if (net.listener.interest && net.accepted < net.count)
        events[n++] = (struct epoll_event){.events = EPOLLIN, .data.u64 = net.listener.user};
    int64_t first = net.turn;
    for (int64_t i = 0; i < net.accepted && n < size; i++) {
        int64_t at = (first + i) % net.accepted;
        uint32_t now = ready(&net.rows[at]);
        if (!now)
            continue;
        events[n++] = (struct epoll_event){.events = now, .data.u64 = net.rows[at].user};
        net.turn = at + 1;
    }
    if (n < size)
        net.turn = 0; /* everybody had a turn */
    return n;
}

static ssize_t memory_readv(int fd, const struct iovec *ivs, int count) {
    struct row *row = row_of(fd);
    if (row->read == row->total && !row->is_closed_there) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t sum = 0;
    for (int i = 0; i < count && row->read < row->total; i++) {
        uint64_t part = row->total - row->read;
        if (part > ivs[i].iov_len)
            part = ivs[i].iov_len;
        message_copy(&row->message, row->index, row->read, ivs[i].iov_base, part);
        row->read += part;
        sum += (ssize_t)part;
    }
    return sum;
}

static ssize_t memory_sendmsg(int fd, struct iovec *ivs, int count) {
    struct row *row = row_of(fd);
    uint64_t room = (uint64_t)net.sndbuf - row->unsent, sum = 0;
    for (int i = 0; i < count; i++)
        sum += ivs[i].iov_len;
    if (room == 0) {
        errno = EAGAIN;
        return -1;
    }
    sum = sum < room ? sum : room;
    row->unsent += sum;
    return (ssize_t)sum;
}

static int memory_accept(int listener) {
    (void)listener;
    if (net.accepted == net.count) {
        errno = EAGAIN;
        return -1;
    }
    return FD_FIRST + (int)net.accepted++;
}

static int memory_close(int fd) {
    row_of(fd)->is_closed_here = true;
    return 0;
}

const struct netpoll_sys netpoll_sys_memory = {
    memory_epoll_create, memory_epoll_ctl, memory_epoll_wait, memory_readv,
    memory_sendmsg,      memory_accept,    memory_close,
};
