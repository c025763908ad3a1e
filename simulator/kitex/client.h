/* Kitex's client pipeline: one call after another over dialed connections.
 *
 * Two shapes of stack, as in Kitex: without a timeout the caller decodes itself; with one, a worker
 * of wpool does and no frame of the business is in the creator stack. Context: one thread. */
#ifndef WH_SIM_KITEX_CLIENT_H
#define WH_SIM_KITEX_CLIENT_H

#include "kitex/codec.h"

/* Reads the response that has arrived on `c`. */
struct echo_Response *client_kClient_Call(struct connection *c, bool has_timeout);

/* Has read what the calls need: the handler of dialed connections, which leaves input where it is.
 */
void client_leave_input(struct connection *c);

#endif
