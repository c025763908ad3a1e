/* Decoding and encoding of records (event.h): the reader used by the recorder, the trace's readers
 * and the tests, and the general writer. Both walk the same per-kind table of operands, so they
 * cannot drift apart. The hard thing is hostility: a reader's input may be anything, so every
 * operand is bounded by the end of the data before it is read. */
#include "wire/codec.h"

#include <string.h>

/* Operands of each record, in order. 't' dt · 'b' before · 'a' address · 'o' old address · 's' size
 * · 'k' stack · 'n' node · 'p' parent · 'i' ip delta · 'N' number · 'M' number2 · 'P' number3 · 'B'
 * base (absolute address) · 'L' load bias · 'x' text · 'y' text2 */
static const char *operands(uint8_t kind, uint8_t detail) {
    switch (kind) {
    case WH_EV_ALLOC:
        return detail < WH_ALLOC_KINDS ? "task" : NULL;
    case WH_EV_FREE:
        return detail == 0   ? "ta"
               : detail == 1 ? "tak"
               : detail == 2 ? "tas"
               : detail == 3 ? "taks"
                             : NULL;
    case WH_EV_REALLOC:
        return detail < WH_ALLOC_KINDS ? "tboask" : NULL;
    case WH_EV_NODE:
        return "npi";
    case WH_EV_THREAD:
        return detail == 0 ? "tNx" : detail == 1 ? "tN" : NULL;
    case WH_EV_IMAGE:
        return "tNMxy";
    case WH_EV_FORK:
        return detail == 0 ? "tN" : detail == 1 ? "tNM" : detail == 2 ? "tNMPn" : NULL;
    case WH_EV_MODULE:
        return detail == 0 ? "tBsxyL" : detail == 1 ? "tB" : NULL;
    case WH_EV_EXIT:
    case WH_EV_LOST:
        return "tN";
    case WH_EV_SNAPSHOT:
        return "tNx";
    case WH_EV_POOL:
        return detail == 0 ? "taskx" : detail == 1 ? "ta" : NULL;
    case WH_EV_PAUSE:
        return "t";
    case WH_EV_NOTE:
        return "tx";
    default:
        return NULL;
    }
}

void wh_reader_init(struct wh_reader *r, const struct wh_block *header, const uint8_t *payload,
                    uint32_t bytes) {
    *r = (struct wh_reader){.cursor = payload,
                            .end = payload + bytes,
                            .ticks = header->base_ticks,
                            .address = header->base_address,
                            .ip = header->base_ip,
                            .stack = header->base_stack};
}

/* Reads one varint; returns 0 when the data ends inside it or it exceeds 64 bits. */
static int get_varint(const uint8_t **cursor, const uint8_t *end, uint64_t *ret_value) {
    uint64_t value = 0;
    const uint8_t *p = *cursor;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (p == end)
            return 0;
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return 0;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *cursor = p;
            *ret_value = value;
            return 1;
        }
    }
    return 0;
}

/* Decodes the operand `op` of *e; r is the caller's scratch copy. */
static int get_operand(struct wh_reader *r, char op, struct wh_event *e) {
    uint64_t v;
    if (!get_varint(&r->cursor, r->end, &v))
        return 0;
    switch (op) {
    case 't':
        r->ticks += v;
        e->ticks = e->before_ticks = r->ticks;
        break;
    case 'b':
        e->before_ticks = e->ticks - v;
        break;
    case 'a':
    case 'o':
        r->address = (((r->address >> 3) + (uint64_t)wh_unzigzag(v)) << 3) | (r->odd & 7u);
        r->odd >>= 3;
        *(op == 'a' ? &e->address : &e->old_address) = r->address;
        break;
    case 'B':
        e->address = v;
        break;
    case 's':
        e->size = v;
        break;
    case 'k':
        r->stack += (uint32_t)wh_unzigzag(v);
        e->stack = r->stack;
        break;
    case 'n':
        if (v > UINT32_MAX)
            return 0;
        e->node = (uint32_t)v;
        break;
    case 'p':
        if (v > UINT32_MAX)
            return 0;
        e->parent = (uint32_t)v;
        break;
    case 'i':
        r->ip += (uint64_t)wh_unzigzag(v);
        e->ip = r->ip;
        break;
    case 'L':
        e->ip = v;
        break;
    case 'N':
        e->number = v;
        break;
    case 'M':
        e->number2 = v;
        break;
    case 'P':
        e->number3 = v;
        break;
    default: /* texts */
        if (v > (uint64_t)(r->end - r->cursor))
            return 0;
        *(op == 'x' ? &e->text : &e->text2) = (const char *)r->cursor;
        *(op == 'x' ? &e->text_bytes : &e->text2_bytes) = (uint32_t)v;
        r->cursor += v;
    }
    return 1;
}

/* Member by member: compilers clear as much as this at once by an instruction that is slow to
 * start.
 */
static inline void clear(struct wh_event *e) {
    e->old_address = e->size = e->ip = 0;
    e->stack = e->node = e->parent = 0;
    e->number = e->number2 = e->number3 = 0;
    e->text = e->text2 = NULL;
    e->text_bytes = e->text2_bytes = 0;
}

#define SURE_BYTES 48u /* no ALLOC or FREE without stack and size is longer */

