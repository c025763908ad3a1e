/* Numbers for words, 1, 2, 3 ..., equal ones for equal words: insert-only and lock-free.
 *
 *   word(n)  lies in part s = log2(n + 4096) - 12: parts double, so words never move
 *   table    open addressing over n, with some bits of the word's hash above it, so that a look-up
 *            hardly ever reads a word that is another; four fifths full it is rebuilt half as large
 *            again, and the pages of the old one go back to the system
 *
 * With its slot a word takes 13 to 16 bytes. Two threads that insert the same word at once, or
 * insert while the table is rebuilt, may get two numbers for it. Who still reads an old table finds
 * nothing there, which is no more than that. All of it survives fork as private memory. */
#include "state.h"

#define FIRST_BITS  12u
#define NUMBER_BITS 25u
#define FIRST_SLOTS 3072u
#define PROBES      1024u /* only met where the table cannot grow */

_Static_assert(WH_NUMBERS_MAX + (1u << FIRST_BITS) < 1u << (FIRST_BITS + WH_NUMBERS_PARTS),
               "parts for all numbers");
_Static_assert(WH_NUMBERS_MAX < 1u << NUMBER_BITS, "a number fits a slot");

struct wh_number_table {
    uint32_t slot_count;
    _Atomic uint32_t slots[];
};

static uint64_t *word_at(const struct wh_numbers *numbers, uint32_t n) {
    uint32_t biased = n + (1u << FIRST_BITS);
    uint32_t s = 31u - (uint32_t)__builtin_clz(biased) - FIRST_BITS;
    uint64_t *part = atomic_load_explicit(&numbers->parts[s], memory_order_acquire);
    return part ? part + (biased - (1u << (FIRST_BITS + s))) : NULL;
}

static uint64_t hash_of(uint64_t word) {
    uint64_t x = (word ^ word >> 32) * 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}

/* A slot's bits above the number. */
static uint32_t tag_of(uint64_t hash) {
    return (uint32_t)hash << NUMBER_BITS;
}

static uint32_t first_slot(const struct wh_number_table *t, uint64_t hash) {
    return (uint32_t)((hash >> 32) * t->slot_count >> 32);
}
static uint32_t next_slot(const struct wh_number_table *t, uint32_t i) {
    return i + 1 < t->slot_count ? i + 1 : 0;
}

/* The number that the table has for the word; 0 with *ret_slot = the slot where it would go
 * (UINT32_MAX: too many probes). */
static uint32_t find(const struct wh_numbers *numbers, const struct wh_number_table *t,
                     uint64_t word, uint64_t hash, uint32_t *ret_slot) {
    uint32_t i = first_slot(t, hash);
    *ret_slot = UINT32_MAX;
    for (uint32_t probes = 0; probes < PROBES; probes++, i = next_slot(t, i)) {
        uint32_t slot = atomic_load_explicit(&t->slots[i], memory_order_acquire);
        uint32_t n = slot & ((1u << NUMBER_BITS) - 1);
        if (!slot) {
            *ret_slot = i;
            return 0;
        }
        if (slot - n == tag_of(hash) && *word_at(numbers, n) == word)
            return n;
    }
    return 0;
}

static struct wh_number_table *make_table(uint32_t slots) {
    struct wh_number_table *t = wh_memory_take(sizeof *t + slots * sizeof t->slots[0]);
    if (t)
        t->slot_count = slots;
    return t;
}

int wh_numbers_init(struct wh_numbers *numbers) {
    if (!atomic_load(&numbers->table))
        atomic_store(&numbers->table, make_table(FIRST_SLOTS));
    return atomic_load(&numbers->table) != NULL;
}

/* Another thread may have been growing it in the parent; the child has no such thread. */
void wh_numbers_forked(struct wh_numbers *numbers) {
    atomic_store(&numbers->growing, 0);
}

/* Rebuilds the table. One thread does it, the others go on with the old one. */
static void grow(struct wh_numbers *numbers, struct wh_number_table *old) {
    uint32_t expected = 0, count = old->slot_count;
    if (!atomic_compare_exchange_strong(&numbers->growing, &expected, 1))
        return;
    struct wh_number_table *t =
        atomic_load(&numbers->table) == old ? make_table(count + count / 2) : NULL;
    for (uint32_t i = 0; t && i < count; i++) {
        uint32_t slot = atomic_load_explicit(&old->slots[i], memory_order_acquire);
        if (!slot)
            continue;
        uint64_t word = *word_at(numbers, slot & ((1u << NUMBER_BITS) - 1));
        uint32_t to = first_slot(t, hash_of(word));
        while (atomic_load_explicit(&t->slots[to], memory_order_relaxed))
            to = next_slot(t, to);
        atomic_store_explicit(&t->slots[to], slot, memory_order_relaxed);
    }
    if (t) {
        atomic_store_explicit(&numbers->table, t, memory_order_release);
        wh_memory_clear(old->slots, count * sizeof old->slots[0]);
    }
    atomic_store(&numbers->growing, 0);
}

uint32_t wh_number_find(const struct wh_numbers *numbers, uint64_t word) {
    uint32_t slot;
    return find(numbers, atomic_load_explicit(&numbers->table, memory_order_acquire), word,
                hash_of(word), &slot);
}

uint32_t wh_number_new(struct wh_numbers *numbers) {
    if (atomic_load_explicit(&numbers->last, memory_order_relaxed) >= WH_NUMBERS_MAX)
        return 0;
    uint32_t n = atomic_fetch_add_explicit(&numbers->last, 1, memory_order_relaxed) + 1;
    if (n > WH_NUMBERS_MAX)
        return 0;
    if (!word_at(numbers, n)) {
        uint32_t s = 31u - (uint32_t)__builtin_clz(n + (1u << FIRST_BITS)) - FIRST_BITS;
        uint64_t *none = NULL, *part = wh_memory_take(sizeof *part << (FIRST_BITS + s));
        if (part)
            (void)atomic_compare_exchange_strong(&numbers->parts[s], &none, part);
    }
    return word_at(numbers, n) ? n : 0;
}

uint32_t wh_number_put(struct wh_numbers *numbers, uint32_t n, uint64_t word) {
    uint64_t hash = hash_of(word);
    struct wh_number_table *t = atomic_load_explicit(&numbers->table, memory_order_acquire);
    uint32_t i, other, empty = 0;
    *word_at(numbers, n) = word;
    while (!(other = find(numbers, t, word, hash, &i)) && i != UINT32_MAX &&
           !atomic_compare_exchange_strong_explicit(&t->slots[i], &empty, n | tag_of(hash),
                                                    memory_order_release, memory_order_relaxed))
        empty = 0;
    if (n > t->slot_count / 5 * 4)
        grow(numbers, t);
    return other ? other : n; /* then n stays unused */
}

uint64_t wh_number_word(const struct wh_numbers *numbers, uint32_t n) {
    const uint64_t *word = n ? word_at(numbers, n) : NULL;
    return word ? *word : 0;
}
