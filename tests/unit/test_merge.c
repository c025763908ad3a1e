/* Streams and their merge: the history is in order of time, chunks give it back, and rubbish ends
 * only the block it stands in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/image.h"
#include "wire/codec.h"

/* A block being written: header and payload in one piece. */
struct written {
    struct wh_writer writer;
    union {
        struct wh_block block;
        unsigned char bytes[4096];
    } u; /* last: a block ends in a flexible array */
};

static void begin(struct written *w, uint32_t serial, uint32_t sequence, uint64_t base_ticks) {
    memset(w, 0, sizeof *w);
    w->u.block.thread_serial = serial;
    w->u.block.sequence = sequence;
    w->u.block.base_ticks = base_ticks;
    w->writer = (struct wh_writer){
        .cursor = w->u.block.payload, .end = w->u.bytes + sizeof w->u.bytes, .ticks = base_ticks};
}

static void put(struct written *w, uint8_t kind, uint64_t ticks, uint64_t address, uint64_t size) {
    struct wh_event e = {.kind = kind,
                         .ticks = ticks,
                         .before_ticks = ticks,
                         .address = address,
                         .size = size,
                         .stack = 3};
    assert_true(wh_writer_put(&w->writer, &e) > 0);
}

static uint32_t length(const struct written *w) {
    return (uint32_t)(w->writer.cursor - w->u.block.payload);
}

/* Copies `bytes` of the block into a new segment of the stream. */
static struct wh_segment *give(struct wh_stream *s, const struct written *w, uint32_t bytes,
                               bool complete) {
    struct wh_segment *g = wh_stream_segment(s, &w->u.block, 4096);
    assert_non_null(g);
    memcpy(wh_segment_payload(g), w->u.block.payload, bytes);
    g->bytes = bytes;
    g->complete = complete;
    return g;
}

static void expect(struct wh_merge *m, uint64_t watermark, uint64_t ticks, uint8_t kind) {
    struct wh_stream *s = wh_merge_peek(m, watermark);
    assert_non_null(s);
    assert_int_equal(s->head->ticks, ticks);
    assert_int_equal(s->head->kind, kind);
    wh_merge_pop(m);
}

static void threads_are_merged_by_time_up_to_the_watermark(void **state) {
    (void)state;
    struct wh_merge m = {0};
    struct wh_stream a = {.serial = 1}, b = {.serial = 2};
    struct written x, y;
    begin(&x, 1, 0, 100);
    put(&x, WH_EV_ALLOC, 110, 0x1000, 5);
    put(&x, WH_EV_ALLOC, 130, 0x2000, 5);
    begin(&y, 2, 0, 100);
    put(&y, WH_EV_ALLOC, 120, 0x3000, 5);
    put(&y, WH_EV_FREE, 130, 0x1000, 0);
    put(&y, WH_EV_FREE, 150, 0x3000, 0);
    give(&a, &x, length(&x), true);
    give(&b, &y, length(&y), true);
    assert_int_equal(wh_merge_feed(&m, &a), 0);
    assert_int_equal(wh_merge_feed(&m, &b), 0);
    expect(&m, 140, 110, WH_EV_ALLOC);
    expect(&m, 140, 120, WH_EV_ALLOC);
    expect(&m, 140, 130, WH_EV_FREE); /* before the allocation of the same tick */
    expect(&m, 140, 130, WH_EV_ALLOC);
    assert_null(wh_merge_peek(&m, 140));
    expect(&m, 150, 150, WH_EV_FREE);
    assert_null(wh_merge_peek(&m, UINT64_MAX));
    assert_int_equal(m.late, 0);
    wh_stream_release(&a);
    wh_stream_release(&b);
    wh_merge_release(&m);
}

static void blocks_of_a_thread_wait_for_the_one_before(void **state) {
    (void)state;
    struct wh_merge m = {0};
    struct wh_stream a = {.serial = 1};
    struct written x, y;
    begin(&x, 1, 0, 100);
    put(&x, WH_EV_ALLOC, 110, 0x1000, 5);
    put(&x, WH_EV_ALLOC, 120, 0x2000, 5);
    begin(&y, 1, 1, 125);
    put(&y, WH_EV_FREE, 130, 0x1000, 0);
    give(&a, &y, length(&y), false);
    assert_int_equal(wh_merge_feed(&m, &a), 0);
    assert_null(wh_merge_peek(&m, UINT64_MAX));
    struct wh_segment *g = give(&a, &x, length(&x), false);
    assert_int_equal(wh_merge_feed(&m, &a), 0);
    expect(&m, UINT64_MAX, 110, WH_EV_ALLOC);
    expect(&m, UINT64_MAX, 120, WH_EV_ALLOC);
    assert_null(wh_merge_peek(&m, UINT64_MAX)); /* the first may still grow */
    g->complete = true;
    assert_int_equal(wh_merge_feed(&m, &a), 0);
    expect(&m, UINT64_MAX, 130, WH_EV_FREE);
    wh_stream_release(&a);
    wh_merge_release(&m);
}

