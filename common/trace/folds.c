/* The table of sums and that of its contexts: open addressing, at most three quarters and half
 * full. */
#include "trace/folds.h"

#include <stdlib.h>
#include <string.h>

#include "base/large.h"

uint8_t wh_size_log2(uint64_t size) {
    if (size <= 1)
        return size ? 0 : 255;
    return (uint8_t)(64 - __builtin_clzll(size - 1));
}

/* --- contexts
 * -------------------------------------------------------------------------------------- */

static bool same_context(const struct wh_fold_context *a, const struct wh_fold_context *b) {
    return a->process_id == b->process_id && a->thread == b->thread &&
           a->free_stack == b->free_stack && a->second == b->second;
}

/* Its slot, or the empty one where it would go. */
static uint32_t *context_slot(const struct wh_folds *f, const struct wh_fold_context *c) {
    uint64_t h = ((uint64_t)c->free_stack << 32 | c->second) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 32;
    h += ((uint64_t)c->process_id << 32 | c->thread) * 0xc2b2ae3d27d4eb4full;
    uint32_t mask = 2 * f->context_room - 1;
    for (uint32_t i = (uint32_t)(h >> 32);; i++) {
        uint32_t *slot = &f->context_slots[i & mask];
        if (!*slot || same_context(&f->contexts[*slot - 1], c))
            return slot;
    }
}

static int contexts_grow(struct wh_folds *f) {
    uint32_t room = f->context_room ? f->context_room * 2 : 64;
    struct wh_fold_context *contexts = realloc(f->contexts, room * sizeof *contexts);
    if (!contexts)
        return -1;
    f->contexts = contexts;
    uint32_t *slots = calloc((size_t)room * 2, sizeof *slots);
    if (!slots)
        return -1;
    free(f->context_slots);
    f->context_slots = slots;
    f->context_room = room;
    for (uint32_t i = 0; i < f->context_count; i++)
        *context_slot(f, &f->contexts[i]) = i + 1;
    return 0;
}

int64_t wh_folds_context(struct wh_folds *f, const struct wh_fold_context *c) {
    if (f->context_count && same_context(&f->contexts[f->last_context], c))
        return f->last_context;
    if (f->context_count == f->context_room && contexts_grow(f))
        return -1;
    uint32_t *slot = context_slot(f, c);
    if (!*slot) {
        f->contexts[f->context_count++] = *c;
        *slot = f->context_count;
    }
    return f->last_context = *slot - 1;
}

/* --- sums
 * ------------------------------------------------------------------------------------------ */

static uint64_t hash(const struct wh_fold *f) {
    uint64_t h = ((uint64_t)f->stack << 32 | f->context) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 32;
    h += (uint64_t)f->size_log2 << 8 | f->how;
    h *= 0xc2b2ae3d27d4eb4full;
    return h ^ (h >> 32);
}

static bool same(const struct wh_fold *a, const struct wh_fold *b) {
    return a->stack == b->stack && a->context == b->context && a->size_log2 == b->size_log2 &&
           a->how == b->how;
}

static struct wh_fold *slot_of(struct wh_fold *slots, size_t capacity, const struct wh_fold *key) {
    for (size_t i = hash(key);; i++) {
        struct wh_fold *s = &slots[i & (capacity - 1)];
        if (!s->how || same(s, key))
            return s;
    }
}

static int grow(struct wh_folds *f) {
    size_t capacity = f->capacity ? f->capacity * 2 : 1024;
    struct wh_fold *slots = wh_large_alloc(capacity * sizeof *slots);
    if (!slots)
        return -1;
    memset(slots, 0, capacity * sizeof *slots);
    for (size_t i = 0; i < f->capacity; i++)
        if (f->slots[i].how)
            *slot_of(slots, capacity, &f->slots[i]) = f->slots[i];
    free(f->slots);
    f->slots = slots;
    f->capacity = capacity;
    return 0;
}

static int put(struct wh_folds *f, const struct wh_fold *one) {
    if (f->count >= f->capacity - f->capacity / 4 && grow(f))
        return -1;
    struct wh_fold *s = slot_of(f->slots, f->capacity, one);
    if (!s->how) {
        *s = *one;
        f->count++;
        return 0;
    }
    s->objects += one->objects; /* of one second: four billion births are not */
    s->bytes += one->bytes;
    s->lifetime_ns += one->lifetime_ns;
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
        __builtin_prefetch(&f->slots[hash(one) & (f->capacity - 1)], 1);
    f->ahead[(f->ahead_at + f->ahead_count++) % WH_FOLDS_AHEAD] = *one;
    return 0;
}

int wh_folds_settle(struct wh_folds *f) {
    while (f->ahead_count)
        if (put_oldest(f))
            return -1;
    return 0;
}

uint32_t wh_folds_newest(const struct wh_folds *f, size_t *ret_older) {
    uint32_t newest = 0;
    for (uint32_t i = 0; i < f->context_count; i++)
        newest = f->contexts[i].second > newest ? f->contexts[i].second : newest;
    *ret_older = 0;
    for (size_t i = 0; i < f->capacity; i++)
        *ret_older += f->slots[i].how && f->contexts[f->slots[i].context].second < newest;
    return newest;
}

/* Leaves out contexts before a second; numbers[old] is what the others are called then. */
static void shift_contexts(struct wh_folds *f, uint64_t before, uint32_t *numbers) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->context_count; i++) {
        numbers[i] = count;
        if (f->contexts[i].second >= before)
            f->contexts[count++] = f->contexts[i];
    }
    f->context_count = count;
    f->last_context = 0;
    memset(f->context_slots, 0, 2 * (size_t)f->context_room * sizeof *f->context_slots);
    for (uint32_t i = 0; i < count; i++)
        *context_slot(f, &f->contexts[i]) = i + 1;
}

int wh_folds_remove(struct wh_folds *f, uint64_t before) {
    size_t left = 0, count = 0;
    for (size_t i = 0; i < f->capacity; i++)
        left += f->slots[i].how && f->contexts[f->slots[i].context].second >= before;
    struct wh_fold *kept = malloc((left + 1) * sizeof *kept);
    uint32_t *numbers = malloc((f->context_count + 1u) * sizeof *numbers);
    if (!kept || !numbers) {
        free(kept);
        free(numbers);
        return -1;
    }
    for (size_t i = 0; i < f->capacity; i++)
        if (f->slots[i].how && f->contexts[f->slots[i].context].second >= before)
            kept[count++] = f->slots[i];
    if (f->context_count)
        shift_contexts(f, before, numbers);
    if (f->capacity)
        memset(f->slots, 0, f->capacity * sizeof *f->slots);
    for (size_t i = 0; i < count; i++) {
        kept[i].context = numbers[kept[i].context];
        *slot_of(f->slots, f->capacity, &kept[i]) = kept[i];
    }
    f->count = count;
    free(kept);
    free(numbers);
    return 0;
}

void wh_folds_release(struct wh_folds *f) {
    free(f->slots);
    free(f->contexts);
    free(f->context_slots);
    *f = (struct wh_folds){0};
}
