/* The kernel's sockets and epoll behind struct netpoll_sys. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netpoll/sys.h"

const struct netpoll_sys *netpoll_sys = &netpoll_sys_kernel;
int netpoll_sys_sndbuf;

static int kernel_epoll_create(void) {
    return epoll_create1(EPOLL_CLOEXEC);
}

static ssize_t kernel_sendmsg(int fd, struct iovec *ivs, int count) {
    struct msghdr message = {.msg_iov = ivs, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static int kernel_accept(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && netpoll_sys_sndbuf)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &netpoll_sys_sndbuf, sizeof(netpoll_sys_sndbuf));
    return fd;
}

const struct netpoll_sys netpoll_sys_kernel = {
    kernel_epoll_create, epoll_ctl, epoll_wait, readv, kernel_sendmsg, kernel_accept, close,
};
