/* Kitex's server pipeline on a netpoll connection. The frames between the gopool worker and the
 * handler are those of the handbook's pictures. Context: one thread. */
#ifndef WH_SIM_KITEX_SERVER_H
#define WH_SIM_KITEX_SERVER_H

#include "kitex/codec.h"

/* The business handler. Returns NULL for no answer. */
typedef struct echo_Response *echo_handler(struct echo_Request *request);

void kitex_server_handler(echo_handler *handler);
/* The connection's request handler: for world_accept(). */
void transServer_onConnRead(struct connection *c);

#endif
