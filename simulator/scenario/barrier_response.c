/* Models barrier-response-nocopy and barrier-response-copy: responses that stay in barriers.
 *
 * NoCopy: the handler's own memory is linked into the output; connection.flush() puts it into the
 * connection's outputBarrier, where it stays as long as the connection is open.
 * Copy: the response is serialised into a pooled buffer. It only leaks when readers are slow,
 * because then many buffers are out at once and the poller sends the rests: its slots keep pointers
 * into the middle of the buffers, of which only the tail is visible. */
#include <string.h>

#include "kitex/server.h"
#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"

#define REQUEST_BYTES 16 /* of Msg */

const char *const barrier_response_nocopy_parameters[] = {
    "connections", "size", "ready", "closes", "clears_barriers", NULL};
const char *const barrier_response_copy_parameters[] = {
    "connections", "size", "ready", "closing", "clears_barriers", NULL};

static int64_t msg_bytes;
static struct go_string answer; /* what every response of the copying service says */

static struct echo_Response *main_EchoServerImpl_Echo(struct echo_Request *request) {
    (void)request;
    struct echo_Response *response = runtime_newobject(&type_echo_Response);
    response->Msg.ptr = runtime_makeslice(&type_byte, msg_bytes);
    response->Msg.len = msg_bytes;
    memset(response->Msg.ptr, 'r', (size_t)msg_bytes);
    return response;
}

static struct echo_Response *main_EchoServerImpl_EchoShared(struct echo_Request *request) {
    (void)request;
    struct echo_Response *response = runtime_newobject(&type_echo_Response);
    response->Msg = answer;
    return response;
}

static void start(const struct scenario *s, echo_handler *handler, bool is_nocopy) {
    int64_t connections = scenario_get(s, "connections");
    world_netpoll(connections, scenario_get(s, "clears_barriers") != 0);
    codec_options = (struct codec_options){.is_nocopy = is_nocopy};
    kitex_server_handler(handler);
    world_accept(connections, transServer_onConnRead);
    world_phase("connect");
}

void model_barrier_response_nocopy(const struct scenario *s) {
    int64_t connections = scenario_get(s, "connections"), ready = scenario_get(s, "ready");
    msg_bytes = scenario_get(s, "size");
    start(s, main_EchoServerImpl_Echo, true);
    struct message request = {.kind = MESSAGE_ECHO, .bytes = REQUEST_BYTES};
    world_send(connections, ready, &request);
    world_drain(connections, ready);
    world_phase("surge");
    world_gc("gc1");
    world_gc("gc2");
    if (!scenario_get(s, "closes"))
        return;
    world_close(connections, ready);
    world_phase("close");
    world_gc("gc3");
    world_gc("gc4");
}

void model_barrier_response_copy(const struct scenario *s) {
    int64_t connections = scenario_get(s, "connections"), ready = scenario_get(s, "ready");
    msg_bytes = scenario_get(s, "size") - 8; /* what surrounds Msg in the payload */
    start(s, main_EchoServerImpl_EchoShared, false);
    runtime_addroot(&answer, &type_string);
    answer.ptr = runtime_makeslice(&type_byte, msg_bytes);
    answer.len = msg_bytes;
    struct message request = {.kind = MESSAGE_ECHO, .bytes = REQUEST_BYTES};
    world_send(connections, connections, &request);
    world_phase("slow");
    world_gc("gc1");
    world_gc("gc2");
    world_drain(connections, ready);
    world_phase("drained");
    world_close(connections, scenario_get(s, "closing"));
    world_phase("close");
    answer = (struct go_string){NULL, 0};
    world_gc("gc3");
    world_gc("gc4");
}
