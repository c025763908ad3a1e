/* The sampled mode: which allocations are events, and which frees belong to them.
 *
 * Every thread counts its allocated bytes down from a number drawn from the exponential
 * distribution with mean sample_bytes; the allocation that passes 0 is a sample and the next number
 * is drawn. An allocation of s bytes is a sample with probability 1 - exp(-s / sample_bytes),
 * whatever came before. The addresses of live samples stand in a set that all threads share: a
 * filter of counters in front of buckets of one cache line. What is hard is that nothing may be
 * locked: an address is in the set before its owner gets it and leaves it before it is freed, so
 * that two threads never ask about one address at a time. */
#include "state.h"

enum { BUCKET_BITS = 16, SLOTS = 7, PROBES = 64, STUCK = 255 };

/* passed: addresses that found no room here and stand in a later bucket. */
struct bucket {
    _Atomic uint64_t address[SLOTS];
    _Atomic uint64_t passed;
};

_Atomic uint8_t *wh_sample_filter; /* a count that reached STUCK stays */
static struct bucket *buckets;
static uint64_t seed, streams;

static uint64_t scramble(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

int wh_sample_init(uint64_t bytes, const char *seed_text) {
    _Atomic uint8_t *filter = wh_memory_take(WH_SAMPLE_PLACES);
    buckets = wh_memory_take(sizeof *buckets << BUCKET_BITS);
    if (!filter || !buckets)
        return 0;
    if (seed_text)
        for (; *seed_text >= '0' && *seed_text <= '9'; seed_text++)
            seed = seed * 10 + (uint64_t)(*seed_text - '0');
    else
        seed = wh_ticks_raw() ^ (uint64_t)wh_process.pid << 40;
    wh_sample_filter = filter;
    wh_sample_except(0, 1);
    wh_early_except();
    wh_process.sample_bytes = bytes;
    return 1;
}

void wh_sample_except(uintptr_t from, uintptr_t to) {
    _Atomic uint8_t *filter = wh_sample_filter;
    for (from &= ~(uintptr_t)255; filter && from < to; from += 256)
        atomic_store_explicit(&filter[WH_SAMPLE_PLACE(from)], STUCK, memory_order_relaxed);
}

/* ln of x in (0, 1], to ten digits: no libm here. */
static double logarithm(double x) {
    union {
        double value;
        uint64_t bits;
    } u = {x};
    int exponent = (int)(u.bits >> 52) - 1023;
    u.bits = (u.bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
    double z = (u.value - 1) / (u.value + 1), square = z * z, term = z, sum = 0;
    for (int k = 1; k < 20; k += 2) {
        sum += term / k;
        term *= square;
    }
    return 2 * sum + exponent * 0.6931471805599453;
}

static int64_t draw(struct wh_tls *tls) {
    uint64_t x = scramble(tls->sample_random += 0x9e3779b97f4a7c15ull);
    double uniform = ((double)(x >> 11) + 1) * 0x1p-53;
    double bytes = -logarithm(uniform) * (double)wh_process.sample_bytes;
    return bytes < 0x1p62 ? (int64_t)bytes : (int64_t)1 << 62;
}

int wh_sample_slow(size_t size) {
    struct wh_tls *tls = &wh_tls;
    if (!tls->sample_random) {
        /* A thread's first: what was counted before was no draw. */
        uint64_t stream = __atomic_add_fetch(&streams, 1, __ATOMIC_RELAXED);
        tls->sample_random = scramble(seed + stream * 0xd1342543de82ef95ull) | 1;
        uint64_t bytes = size < (uint64_t)1 << 61 ? size : (uint64_t)1 << 61;
        tls->sample_left = draw(tls) - (int64_t)bytes;
        if (tls->sample_left >= 0)
            return 0;
    }
    tls->sample_left = draw(tls);
    tls->sample_due = 1;
    return 1;
}

void wh_sample_forked(void) {
    struct wh_tls *tls = &wh_tls;
    if (tls->sample_random)
        tls->sample_random = scramble(tls->sample_random + wh_process.uid) | 1;
}

/* --- the set
 * --------------------------------------------------------------------------------------- */

static uint64_t hash_of(uintptr_t address) {
    return address * 0x9e3779b97f4a7c15ull;
}

static _Atomic uint8_t *counter_of(const void *block) {
    return &wh_sample_filter[WH_SAMPLE_PLACE(block)];
}

static struct bucket *bucket_of(uint64_t hash, uint32_t probe) {
    uint64_t first = hash >> (64 - BUCKET_BITS);
    return &buckets[(first + probe) & (((uint64_t)1 << BUCKET_BITS) - 1)];
}

/* Adds to a counter unless it is stuck. */
static void count(_Atomic uint8_t *counter, int change) {
    uint8_t now = atomic_load_explicit(counter, memory_order_relaxed);
    while (now != STUCK &&
           !atomic_compare_exchange_weak_explicit(counter, &now, (uint8_t)(now + change),
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

static int put(struct bucket *b, uintptr_t address) {
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint64_t empty = 0;
        if (!atomic_load_explicit(&b->address[i], memory_order_relaxed) &&
            atomic_compare_exchange_strong(&b->address[i], &empty, address))
            return 1;
    }
    return 0;
}

int wh_sample_add(const void *block) {
    uint64_t hash = hash_of((uintptr_t)block);
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        struct bucket *b = bucket_of(hash, probe);
        if (put(b, (uintptr_t)block)) {
            count(counter_of(block), 1);
            return 1;
        }
        atomic_fetch_add_explicit(&b->passed, 1, memory_order_relaxed);
    }
    for (uint32_t probe = 0; probe < PROBES; probe++)
        atomic_fetch_sub_explicit(&bucket_of(hash, probe)->passed, 1, memory_order_relaxed);
    return 0;
}

int wh_sample_remove(const void *block) {
    uint64_t hash = hash_of((uintptr_t)block);
    if (!atomic_load_explicit(counter_of(block), memory_order_relaxed))
        return 0;
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        struct bucket *b = bucket_of(hash, probe);
        for (uint32_t i = 0; i < SLOTS; i++) {
            if (atomic_load_explicit(&b->address[i], memory_order_relaxed) != (uintptr_t)block)
                continue;
            atomic_store_explicit(&b->address[i], 0, memory_order_relaxed);
            while (probe-- > 0)
                atomic_fetch_sub_explicit(&bucket_of(hash, probe)->passed, 1, memory_order_relaxed);
            count(counter_of(block), -1);
            return 1;
        }
        if (!atomic_load_explicit(&b->passed, memory_order_relaxed))
            return 0;
    }
    return 0;
}
