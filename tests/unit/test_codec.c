/* The codec's promises: what is put comes back, a truncated or hostile block is refused where it
 * breaks and never read past its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "wire/codec.h"

static uint64_t seed = 88172645463325252ull;
static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static const uint8_t kinds[][2] = {
    {WH_EV_ALLOC, 0},  {WH_EV_ALLOC, 6},    {WH_EV_FREE, 0},    {WH_EV_FREE, 1},
    {WH_EV_FREE, 2},   {WH_EV_FREE, 3},     {WH_EV_REALLOC, 2}, {WH_EV_NODE, 0},
    {WH_EV_THREAD, 0}, {WH_EV_THREAD, 1},   {WH_EV_IMAGE, 0},   {WH_EV_FORK, 0},
    {WH_EV_FORK, 1},   {WH_EV_FORK, 2},     {WH_EV_MODULE, 0},  {WH_EV_MODULE, 1},
    {WH_EV_EXIT, 0},   {WH_EV_SNAPSHOT, 0}, {WH_EV_POOL, 0},    {WH_EV_POOL, 1},
    {WH_EV_PAUSE, 1},  {WH_EV_NOTE, 4},     {WH_EV_LOST, 0},
};

/* A random event of one kind with the fields that this kind carries. */
static struct wh_event random_event(uint64_t *ticks) {
    const uint8_t *kind = kinds[next_random() % (sizeof kinds / sizeof *kinds)];
    struct wh_event e = {.kind = kind[0], .detail = kind[1]};
    *ticks += next_random() % 1000;
    uint64_t wide = next_random() >> (next_random() % 64);
    switch (e.kind) {
    case WH_EV_REALLOC:
        e.old_address = next_random() >> 16;
        /* fall through */
    case WH_EV_ALLOC:
    case WH_EV_POOL:
    case WH_EV_FREE:
        e.address = next_random() >> (16 + next_random() % 48);
        if (e.kind != WH_EV_FREE ? e.kind != WH_EV_POOL || !e.detail : (e.detail & 2) != 0)
            e.size = wide;
        if (e.kind != WH_EV_FREE ? e.kind != WH_EV_POOL || !e.detail : (e.detail & 1) != 0)
            e.stack = (uint32_t)next_random();
        if (e.kind == WH_EV_POOL && !e.detail)
            e.text = "pool", e.text_bytes = 4;
        break;
    case WH_EV_NODE:
        e.node = (uint32_t)next_random();
        e.parent = (uint32_t)next_random();
        e.ip = wide;
        break;
    case WH_EV_MODULE:
        e.address = wide;
        if (e.detail == 0) {
            e.size = 4096, e.ip = wide >> 3;
            e.text = "/lib/x.so", e.text_bytes = 9, e.text2 = "\0\1\2", e.text2_bytes = 3;
        }
        break;
    case WH_EV_PAUSE:
        break;
    default:
        if (e.kind != WH_EV_NOTE)
            e.number = wide;
        if (e.kind == WH_EV_IMAGE || (e.kind == WH_EV_FORK && e.detail))
            e.number2 = wide / 3;
        if (e.kind == WH_EV_FORK && e.detail == 2)
            e.number3 = 7, e.node = 9;
        if (e.kind == WH_EV_IMAGE)
            e.text2 = "a\0b", e.text2_bytes = 3;
        if (e.kind == WH_EV_IMAGE || e.kind == WH_EV_NOTE || e.kind == WH_EV_SNAPSHOT ||
            (e.kind == WH_EV_THREAD && !e.detail))
            e.text = "name", e.text_bytes = 4;
    }
    if (e.kind != WH_EV_NODE)
        e.ticks = e.before_ticks = *ticks;
    if (e.kind == WH_EV_REALLOC)
        e.before_ticks -= e.ticks % 7;
    return e;
}

static void assert_same(const struct wh_event *a, const struct wh_event *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->detail, b->detail);
    assert_true(a->ticks == b->ticks && a->before_ticks == b->before_ticks);
    assert_true(a->address == b->address && a->old_address == b->old_address);
    assert_true(a->size == b->size && a->stack == b->stack);
    assert_true(a->node == b->node && a->parent == b->parent && a->ip == b->ip);
    assert_true(a->number == b->number && a->number2 == b->number2 && a->number3 == b->number3);
    assert_int_equal(a->text_bytes, b->text_bytes);
    assert_int_equal(a->text2_bytes, b->text2_bytes);
    if (a->text_bytes)
        assert_memory_equal(a->text, b->text, a->text_bytes);
    if (a->text2_bytes)
        assert_memory_equal(a->text2, b->text2, a->text2_bytes);
}

