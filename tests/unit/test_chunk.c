/* Raw events: what a thread's blocks said comes back record by record, from the reader and from the
 * table `event`, and damage ends in an error, never in a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "schema/chunk.h"
#include "schema/columns.h"

#define EVENTS 5000

static char path[64];
static struct wh_event made[EVENTS];
static unsigned char data[EVENTS * 40];

static int make_path(void **state) {
    (void)state;
    strcpy(path, "/tmp/wh_chunk.XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

/* A plausible thread: blocks of a few sizes from a few stacks, freed in another order. */
static void make_events(void) {
    uint64_t ticks = 1000, live[64] = {0};
    uint32_t random = 1;
    for (int i = 0; i < EVENTS; i++) {
        random = random * 1103515245u + 12345u;
        unsigned slot = random >> 16 & 63;
        ticks += random >> 24;
        struct wh_event *e = &made[i];
        *e = (struct wh_event){.ticks = ticks, .before_ticks = ticks};
        if (i % 1000 == 999) {
            e->kind = WH_EV_NOTE;
            e->text = "a note";
            e->text_bytes = 6;
        } else if (i % 10 == 9) {
            e->kind = WH_EV_NODE;
            e->ticks = e->before_ticks = 0;
            e->node = (uint32_t)i / 10 + 1;
            e->parent = (uint32_t)i / 20;
            e->ip = 0x400000 + (random & 0xfff);
        } else if (live[slot] && i % 7 == 3) {
            e->kind = WH_EV_REALLOC;
            e->detail = WH_ALLOC_REALLOC;
            e->before_ticks = ticks - 1;
            e->old_address = live[slot];
            e->address = live[slot] = 0x7f0000000000 + (uint64_t)i * 32 + (i % 70 == 3);
            e->size = random & 4095;
            e->stack = 1 + slot % 5;
        } else if (live[slot]) {
            e->kind = WH_EV_FREE;
            e->address = live[slot];
            live[slot] = 0;
        } else {
            e->kind = WH_EV_ALLOC;
            e->detail = (uint8_t)(slot % WH_ALLOC_KINDS);
            e->address = live[slot] = 0x555500001000 + (uint64_t)slot * 4096 + (random & 0x7f0);
            e->size = 16 + slot * 8;
            e->stack = 1 + slot % 5;
        }
    }
}

/* The events as three blocks in a row. Returns the bytes. */
static size_t make_blocks(void) {
    size_t at = 0;
    for (int b = 0; b < 3; b++) {
        int first = b * EVENTS / 3, last = (b + 1) * EVENTS / 3;
        uint64_t base = 0;
        for (int i = first; !base; i++)
            base = made[i].ticks;
        struct wh_block header = {.process_uid = 1,
                                  .thread_serial = 2,
                                  .tid = 77,
                                  .sequence = (uint32_t)b,
                                  .base_ticks = base,
                                  .base_ip = 0x400000,
                                  .base_stack = 3};
        unsigned char *payload = data + at + sizeof header;
        struct wh_writer w = {.cursor = payload,
                              .end = data + sizeof data,
                              .ticks = base,
                              .ip = header.base_ip,
                              .stack = header.base_stack};
        for (int i = first; i < last; i++)
            assert_int_not_equal(wh_writer_put(&w, &made[i]), 0);
        atomic_store(&header.committed, (uint32_t)(w.cursor - payload));
        memcpy(data + at, &header, sizeof header);
        at += sizeof header + (size_t)(w.cursor - payload);
    }
    return at;
}

static void put(struct wh_store *store, const struct wh_chunk *chunk) {
    struct wh_packer *packer = NULL;
    unsigned char *packed;
    size_t bytes;
    assert_int_equal(wh_chunk_pack(&packer, chunk, NULL, NULL, &packed, &bytes), 0);
    assert_int_equal(wh_store_put_chunk(store, chunk, packed, bytes, NULL), 0);
    wh_packer_free(packer);
}

