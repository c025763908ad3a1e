/* The system calls netpoll makes, replaceable: real ones, or a network that exists only in memory
 * (--io=memory), for machines that refuse sockets or descriptors.
 *
 * Results follow the system calls: -1 and errno. Context: one thread. */
#ifndef WH_SIM_NETPOLL_SYS_H
#define WH_SIM_NETPOLL_SYS_H

#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/uio.h>

struct netpoll_sys {
    int (*epoll_create)(void);
    int (*epoll_ctl)(int epoll, int op, int fd, struct epoll_event *event);
    int (*epoll_wait)(int epoll, struct epoll_event *events, int size, int timeout_ms);
    ssize_t (*readv)(int fd, const struct iovec *ivs, int count);
    ssize_t (*sendmsg)(int fd, struct iovec *ivs, int count);
    int (*accept)(int listener);
    int (*close)(int fd);
};

extern const struct netpoll_sys *netpoll_sys;
/* Send buffer of accepted sockets in bytes, as SO_SNDBUF takes it; 0 = the system's. */
extern int netpoll_sys_sndbuf;
extern const struct netpoll_sys netpoll_sys_kernel, netpoll_sys_memory;

#endif
