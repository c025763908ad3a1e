/* Sorting into columns and back.
 *
 * packed = the columns' lengths as varints, then one zstd frame of the columns one after another,
 * flushed between them so that each has its own statistics. The records that nearly all are, an
 * allocation and a free of an aligned block, are taken apart; everything else is kept as it stands
 * in the column REST, malformed bytes too. */
#include "schema/columns.h"
#include "schema/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "wire/codec.h"

enum column {
    HEAD,   /* the block headers, 64 bytes each */
    TAG,    /* a byte a record: its tag, or one of those below */
    DT,     /* varints */
    SIZE,   /* varints */
    PLACE0, /* two bytes of the address's number among those of the chunk, 0 = not seen before */
    PLACE1,
    NEW, /* the addresses not seen before: varints, the zigzag difference to the last address >> 3
          */
    STACK0, /* three bytes of the node, not of the difference */
    STACK1,
    STACK2,
    REST, /* other records: varint of the length, bytes; what is no record: bytes */
    TAIL, /* behind the last whole block */
    COLUMNS
};
enum { TAG_AS_IT_STANDS = WH_EV_ODD, TAG_NO_RECORD = WH_EV_END };

#define FREE_PLAIN ((uint8_t)WH_EV_FREE)
#define PLACES_MAX 65535u
#define LEVEL      1

static int is_plain(uint8_t tag) {
    return tag == FREE_PLAIN || ((tag & 15) == WH_EV_ALLOC && tag >> 4 < WH_ALLOC_KINDS);
}

/* The hash table of a chunk has a slot for every other byte of it, within these bounds; half of
 * them may be used. Both sides must agree on that. */
static uint32_t table_mask(size_t bytes) {
    uint32_t mask = 255;
    while (mask < bytes / 2 && mask < 2 * PLACES_MAX)
        mask = mask * 2 + 1;
    return mask;
}

static uint32_t places_max(uint32_t mask) {
    return mask / 2 < PLACES_MAX ? mask / 2 : PLACES_MAX;
}

struct wh_packer {
    void (*rest)(void *arg);
    void *rest_arg;
    ZSTD_CCtx *zstd;
    unsigned char *columns[COLUMNS]; /* in one piece of memory, as is `packed` */
    unsigned char *memory, *packed;
    size_t room, packed_room; /* bytes of data for which memory is enough */
    uint16_t *slots;          /* hash table of places by address */
    uint64_t *places;         /* addresses >> 3 by number */
};

void wh_packer_free(struct wh_packer *p) {
    if (!p)
        return;
    ZSTD_freeCCtx(p->zstd);
    free(p->memory);
    free(p->packed);
    free(p->slots);
    free(p->places);
    free(p);
}

static void rest(const struct wh_packer *p) {
    if (p->rest)
        p->rest(p->rest_arg);
}

/* --- packing
 * -------------------------------------------------------------------------------------- */

static int reserve(struct wh_packer *p, size_t bytes) {
    if (!p->zstd && !(p->zstd = ZSTD_createCCtx()))
        return -1;
    if (!p->slots) {
        p->slots = malloc(2 * (PLACES_MAX + 1) * sizeof *p->slots);
        p->places = malloc((PLACES_MAX + 1) * sizeof *p->places);
        if (!p->slots || !p->places)
            return -1;
    }
    if (bytes <= p->room)
        return 0;
    /* No column is longer than the data, but for REST, where a length goes before a record. */
    free(p->memory);
    p->room = 0;
    size_t each = bytes + 16;
    p->memory = malloc(each * (COLUMNS + 1));
    if (!p->memory)
        return -1;
    for (int c = 0; c < COLUMNS; c++)
        p->columns[c] = p->memory + each * (size_t)(c + (c > REST));
    p->room = bytes;
    return 0;
}

struct sorting {
    struct wh_packer *packer;
    unsigned char *at[COLUMNS];
    uint32_t mask, seen; /* of the hash table; addresses */
};

