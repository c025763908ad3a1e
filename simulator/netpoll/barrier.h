/* Barriers outside the poller's array and the types of what is in them. Private to netpoll/. */
#ifndef WH_SIM_NETPOLL_BARRIER_H
#define WH_SIM_NETPOLL_BARRIER_H

#include "netpoll/poll.h"

extern const struct go_type type_barrier, type_epollevent, type_iovec;

void barrier_init(bool is_clearing);

#endif
