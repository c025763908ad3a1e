/* The compact list of lifetimes. */
#include "trace/lifetimes.h"

#include <stdlib.h>
#include <string.h>

#include "wire/codec.h"

/* Each page is twice as large as the one before, up to the last size: many lists stay small. */
#define PAGE_FIRST ((size_t)4096)
#define PAGE_LAST  ((size_t)1 << 20)
#define RECORD_BYTES                                                                               \
    120u /* bound of one encoded lifetime, and what its reader looks at behind it */

/* First byte of a record; of kinds there are at most seven, the eighth ends a page. A record is
 * written as its difference from the one before: deaths follow each other closely, and so do the
 * numbers of their births. */
enum {
    IS_FREED = 1,
    IS_INHERITED = 2,
    KIND_SHIFT = 2,  /* three bits */
    IS_ALIGNED = 32, /* the address differs by a multiple of 8, and is given in eighths */
    IS_OTHER = 64,   /* process, thread and origin follow, and who freed it */
    IS_OF_SNAPSHOT = 128,
    PAGE_END = 7 << KIND_SHIFT,
};
_Static_assert(WH_ALLOC_KINDS <= 7, "a kind is three bits and not seven");

static size_t page_bytes(const struct wh_lifetimes *l, size_t page) {
    size_t bytes = l->first_page_bytes ? l->first_page_bytes : PAGE_FIRST;
    while (page-- && bytes < PAGE_LAST)
        bytes *= 2;
    return bytes;
}

static unsigned char *room(struct wh_lifetimes *l) {
    if (l->last_page_bytes - l->used >= RECORD_BYTES)
        return l->pages[l->page_count - 1] + l->used;
    if (l->page_count == l->page_capacity) {
        size_t capacity = l->page_capacity ? l->page_capacity * 2 : 16;
        unsigned char **pages = realloc(l->pages, capacity * sizeof *pages);
        if (!pages)
            return NULL;
        l->pages = pages;
        l->page_capacity = capacity;
    }
    size_t bytes = page_bytes(l, l->page_count);
    unsigned char *page = malloc(bytes);
    if (!page)
        return NULL;
    if (l->page_count)
        l->pages[l->page_count - 1][l->used] = PAGE_END;
    l->pages[l->page_count++] = page;
    l->last_page_bytes = bytes;
    l->used = 0;
    return page;
}

/* The moment by which a list is in order, nearly. */
static uint64_t moment(const struct wh_lifetime *life) {
    return life->is_freed ? life->death.ticks : life->block.birth_ticks;
}

/* Of the same process and thread as the one before, freed by its own thread, without a past. */
static bool is_plain(const struct wh_lifetime *life, const struct wh_lifetime *before) {
    return life->process_id == before->process_id && life->block.thread == before->block.thread &&
           !life->block.origin_number &&
           (!life->is_freed || (life->death.thread == life->block.thread && !life->death.stack));
}

static unsigned char *put_difference(unsigned char *p, uint64_t value, uint64_t before) {
    return wh_put_varint_open(p, wh_zigzag((int64_t)(value - before)));
}

static unsigned char *put_other(unsigned char *p, const struct wh_lifetime *life) {
    const struct wh_live *b = &life->block;
    p = wh_put_varint(p, life->process_id);
    p = wh_put_varint(p, b->thread);
    p = wh_put_varint(p, b->origin_number ? b->number - b->origin_number : 0);
    if (!life->is_freed)
        return p;
    p = wh_put_varint(p, life->death.thread);
    return wh_put_varint(p, life->death.stack);
}

