/* A netpoll connection (v0.2.4) and the server that accepts it.
 *
 * Each connection has an input buffer of 8 KiB from the start, an output buffer without bytes, and
 * two barriers of its own. Its maxSize, the size of the next buffer it books, only ever grows.
 *
 * A handler never blocks: it says how many unread bytes it waits for (waitReadSize) and is called
 * again when they are there. Context: one thread. */
#ifndef WH_SIM_NETPOLL_CONNECTION_H
#define WH_SIM_NETPOLL_CONNECTION_H

#include "netpoll/poll.h"
#include "sync/map.h"

struct connection;

/* Called on a gopool worker whenever waitReadSize bytes can be read. */
typedef void connection_handler(struct connection *c);

struct connection { /* 280 bytes */
    int64_t fd;
    struct go_string network;
    struct go_eface localAddr, remoteAddr;
    struct go_eface ctx; /* what the layer above keeps with the connection */
    connection_handler *onRequest;
    void (*closeCallback)(struct connection *c);
    uint64_t locker[4];
    struct FDOperator *operator;
    int64_t readTimeout;
    void *readTimer, *readTrigger;
    int64_t waitReadSize;
    void *writeTrigger;
    struct LinkBuffer *inputBuffer, *outputBuffer;
    struct barrier *inputBarrier, *outputBarrier;
    int64_t maxSize, bookSize;
    int64_t id; /* order of acceptance, from 0 */
    bool isActive, isProcessing;
    char pad[54]; /* what netpoll keeps and the model does not use */
};
extern const struct go_type type_connection;

/* bookSize a connection starts with: 512 (v0.2.x), 8192 since v0.5.1. */
extern int64_t connection_bookSize;

/* Takes over the descriptor: buffers, barriers, operator, registration with the poller. */
void connection_init(struct connection *c, int fd, connection_handler *onRequest,
                     void (*closeCallback)(struct connection *c));
void connection_Release(struct connection *c);
/* Writes what the output buffer holds; what the socket does not take goes out with the poller's
 * events. */
void connection_flush(struct connection *c);
void connection_Close(struct connection *c);
struct go_string connection_ReadString(struct connection *c, int64_t n);
struct slice_byte connection_Malloc(struct connection *c, int64_t n);

/* --- server --- */

SYNC_MAP_OF(connection_map, struct connection);

struct server {
    struct FDOperator *operator;
    connection_handler *onRequest;
    struct connection_map connections; /* fd -> connection */
    int64_t accepted, open;
};
extern struct server *server; /* the one event loop of the process; NULL before server_Run */

/* Listens with the descriptor. Every accepted connection gets the handler (NULL: input is left
 * unread). */
void server_Run(int listener, connection_handler *onRequest);

/* --- dialer --- */

struct slice_connection {
    struct connection **ptr;
    int64_t len, cap;
};

/* A client's connections, by order of dialing: a root. */
extern struct slice_connection dialed;

void dialer_init(void);
struct connection *dialer_DialConnection(int fd, connection_handler *onRequest);

#endif