/* The number of an address, 0 = it is new. */
static uint32_t place_of(struct sorting *s, uint64_t address) {
    uint16_t *slots = s->packer->slots;
    uint64_t *places = s->packer->places;
    uint32_t i = (uint32_t)(address * 0x9e3779b97f4a7c15ull >> 40) & s->mask;
    for (; slots[i]; i = (i + 1) & s->mask)
        if (places[slots[i]] == address)
            return slots[i];
    if (s->seen < places_max(s->mask)) {
        places[++s->seen] = address;
        slots[i] = (uint16_t)s->seen;
    }
    return 0;
}

static void add(unsigned char **at, const uint8_t *from, size_t bytes) {
    if (bytes) /* of nothing there may be no column yet */
        memcpy(*at, from, bytes);
    *at += bytes;
}

static unsigned length_of(uint64_t value) {
    return (70u - (unsigned)__builtin_clzll(value | 1)) / 7;
}

/* One record between two states of the reader. */
static void sort_record(struct sorting *s, const struct wh_reader *before,
                        const struct wh_reader *after, const struct wh_event *e) {
    const uint8_t *start = before->cursor;
    uint64_t dt = after->ticks - before->ticks, line = after->address >> 3;
    uint64_t back = wh_zigzag((int64_t)(line - (before->address >> 3)));
    size_t bytes = (size_t)(after->cursor - start);
    bool is_alloc = e->kind == WH_EV_ALLOC;
    unsigned dt_bytes = length_of(dt), back_bytes = length_of(back);
    unsigned size_bytes = is_alloc ? length_of(e->size) : 0;
    unsigned stack_bytes =
        is_alloc ? length_of(wh_zigzag((int32_t)(after->stack - before->stack))) : 0;
    /* As long as it can be at least, and short enough that no bit of it was lost in reading: then
     * it is what would be written again. */
    bool plain = is_plain(*start) && e->stack < 1u << 24 && dt_bytes <= 9 && back_bytes <= 8 &&
                 size_bytes <= 9 && stack_bytes <= 4 &&
                 bytes == 1 + dt_bytes + back_bytes + size_bytes + stack_bytes;
    if (!plain) {
        *s->at[TAG]++ = TAG_AS_IT_STANDS;
        s->at[REST] = wh_put_varint(s->at[REST], bytes);
        add(&s->at[REST], start, bytes);
        return;
    }
    *s->at[TAG]++ = *start;
    s->at[DT] = wh_put_varint(s->at[DT], dt);
    uint32_t place = place_of(s, line);
    *s->at[PLACE0]++ = (uint8_t)place;
    *s->at[PLACE1]++ = (uint8_t)(place >> 8);
    if (!place)
        s->at[NEW] = wh_put_varint(s->at[NEW], back);
    if (!is_alloc)
        return;
    s->at[SIZE] = wh_put_varint(s->at[SIZE], e->size);
    *s->at[STACK0]++ = (uint8_t)e->stack;
    *s->at[STACK1]++ = (uint8_t)(e->stack >> 8);
    *s->at[STACK2]++ = (uint8_t)(e->stack >> 16);
}

/* --- the same for the records that nearly all are, whose values are copied as they stand where
 * they need not be known */

#define USUAL_BYTES 48u /* no plain record is longer, with what is looked at behind it */

/* A varint of at most eight bytes that is as short as can be, to a column. NULL: it is not. */
static const uint8_t *move(const uint8_t *p, unsigned char **column) {
    uint64_t w, unused;
    const uint8_t *end = wh_get_varint_sure(p, &unused);
    if (!end || (end[-1] == 0 && end - p > 1))
        return NULL;
    memcpy(&w, p, sizeof w);
    memcpy(*column, &w, sizeof w);
    *column += end - p;
    return end;
}

