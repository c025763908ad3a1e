/* The other ends of the simulator's connections: clients of a server scenario, servers of a client
 * one.
 *
 * With real sockets they live in a child process, which therefore has a descriptor limit of its own
 * and leaves no allocation in the recording. With --io=memory they are a table in this process.
 * Every operation works on connections [first, first + count), in order of their making.
 * Context: one thread. Failures end the run with a sentence (runtime_throw). */
#ifndef WH_SIM_PEER_PEERS_H
#define WH_SIM_PEER_PEERS_H

#include <stdbool.h>

#include "peer/message.h"

enum peer_io { PEER_IO_UNIX, PEER_IO_TCP, PEER_IO_MEMORY };

/* Starts the peers for up to `connections` and raises the descriptor limit. Before anything is
 * allocated. sndbuf: send buffer of the simulator's end in bytes, 0 = the system's. */
void peers_start(enum peer_io io, int64_t connections, int64_t sndbuf);
/* Ends them without a word: the simulator's ends stay open, unread. */
void peers_stop(void);

/* Descriptor to accept from; peers_connect() then makes the peers connect. */
int peers_listener(void);
void peers_connect(int64_t first, int64_t count);
/* Opposite direction: a connected descriptor of the simulator's own making, served by a peer. */
int peers_dial(void);

void peers_send(int64_t first, int64_t count, const struct message *message);
/* Peers take what has arrived, once. */
void peers_receive(int64_t first, int64_t count);
void peers_close(int64_t first, int64_t count);

/* True when the operation is done. The first call waits until the peers have done what is possible
 * without the simulator: what fits into the sockets is in the sockets. */
bool peers_done(void);

#endif
