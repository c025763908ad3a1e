/* The network without a kernel: connections as a table in this process. Private to peer/. */
#ifndef WH_SIM_PEER_MEMORY_H
#define WH_SIM_PEER_MEMORY_H

#include "peer/child.h"

void memory_start(int64_t connections, int64_t sndbuf);
int memory_listener(void);
int memory_dial(void);
void memory_order(const struct peer_command *command);
bool memory_done(void);

#endif
