/* The child process with the other ends. It must stay invisible: no malloc, no exit handlers,
 * killed at the end. One command at a time: as much as possible at once, then a note to the
 * simulator, then the rest as the sockets take it. */
#include "peer/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK_BYTES (256 * 1024)

struct end {
    int fd; /* -1 = closed */
    uint64_t sent;
};

static struct {
    int control, listener;
    const void *address;
    unsigned address_bytes;
    struct end *ends;
    uint32_t count, capacity;
    struct pollfd *waiting;
} child;

static void reply(char what) {
    if (write(child.control, &what, 1) != 1)
        _exit(1);
}

static _Noreturn void fail(const char *doing) {
    char text[200];
    int n = snprintf(text, sizeof(text), "%c%s: %s", PEER_FAILED, doing, strerror(errno));
    if (write(child.control, text, (size_t)n) < 0)
        _exit(1);
    _exit(1);
}

static void keep(int fd) {
    if (fd < 0)
        fail("a peer cannot connect");
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        fail("fcntl");
    child.ends[child.count++] = (struct end){fd, 0};
}

static void connect_ends(const struct peer_command *command) {
    const struct sockaddr *address = child.address;
    reply(PEER_PARTLY); /* connecting needs the simulator to accept */
    for (uint32_t i = 0; i < command->count && child.count < child.capacity; i++) {
        int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            fail("a peer cannot make a socket");
        if (connect(fd, address, child.address_bytes) < 0)
            fail("a peer cannot connect");
        keep(fd);
    }
}

/* Sends what fits of one message; true when it is complete. */
static bool send_some(const struct peer_command *command, uint32_t index) {
    struct end *end = &child.ends[command->first + index];
    static uint8_t chunk[CHUNK_BYTES];
    uint64_t total = message_total(&command->message);
    while (end->fd >= 0 && end->sent < total) {
        size_t part = total - end->sent < CHUNK_BYTES ? (size_t)(total - end->sent) : CHUNK_BYTES;
        message_copy(&command->message, index, end->sent, chunk, part);
        ssize_t n = send(end->fd, chunk, part, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0 && errno != EINTR)
            fail("a peer cannot send");
        if (n > 0)
            end->sent += (uint64_t)n;
    }
    return true;
}

static void send_all(const struct peer_command *command) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < command->count; i++) {
        child.ends[command->first + i].sent = 0;
        left += !send_some(command, i);
    }
    if (left)
        reply(PEER_PARTLY);
    while (left) {
        for (uint32_t i = 0; i < command->count; i++) {
            const struct end *end = &child.ends[command->first + i];
            bool is_open = end->sent < message_total(&command->message);
            child.waiting[i] = (struct pollfd){.fd = is_open ? end->fd : -1, .events = POLLOUT};
        }
        if (poll(child.waiting, command->count, -1) < 0 && errno != EINTR)
            fail("poll");
        for (uint32_t i = 0; i < command->count; i++)
            if (child.waiting[i].revents && send_some(command, i))
                left--;
    }
}

static void receive_some(const struct peer_command *command) {
    static uint8_t chunk[CHUNK_BYTES];
    for (uint32_t i = 0; i < command->count; i++) {
        int fd = child.ends[command->first + i].fd;
        while (fd >= 0 && recv(fd, chunk, sizeof(chunk), 0) > 0)
            ;
    }
}

static void close_ends(const struct peer_command *command) {
    receive_some(command); /* unread bytes would turn the close into a reset */
    for (uint32_t i = 0; i < command->count; i++) {
        close(child.ends[command->first + i].fd);
        child.ends[command->first + i].fd = -1;
    }
}

static void *map(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    return memory;
}

_Noreturn void peer_child_main(int control, int child_listener, const void *address,
                               unsigned address_bytes, uint32_t connections) {
    child.control = control;
    child.listener = child_listener;
    child.address = address;
    child.address_bytes = address_bytes;
    child.capacity = connections;
    child.ends = map((connections + 1) * sizeof(*child.ends));
    child.waiting = map((connections + 1) * sizeof(*child.waiting));
    struct peer_command command;
    while (read(control, &command, sizeof(command)) == (ssize_t)sizeof(command)) {
        switch ((enum peer_op)command.op) {
        case PEER_CONNECT:
            connect_ends(&command);
            break;
        case PEER_ACCEPT:
            keep(accept4(child.listener, NULL, NULL, SOCK_CLOEXEC));
            break;
        case PEER_SEND:
            send_all(&command);
            break;
        case PEER_RECEIVE:
            receive_some(&command);
            break;
        case PEER_CLOSE:
            close_ends(&command);
            break;
        }
        reply(PEER_DONE);
    }
    _exit(0);
}