/* false: nothing was done, it is for sort_record(). */
static bool sort_usual(struct sorting *s, struct wh_reader *r) {
    unsigned char *dt_at = s->at[DT], *new_at = s->at[NEW], *size_at = s->at[SIZE];
    const uint8_t *p = r->cursor, *address;
    uint8_t tag = *p++;
    uint32_t stack = r->stack;
    uint64_t back, stack_back;
    if (!is_plain(tag) || !(p = move(p, &dt_at)))
        return false;
    address = p;
    if (!(p = wh_get_varint_sure(address, &back)) || !move(address, &new_at))
        return false;
    uint64_t line = (r->address >> 3) + (uint64_t)wh_unzigzag(back);
    if (line >> 61)
        return false;
    if (tag != FREE_PLAIN) {
        const uint8_t *last;
        if (!(last = move(p, &size_at)) || !(p = wh_get_varint_sure(last, &stack_back)) ||
            p - last > 4 || (p[-1] == 0 && p - last > 1))
            return false;
        stack += (uint32_t)wh_unzigzag(stack_back);
        if (stack >> 24)
            return false;
        *s->at[STACK0]++ = (uint8_t)stack;
        *s->at[STACK1]++ = (uint8_t)(stack >> 8);
        *s->at[STACK2]++ = (uint8_t)(stack >> 16);
        s->at[SIZE] = size_at;
    }
    *s->at[TAG]++ = tag;
    s->at[DT] = dt_at;
    uint32_t place = place_of(s, line);
    *s->at[PLACE0]++ = (uint8_t)place;
    *s->at[PLACE1]++ = (uint8_t)(place >> 8);
    if (!place)
        s->at[NEW] = new_at;
    r->cursor = p;
    r->address = line << 3;
    r->stack = stack;
    return true;
}

static void sort_block(struct sorting *s, const struct wh_block *header, const uint8_t *payload,
                       uint32_t bytes) {
    struct wh_reader r, before;
    struct wh_event e;
    wh_reader_init(&r, header, payload, bytes);
    for (;;) {
        while (r.end - r.cursor >= (ptrdiff_t)USUAL_BYTES && sort_usual(s, &r))
            ;
        before = r;
        if (wh_reader_next(&r, &e) != 1)
            break;
        sort_record(s, &before, &r, &e);
    }
    if (r.cursor == r.end)
        return;
    *s->at[TAG]++ = TAG_NO_RECORD;
    add(&s->at[REST], r.cursor, (size_t)(r.end - r.cursor));
}

static void sort(struct sorting *s, const unsigned char *data, size_t bytes) {
    struct wh_block header;
    while (bytes >= sizeof header) {
        memcpy(&header, data, sizeof header);
        uint32_t payload = atomic_load_explicit(&header.committed, memory_order_relaxed);
        if (payload > bytes - sizeof header)
            break;
        add(&s->at[HEAD], data, sizeof header);
        sort_block(s, &header, data + sizeof header, payload);
        rest(s->packer);
        data += sizeof header + payload;
        bytes -= sizeof header + payload;
    }
    add(&s->at[TAIL], data, bytes);
}

