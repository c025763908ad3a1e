/* netpoll's server and dialer: who holds connections. */
#include <errno.h>

#include "netpoll/connection.h"
#include "netpoll/sys.h"
#include "runtime/runtime.h"

struct server *server;
struct slice_connection dialed;

GO_TYPE(type_server, struct server, offsetof(struct server, operator),
        offsetof(struct server, connections.dirty));
GO_TYPE(type_slice_connection, struct slice_connection, offsetof(struct slice_connection, ptr));

static void server_OnHup(struct connection *c) {
    sync_Map_Delete(SYNC_MAP(&server->connections), runtime_convT64(c->fd));
    server->open--;
}

static void server_OnRead(struct server *s, struct defaultPoll *poll) {
    (void)poll;
    int fd = netpoll_sys->accept((int)s->operator->FD);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            runtime_throw(
                "no descriptors left after %lld connections: raise `ulimit -n`, set fewer "
                "connections, or use --io=memory",
                (long long)s->accepted);
        return;
    }
    struct connection *c = runtime_newobject(&type_connection);
    c->id = s->accepted++;
    s->open++;
    connection_init(c, fd, s->onRequest, server_OnHup);
    sync_Map_Store(SYNC_MAP(&s->connections), runtime_convT64(fd),
                   (struct go_eface){&type_connection, c});
}

void server_Run(int listener, connection_handler *onRequest) {
    runtime_addroot(&server, &type_pointer);
    server = runtime_newobject(&type_server);
    server->onRequest = onRequest;
    server->operator= opcache_alloc();
    server->operator->FD = listener;
    server->operator->poll = 0;
    server->operator->OnRead = new_method_value((void (*)(void))server_OnRead, server);
    FDOperator_Control(server->operator, PollReadable);
}

void dialer_init(void) {
    dialed = (struct slice_connection){NULL, 0, 0};
    runtime_addroot(&dialed, &type_slice_connection);
}

struct connection *dialer_DialConnection(int fd, connection_handler *onRequest) {
    struct connection *c = runtime_newobject(&type_connection);
    c->id = dialed.len;
    connection_init(c, fd, onRequest, NULL);
    runtime_growslice(&dialed, &type_pointer);
    dialed.ptr[dialed.len++] = c;
    return c;
}
