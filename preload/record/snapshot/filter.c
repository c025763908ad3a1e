/* Which words of a piece may point into the heap?
 *
 * Aligned words: bits 48-63 are ignored (tagged pointers pass), the rest must lie in one of a few
 * spans of addresses. Unaligned words are rare, so they are looked for by their shape alone: two
 * zero bytes behind a byte that is the highest of some span's addresses. Both have an AVX2 form,
 * chosen at run time, and a plain one that gives the same answer. */
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "record/snapshot/filter.h"

static uint64_t load(const unsigned char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static bool in_spans(const struct wh_filter *f, uint64_t value) {
    for (uint32_t k = 0; k < f->span_count; k++)
        if (value - f->spans[k].start < f->spans[k].bytes)
            return true;
    return false;
}

/* [from, bytes): whole aligned words. */
static uint32_t aligned_plain(const struct wh_filter *f, const unsigned char *piece, size_t from,
                              size_t bytes, uint32_t *hits) {
    uint32_t n = 0;
    for (size_t i = from; i + 8 <= bytes; i += 8)
        if (in_spans(f, load(piece + i) & WH_LOW48))
            hits[n++] = (uint32_t)i;
    return n;
}

/* Those that begin in [from, to) and end before `end`. */
static uint32_t unaligned_plain(const struct wh_filter *f, const unsigned char *piece, size_t from,
                                size_t to, size_t end, uint32_t *hits, uint32_t room) {
    uint32_t n = 0;
    for (size_t i = from; i < to && i + 8 <= end && n < room; i++)
        if (i % 8 && piece[i + 7] == 0 && piece[i + 6] == 0 && piece[i + 5] != 0 &&
            in_spans(f, load(piece + i)))
            hits[n++] = (uint32_t)i;
    return n;
}

#if defined(__x86_64__)
/* Words at odd places in [from, to), of which those behind `from` matter; both are multiples of 8.
 * Reads nothing behind `end`. */
__attribute__((target("avx2"))) static uint32_t unaligned_avx2(const struct wh_filter *f,
                                                               const unsigned char *piece,
                                                               size_t from, size_t to, size_t end,
                                                               uint32_t *hits, uint32_t room) {
    const __m256i zero = _mm256_setzero_si256();
    uint32_t n = 0;
    size_t i = from;
    for (; i < to && i + 32 + 8 <= end; i += 32) {
        __m256i top = _mm256_loadu_si256((const __m256i *)(const void *)(piece + i + 5));
        __m256i six = _mm256_loadu_si256((const __m256i *)(const void *)(piece + i + 6));
        __m256i seven = _mm256_loadu_si256((const __m256i *)(const void *)(piece + i + 7));
        __m256i match = zero;
        for (uint32_t k = 0; k < f->top_count; k++)
            match =
                _mm256_or_si256(match, _mm256_cmpeq_epi8(top, _mm256_set1_epi8((char)f->tops[k])));
        match = _mm256_and_si256(match, _mm256_cmpeq_epi8(_mm256_or_si256(six, seven), zero));
        unsigned mask = (unsigned)_mm256_movemask_epi8(match) & ~0x01010101u;
        for (; mask; mask &= mask - 1) {
            uint32_t at = (uint32_t)i + (uint32_t)__builtin_ctz(mask);
            if (at < to && in_spans(f, load(piece + at)) && n < room)
                hits[n++] = at;
        }
    }
    return n + (i < to ? unaligned_plain(f, piece, i, to, end, hits + n, room - n) : 0);
}

/* Both kinds in one pass. Bits of the aligned hits of 64 words first, then the bits: a branch for
 * each few words would be guessed wrong as often as not. An odd word's highest byte stands where no
 * aligned word has it: only stretches with such a byte are looked at again. Returns the aligned
 * ones. */
static inline __attribute__((always_inline, target("avx2,bmi"))) uint32_t
run_with(const struct wh_filter *f, const unsigned char *piece, size_t bytes, size_t after,
         uint32_t span_count, uint32_t top_count, uint32_t *hits, uint32_t *odd, uint32_t room,
         uint32_t *ret_odd) {
    const __m256i low48 = _mm256_set1_epi64x((long long)WH_LOW48);
    const __m256i sign = _mm256_set1_epi64x(INT64_MIN);
    const __m256i elsewhere = _mm256_set1_epi64x((long long)0xffff00ffffffffffull);
    __m256i start[WH_SPANS_MAX], limit[WH_SPANS_MAX], tops[WH_TOPS_MAX];
    for (uint32_t k = 0; k < span_count; k++) {
        start[k] = _mm256_set1_epi64x((long long)f->spans[k].start);
        limit[k] = _mm256_xor_si256(_mm256_set1_epi64x((long long)f->spans[k].bytes), sign);
    }
    for (uint32_t k = 0; k < top_count; k++)
        tops[k] = _mm256_set1_epi8((char)f->tops[k]);
    uint32_t n = 0, n_odd = 0;
    size_t i = 0, done = 0; /* odd words before `done` are found */
    for (; i + 512 <= bytes; i += 512) {
        uint64_t mask = 0;
        __m256i tops_seen = _mm256_setzero_si256();
        for (unsigned w = 0; w < 64; w += 4) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(piece + i + 8 * w));
            for (uint32_t k = 0; k < top_count; k++)
                tops_seen = _mm256_or_si256(tops_seen, _mm256_cmpeq_epi8(v, tops[k]));
            v = _mm256_and_si256(v, low48);
            __m256i in = _mm256_setzero_si256();
            for (uint32_t k = 0; k < span_count; k++) {
                __m256i from_start = _mm256_xor_si256(_mm256_sub_epi64(v, start[k]), sign);
                in = _mm256_or_si256(in, _mm256_cmpgt_epi64(limit[k], from_start));
            }
            mask |= (uint64_t)(unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(in)) << w;
        }
        for (; mask; mask &= mask - 1)
            hits[n++] = (uint32_t)i + 8 * (uint32_t)__builtin_ctzll(mask);
        if (!_mm256_testz_si256(tops_seen, elsewhere)) {
            size_t from = i >= done + 8 ? i - 8 : done; /* its first bytes may be before */
            n_odd +=
                unaligned_avx2(f, piece, from, i + 512, bytes + after, odd + n_odd, room - n_odd);
            done = i + 512;
        }
    }
    if (top_count)
        n_odd += unaligned_avx2(f, piece, i >= done + 8 ? i - 8 : done, bytes, bytes + after,
                                odd + n_odd, room - n_odd);
    *ret_odd = n_odd;
    return n + aligned_plain(f, piece, i, bytes, hits + n);
}

