/* The scan's filter: what it lets through is what its definition says, with and without AVX2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "record/snapshot/filter.h"

#define PIECE_MAX 4096u
#define AFTER_MAX 16u

static uint64_t seed;
static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static const uint64_t places[] = {0x10000, 0x555555560000, 0x7f00a0000000, 0x7fffff000000};
#define PLACES ((uint32_t)(sizeof places / sizeof *places))

/* Of a heap in the places from `first` on. */
static struct wh_filter make_filter(unsigned first) {
    struct wh_heap_node nodes[2 * PLACES] = {0};
    for (unsigned i = 0; i < 2 * PLACES; i++) {
        nodes[i].address = (places[i / 2] + i % 2 * 4096) & WH_ADDRESS_MASK;
        nodes[i].size = 256;
    }
    struct wh_index index;
    struct wh_filter f;
    assert_int_equal(wh_index_init(&index, nodes + 2 * first, 2 * (PLACES - first)), WH_OK);
    wh_filter_init(&f, &index);
    wh_index_release(&index);
    assert_int_equal(f.span_count, PLACES - first);
    return f;
}

static bool in_spans(const struct wh_filter *f, uint64_t value) {
    for (uint32_t k = 0; k < f->span_count; k++)
        if (value - f->spans[k].start < f->spans[k].bytes)
            return true;
    return false;
}

static uint32_t by_definition(const struct wh_filter *f, const unsigned char *piece, size_t bytes,
                              size_t after, uint32_t *hits) {
    uint32_t count = 0;
    for (size_t i = 0; i < bytes && i + 8 <= bytes + after; i++) {
        uint64_t word;
        memcpy(&word, piece + i, sizeof word);
        bool shaped = piece[i + 5] && !piece[i + 6] && !piece[i + 7];
        if (i % 8 ? shaped && in_spans(f, word) : in_spans(f, word & WH_LOW48))
            hits[count++] = (uint32_t)i;
    }
    return count;
}

/* Zeros, addresses at any place, bytes that addresses end with, noise. */
static void fill(unsigned char *piece, size_t bytes) {
    memset(piece, 0, bytes);
    for (uint64_t n = next_random() % (bytes / 8 + 1); n && bytes >= 8; n--) {
        size_t at = next_random() % (bytes - 7);
        uint64_t word = places[next_random() % PLACES] + next_random() % 8192;
        if (next_random() % 4 == 0)
            word |= next_random() << 48;
        if (next_random() % 8 == 0)
            word = next_random();
        if (next_random() % 2)
            at &= ~(size_t)7;
        if (next_random() % 8 == 0)
            piece[at] = next_random() % 2 ? 0x55 : 0x7f;
        else
            memcpy(piece + at, &word, sizeof word);
    }
}

static void both_forms_are_the_definition(void **state) {
    (void)state;
    seed = (uint64_t)time(NULL) * 2654435761u | 1;
    uint32_t found[WH_FILTER_HITS(PIECE_MAX)], expected[WH_FILTER_HITS(PIECE_MAX)];
    bool has_avx2 = make_filter(0).avx2;
    uint64_t all = 0;
    print_message("seed %llu, avx2 %d\n", (unsigned long long)seed, has_avx2);
    for (int round = 0; round < 4000; round++) {
        size_t bytes = next_random() % (PIECE_MAX / 8) * 8, after = next_random() % (AFTER_MAX + 1);
        struct wh_filter f = make_filter((unsigned)round % PLACES);
        unsigned char *piece = malloc(bytes + after + 1); /* sanitizers see what is read behind */
        assert_non_null(piece);
        fill(piece, bytes + after);
        uint32_t count = by_definition(&f, piece, bytes, after, expected);
        for (int avx2 = 0; avx2 <= has_avx2; avx2++) {
            f.avx2 = avx2;
            assert_int_equal(wh_filter_run(&f, piece, bytes, after, true, found), count);
            assert_memory_equal(found, expected, count * sizeof *found);
        }
        free(piece);
        all += count;
    }
    assert_true(all > 100000);
}

static void odd_places_are_not_looked_at_unasked(void **state) {
    (void)state;
    struct wh_filter f = make_filter(0);
    unsigned char piece[1024] = {0};
    uint32_t hits[WH_FILTER_HITS(sizeof piece)];
    memcpy(piece + 8, &places[1], sizeof places[1]);
    memcpy(piece + 35, &places[1], sizeof places[1]);
    memcpy(piece + 600, &places[2], sizeof places[2]);
    memcpy(piece + 1013, &places[2], sizeof places[2]);
    assert_int_equal(wh_filter_run(&f, piece, sizeof piece, 0, false, hits), 2);
    assert_int_equal(hits[0], 8);
    assert_int_equal(hits[1], 600);
    assert_int_equal(wh_filter_run(&f, piece, sizeof piece, 0, true, hits), 4);
    assert_int_equal(hits[1], 35);
    assert_int_equal(hits[3], 1013);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_are_the_definition),
        cmocka_unit_test(odd_places_are_not_looked_at_unasked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