/* Cut at any record, stored, loaded: the same records. */
static void chunks_cut_anywhere_give_the_same_history(void **state) {
    (void)state;
    for (int cut = 0; cut <= 20; cut++) {
        struct wh_stream a = {.serial = 1}, b = {.serial = 1};
        struct written x;
        begin(&x, 1, 0, 100);
        for (uint64_t i = 1; i <= 20; i++)
            put(&x, i % 3 ? WH_EV_ALLOC : WH_EV_FREE, 100 + i * 7, 0x1000 + i * 24, i * 1000);
        give(&a, &x, length(&x), true);
        int records = 0;
        struct wh_cut chunk = {0};
        while (records < cut && wh_stream_next(&a))
            records++;
        assert_int_equal(wh_stream_cut(&a, &chunk), 0);
        assert_int_equal(wh_stream_load(&b, chunk.data, chunk.bytes), 0);
        while (wh_stream_next(&a))
            records++;
        assert_int_equal(wh_stream_cut(&a, &chunk), 0);
        assert_int_equal(wh_stream_load(&b, chunk.data, chunk.bytes), 0);
        assert_int_equal(records, 20);
        for (uint64_t i = 1; i <= 20; i++) {
            assert_int_equal(wh_stream_next(&b), 1);
            assert_int_equal(b.head->ticks, 100 + i * 7);
            assert_int_equal(b.head->address, 0x1000 + i * 24);
            assert_int_equal(b.head->size, i % 3 ? i * 1000 : 0);
        }
        assert_int_equal(wh_stream_next(&b), 0);
        free(chunk.data);
        wh_stream_release(&a);
        wh_stream_release(&b);
    }
}

static void rubbish_ends_its_block_only(void **state) {
    (void)state;
    struct wh_stream a = {.serial = 1};
    struct written x, y;
    begin(&x, 1, 0, 100);
    put(&x, WH_EV_ALLOC, 110, 0x1000, 5);
    memset(x.writer.cursor, 0xff, 64);
    x.writer.cursor += 64;
    begin(&y, 1, 1, 200);
    put(&y, WH_EV_ALLOC, 210, 0x2000, 5);
    give(&a, &x, length(&x), true);
    give(&a, &y, length(&y), true);
    assert_int_equal(wh_stream_next(&a), 1);
    assert_int_equal(wh_stream_next(&a), 1);
    assert_int_equal(a.head->ticks, 210);
    assert_int_equal(wh_stream_next(&a), 0);
    assert_int_equal(a.malformed, 1);
    wh_stream_release(&a);
}

/* --- images -------------------------------------------------------------------------------------
 */

static struct wh_image *images[3];

static struct wh_image *find(void *arg, uint32_t id) {
    (void)arg;
    return id < 3 ? images[id] : NULL;
}

static uint32_t extend(void *arg, uint32_t extent) {
    uint32_t *next = arg;
    (void)extent;
    *next += WH_NODE_EXTENT;
    return *next;
}