/* Most heaps lie in one or two places: numbers that the compiler knows keep all in registers. */
__attribute__((target("avx2,bmi"))) static uint32_t
run_avx2(const struct wh_filter *f, const unsigned char *piece, size_t bytes, size_t after,
         uint32_t top_count, uint32_t *hits, uint32_t *odd, uint32_t room, uint32_t *ret_odd) {
    if (f->span_count <= 2 && top_count && top_count <= 2)
        return run_with(f, piece, bytes, after, 2, 2, hits, odd, room, ret_odd);
    return run_with(f, piece, bytes, after, f->span_count, top_count, hits, odd, room, ret_odd);
}
#endif

/* Merges two ascending lists, the second lying at spare, into the first. */
static void merge(uint32_t *hits, uint32_t count, const uint32_t *spare, uint32_t more) {
    uint32_t to = count + more;
    while (more) {
        if (count && hits[count - 1] > spare[more - 1])
            hits[--to] = hits[--count];
        else
            hits[--to] = spare[--more];
    }
}

uint32_t wh_filter_run(const struct wh_filter *f, const unsigned char *piece, size_t bytes,
                       size_t after, bool unaligned, uint32_t *hits) {
    uint32_t n, more = 0, *spare = hits + 2 * (bytes / 8) + 16, room = (uint32_t)(bytes / 8);
    uint32_t top_count = unaligned ? f->top_count : 0;
#if defined(__x86_64__)
    if (f->avx2) {
        n = run_avx2(f, piece, bytes, after, top_count, hits, spare, room, &more);
    } else
#endif
    {
        n = aligned_plain(f, piece, 0, bytes, hits);
        if (top_count)
            more = unaligned_plain(f, piece, 0, bytes, bytes + after, spare, room);
    }
    if (more)
        merge(hits, n, spare, more);
    return n + more;
}

/* The heap as at most WH_SPANS_MAX ranges: split at the widest gaps between nodes. */
static void find_spans(struct wh_filter *s, const struct wh_index *index) {
    if (!index->end)
        return;
    uint64_t start = index->nodes[0].address;
    for (uint32_t g = 0; g <= index->gap_count; g++) {
        const struct wh_gap_between *gap = g < index->gap_count ? &index->gaps[g] : NULL;
        s->spans[s->span_count++] =
            (struct wh_span){start, (gap ? gap->start : index->end) - start};
        start = gap ? gap->start + gap->bytes : 0;
    }
}

static void find_tops(struct wh_filter *f) {
    for (uint32_t k = 0; k < f->span_count; k++) {
        uint64_t first = f->spans[k].start >> 40,
                 last = (f->spans[k].start + f->spans[k].bytes) >> 40;
        for (uint64_t top = first; top <= last; top++) {
            bool known = top == 0; /* below 1 TiB: indistinguishable from zeros by this shape */
            for (uint32_t i = 0; i < f->top_count; i++)
                known |= f->tops[i] == top;
            if (!known && f->top_count < WH_TOPS_MAX)
                f->tops[f->top_count++] = (unsigned char)top;
        }
    }
    for (uint32_t i = f->top_count; i < WH_TOPS_MAX; i++)
        f->tops[i] = f->tops[0]; /* as many as one likes may be looked for */
}

void wh_filter_init(struct wh_filter *f, const struct wh_index *index) {
    *f = (struct wh_filter){0};
#if defined(__x86_64__)
    f->avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
#endif
    find_spans(f, index);
    find_tops(f);
}
