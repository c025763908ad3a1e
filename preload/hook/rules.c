/* The cache of unwind rules in front of cfi.c: ip -> rule, one table for the process, because rules
 * are the same for every thread and a short thread should not have to learn them again. Lock-free:
 * an entry is a key that never changes once set and a packed rule that is stored in one word
 * together with the code generation it was computed under. A dlclose moves the generation on, so a
 * rule of code that is gone is never used for code that was mapped in its place. */
#include "state.h"

enum { FIRST = 1024, LAST = 1 << 18, PROBES = 8 };

_Atomic(struct wh_rule_table *) wh_rules_current;
static _Atomic uint32_t growing;

static uint64_t pack(struct wh_rule r, uint32_t generation) {
    return (uint64_t)r.kind | (uint64_t)r.bp_kind << 4 |
           (uint64_t)(generation & WH_RULE_GENERATION) << 6 |
           (uint64_t)(uint16_t)r.bp_offset << 24 | (uint64_t)(uint32_t)r.cfa_offset << 40;
}

static struct wh_rule_table *make_table(uint32_t entries) {
    struct wh_rule_table *t = wh_memory_take(sizeof *t + entries * sizeof t->entries[0]);
    if (t)
        t->mask = entries - 1;
    return t;
}

int wh_rules_init(void) {
    if (!atomic_load(&wh_rules_current))
        atomic_store(&wh_rules_current, make_table(FIRST));
    return atomic_load(&wh_rules_current) != NULL;
}

/* The key's entry, claimed if need be; NULL: too many probes. */
static struct wh_rule_entry *find(struct wh_rule_table *t, uint64_t key) {
    uint64_t at = wh_rule_hash(key);
    for (uint32_t i = 0; i < PROBES; i++) {
        struct wh_rule_entry *e = &t->entries[(at + i) & t->mask];
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

/* Another thread may have been growing it in the parent; the child has no such thread. */
void wh_rules_forked(void) {
    atomic_store(&growing, 0);
}

static void grow(struct wh_rule_table *old) {
    uint32_t expected = 0;
    if (!atomic_compare_exchange_strong(&growing, &expected, 1))
        return;
    struct wh_rule_table *t =
        atomic_load(&wh_rules_current) == old ? make_table((old->mask + 1) * 4) : NULL;
    if (t) {
        for (uint32_t i = 0; i <= old->mask; i++) {
            uint64_t key = atomic_load_explicit(&old->entries[i].key, memory_order_relaxed);
            struct wh_rule_entry *e = key ? find(t, key) : NULL;
            if (e)
                atomic_store_explicit(
                    &e->rule, atomic_load_explicit(&old->entries[i].rule, memory_order_relaxed),
                    memory_order_relaxed);
        }
        atomic_store_explicit(&wh_rules_current, t, memory_order_release);
    }
    atomic_store(&growing, 0);
}

uint64_t wh_rules_slow(uint64_t key) {
    struct wh_rule_table *t = atomic_load_explicit(&wh_rules_current, memory_order_acquire);
    uint32_t generation = atomic_load_explicit(&wh_process.generation, memory_order_acquire);
    struct wh_rule_entry *e = find(t, key);
    uint64_t word = e ? atomic_load_explicit(&e->rule, memory_order_relaxed) : 0;
    if (word && ((word >> 6) & WH_RULE_GENERATION) == (generation & WH_RULE_GENERATION))
        return word;
    word = pack(wh_cfi_rule(key & ~WH_RULE_EXACT, (key & WH_RULE_EXACT) != 0), generation);
    if (e)
        atomic_store_explicit(&e->rule, word, memory_order_relaxed);
    if ((!e || atomic_load_explicit(&t->used, memory_order_relaxed) > (t->mask + 1) / 4) &&
        t->mask + 1 < LAST)
        grow(t);
    return word;
}
