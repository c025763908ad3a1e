/* The codec, see codec.h. One C function per Go function and per field: a profile's stack ends in
 * ReadField2, and that number is what the reader looks up in the IDL. */
#include "kitex/codec.h"

#include <string.h>

#include "kitex/span.h"
#include "runtime/runtime.h"

GO_TYPE(type_echo_Request, struct echo_Request, offsetof(struct echo_Request, Id.ptr),
        offsetof(struct echo_Request, Msg.ptr));
GO_TYPE(type_echo_Response, struct echo_Response, offsetof(struct echo_Response, Id.ptr),
        offsetof(struct echo_Response, Msg.ptr));

struct codec_options codec_options;

static int64_t get_u32(const uint8_t *p) {
    return (int64_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static void put_u32(uint8_t *p, int64_t value) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (24 - 8 * i));
}

int64_t codec_packet_bytes(struct connection *c) {
    if (LinkBuffer_Len(c->inputBuffer) < 4)
        return 0;
    return 4 + get_u32(LinkBuffer_Peek(c->inputBuffer, 4).ptr);
}

/* --- reading --- */

static struct go_string netpollByteBuffer_ReadString(struct connection *c, int64_t n) {
    if (codec_options.has_spans && n >= SPAN_STRING_MIN && n <= SPAN_STRING_MAX) {
        struct slice_byte piece = span_Cache_Make(n);
        struct slice_byte bytes = LinkBuffer_Next(c->inputBuffer, n);
        memcpy(piece.ptr, bytes.ptr, (size_t)n);
        return (struct go_string){(char *)piece.ptr, n};
    }
    return connection_ReadString(c, n);
}

static struct go_string thrift_BinaryProtocol_ReadString(struct connection *c) {
    int64_t n = get_u32(LinkBuffer_Next(c->inputBuffer, 4).ptr);
    return netpollByteBuffer_ReadString(c, n);
}

static void echo_Request_ReadField1(struct echo_Request *request, struct connection *c) {
    request->Id = thrift_BinaryProtocol_ReadString(c);
}

static void echo_Request_ReadField2(struct echo_Request *request, struct connection *c) {
    request->Msg = thrift_BinaryProtocol_ReadString(c);
}

static void echo_Request_Read(struct echo_Request *request, struct connection *c) {
    echo_Request_ReadField1(request, c);
    echo_Request_ReadField2(request, c);
}

static struct echo_Request *echo_EchoServerEchoArgs_ReadField1(struct connection *c) {
    struct echo_Request *request = runtime_newobject(&type_echo_Request);
    echo_Request_Read(request, c);
    return request;
}

static struct echo_Request *echo_EchoServerEchoArgs_Read(struct connection *c) {
    return echo_EchoServerEchoArgs_ReadField1(c);
}

static struct echo_Request *thrift_thriftCodec_Unmarshal(struct connection *c) {
    return echo_EchoServerEchoArgs_Read(c);
}

static struct echo_Request *codec_defaultCodec_decodePayload(struct connection *c) {
    return thrift_thriftCodec_Unmarshal(c);
}

struct echo_Request *codec_defaultCodec_Decode(struct connection *c) {
    LinkBuffer_Skip(c->inputBuffer, 4);
    return codec_defaultCodec_decodePayload(c);
}

static void echo_Response_ReadField1(struct echo_Response *response, struct connection *c) {
    response->Id = thrift_BinaryProtocol_ReadString(c);
}

static void echo_Response_ReadField2(struct echo_Response *response, struct connection *c) {
    response->Msg = thrift_BinaryProtocol_ReadString(c);
}

static void echo_Response_Read(struct echo_Response *response, struct connection *c) {
    echo_Response_ReadField1(response, c);
    echo_Response_ReadField2(response, c);
}

static struct echo_Response *echo_EchoServerEchoResult_ReadField0(struct connection *c) {
    struct echo_Response *response = runtime_newobject(&type_echo_Response);
    echo_Response_Read(response, c);
    return response;
}

static struct echo_Response *echo_EchoServerEchoResult_Read(struct connection *c) {
    return echo_EchoServerEchoResult_ReadField0(c);
}

static struct echo_Response *thrift_thriftCodec_UnmarshalResult(struct connection *c) {
    return echo_EchoServerEchoResult_Read(c);
}

static struct echo_Response *codec_defaultCodec_decodeResult(struct connection *c) {
    return thrift_thriftCodec_UnmarshalResult(c);
}

struct echo_Response *codec_defaultCodec_DecodeResponse(struct connection *c) {
    LinkBuffer_Skip(c->inputBuffer, 4);
    return codec_defaultCodec_decodeResult(c);
}

/* --- writing --- */

static struct slice_byte netpollByteBuffer_Malloc(struct connection *c, int64_t n) {
    return connection_Malloc(c, n);
}

/* Msg is linked into the chain: the output buffer refers to the handler's own memory. */
static void thrift_thriftCodec_MarshalNocopy(struct connection *c, const struct echo_Response *r) {
    struct slice_byte fields = netpollByteBuffer_Malloc(c, 8);
    struct slice_byte msg = {(uint8_t *)r->Msg.ptr, r->Msg.len, r->Msg.len};
    put_u32(fields.ptr, r->Msg.len);
    LinkBuffer_WriteDirect(c->outputBuffer, msg, 4);
    put_u32(fields.ptr + 4, r->Code);
}

static void thrift_thriftCodec_Marshal(struct connection *c, const struct echo_Response *r) {
    if (codec_options.is_nocopy && r->Msg.len > NOCOPY_THRESHOLD) {
        thrift_thriftCodec_MarshalNocopy(c, r);
        return;
    }
    struct slice_byte fields = netpollByteBuffer_Malloc(c, r->Msg.len + 8);
    put_u32(fields.ptr, r->Msg.len);
    memcpy(fields.ptr + 4, r->Msg.ptr, (size_t)r->Msg.len);
    put_u32(fields.ptr + 4 + r->Msg.len, r->Code);
}

static void codec_defaultCodec_encodePayload(struct connection *c, const struct echo_Response *r) {
    thrift_thriftCodec_Marshal(c, r);
}

void codec_defaultCodec_Encode(struct connection *c, const struct echo_Response *response) {
    struct slice_byte header = netpollByteBuffer_Malloc(c, 4);
    put_u32(header.ptr, response->Msg.len + 8);
    codec_defaultCodec_encodePayload(c, response);
}
