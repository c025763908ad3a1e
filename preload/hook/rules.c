/* The cache of unwind rules in front of cfi.c: ip -> rule, one table for the process, because rules
 * are the same for every thread and a short thread should not have to learn them again.
 *
 * An entry is one word: the code address, two bits of the code's generation, and the rule itself
 * where it is one of the ordinary ones (state.h); eight lie in a cache line, as a large program
 * walks through ten thousand call sites. Any other rule has its word in a second array, beside the
 * table.
 *
 * Lock-free. A key never changes its place in a table. When a dlclose moves the generation on, the
 * first walk after it empties all rules, and the two bits keep out what a slower thread computes
 * too late; the keys stay. A table that is half full is replaced by one twice as large, and is
 * empty from then on for who still reads it. */
#include "state.h"

enum { FIRST = 2048, LAST = 1 << 18, PROBES = 16 };

_Atomic(struct wh_rules *) wh_rules_current;
static _Atomic uint32_t growing;

/* The whole rule in a word that is no ordinary one. */
static uint64_t pack(struct wh_rule r, uint64_t ip, uint32_t generation) {
    return (uint64_t)r.kind | (uint64_t)r.bp_kind << 4 |
           (uint64_t)(wh_in(&wh_process.self, ip) ? WH_RULE_OWN : 0) | WH_RULE_WIDE |
           (uint64_t)(generation & 0xff) << 16 | (uint64_t)(uint16_t)r.bp_offset << 24 |
           (uint64_t)(uint32_t)r.cfa_offset << 40;
}

/* The rule as it stands in an entry, WH_RULE_WIDE if it has no room there. */
static uint64_t narrow(struct wh_rule r, uint64_t ip) {
    int64_t words = r.cfa_offset / 8;
    if ((r.kind != WH_RULE_SP && r.kind != WH_RULE_BP) || r.cfa_offset % 8 || words < 1 ||
        words > 511 || wh_in(&wh_process.self, ip))
        return WH_RULE_WIDE;
    uint64_t code = (uint64_t)r.cfa_offset | (r.kind == WH_RULE_BP ? WH_RULE_FROM_BP : 0);
    if (r.bp_kind == WH_BP_SAME)
        return code;
    if (r.bp_kind != WH_BP_AT_CFA || r.bp_offset > -2 || r.bp_offset < -8)
        return WH_RULE_WIDE;
    return code | (uint64_t)(-1 - r.bp_offset);
}

static struct wh_rules *make_table(uint32_t entries) {
    struct wh_rules *t = wh_memory_take(sizeof *t + 2 * entries * sizeof t->entries[0]);
    if (t)
        t->mask = entries - 1;
    return t;
}

static _Atomic uint64_t *wide_of(struct wh_rules *t, uint32_t index) {
    return &t->entries[t->mask + 1 + index];
}

int wh_rules_init(void) {
    if (!atomic_load(&wh_rules_current))
        atomic_store(&wh_rules_current, make_table(FIRST));
    return atomic_load(&wh_rules_current) != NULL;
}

/* The key's index, claimed if need be; UINT32_MAX: too many probes. */
static uint32_t find(struct wh_rules *t, uint64_t key) {
    uint32_t at = wh_rule_place(t, key);
    for (uint32_t i = 0; i < PROBES; i++) {
        uint32_t index = (at + i) & t->mask;
        uint64_t seen = atomic_load_explicit(&t->entries[index], memory_order_relaxed);
        if (!seen && atomic_compare_exchange_strong(&t->entries[index], &seen, key << 16))
            atomic_fetch_add_explicit(&t->used, 1, memory_order_relaxed);
        if (!seen || seen >> 16 == key)
            return index;
    }
    return UINT32_MAX;
}

/* Another thread may have been growing it in the parent; the child has no such thread. */
void wh_rules_forked(void) {
    atomic_store(&growing, 0);
}

static void grow(struct wh_rules *old) {
    uint32_t expected = 0;
    if (!atomic_compare_exchange_strong(&growing, &expected, 1))
        return;
    struct wh_rules *t =
        atomic_load(&wh_rules_current) == old ? make_table((old->mask + 1) * 2) : NULL;
    if (t) {
        atomic_store(&t->generation, atomic_load(&old->generation));
        for (uint32_t i = 0; i <= old->mask; i++) {
            uint64_t word = atomic_load_explicit(&old->entries[i], memory_order_relaxed);
            uint32_t to = word ? find(t, word >> 16) : UINT32_MAX;
            if (to == UINT32_MAX)
                continue;
            if ((word & (2 * WH_RULE_WIDE - 1)) == WH_RULE_WIDE)
                atomic_store_explicit(wide_of(t, to),
                                      atomic_load_explicit(wide_of(old, i), memory_order_relaxed),
                                      memory_order_relaxed);
            atomic_store_explicit(&t->entries[to], word, memory_order_relaxed);
        }
        atomic_store_explicit(&wh_rules_current, t, memory_order_release);
        wh_memory_clear(old->entries, 2 * (old->mask + 1) * sizeof old->entries[0]);
    }
    atomic_store(&growing, 0);
}

void wh_rules_renew(struct wh_rules *t, uint32_t generation) {
    if ((int32_t)(generation - atomic_load(&t->generation)) <= 0)
        return;
    for (uint32_t i = 0; i <= t->mask; i++) {
        uint64_t word = atomic_load_explicit(&t->entries[i], memory_order_relaxed);
        if (word)
            atomic_store_explicit(&t->entries[i], word & ~(uint64_t)0xffff, memory_order_relaxed);
    }
    atomic_store_explicit(&t->generation, generation, memory_order_release);
}

/* The rule in entry `index`; 0 = none of this generation. */
static uint64_t known(struct wh_rules *t, uint32_t index, uint64_t key, uint32_t generation) {
    uint64_t code = atomic_load_explicit(&t->entries[index], memory_order_acquire) ^
                    wh_rule_want(key, generation);
    if (code < WH_RULE_WIDE)
        return code;
    if (code > WH_RULE_WIDE)
        return 0;
    uint64_t word = atomic_load_explicit(wide_of(t, index), memory_order_relaxed);
    return word & WH_RULE_WIDE && (word >> 16 & 0xff) == (generation & 0xff) ? word : 0;
}

uint64_t wh_rules_find(struct wh_rules *t, uint64_t key, uint32_t generation) {
    uint64_t ip = key & ~WH_RULE_EXACT, word;
    uint32_t index = find(t, key);
    if (index != UINT32_MAX && (word = known(t, index, key, generation)) != 0)
        return word;
    struct wh_rule rule = wh_cfi_rule(ip, (key & WH_RULE_EXACT) != 0);
    uint64_t code = narrow(rule, ip);
    word = code == WH_RULE_WIDE ? pack(rule, ip, generation) : code;
    if (index != UINT32_MAX) {
        if (code == WH_RULE_WIDE)
            atomic_store_explicit(wide_of(t, index), word, memory_order_relaxed);
        atomic_store_explicit(&t->entries[index], wh_rule_want(key, generation) | code,
                              memory_order_release);
    }
    if ((index == UINT32_MAX ||
         atomic_load_explicit(&t->used, memory_order_relaxed) > (t->mask + 1) / 2) &&
        t->mask + 1 < LAST)
        grow(t);
    return word;
}
