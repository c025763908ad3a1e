/* The cache of unwind rules in front of cfi.c: ip -> rule, one table for the process, because rules
 * are the same for every thread and a short thread should not have to learn them again. Lock-free:
 * an entry is a key that never changes once set and a packed rule that is stored in one word
 * together with the code generation it was computed under. A dlclose moves the generation on, so a
 * rule of code that is gone is never used for code that was mapped in its place. */
#include "state.h"

enum { FIRST = 1024, LAST = 1 << 18, PROBES = 8 };

struct entry {
    _Atomic uint64_t key;
    _Atomic uint64_t rule; /* packed; 0 = not there yet */
};
struct table {
    uint32_t mask;
    _Atomic uint32_t used;
    struct entry entries[];
};
static _Atomic(struct table *) current;
static _Atomic uint32_t growing;

/* kind 4 bits, bp_kind 2, generation 18, bp_offset 16, cfa_offset 24 */
#define GENERATION_MASK 0x3ffffu

static uint64_t pack(struct wh_rule r, uint32_t generation) {
    return (uint64_t)r.kind | (uint64_t)r.bp_kind << 4 |
           (uint64_t)(generation & GENERATION_MASK) << 6 | (uint64_t)(uint16_t)r.bp_offset << 24 |
           (uint64_t)(uint32_t)r.cfa_offset << 40;
}

static struct wh_rule unpack(uint64_t word) {
    return (struct wh_rule){.kind = word & 15,
                            .bp_kind = (word >> 4) & 3,
                            .bp_offset = (int16_t)(word >> 24),
                            .cfa_offset = (int32_t)((int64_t)word >> 40)};
}

static struct table *make_table(uint32_t entries) {
    struct table *t = wh_memory_take(sizeof *t + entries * sizeof t->entries[0]);
    if (t)
        t->mask = entries - 1;
    return t;
}

int wh_rules_init(void) {
    if (!atomic_load(&current))
        atomic_store(&current, make_table(FIRST));
    return atomic_load(&current) != NULL;
}

static uint32_t place(uint64_t key) {
    return (uint32_t)(wh_mix(key * 0x9e3779b97f4a7c15ull) >> 24);
}

/* The key's entry, claimed if need be; NULL: too many probes. */
static struct entry *find(struct table *t, uint64_t key) {
    uint32_t at = place(key);
    for (uint32_t i = 0; i < PROBES; i++) {
        struct entry *e = &t->entries[(at + i) & t->mask];
        uint64_t seen = atomic_load_explicit(&e->key, memory_order_relaxed);
        if (seen == key)
            return e;
        if (!seen && atomic_compare_exchange_strong(&e->key, &seen, key)) {
            atomic_fetch_add_explicit(&t->used, 1, memory_order_relaxed);
            return e;
        }
        if (seen == key)
            return e;
    }
    return NULL;
}

static void grow(struct table *old) {
    uint32_t expected = 0;
    if (!atomic_compare_exchange_strong(&growing, &expected, 1))
        return;
    struct table *t = atomic_load(&current) == old ? make_table((old->mask + 1) * 4) : NULL;
    if (t) {
        for (uint32_t i = 0; i <= old->mask; i++) {
            uint64_t key = atomic_load_explicit(&old->entries[i].key, memory_order_relaxed);
            struct entry *e = key ? find(t, key) : NULL;
            if (e)
                atomic_store_explicit(
                    &e->rule, atomic_load_explicit(&old->entries[i].rule, memory_order_relaxed),
                    memory_order_relaxed);
        }
        atomic_store_explicit(&current, t, memory_order_release);
    }
    atomic_store(&growing, 0);
}

struct wh_rule wh_rules_get(uint64_t key) {
    struct table *t = atomic_load_explicit(&current, memory_order_acquire);
    uint32_t generation = atomic_load_explicit(&wh_process.generation, memory_order_acquire);
    struct entry *e = find(t, key);
    if (WH_LIKELY(e != NULL)) {
        uint64_t word = atomic_load_explicit(&e->rule, memory_order_relaxed);
        if (WH_LIKELY(word && ((word >> 6) & GENERATION_MASK) == (generation & GENERATION_MASK)))
            return unpack(word);
    }
    struct wh_rule rule = wh_cfi_rule(key & ~WH_RULE_EXACT, (key & WH_RULE_EXACT) != 0);
    if (e)
        atomic_store_explicit(&e->rule, pack(rule, generation), memory_order_relaxed);
    if ((!e || atomic_load_explicit(&t->used, memory_order_relaxed) > (t->mask + 1) / 2) &&
        t->mask + 1 < LAST)
        grow(t);
    return rule;
}
