/* The compact list of lifetimes and the table of sums. */
#include "trace/lifetimes.h"

#include <stdlib.h>
#include <string.h>

#include "base/large.h"
#include "wire/codec.h"

#define PAGE_BYTES   (1u << 20)
#define RECORD_BYTES 112u /* bound of one encoded lifetime */

static unsigned char *room(struct wh_lifetimes *l) {
    if (l->page_count && PAGE_BYTES - l->used >= RECORD_BYTES)
        return l->pages[l->page_count - 1] + l->used;
    if (l->page_count == l->page_capacity) {
        size_t capacity = l->page_capacity ? l->page_capacity * 2 : 16;
        unsigned char **pages = realloc(l->pages, capacity * sizeof *pages);
        if (!pages)
            return NULL;
        l->pages = pages;
        l->page_capacity = capacity;
    }
    unsigned char *page = malloc(PAGE_BYTES);
    if (!page)
        return NULL;
    /* A zero process id ends a page: real ones start at 1. */
    if (l->page_count)
        l->pages[l->page_count - 1][l->used] = 0;
    l->pages[l->page_count++] = page;
    l->used = 0;
    return page;
}

int wh_lifetimes_add(struct wh_lifetimes *l, const struct wh_lifetime *life) {
    unsigned char *start = room(l), *p = start;
    if (!p)
        return -1;
    const struct wh_live *b = &life->block;
    p = wh_put_varint(p, life->process_id);
    *p++ = (unsigned char)(b->kind << 2 | (life->is_freed ? 1 : 0) | (life->is_inherited ? 2 : 0));
    p = wh_put_varint(p, b->number);
    p = wh_put_varint(p, b->address);
    p = wh_put_varint(p, b->size);
    p = wh_put_varint(p, b->birth_ticks);
    p = wh_put_varint(p, b->origin_number ? b->number - b->origin_number : 0);
    p = wh_put_varint(p, b->stack);
    p = wh_put_varint(p, b->thread);
    if (life->is_freed) {
        p = wh_put_varint(p, wh_zigzag((int64_t)(life->death.ticks - b->birth_ticks)));
        p = wh_put_varint(p, life->death.thread);
        p = wh_put_varint(p, life->death.stack);
    }
    l->used += (size_t)(p - start);
    l->count++;
    return 0;
}

void wh_lifetimes_clear(struct wh_lifetimes *l) {
    for (size_t i = 0; i < l->page_count; i++)
        free(l->pages[i]);
    free(l->pages);
    *l = (struct wh_lifetimes){0};
}

size_t wh_lifetimes_memory(const struct wh_lifetimes *l) {
    return l->page_count * (size_t)PAGE_BYTES;
}

void wh_lifetimes_start(const struct wh_lifetimes *l, struct wh_lifetimes_cursor *ret_cursor) {
    *ret_cursor = (struct wh_lifetimes_cursor){.left = l->count};
}

static uint64_t get(const unsigned char **p) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned char byte = *(*p)++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return v;
}

bool wh_lifetimes_next(const struct wh_lifetimes *l, struct wh_lifetimes_cursor *c,
                       struct wh_lifetime *ret_life) {
    if (!c->left)
        return false;
    if (l->pages[c->page][c->offset] == 0) {
        c->page++;
        c->offset = 0;
    }
    const unsigned char *start = l->pages[c->page] + c->offset, *p = start;
    struct wh_lifetime life = {.process_id = (uint32_t)get(&p)};
    unsigned char flags = *p++;
    struct wh_live *b = &life.block;
    b->kind = flags >> 2;
    life.is_freed = flags & 1;
    life.is_inherited = flags & 2;
    b->number = get(&p);
    b->address = get(&p);
    b->size = get(&p);
    b->birth_ticks = get(&p);
    uint64_t back = get(&p);
    b->origin_number = back ? b->number - back : 0;
    b->stack = (uint32_t)get(&p);
    b->thread = (uint32_t)get(&p);
    if (life.is_freed) {
        life.death.ticks = b->birth_ticks + (uint64_t)wh_unzigzag(get(&p));
        life.death.thread = (uint32_t)get(&p);
        life.death.stack = (uint32_t)get(&p);
    }
    c->offset += (size_t)(p - start);
    c->left--;
    *ret_life = life;
    return true;
}

