/* Messages that peers send: built once as a template, patched per connection. No malloc, so that
 * the peers leave no trace in a recording.
 *
 *   raw   [u32 rest]                         [filler ...]
 *   echo  [u32 rest] [u32 11] ["id-NNNNNNNN"] [u32 len] [Msg ...]
 *   json  as echo, Msg = {"s0":"...", ..., "pad":"..."}
 * Numbers are big-endian. Context: one thread. */
#ifndef WH_SIM_PEER_MESSAGE_H
#define WH_SIM_PEER_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define MESSAGE_ID_AT    8 /* offset of the id's text in echo and json */
#define MESSAGE_ID_BYTES 11
#define MESSAGE_MSG_AT   (MESSAGE_ID_AT + MESSAGE_ID_BYTES + 4)

enum message_kind { MESSAGE_RAW, MESSAGE_ECHO, MESSAGE_JSON };

struct message {
    uint32_t kind;     /* enum message_kind */
    uint32_t first_id; /* of the first connection of the range; the others count up */
    uint64_t bytes;    /* raw: the whole packet; echo, json: the Msg field alone */
    uint32_t strings;  /* json: short strings */
    uint32_t string_bytes;
    uint32_t escaped;  /* json: of these, how many contain an escape */
    uint32_t reserved; /* 0: messages are compared as bytes */
};

/* Bytes on the wire. */
uint64_t message_total(const struct message *message);
/* The message as bytes, valid until the next call. NULL: no memory. */
const uint8_t *message_template(const struct message *message);
/* Copies [offset, offset + count) of the message of connection first_id + index. */
void message_copy(const struct message *message, uint32_t index, uint64_t offset, uint8_t *to,
                  size_t count);

#endif
