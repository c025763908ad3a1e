/* Encoding and decoding of records (event.h). The encoder is inline for the hook's sake.
 *
 * wh_writer: the producer's cursor in its open block. Every wh_put_* writes at cursor and advances
 * it without publishing; the caller checks room first (WH_RECORD_MAX covers every record without
 * text) and publishes with wh_writer_commit(). Context: hook.
 *
 * wh_reader: walks one block's committed bytes. Context: any, no allocation. */
#ifndef WH_WIRE_CODEC_H
#define WH_WIRE_CODEC_H

#include "wire/event.h"
#include "wire/session.h"

#define WH_RECORD_MAX 96u /* upper bound of a record without its texts */

struct wh_writer {
    uint8_t *cursor; /* next byte */
    uint8_t *end;    /* one past the payload */
    uint64_t ticks;  /* shifted, of the previous record */
    uint64_t address;
    uint64_t ip;
    uint32_t stack;
};

static inline uint64_t wh_zigzag(int64_t v) {
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t wh_unzigzag(uint64_t v) {
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
static inline uint8_t *wh_put_varint(uint8_t *p, uint64_t v) {
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* The same for where three bytes behind the value may be overwritten: lengths follow each other
 * without a pattern, so no branch asks for them. */
static inline uint8_t *wh_put_varint_open(uint8_t *p, uint64_t v) {
    if (__builtin_expect(v >> 28 != 0, 0))
        return wh_put_varint(p, v);
    static const uint32_t more[4] = {0, 0x80, 0x8080, 0x808080};
    uint32_t x = (uint32_t)v;
    x = (x & 0x3fff) | (x & 0xfffc000) << 2;
    x = (x & 0x7f007f) | (x & 0x3f803f80) << 1;
    uint32_t last = (31 - (uint32_t)__builtin_clz(x | 1)) / 8;
    x |= more[last];
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap32(x);
#endif
    __builtin_memcpy(p, &x, sizeof x);
    return p + 1 + last;
}

/* A varint where eight bytes can be read. NULL: more than 56 bits, left to a careful reader.
 * Without a branch on the length, which nobody can predict: the end is the first byte without its
 * top bit, and the groups of seven bits are moved together in pairs. */
static inline const uint8_t *wh_get_varint_sure(const uint8_t *p, uint64_t *ret_value) {
    uint64_t w;
    __builtin_memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    uint64_t ends = ~w & 0x8080808080808080ull;
    if (!ends)
        return NULL;
    w &= (ends ^ (ends - 1)) & 0x7f7f7f7f7f7f7f7full;
    w = (w & 0x007f007f007f007full) | (w & 0x7f007f007f007f00ull) >> 1;
    w = (w & 0x00003fff00003fffull) | (w & 0x3fff00003fff0000ull) >> 2;
    *ret_value = (w & 0x000000000fffffffull) | (w & 0x0fffffff00000000ull) >> 4;
    return p + (unsigned)__builtin_ctzll(ends) / 8 + 1;
}

struct wh_reader {
    const uint8_t *cursor, *end;
    uint64_t ticks, address, ip;
    uint32_t stack;
    uint8_t odd;
};

/* Starts reading `bytes` of a block's payload with the header's base values. */
void wh_reader_init(struct wh_reader *r, const struct wh_block *header, const uint8_t *payload,
                    uint32_t bytes);

/* Decodes the next record into *ret_event.
 * 1 = one record, 0 = end of data, -1 = malformed (the reader stays there). */
int wh_reader_next(struct wh_reader *r, struct wh_event *ret_event);

/* Encodes *e (any kind) at the writer's cursor and advances it; the inverse of wh_reader_next.
 * Returns bytes written, 0 when it does not fit. The hook's hot path may inline ALLOC and FREE. */
uint32_t wh_writer_put(struct wh_writer *w, const struct wh_event *e);

#endif