static struct wh_store *create(size_t *ret_bytes) {
    struct wh_store *store = NULL;
    assert_int_equal(wh_store_create(path, WH_STORE_FORCE, &store, NULL), 0);
    make_events();
    *ret_bytes = make_blocks();
    struct wh_chunk chunk = {.process_id = 1,
                             .thread_serial = 2,
                             .first_ns = 1000,
                             .last_ns = 1000000,
                             .events = EVENTS,
                             .data = data,
                             .bytes = *ret_bytes};
    put(store, &chunk);
    chunk.process_id = 2;
    chunk.first_ns = 2000000;
    chunk.last_ns = 3000000;
    put(store, &chunk);
    return store;
}

static int64_t ask(struct wh_store *store, const char *sql) {
    struct wh_query *q;
    struct wh_error error = {0};
    if (wh_query_open(store, sql, &q, &error) != 0 || wh_query_step(q, &error) != 1)
        fail_msg("%s: %s", sql, error.text);
    int64_t value = wh_query_int(q, 0);
    wh_query_close(q);
    return value;
}

static void same_event(const struct wh_event *a, const struct wh_event *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->detail, b->detail);
    if (a->kind != WH_EV_NODE) {
        assert_int_equal(a->ticks, b->ticks);
        assert_int_equal(a->before_ticks, b->before_ticks);
    }
    assert_int_equal(a->address, b->address);
    assert_int_equal(a->old_address, b->old_address);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->stack, b->stack);
    assert_int_equal(a->node, b->node);
    assert_int_equal(a->parent, b->parent);
    assert_int_equal(a->ip, b->ip);
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->text_bytes, b->text_bytes);
    if (a->text_bytes)
        assert_memory_equal(a->text, b->text, a->text_bytes);
}

static void every_record_comes_back(void **state) {
    (void)state;
    size_t bytes;
    struct wh_store *store = create(&bytes);
    struct wh_events *events;
    struct wh_stored_event row;
    assert_int_equal(
        wh_events_open(store, &(struct wh_chunk_range){.process_id = 1}, &events, NULL), 0);
    for (int i = 0; i < EVENTS; i++) {
        assert_int_equal(wh_events_next(events, &row, NULL), 1);
        assert_int_equal(row.process_id, 1);
        assert_int_equal(row.thread_serial, 2);
        same_event(&made[i], &row.event);
    }
    assert_int_equal(wh_events_next(events, &row, NULL), 0);
    assert_int_equal(wh_events_malformed(events), 0);
    wh_events_close(events);
    wh_store_close(store);
}

static void blocks_keep_their_headers(void **state) {
    (void)state;
    size_t bytes, at = 0;
    struct wh_store *store = create(&bytes);
    struct wh_chunks *chunks;
    struct wh_chunk chunk;
    assert_int_equal(wh_chunks_open(store, &(struct wh_chunk_range){0}, &chunks, NULL), 0);
    assert_int_equal(wh_chunks_next(chunks, &chunk, NULL), 1);
    assert_int_equal(chunk.events, EVENTS);
    for (uint32_t b = 0; b < 3; b++) {
        struct wh_block header;
        memcpy(&header, chunk.data + at, sizeof header);
        assert_int_equal(header.sequence, b);
        assert_int_equal(header.tid, 77);
        assert_int_equal(header.base_stack, 3);
        at += sizeof header + atomic_load(&header.committed);
    }
    assert_int_equal(at, chunk.bytes);
    assert_int_equal(wh_chunks_next(chunks, &chunk, NULL), 1);
    assert_int_equal(wh_chunks_next(chunks, &chunk, NULL), 0);
    wh_chunks_close(chunks);
    wh_store_close(store);
}

static void count_rest(void *arg) {
    ++*(unsigned *)arg;
}

/* A chunk takes milliseconds: between its parts whoever packs it may let others have the processor.
 */