/* A busy thread without a known next record holds the history back at its last one. */
static void a_busy_thread_holds_the_watermark(void **state) {
    (void)state;
    const struct wh_image_calls calls = {.find = find};
    struct wh_image image;
    struct written x, y;
    assert_int_equal(wh_image_init(&image, 1, 1000, &calls), 0);
    struct wh_image_thread *a = wh_image_thread(&image, 1, true);
    struct wh_image_thread *b = wh_image_thread(&image, 2, true);
    begin(&x, 1, 0, 100);
    put(&x, WH_EV_ALLOC, 110, 0x1000, 5);
    put(&x, WH_EV_ALLOC, 150, 0x2000, 5);
    begin(&y, 2, 0, 100);
    put(&y, WH_EV_ALLOC, 120, 0x3000, 5);
    give(&a->stream, &x, length(&x), false);
    struct wh_segment *g = give(&b->stream, &y, length(&y), false);
    b->stream.busy = true;
    assert_int_equal(wh_merge_feed(&image.merge, &a->stream), 0);
    assert_int_equal(wh_merge_feed(&image.merge, &b->stream), 0);
    assert_int_equal(wh_image_run(&image, 200), 0);
    assert_int_equal(image.pair.events, 2);
    put(&y, WH_EV_FREE, 130, 0x1000, 0); /* stamped before, published now */
    memcpy(wh_segment_payload(g), y.u.block.payload, length(&y));
    g->bytes = length(&y);
    b->stream.busy = false;
    assert_int_equal(wh_merge_feed(&image.merge, &b->stream), 0);
    assert_int_equal(wh_image_run(&image, 200), 0);
    assert_int_equal(image.pair.events, 4);
    assert_int_equal(image.pair.unknown_frees, 0);
    assert_int_equal(image.merge.late, 0);
    wh_image_release(&image);
}

static void put_fork(struct written *w, uint8_t detail, uint64_t ticks, uint32_t nodes) {
    struct wh_event e = {.kind = WH_EV_FORK,
                         .detail = detail,
                         .ticks = ticks,
                         .number = 77,
                         .number2 = detail == 2 ? 1 : 4321,
                         .number3 = 4321,
                         .node = nodes};
    assert_true(wh_writer_put(&w->writer, &e) > 0);
}

/* The child waits until its parent came to the fork, then starts with its blocks and stack ids. */
static void a_child_waits_for_its_parents_fork(void **state) {
    (void)state;
    uint32_t next = 0;
    const struct wh_image_calls calls = {.find = find};
    struct wh_image parent, child;
    struct written x, y;
    assert_int_equal(wh_image_init(&parent, 1, 1000, &calls), 0);
    assert_int_equal(wh_image_init(&child, 2, 1000, &calls), 0);
    parent.nodes.extend = child.nodes.extend = extend;
    parent.nodes.arg = child.nodes.arg = &next;
    images[1] = &parent;
    images[2] = &child;
    begin(&x, 1, 0, 100);
    put(&x, WH_EV_ALLOC, 110, 0x1000, 5);
    put_fork(&x, 0, 120, 0);
    put_fork(&x, 1, 140, 0);
    begin(&y, 1, 0, 100);
    put_fork(&y, 2, 130, 500);
    put(&y, WH_EV_FREE, 135, 0x1000, 0);
    struct wh_image_thread *a = wh_image_thread(&parent, 1, true);
    struct wh_image_thread *b = wh_image_thread(&child, 1, true);
    give(&b->stream, &y, length(&y), true);
    assert_int_equal(wh_merge_feed(&child.merge, &b->stream), 0);
    assert_int_equal(wh_image_run(&child, UINT64_MAX), 1);
    give(&a->stream, &x, length(&x), true);
    assert_int_equal(wh_merge_feed(&parent.merge, &a->stream), 0);
    assert_int_equal(wh_image_run(&parent, UINT64_MAX), 0);
    assert_int_equal(wh_image_run(&child, UINT64_MAX), 0);
    assert_int_equal(child.pair.inherited_objects, 1);
    assert_int_equal(child.pair.unknown_frees, 0);
    assert_int_equal(child.pair.ledger.live_objects, 0);
    assert_int_equal(parent.pair.ledger.live_objects, 1);
    assert_null(parent.forks);
    assert_int_equal(wh_nodes_id(&child.nodes, 499), wh_nodes_id(&parent.nodes, 499));
    assert_int_not_equal(wh_nodes_id(&child.nodes, 500), wh_nodes_id(&parent.nodes, 500));
    assert_int_equal(wh_nodes_id(&child.nodes, 0), 0);
    assert_int_equal(wh_nodes_id(&child.nodes, UINT32_MAX), 0);
    wh_image_release(&parent);
    wh_image_release(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_are_merged_by_time_up_to_the_watermark),
        cmocka_unit_test(blocks_of_a_thread_wait_for_the_one_before),
        cmocka_unit_test(chunks_cut_anywhere_give_the_same_history),
        cmocka_unit_test(rubbish_ends_its_block_only),
        cmocka_unit_test(a_busy_thread_holds_the_watermark),
        cmocka_unit_test(a_child_waits_for_its_parents_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