int wh_lifetimes_add(struct wh_lifetimes *l, const struct wh_lifetime *life) {
    unsigned char *start = room(l), *p = start;
    if (!p)
        return -1;
    const struct wh_live *b = &life->block, *before = &l->last.block;
    int64_t distance = (int64_t)(b->address - before->address);
    bool is_aligned = distance % 8 == 0, is_other = !is_plain(life, &l->last);
    *p++ =
        (unsigned char)((life->is_of_snapshot ? IS_OF_SNAPSHOT : 0) | (is_other ? IS_OTHER : 0) |
                        (is_aligned ? IS_ALIGNED : 0) | b->kind << KIND_SHIFT |
                        (life->is_inherited ? IS_INHERITED : 0) | (life->is_freed ? IS_FREED : 0));
    p = put_difference(p, b->number, before->number);
    p = wh_put_varint_open(p, wh_zigzag(is_aligned ? distance / 8 : distance));
    p = wh_put_varint_open(p, b->size);
    p = put_difference(p, b->stack, before->stack);
    p = put_difference(p, moment(life), moment(&l->last));
    if (life->is_freed)
        p = put_difference(p, life->death.ticks, b->birth_ticks);
    if (is_other)
        p = put_other(p, life);
    l->used += (size_t)(p - start);
    l->count++;
    l->last = *life;
    return 0;
}

void wh_lifetimes_clear(struct wh_lifetimes *l) {
    for (size_t i = 0; i < l->page_count; i++)
        free(l->pages[i]);
    free(l->pages);
    *l = (struct wh_lifetimes){.first_page_bytes = l->first_page_bytes};
}

size_t wh_lifetimes_memory(const struct wh_lifetimes *l) {
    size_t bytes = 0;
    for (size_t i = 0; i < l->page_count; i++)
        bytes += page_bytes(l, i);
    return bytes;
}

void wh_lifetimes_start(const struct wh_lifetimes *l, struct wh_lifetimes_cursor *ret_cursor) {
    *ret_cursor = (struct wh_lifetimes_cursor){.left = l->count};
}

static uint64_t get_long(const unsigned char **p) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned char byte = *(*p)++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return v;
}

static inline uint64_t get(const unsigned char **p) {
    uint64_t v;
    const unsigned char *end = wh_get_varint_sure(*p, &v);
    if (!end)
        return get_long(p);
    *p = end;
    return v;
}

static uint64_t get_difference(const unsigned char **p, uint64_t before) {
    return before + (uint64_t)wh_unzigzag(get(p));
}

static void get_other(const unsigned char **p, struct wh_lifetime *life) {
    struct wh_live *b = &life->block;
    life->process_id = (uint32_t)get(p);
    b->thread = (uint32_t)get(p);
    uint64_t back = get(p);
    b->origin_number = back ? b->number - back : 0;
    if (!life->is_freed)
        return;
    life->death.thread = (uint32_t)get(p);
    life->death.stack = (uint32_t)get(p);
}

bool wh_lifetimes_take(struct wh_lifetimes *l, struct wh_lifetimes_cursor *c,
                       struct wh_lifetime *ret_life) {
    if (!c->left)
        return false;
    if (l->pages[c->page][c->offset] == PAGE_END) {
        free(l->pages[c->page]);
        l->pages[c->page++] = NULL;
        c->offset = 0;
    }
    const unsigned char *start = l->pages[c->page] + c->offset, *p = start;
    const struct wh_lifetime *before = &c->last;
    unsigned char flags = *p++;
    struct wh_lifetime life = {
        .process_id = before->process_id,
        .is_freed = flags & IS_FREED,
        .is_inherited = flags & IS_INHERITED,
        .is_of_snapshot = flags & IS_OF_SNAPSHOT,
        .block.kind = flags >> KIND_SHIFT & 7,
        .block.thread = before->block.thread,
        .block.number = get_difference(&p, before->block.number),
    };
    struct wh_live *b = &life.block;
    int64_t distance = wh_unzigzag(get(&p));
    b->address =
        before->block.address + (flags & IS_ALIGNED ? (uint64_t)distance * 8 : (uint64_t)distance);
    b->size = get(&p);
    b->stack = (uint32_t)get_difference(&p, before->block.stack);
    b->birth_ticks = get_difference(&p, moment(before));
    if (life.is_freed) {
        life.death.ticks = b->birth_ticks;
        life.death.thread = b->thread;
        b->birth_ticks -= (uint64_t)wh_unzigzag(get(&p));
    }
    if (flags & IS_OTHER)
        get_other(&p, &life);
    c->offset += (size_t)(p - start);
    c->left--;
    c->last = *ret_life = life;
    return true;
}
