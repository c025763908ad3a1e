/* Between peers.c and the child process. Private to peer/. */
#ifndef WH_SIM_PEER_CHILD_H
#define WH_SIM_PEER_CHILD_H

#include "peer/message.h"
#include "peer/peers.h"

enum peer_op { PEER_CONNECT = 1, PEER_ACCEPT, PEER_SEND, PEER_RECEIVE, PEER_CLOSE };

struct peer_command {
    uint32_t op; /* enum peer_op */
    uint32_t first, count;
    struct message message;
};

/* Replies are one byte, on a failure followed by a sentence. */
#define PEER_PARTLY 'p' /* what fits is sent; done follows */
#define PEER_DONE   'd'
#define PEER_FAILED 'e'

/* Runs until the control descriptor closes. address: what listens, here or there. */
_Noreturn void peer_child_main(int control, int child_listener, const void *address,
                               unsigned address_bytes, uint32_t connections);

#endif