/* --- sums
 * ------------------------------------------------------------------------------------------ */

uint8_t wh_size_log2(uint64_t size) {
    if (size <= 1)
        return size ? 0 : 255;
    return (uint8_t)(64 - __builtin_clzll(size - 1));
}

static uint64_t fold_hash(const struct wh_fold *f) {
    uint64_t h = ((uint64_t)f->stack << 32 | f->free_stack) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 32;
    h += ((uint64_t)f->thread << 32 | f->second) * 0xc2b2ae3d27d4eb4full;
    h ^= h >> 29;
    h += ((uint64_t)f->process_id << 8 | f->size_log2) * 0x165667b19e3779f9ull;
    h *= 0x9e3779b97f4a7c15ull;
    return h ^ (h >> 32);
}

static bool same(const struct wh_fold *a, const struct wh_fold *b) {
    return a->stack == b->stack && a->free_stack == b->free_stack && a->thread == b->thread &&
           a->second == b->second && a->size_log2 == b->size_log2 && a->process_id == b->process_id;
}

static struct wh_fold *fold_slot(struct wh_fold *slots, size_t capacity,
                                 const struct wh_fold *key) {
    for (size_t i = fold_hash(key);; i++) {
        struct wh_fold *s = &slots[i & (capacity - 1)];
        if (!s->used || same(s, key))
            return s;
    }
}

static int folds_grow(struct wh_folds *f) {
    size_t capacity = f->capacity ? f->capacity * 2 : 1024;
    struct wh_fold *slots = wh_large_alloc(capacity * sizeof *slots);
    if (!slots)
        return -1;
    memset(slots, 0, capacity * sizeof *slots);
    for (size_t i = 0; i < f->capacity; i++)
        if (f->slots[i].used)
            *fold_slot(slots, capacity, &f->slots[i]) = f->slots[i];
    free(f->slots);
    f->slots = slots;
    f->capacity = capacity;
    return 0;
}

static int put(struct wh_folds *f, const struct wh_fold *one) {
    if (f->count >= f->capacity - f->capacity / 4 && folds_grow(f))
        return -1;
    struct wh_fold *s = fold_slot(f->slots, f->capacity, one);
    if (!s->used) {
        *s = *one;
        s->used = true;
        f->count++;
        return 0;
    }
    s->objects += one->objects;
    s->bytes += one->bytes;
    s->lifetime_ns += one->lifetime_ns;
    s->peak_objects += one->peak_objects;
    s->peak_bytes += one->peak_bytes;
    return 0;
}

static int put_oldest(struct wh_folds *f) {
    const struct wh_fold *oldest = &f->ahead[f->ahead_at];
    f->ahead_at = (f->ahead_at + 1) % WH_FOLDS_AHEAD;
    f->ahead_count--;
    return put(f, oldest);
}

int wh_folds_add(struct wh_folds *f, const struct wh_fold *one) {
    if (f->ahead_count == WH_FOLDS_AHEAD && put_oldest(f))
        return -1;
    if (f->capacity)
        __builtin_prefetch(&f->slots[fold_hash(one) & (f->capacity - 1)], 1);
    f->ahead[(f->ahead_at + f->ahead_count++) % WH_FOLDS_AHEAD] = *one;
    return 0;
}

int wh_folds_settle(struct wh_folds *f) {
    while (f->ahead_count)
        if (put_oldest(f))
            return -1;
    return 0;
}

void wh_folds_release(struct wh_folds *f) {
    free(f->slots);
    *f = (struct wh_folds){0};
}