static void packing_can_be_interrupted(void **state) {
    struct wh_packer *packer = NULL;
    unsigned char *packed;
    size_t packed_bytes;
    unsigned rests = 0, of_one = 0;
    (void)state;
    make_events();
    struct wh_chunk chunk = {.data = data, .bytes = make_blocks()};
    assert_int_equal(wh_chunk_pack(&packer, &chunk, count_rest, &rests, &packed, &packed_bytes), 0);
    struct wh_block header;
    memcpy(&header, data, sizeof header);
    chunk.bytes = sizeof header + atomic_load(&header.committed);
    assert_int_equal(wh_chunk_pack(&packer, &chunk, count_rest, &of_one, &packed, &packed_bytes),
                     0);
    assert_true(of_one > 5);              /* after the block, and after each column */
    assert_true(rests >= of_one + 3 - 1); /* after each of three blocks */
    wh_packer_free(packer);
}

static void the_event_table_sees_the_same(void **state) {
    (void)state;
    size_t bytes;
    struct wh_store *store = create(&bytes);
    int64_t frees = 0, size = 0;
    for (int i = 0; i < EVENTS; i++) {
        frees += made[i].kind == WH_EV_FREE;
        size += made[i].kind == WH_EV_ALLOC ? (int64_t)made[i].size : 0;
    }
    assert_int_equal(ask(store, "SELECT count(*) FROM event"), 2 * EVENTS);
    assert_int_equal(ask(store, "SELECT count(*) FROM event WHERE process_id = 2"), EVENTS);
    assert_int_equal(ask(store, "SELECT count(*) FROM event WHERE thread_serial = 3"), 0);
    assert_int_equal(
        ask(store, "SELECT count(*) FROM event WHERE kind = 'free' AND process_id = 1"), frees);
    assert_int_equal(ask(store, "SELECT sum(size_bytes) FROM event"
                                " WHERE kind = 'alloc' AND process_id = 1"),
                     size);
    /* The clock maps one tick to one nanosecond here; the second chunk claims a later time. */
    assert_int_equal(ask(store, "SELECT count(*) FROM event WHERE at_ns > 1500000"), 0);
    assert_int_equal(ask(store, "SELECT count(*) > 0 FROM event WHERE at_ns <= 5000"), 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM event WHERE text = 'a note'"), 10);
    wh_store_close(store);
}

static void damaged_chunks_are_an_error(void **state) {
    (void)state;
    static const char *const damages[] = {
        "UPDATE event_chunk SET data = zeroblob(length(data))",
        "UPDATE event_chunk SET data = x''",
        "UPDATE event_chunk SET data = 'text'",
        "UPDATE event_chunk SET data = NULL WHERE 0; UPDATE event_chunk SET raw_bytes = -1",
        "UPDATE event_chunk SET raw_bytes = 1 << 60",
        "UPDATE event_chunk SET raw_bytes = raw_bytes + 1",
        "UPDATE event_chunk SET data = substr(data, 1, length(data) / 2)",
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        size_t bytes;
        struct wh_store *store = create(&bytes);
        assert_int_equal(wh_store_exec(store, damages[i], NULL), 0);
        struct wh_query *q;
        struct wh_error error = {0};
        assert_int_equal(wh_query_open(store, "SELECT count(*) FROM event", &q, NULL), 0);
        assert_int_equal(wh_query_step(q, &error), WH_EINPUT);
        assert_non_null(strstr(error.text, "damaged"));
        wh_query_close(q);
        wh_store_close(store);
    }
}

/* The store accepts what a buggy target left; the readers stop at each rubbish block and go on. */
static void rubbish_in_a_block_hides_only_its_rest(void **state) {
    (void)state;
    struct wh_store *store = NULL;
    make_events();
    size_t bytes = make_blocks();
    uint32_t random = 7;
    for (int round = 0; round < 200; round++) {
        if (round % 50 == 0) {
            wh_store_close(store);
            assert_int_equal(wh_store_create(path, WH_STORE_FORCE, &store, NULL), 0);
        }
        random = random * 1103515245u + 12345u;
        data[(random >> 8) % bytes] ^= (unsigned char)(1 + (random >> 4) % 255);
        struct wh_chunk chunk = {
            .process_id = round + 1, .thread_serial = 1, .data = data, .bytes = bytes};
        put(store, &chunk);
        struct wh_events *events;
        struct wh_stored_event row;
        struct wh_error error = {0};
        assert_int_equal(
            wh_events_open(store, &(struct wh_chunk_range){.process_id = round + 1}, &events, NULL),
            0);
        int rc;
        while ((rc = wh_events_next(events, &row, &error)) == 1)
            continue;
        if (rc)
            fail_msg("%s", error.text);
        wh_events_close(events);
        struct wh_chunks *chunks;
        assert_int_equal(
            wh_chunks_open(store, &(struct wh_chunk_range){.process_id = round + 1}, &chunks, NULL),
            0);
        assert_int_equal(wh_chunks_next(chunks, &chunk, NULL), 1);
        assert_int_equal(chunk.bytes, bytes);
        assert_memory_equal(chunk.data, data, bytes);
        wh_chunks_close(chunks);
    }
    wh_store_close(store);
}

/* Chunks of schema 1: zlib over the bytes as they came. */
static void chunks_of_older_files_are_read(void **state) {
    (void)state;
    size_t bytes;
    static unsigned char packed[sizeof data + 1000];
    struct wh_store *store = create(&bytes);
    uLongf packed_bytes = sizeof packed - 1;
    packed[0] = 1;
    assert_int_equal(compress2(packed + 1, &packed_bytes, data, bytes, 1), Z_OK);
    struct wh_query *q;
    assert_int_equal(wh_query_open(store, "UPDATE event_chunk SET data = ?1", &q, NULL), 0);
    wh_query_bind_blob(q, 1, packed, packed_bytes + 1);
    assert_int_equal(wh_query_step(q, NULL), 0);
    wh_query_close(q);
    assert_int_equal(ask(store, "SELECT count(*) FROM event"), 2 * EVENTS);
    wh_store_close(store);
}

/* What is flipped in a packed chunk gives an error or other records; the sanitizers watch. */
static void flipped_bits_are_survived(void **state) {
    (void)state;
    size_t bytes, packed_bytes;
    struct wh_store *store = create(&bytes);
    struct wh_query *q;
    static unsigned char packed[sizeof data];
    assert_int_equal(wh_query_open(store, "SELECT data FROM event_chunk WHERE id = 1", &q, NULL),
                     0);
    assert_int_equal(wh_query_step(q, NULL), 1);
    const void *blob = wh_query_blob(q, 0, &packed_bytes);
    assert_true(packed_bytes < bytes);
    memcpy(packed, blob, packed_bytes);
    wh_query_close(q);
    uint32_t random = 3;
    int damaged = 0;
    for (int round = 0; round < 3000; round++) {
        random = random * 1103515245u + 12345u;
        /* The lengths at the front are few and matter most. */
        size_t at = 1 + (random >> 8) % (round % 3 ? packed_bytes - 1 : 30);
        unsigned char flip = (unsigned char)(1u << (random >> 29));
        packed[at] ^= flip;
        unsigned char *out = malloc(bytes + WH_COLUMNS_SPARE);
        assert_non_null(out);
        damaged += wh_columns_unpack(packed + 1, packed_bytes - 1, out, bytes) != 0;
        free(out);
        packed[at] ^= flip;
    }
    assert_in_range(damaged, 1000, 3000);
    wh_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_comes_back),
        cmocka_unit_test(blocks_keep_their_headers),
        cmocka_unit_test(packing_can_be_interrupted),
        cmocka_unit_test(the_event_table_sees_the_same),
        cmocka_unit_test(damaged_chunks_are_an_error),
        cmocka_unit_test(rubbish_in_a_block_hides_only_its_rest),
        cmocka_unit_test(chunks_of_older_files_are_read),
        cmocka_unit_test(flipped_bits_are_survived),
    };
    return cmocka_run_group_tests_name("chunk", tests, make_path, remove_path);
}
