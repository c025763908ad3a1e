/* The server pipeline, see server.h. Each level exists to be seen in a stack. */
#include "kitex/server.h"

static echo_handler *handle;

void kitex_server_handler(echo_handler *handler) {
    handle = handler;
}

/* --- towards the handler --- */

static struct echo_Response *echoserver_echoHandler(struct echo_Request *request) {
    return handle(request);
}

static struct echo_Response *server_invokeHandleEndpoint_func1(struct echo_Request *request) {
    return echoserver_echoHandler(request);
}

static struct echo_Response *trans_svrTransHandler_OnMessage(struct echo_Request *request) {
    return server_invokeHandleEndpoint_func1(request);
}

static struct echo_Response *detection_svrTransHandler_OnMessage(struct echo_Request *request) {
    return trans_svrTransHandler_OnMessage(request);
}

static struct echo_Response *remote_TransPipeline_OnMessage(struct echo_Request *request) {
    return detection_svrTransHandler_OnMessage(request);
}

/* --- back to the connection --- */

static void trans_svrTransHandler_Write(struct connection *c,
                                        const struct echo_Response *response) {
    codec_defaultCodec_Encode(c, response);
    connection_flush(c);
}

static void detection_svrTransHandler_Write(struct connection *c,
                                            const struct echo_Response *response) {
    trans_svrTransHandler_Write(c, response);
}

static void remote_TransPipeline_Write(struct connection *c, const struct echo_Response *response) {
    detection_svrTransHandler_Write(c, response);
}

/* --- from the connection --- */

static struct echo_Request *trans_svrTransHandler_Read(struct connection *c) {
    return codec_defaultCodec_Decode(c);
}

static void trans_svrTransHandler_OnRead(struct connection *c) {
    struct echo_Request *request = trans_svrTransHandler_Read(c);
    connection_Release(c);
    struct echo_Response *response = remote_TransPipeline_OnMessage(request);
    if (response)
        remote_TransPipeline_Write(c, response);
}

static void detection_svrTransHandler_OnRead(struct connection *c) {
    trans_svrTransHandler_OnRead(c);
}

static void remote_TransPipeline_OnRead(struct connection *c) {
    detection_svrTransHandler_OnRead(c);
}

void transServer_onConnRead(struct connection *c) {
    for (;;) {
        int64_t packet = codec_packet_bytes(c);
        c->waitReadSize = packet ? packet : 4;
        if (!packet || LinkBuffer_Len(c->inputBuffer) < packet)
            return;
        remote_TransPipeline_OnRead(c);
        c->waitReadSize = 4;
    }
}
