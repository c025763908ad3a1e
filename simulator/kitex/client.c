/* The client pipeline, see client.h. */
#include "kitex/client.h"

#include <pthread.h>

#include "runtime/runtime.h"

void client_leave_input(struct connection *c) {
    int64_t packet = codec_packet_bytes(c);
    c->waitReadSize = packet ? packet : 4;
}

static struct echo_Response *trans_cliTransHandler_Read(struct connection *c) {
    struct echo_Response *response = codec_defaultCodec_DecodeResponse(c);
    connection_Release(c);
    return response;
}

static struct echo_Response *remote_TransPipeline_Read(struct connection *c) {
    return trans_cliTransHandler_Read(c);
}

static struct echo_Response *remotecli_client_Recv(struct connection *c) {
    return remote_TransPipeline_Read(c);
}

static struct echo_Response *client_invokeHandleEndpoint_func1(struct connection *c) {
    return remotecli_client_Recv(c);
}

static struct echo_Response *newIOErrorHandleMW_func1_1(struct connection *c) {
    return client_invokeHandleEndpoint_func1(c);
}

struct call {
    struct connection *connection;
    struct echo_Response *response;
};

/* With a timeout the work is done on another goroutine: a thread of its own here, so that no frame
 * of the caller is in its stacks. The caller waits, so there is still one thread at a time. */
static void *wpool_Pool_GoCtx_func1(void *arg) {
    struct call *call = arg;
    call->response = newIOErrorHandleMW_func1_1(call->connection);
    return NULL;
}

static struct echo_Response *wpool_Pool_GoCtx(struct connection *c) {
    struct call call = {c, NULL};
    pthread_t worker;
    if (pthread_create(&worker, NULL, wpool_Pool_GoCtx_func1, &call))
        runtime_throw("cannot start a thread");
    pthread_join(worker, NULL);
    return call.response;
}

static struct echo_Response *newResolveMWBuilder_func1_2_1(struct connection *c) {
    return newIOErrorHandleMW_func1_1(c);
}

static struct echo_Response *rpcTimeoutMW_func1_1(struct connection *c) {
    return newResolveMWBuilder_func1_2_1(c);
}

struct echo_Response *client_kClient_Call(struct connection *c, bool has_timeout) {
    return has_timeout ? wpool_Pool_GoCtx(c) : rpcTimeoutMW_func1_1(c);
}
