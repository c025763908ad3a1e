/* Models retained-request-field, retained-response-field, string-alias and span-cache: one `cache`
 * that keeps a little of each message, and what that little pins.
 *
 * The first two keep Msg[offset:offset+keep], which pins the whole private copy of the field. The
 * third keeps an object whose strings point into the JSON text it was decoded from. The fourth
 * keeps a byte of a field that was carved out of a span of 1 MiB. */
#include <string.h>

#include "kitex/client.h"
#include "kitex/server.h"
#include "kitex/span.h"
#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"

const char *const retained_request_field_parameters[] = {"keys", "size",   "connections", "offset",
                                                         "keep", "copies", NULL};
const char *const retained_response_field_parameters[] = {
    "keys", "size", "connections", "offset", "keep", "timeout", "copies", NULL};
const char *const span_cache_parameters[] = {"requests", "size", "keep_every", "spans", NULL};

#define SPAN_CONNECTIONS 8

SYNC_MAP_OF(string_map, struct go_string);
struct string_map cache; /* main.cache of the handbook */

static struct {
    int64_t offset, keep, keep_every, seen;
    bool copies;
} policy;

static void start_cache(void) {
    cache = (struct string_map){NULL};
    runtime_addroot(&cache, &type_sync_Map);
    policy.seen = 0;
}

static struct go_string strings_Clone(const char *text, int64_t count) {
    return runtime_gostringn(text, count);
}

static void cache_Store(struct go_string id, struct go_string msg) {
    struct go_string piece = {msg.ptr + policy.offset, policy.keep};
    if (policy.copies)
        piece = strings_Clone(piece.ptr, piece.len);
    sync_Map_Store(SYNC_MAP(&cache), runtime_convTstring(id), runtime_convTstring(piece));
}

static struct echo_Response *main_EchoServerImpl_Echo(struct echo_Request *request) {
    if (policy.seen++ % policy.keep_every == policy.keep_every - 1)
        cache_Store(request->Id, request->Msg);
    return NULL;
}

/* Every key's message once, as many at a time as there are connections. */
static void requests(int64_t keys, int64_t connections, int64_t size) {
    for (int64_t done = 0; done < keys; done += connections) {
        struct message request = {
            .kind = MESSAGE_ECHO, .first_id = (uint32_t)done, .bytes = (uint64_t)size};
        int64_t now = keys - done < connections ? keys - done : connections;
        world_send(now, now, &request);
    }
}

static void serve(int64_t connections) {
    start_cache();
    kitex_server_handler(main_EchoServerImpl_Echo);
    world_accept(connections, transServer_onConnRead);
    world_phase("connect");
}

void model_retained_request_field(const struct scenario *s) {
    int64_t connections = scenario_get(s, "connections");
    world_netpoll(connections, true);
    policy.offset = scenario_get(s, "offset");
    policy.keep = scenario_get(s, "keep");
    policy.copies = scenario_get(s, "copies") != 0;
    policy.keep_every = 1;
    serve(connections);
    requests(scenario_get(s, "keys"), connections, scenario_get(s, "size"));
    world_phase("stored");
    world_gc("gc1");
    world_gc("gc2");
}

void model_span_cache(const struct scenario *s) {
    world_netpoll(SPAN_CONNECTIONS, true);
    codec_options.has_spans = scenario_get(s, "spans") != 0;
    if (codec_options.has_spans)
        span_NewSpanCache();
    policy.offset = 0;
    policy.keep = 1;
    policy.copies = false;
    policy.keep_every = scenario_get(s, "keep_every");
    serve(SPAN_CONNECTIONS);
    requests(scenario_get(s, "requests"), SPAN_CONNECTIONS, scenario_get(s, "size"));
    world_phase("stored");
    world_gc("gc1");
    world_gc("gc2");
}

/* --- as a client --- */

static struct echo_Response *kEchoServerClient_Echo(struct connection *c, bool has_timeout) {
    return client_kClient_Call(c, has_timeout);
}

static void main_request(struct connection *c, bool has_timeout) {
    struct echo_Response *response = kEchoServerClient_Echo(c, has_timeout);
    cache_Store(response->Id, response->Msg);
}

void model_retained_response_field(const struct scenario *s) {
    int64_t connections = scenario_get(s, "connections"), keys = scenario_get(s, "keys");
    world_netpoll(connections, true);
    policy.offset = scenario_get(s, "offset");
    policy.keep = scenario_get(s, "keep");
    policy.copies = scenario_get(s, "copies") != 0;
    start_cache();
    world_dial(connections);
    for (int64_t done = 0; done < keys; done += connections) {
        struct message response = {.kind = MESSAGE_ECHO,
                                   .first_id = (uint32_t)done,
                                   .bytes = (uint64_t)scenario_get(s, "size")};
        int64_t now = keys - done < connections ? keys - done : connections;
        world_send(now, now, &response);
        for (int64_t i = 0; i < now; i++)
            main_request(dialed.ptr[i], scenario_get(s, "timeout") != 0);
    }
    world_phase("stored");
    world_gc("gc1");
    world_gc("gc2");
}
