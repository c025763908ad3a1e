/* Peers in a child process, see peers.h; --io=memory forwards to memory.c. */
#include "peer/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netpoll/sys.h"
#include "peer/child.h"
#include "peer/memory.h"
#include "runtime/runtime.h"
#include "whoholds.h"

#define DESCRIPTORS_BESIDE 64 /* standard streams, epoll, listeners, what a tracer needs */

union address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_in tcp;
};

static struct {
    enum peer_io io;
    int control, listener, child_listener;
    union address address, child_address; /* where the simulator, where the child listens */
    unsigned address_bytes, child_address_bytes;
    pid_t pid;
    bool has_first_reply, is_done;
} peers;

static void need_descriptors(int64_t connections) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)(connections + DESCRIPTORS_BESIDE);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) < 0)
        runtime_throw(
            "%lld connections need %llu descriptors, the limit is %llu: raise `ulimit -n`, "
            "set fewer connections, or use --io=memory",
            (long long)connections, (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
}

static int listen_somewhere(enum peer_io io, union address *address, unsigned *ret_bytes) {
    memset(address, 0, sizeof(*address));
    socklen_t bytes = sizeof(address->tcp);
    address->tcp.sin_family = AF_INET;
    address->tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (io == PEER_IO_UNIX) { /* an abstract name of the kernel's choosing */
        memset(address, 0, sizeof(*address));
        address->local.sun_family = AF_UNIX;
        bytes = sizeof(sa_family_t);
    }
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, &address->any, bytes) < 0 || listen(fd, SOMAXCONN) < 0)
        runtime_throw("cannot listen on a %s socket: %s; --io=memory needs none",
                      io == PEER_IO_UNIX ? "local" : "loopback", strerror(errno));
    bytes = sizeof(*address);
    getsockname(fd, &address->any, &bytes);
    *ret_bytes = bytes;
    return fd;
}

void peers_start(enum peer_io io, int64_t connections, int64_t sndbuf) {
    peers.io = io;
    netpoll_sys_sndbuf = (int)sndbuf;
    if (io == PEER_IO_MEMORY) {
        netpoll_sys = &netpoll_sys_memory;
        memory_start(connections, sndbuf);
        return;
    }
    netpoll_sys = &netpoll_sys_kernel;
    need_descriptors(connections);
    peers.listener = listen_somewhere(io, &peers.address, &peers.address_bytes);
    peers.child_listener = listen_somewhere(io, &peers.child_address, &peers.child_address_bytes);
    int control[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        runtime_throw("cannot make a socket pair: %s", strerror(errno));
    fflush(NULL);
    peers.pid = fork();
    if (peers.pid < 0)
        runtime_throw("cannot fork: %s", strerror(errno));
    if (peers.pid == 0) {
        whoholds_pause();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(control[0]);
        fcntl(peers.child_listener, F_SETFL, 0);
        peer_child_main(control[1], peers.child_listener, &peers.address, peers.address_bytes,
                        (uint32_t)connections);
    }
    close(control[1]);
    close(peers.child_listener);
    peers.control = control[0];
    peers.is_done = true;
}

void peers_stop(void) {
    if (peers.pid > 0) {
        kill(peers.pid, SIGKILL);
        waitpid(peers.pid, NULL, 0);
        peers.pid = 0;
    }
}

int peers_listener(void) {
    return peers.io == PEER_IO_MEMORY ? memory_listener() : peers.listener;
}

static void order(enum peer_op op, int64_t first, int64_t count, const struct message *message) {
    struct peer_command command = {.op = op, .first = (uint32_t)first, .count = (uint32_t)count};
    if (message)
        command.message = *message;
    if (peers.io == PEER_IO_MEMORY) {
        memory_order(&command);
        return;
    }
    peers.has_first_reply = peers.is_done = false;
    if (send(peers.control, &command, sizeof(command), MSG_NOSIGNAL) < 0)
        runtime_throw("the peers' process is gone: %s", strerror(errno));
}

bool peers_done(void) {
    if (peers.io == PEER_IO_MEMORY)
        return memory_done();
    if (peers.is_done)
        return true;
    struct pollfd waiting = {.fd = peers.control, .events = POLLIN};
    if (peers.has_first_reply && poll(&waiting, 1, 0) == 0)
        return false;
    char text[256];
    ssize_t n = recv(peers.control, text, sizeof(text) - 1, 0);
    if (n <= 0)
        runtime_throw("the peers' process ended early");
    text[n] = 0;
    if (text[0] == PEER_FAILED)
        runtime_throw("%s", text + 1);
    peers.has_first_reply = true;
    peers.is_done = text[0] == PEER_DONE;
    return peers.is_done;
}

void peers_connect(int64_t first, int64_t count) {
    order(PEER_CONNECT, first, count, NULL);
}

int peers_dial(void) {
    if (peers.io == PEER_IO_MEMORY)
        return memory_dial();
    order(PEER_ACCEPT, 0, 1, NULL);
    int fd = socket(peers.child_address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &peers.child_address.any, peers.child_address_bytes) < 0)
        runtime_throw("cannot connect to the peers' process: %s", strerror(errno));
    while (!peers_done())
        ;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        runtime_throw("fcntl: %s", strerror(errno));
    return fd;
}

void peers_send(int64_t first, int64_t count, const struct message *message) {
    order(PEER_SEND, first, count, message);
}

void peers_receive(int64_t first, int64_t count) {
    order(PEER_RECEIVE, first, count, NULL);
}

void peers_close(int64_t first, int64_t count) {
    order(PEER_CLOSE, first, count, NULL);
}
