/* Kitex's default codec on netpoll buffers: what is copied, what is referred to.
 *
 *   request   [u32 rest] [u32 n][Id] [u32 n][Msg]
 *   response  [u32 rest] [u32 n] [Msg] [u32 Code]
 * Strings that are read become private copies (LinkBuffer.readBinary), or pieces of a span when the
 * span cache is on. A Msg that is written is copied into the output buffer, or, with NoCopy and
 * above 4096 bytes, linked into it. Context: one thread. */
#ifndef WH_SIM_KITEX_CODEC_H
#define WH_SIM_KITEX_CODEC_H

#include "kitex/echo.h"
#include "netpoll/connection.h"

#define NOCOPY_THRESHOLD 4096

struct codec_options {
    bool is_nocopy; /* Msg supports NoCopy serialisation */
    bool has_spans; /* kitex v0.10.0: fields of 128 B to 128 KiB come out of shared spans */
};
extern struct codec_options codec_options;

/* Bytes of the packet at the head of the input buffer, 0 = its length is not there yet. */
int64_t codec_packet_bytes(struct connection *c);

struct echo_Request *codec_defaultCodec_Decode(struct connection *c);
struct echo_Response *codec_defaultCodec_DecodeResponse(struct connection *c);
void codec_defaultCodec_Encode(struct connection *c, const struct echo_Response *response);

#endif