/* All columns into one frame, the lengths before it. The bytes, 0 = out of memory. */
static size_t compress(struct wh_packer *p, unsigned char *const ends[COLUMNS], size_t before) {
    size_t total = 0;
    for (int c = 0; c < COLUMNS; c++)
        total += (size_t)(ends[c] - p->columns[c]);
    size_t room = before + 10 * COLUMNS + ZSTD_compressBound(total) + 64 * COLUMNS;
    if (room > p->packed_room) {
        free(p->packed);
        p->packed_room = 0;
        if (!(p->packed = malloc(room)))
            return 0;
        p->packed_room = room;
    }
    unsigned char *at = p->packed + before;
    for (int c = 0; c < COLUMNS; c++)
        at = wh_put_varint(at, (uint64_t)(ends[c] - p->columns[c]));
    ZSTD_outBuffer out = {.dst = p->packed, .size = room, .pos = (size_t)(at - p->packed)};
    (void)ZSTD_CCtx_reset(p->zstd, ZSTD_reset_session_only);
    (void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setPledgedSrcSize(p->zstd, total);
    for (int c = 0; c < COLUMNS; c++) {
        ZSTD_inBuffer in = {.src = p->columns[c], .size = (size_t)(ends[c] - p->columns[c])};
        bool is_last = c == COLUMNS - 1;
        if (!in.size && !is_last)
            continue;
        if (ZSTD_compressStream2(p->zstd, &out, &in, is_last ? ZSTD_e_end : ZSTD_e_flush) != 0)
            return 0;
        rest(p);
    }
    return out.pos;
}

int wh_columns_pack(struct wh_packer **packer, const unsigned char *data, size_t bytes,
                    size_t before, void (*rest_call)(void *arg), void *arg,
                    unsigned char **ret_packed, size_t *ret_bytes) {
    struct wh_packer *p = *packer ? *packer : calloc(1, sizeof *p);
    *packer = p;
    if (!p || reserve(p, bytes))
        return -1;
    p->rest = rest_call;
    p->rest_arg = arg;
    struct sorting s = {.packer = p, .mask = table_mask(bytes)};
    memset(p->slots, 0, (s.mask + 1) * sizeof *p->slots);
    memcpy(s.at, p->columns, sizeof s.at);
    sort(&s, data, bytes);
    *ret_bytes = compress(p, s.at, before);
    *ret_packed = p->packed;
    return *ret_bytes ? 0 : -1;
}

/* --- unpacking
 * ------------------------------------------------------------------------------------ */

struct joining {
    const unsigned char *at[COLUMNS], *end[COLUMNS];
    uint64_t *places;
    uint32_t seen, places_room;
};

static bool get(const unsigned char **at, const unsigned char *end, uint64_t *ret_value) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        unsigned char byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool get_byte(struct joining *j, enum column c, uint32_t *ret_byte) {
    if (j->at[c] == j->end[c])
        return false;
    *ret_byte = *j->at[c]++;
    return true;
}

/* The address >> 3 of the next plain record. */
static bool get_line(struct joining *j, uint64_t last, uint64_t *ret_line) {
    uint32_t low, high;
    uint64_t back;
    if (!get_byte(j, PLACE0, &low) || !get_byte(j, PLACE1, &high))
        return false;
    uint32_t place = low | high << 8;
    if (place) {
        *ret_line = place <= j->seen ? j->places[place] : 0;
        return place <= j->seen;
    }
    if (!get(&j->at[NEW], j->end[NEW], &back))
        return false;
    *ret_line = last + (uint64_t)wh_unzigzag(back);
    if (j->seen < j->places_room)
        j->places[++j->seen] = *ret_line;
    return true;
}

static bool join_plain(struct joining *j, uint8_t tag, struct wh_writer *w) {
    uint64_t dt, line, size = 0;
    uint32_t s0 = 0, s1 = 0, s2 = 0;
    bool is_alloc = (tag & 15) == WH_EV_ALLOC;
    if (w->end - w->cursor < 48 || !get(&j->at[DT], j->end[DT], &dt) ||
        !get_line(j, w->address >> 3, &line))
        return false;
    if (is_alloc && (!get(&j->at[SIZE], j->end[SIZE], &size) || !get_byte(j, STACK0, &s0) ||
                     !get_byte(j, STACK1, &s1) || !get_byte(j, STACK2, &s2)))
        return false;
    uint8_t *p = w->cursor;
    *p++ = tag;
    p = wh_put_varint(p, dt);
    p = wh_put_varint(p, wh_zigzag((int64_t)(line - (w->address >> 3))));
    w->address = line << 3;
    if (is_alloc) {
        uint32_t stack = s0 | s1 << 8 | s2 << 16;
        p = wh_put_varint(p, size);
        p = wh_put_varint(p, wh_zigzag((int32_t)(stack - w->stack)));
        w->stack = stack;
    }
    w->cursor = p;
    return true;
}

/* A record as it stands; what it says of address and stack is needed for the ones after it. */
static bool join_rest(struct joining *j, struct wh_writer *w, const uint8_t *end) {
    uint64_t bytes;
    struct wh_event e;
    if (!get(&j->at[REST], j->end[REST], &bytes) ||
        bytes > (uint64_t)(j->end[REST] - j->at[REST]) || bytes > (uint64_t)(end - w->cursor))
        return false;
    memcpy(w->cursor, j->at[REST], bytes);
    struct wh_reader r = {
        .cursor = w->cursor, .end = w->cursor + bytes, .address = w->address, .stack = w->stack};
    j->at[REST] += bytes;
    w->cursor += bytes;
    if (wh_reader_next(&r, &e) != 1 || r.cursor != r.end)
        return false;
    w->address = r.address;
    w->stack = r.stack;
    return true;
}

/* The payload of one block. w.end is behind the data with some bytes to spare. */
static bool join_block(struct joining *j, const struct wh_block *header, unsigned char *payload,
                       uint32_t bytes, unsigned char *spare_end) {
    uint8_t *end = payload + bytes;
    struct wh_writer w = {.cursor = payload,
                          .end = spare_end,
                          .address = header->base_address,
                          .stack = header->base_stack};
    while (w.cursor < end) {
        uint32_t tag;
        if (!get_byte(j, TAG, &tag))
            return false;
        if (tag == TAG_NO_RECORD) {
            size_t left = (size_t)(end - w.cursor);
            if (left > (size_t)(j->end[REST] - j->at[REST]))
                return false;
            memcpy(w.cursor, j->at[REST], left);
            j->at[REST] += left;
            return true;
        }
        bool good = tag == TAG_AS_IT_STANDS
                        ? join_rest(j, &w, end)
                        : is_plain((uint8_t)tag) && join_plain(j, (uint8_t)tag, &w);
        if (!good || w.cursor > end)
            return false;
    }
    return true;
}

static bool join(struct joining *j, unsigned char *data, size_t bytes, size_t spare) {
    unsigned char *end = data + bytes, *spare_end = end + spare;
    struct wh_block header;
    while (j->at[HEAD] < j->end[HEAD]) {
        if (j->end[HEAD] - j->at[HEAD] < (ptrdiff_t)sizeof header ||
            end - data < (ptrdiff_t)sizeof header)
            return false;
        memcpy(&header, j->at[HEAD], sizeof header);
        memcpy(data, j->at[HEAD], sizeof header);
        j->at[HEAD] += sizeof header;
        data += sizeof header;
        uint32_t payload = atomic_load_explicit(&header.committed, memory_order_relaxed);
        if (payload > (size_t)(end - data) || !join_block(j, &header, data, payload, spare_end))
            return false;
        data += payload;
    }
    size_t tail = (size_t)(j->end[TAIL] - j->at[TAIL]);
    if (tail != (size_t)(end - data))
        return false;
    memcpy(data, j->at[TAIL], tail);
    return true;
}

/* The columns' lengths off the front; the sum, SIZE_MAX = damaged. */
static size_t get_lengths(const unsigned char **at, const unsigned char *end, size_t most,
                          size_t lengths[COLUMNS]) {
    size_t total = 0;
    for (int c = 0; c < COLUMNS; c++) {
        uint64_t length;
        if (!get(at, end, &length) || length > most)
            return SIZE_MAX;
        total += lengths[c] = (size_t)length;
    }
    return total;
}

static int unpack(const unsigned char *packed, size_t packed_bytes, const size_t lengths[COLUMNS],
                  unsigned char *columns, size_t total, unsigned char *data, size_t bytes) {
    size_t got = ZSTD_decompress(columns, total, packed, packed_bytes);
    if (ZSTD_isError(got) || got != total)
        return -2;
    struct joining j = {.places_room = places_max(table_mask(bytes))};
    for (int c = 0; c < COLUMNS; c++) {
        j.at[c] = columns;
        j.end[c] = columns += lengths[c];
    }
    j.places = malloc((j.places_room + 1) * sizeof *j.places);
    if (!j.places)
        return -1;
    bool good = join(&j, data, bytes, WH_COLUMNS_SPARE);
    free(j.places);
    return good ? 0 : -2;
}

int wh_columns_unpack(const unsigned char *packed, size_t packed_bytes, unsigned char *data,
                      size_t bytes) {
    const unsigned char *at = packed, *end = packed + packed_bytes;
    size_t lengths[COLUMNS];
    /* The longest columns, REST and DT, have at most a length for each of their bytes. */
    size_t total = get_lengths(&at, end, 2 * bytes + 16, lengths);
    if (total > 4 * bytes + 64)
        return -2;
    unsigned char *columns = malloc(total + 1);
    if (!columns)
        return -1;
    int rc = unpack(at, (size_t)(end - at), lengths, columns, total, data, bytes);
    free(columns);
    return rc;
}