/* The two records that nearly all are, far from the end of the data. 0: look again carefully. */
static int next_usual(struct wh_reader *r, struct wh_event *ret_event) {
    const uint8_t *p = r->cursor;
    uint64_t low = 0, dt, address, size, stack;
    if ((*p & 15) == WH_EV_ODD) {
        low = p[1] & 7u;
        p += 2;
    }
    uint8_t tag = *p++, kind = tag & 15u, detail = (uint8_t)(tag >> 4);
    if (kind == WH_EV_ALLOC ? detail >= WH_ALLOC_KINDS : tag != WH_EV_FREE)
        return 0;
    if (!(p = wh_get_varint_sure(p, &dt)) || !(p = wh_get_varint_sure(p, &address)))
        return 0;
    clear(ret_event);
    ret_event->kind = kind;
    ret_event->detail = detail;
    if (kind == WH_EV_ALLOC) {
        if (!(p = wh_get_varint_sure(p, &size)) || !(p = wh_get_varint_sure(p, &stack)))
            return 0;
        r->stack += (uint32_t)wh_unzigzag(stack);
        ret_event->size = size;
        ret_event->stack = r->stack;
    }
    r->ticks += dt;
    r->address = (((r->address >> 3) + (uint64_t)wh_unzigzag(address)) << 3) | low;
    r->odd = 0;
    r->cursor = p;
    ret_event->ticks = ret_event->before_ticks = r->ticks;
    ret_event->address = r->address;
    return 1;
}

int wh_reader_next(struct wh_reader *r, struct wh_event *ret_event) {
    if (r->end - r->cursor >= (ptrdiff_t)SURE_BYTES && next_usual(r, ret_event))
        return 1;
    struct wh_reader at = *r; /* a malformed record leaves *r where it was */
    at.odd = 0;
    if (at.cursor == at.end || *at.cursor == WH_EV_END)
        return 0;
    if ((*at.cursor & 15) == WH_EV_ODD) {
        if (at.end - at.cursor < 3)
            return -1;
        at.odd = at.cursor[1] & 63u;
        at.cursor += 2;
    }
    uint8_t tag = *at.cursor++;
    struct wh_event e = {.kind = tag & 15u, .detail = (uint8_t)(tag >> 4)};
    const char *op = operands(e.kind, e.detail);
    if (!op)
        return -1;
    for (; *op; op++)
        if (!get_operand(&at, *op, &e))
            return -1;
    *r = at;
    *ret_event = e;
    return 1;
}

static uint8_t *put_text(uint8_t *p, const char *text, uint32_t bytes) {
    p = wh_put_varint(p, bytes);
    if (bytes)
        memcpy(p, text, bytes);
    return p + bytes;
}

static uint8_t *put_operand(struct wh_writer *w, uint8_t *p, char op, const struct wh_event *e) {
    uint64_t address;
    switch (op) {
    case 't':
        p = wh_put_varint(p, e->ticks - w->ticks);
        w->ticks = e->ticks;
        return p;
    case 'b':
        return wh_put_varint(p, e->ticks - e->before_ticks);
    case 'a':
    case 'o':
        address = op == 'a' ? e->address : e->old_address;
        p = wh_put_varint(p, wh_zigzag((int64_t)((address >> 3) - (w->address >> 3))));
        w->address = address;
        return p;
    case 'B':
        return wh_put_varint(p, e->address);
    case 's':
        return wh_put_varint(p, e->size);
    case 'k':
        p = wh_put_varint(p, wh_zigzag((int32_t)(e->stack - w->stack)));
        w->stack = e->stack;
        return p;
    case 'n':
        return wh_put_varint(p, e->node);
    case 'p':
        return wh_put_varint(p, e->parent);
    case 'i':
        p = wh_put_varint(p, wh_zigzag((int64_t)(e->ip - w->ip)));
        w->ip = e->ip;
        return p;
    case 'L':
        return wh_put_varint(p, e->ip);
    case 'N':
        return wh_put_varint(p, e->number);
    case 'M':
        return wh_put_varint(p, e->number2);
    case 'P':
        return wh_put_varint(p, e->number3);
    case 'x':
        return put_text(p, e->text, e->text_bytes);
    default:
        return put_text(p, e->text2, e->text2_bytes);
    }
}

/* The low three bits of the addresses of *e, in the order in which they are written. */
static uint8_t odd_bits(const struct wh_event *e) {
    if (e->kind == WH_EV_REALLOC)
        return (uint8_t)((e->old_address & 7) | (e->address & 7) << 3);
    if (e->kind == WH_EV_ALLOC || e->kind == WH_EV_FREE || e->kind == WH_EV_POOL)
        return (uint8_t)(e->address & 7);
    return 0;
}

uint32_t wh_writer_put(struct wh_writer *w, const struct wh_event *e) {
    const char *op = operands(e->kind, e->detail);
    uint64_t texts = (uint64_t)e->text_bytes + e->text2_bytes;
    if (!op || texts + WH_RECORD_MAX > (uint64_t)(w->end - w->cursor))
        return 0;
    uint8_t *p = w->cursor;
    uint8_t odd = odd_bits(e);
    if (odd) {
        *p++ = WH_EV_ODD;
        *p++ = odd;
    }
    *p++ = (uint8_t)(e->kind | e->detail << 4);
    for (; *op; op++)
        p = put_operand(w, p, *op, e);
    uint32_t bytes = (uint32_t)(p - w->cursor);
    w->cursor = p;
    return bytes;
}