enum { EVENTS = 3000, BYTES = 256 * 1024 };

static void what_is_put_comes_back(void **state) {
    (void)state;
    uint8_t *payload = malloc(BYTES);
    static struct wh_event put[EVENTS];
    struct wh_block header = {.base_ticks = 1000, .base_ip = 0x7f0000001234, .base_stack = 77};
    struct wh_writer w = {.cursor = payload,
                          .end = payload + BYTES,
                          .ticks = 1000,
                          .ip = 0x7f0000001234,
                          .stack = 77};
    uint64_t ticks = 1000;
    for (int i = 0; i < EVENTS; i++) {
        put[i] = random_event(&ticks);
        assert_true(wh_writer_put(&w, &put[i]) > 0);
    }
    struct wh_reader r;
    wh_reader_init(&r, &header, payload, (uint32_t)(w.cursor - payload));
    struct wh_event got;
    for (int i = 0; i < EVENTS; i++) {
        assert_int_equal(wh_reader_next(&r, &got), 1);
        assert_same(&got, &put[i]);
    }
    assert_int_equal(wh_reader_next(&r, &got), 0);
    free(payload);
}

/* Every record without text stays below WH_RECORD_MAX even with all operands at their widest. */
static void a_record_without_text_fits_its_bound(void **state) {
    (void)state;
    uint8_t payload[WH_RECORD_MAX];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct wh_event e = {.kind = kinds[i][0],
                             .detail = kinds[i][1],
                             .ticks = UINT64_MAX / 2,
                             .address = UINT64_MAX,
                             .old_address = UINT64_MAX / 3,
                             .size = UINT64_MAX,
                             .stack = UINT32_MAX / 2,
                             .node = UINT32_MAX,
                             .parent = UINT32_MAX,
                             .ip = UINT64_MAX / 2,
                             .number = UINT64_MAX,
                             .number2 = UINT64_MAX,
                             .number3 = UINT64_MAX};
        struct wh_writer w = {.cursor = payload, .end = payload + sizeof payload};
        uint32_t bytes = wh_writer_put(&w, &e);
        assert_true(bytes > 0 && bytes <= WH_RECORD_MAX);
        w = (struct wh_writer){.cursor = payload, .end = payload + WH_RECORD_MAX - 1};
        assert_int_equal(wh_writer_put(&w, &e), 0);
    }
}

/* Cut anywhere, damaged anywhere: the reader ends with 0 or -1 within the data. */
static void a_damaged_block_is_refused_in_bounds(void **state) {
    (void)state;
    struct wh_block header = {0};
    for (int round = 0; round < 20000; round++) {
        uint32_t size = (uint32_t)(next_random() % 200);
        uint8_t *bytes = malloc(size ? size : 1); /* its end is watched by the address sanitizer */
        struct wh_writer w = {.cursor = bytes, .end = bytes + size};
        uint64_t ticks = 0;
        memset(bytes, 0, size);
        for (int i = 0; i < 8; i++) {
            struct wh_event e = random_event(&ticks);
            wh_writer_put(&w, &e);
        }
        for (uint32_t i = 0; i < size / 16; i++)
            bytes[next_random() % size] = (uint8_t)next_random();
        struct wh_reader r;
        wh_reader_init(&r, &header, bytes, size ? (uint32_t)(next_random() % size) : 0);
        struct wh_event e;
        uint32_t records = 0;
        int more;
        while ((more = wh_reader_next(&r, &e)) == 1) {
            assert_true(++records <= size);
            if (e.text_bytes)
                assert_true((const uint8_t *)e.text + e.text_bytes <= r.end);
        }
        const uint8_t *at = r.cursor;
        assert_int_equal(wh_reader_next(&r, &e), more);
        assert_ptr_equal(at, r.cursor);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_back),
        cmocka_unit_test(a_record_without_text_fits_its_bound),
        cmocka_unit_test(a_damaged_block_is_refused_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
