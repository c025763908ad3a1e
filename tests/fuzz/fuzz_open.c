/* A trace file may come from anywhere and be damaged in any way: opening it, reading its events and
 * reporting on it must end, in an error or in numbers, never in a crash.
 *
 * Input: the first byte says how the file is made. 'R': the rest is the file. 'T': a good trace cut
 * at the 32-bit number that follows. Anything else: a good trace with bytes replaced, five bytes of
 * input each: 32-bit offset and the new value. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/report/report.h"
#include "schema/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static uint8_t *good;
static size_t good_bytes;

static void give_up(const char *what) {
    perror(what);
    exit(1);
}

/* A block with one of the usual records each. */
static size_t make_block(unsigned char *data, size_t room) {
    struct wh_block header = {.process_uid = 1, .thread_serial = 1, .tid = 7, .base_ticks = 100};
    struct wh_writer w = {.cursor = data + sizeof header, .end = data + room, .ticks = 100};
    struct wh_event events[] = {
        {.kind = WH_EV_NODE, .node = 1, .ip = 0x1000},
        {.kind = WH_EV_ALLOC, .ticks = 110, .address = 0x10000, .size = 64, .stack = 1},
        {.kind = WH_EV_REALLOC,
         .ticks = 120,
         .before_ticks = 118,
         .old_address = 0x10000,
         .address = 0x20001,
         .size = 100,
         .stack = 1},
        {.kind = WH_EV_FREE, .ticks = 130, .address = 0x20001},
        {.kind = WH_EV_NOTE, .ticks = 140, .text = "note", .text_bytes = 4},
    };
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        (void)wh_writer_put(&w, &events[i]);
    atomic_store(&header.committed, (uint32_t)((size_t)(w.cursor - data) - sizeof header));
    memcpy(data, &header, sizeof header);
    return (size_t)(w.cursor - data);
}

static void make_good(void) {
    static const char rows[] =
        "INSERT INTO trace VALUES('complete', 1), ('allocation_rows', 'all'), ('start_ns', 1);"
        "INSERT INTO process(id, pid, exe, start_ns, events, peak_bytes, peak_ns)"
        " VALUES(1, 7, '/bin/x', 0, 4, 100, 120);"
        "INSERT INTO site VALUES(1, 1, 'main', 2, 164, 0, 0, 1, 100, 1);"
        "INSERT INTO allocation(id, process_id, thread_id, address, size_bytes, kind, alloc_ns, "
        "stack_id)"
        " VALUES(1, 1, 1, 65536, 64, 'malloc', 10, 1);"
        "INSERT INTO frame VALUES(1, 'x', 16, 'main', NULL, NULL, 0);"
        "INSERT INTO stack VALUES(1, '[1]', 'main');"
        "INSERT INTO note VALUES(1, 5, 'deepbind', 'lib.so');";
    unsigned char block[4096];
    struct wh_store *store;
    struct wh_packer *packer = NULL;
    unsigned char *packed;
    size_t packed_bytes;
    struct wh_chunk chunk = {.process_id = 1,
                             .thread_serial = 1,
                             .last_ns = 140,
                             .events = 5,
                             .data = block,
                             .bytes = make_block(block, sizeof block)};
    struct wh_error error = {.text = ""};
    strcpy(path, "/tmp/wh_fuzz.XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0)
        give_up(path);
    close(fd);
    if (wh_store_create(path, WH_STORE_FORCE, &store, &error) ||
        wh_store_run_file(store, "derived.sql", &error) || wh_store_exec(store, rows, &error) ||
        wh_chunk_pack(&packer, &chunk, NULL, NULL, &packed, &packed_bytes) ||
        wh_store_put_chunk(store, &chunk, packed, packed_bytes, &error))
        give_up(error.text);
    wh_packer_free(packer);
    wh_store_close(store);
    FILE *file = fopen(path, "rb");
    good = malloc(1 << 20);
    if (!file || !good)
        give_up(path);
    good_bytes = fread(good, 1, 1 << 20, file);
    fclose(file);
}

static void write_file(const uint8_t *data, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        give_up(path);
}

static size_t number(const uint8_t *data) {
    return data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24;
}

static void make_file(const uint8_t *data, size_t size) {
    if (size && data[0] == 'R') {
        write_file(data + 1, size - 1);
    } else if (size >= 5 && data[0] == 'T') {
        write_file(good, number(data + 1) % (good_bytes + 1));
    } else {
        uint8_t *bad = malloc(good_bytes);
        if (!bad)
            give_up("malloc");
        memcpy(bad, good, good_bytes);
        for (size_t i = 1; i + 5 <= size; i += 5)
            bad[number(data + i) % good_bytes] = data[i + 4];
        write_file(bad, good_bytes);
        free(bad);
    }
}

/* Everything a command would do with the file; the errors are welcome. */
static void use(struct wh_store *store) {
    static FILE *nowhere;
    struct wh_report_options options = {.limit = 10};
    struct wh_output out;
    struct wh_events *events;
    struct wh_stored_event event;
    struct wh_error error;
    if (!nowhere && !(nowhere = fopen("/dev/null", "w")))
        give_up("/dev/null");
    wh_output_init(&out, nowhere, WH_FORMAT_TEXT);
    (void)wh_report_header(store, &out, &error);
    (void)wh_report_gap(store, &options, &out, &error);
    (void)wh_report_processes(store, &options, &out, &error);
    (void)wh_report_creators(store, &options, &out, &error);
    for (int by = WH_TOP_CREATOR; by <= WH_TOP_SIZE; by++)
        (void)wh_report_top(store, 0, (enum wh_top_by)by, WH_TOP_ALLOC_SPACE, 10, &out, &error);
    (void)wh_output_finish(&out, &error);
    if (wh_events_open(store, &(struct wh_chunk_range){0}, &events, &error) == 0) {
        while (wh_events_next(events, &event, &error) == 1)
            continue;
        wh_events_close(events);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wh_store *store;
    struct wh_error error = {.text = ""};
    if (!good)
        make_good();
    make_file(data, size);
    int rc = wh_store_open(path, WH_STORE_READ, &store, &error);
    if (rc == 0) {
        use(store);
        wh_store_close(store);
    } else if (!error.text[0] || error.code != rc) {
        abort(); /* an error without a sentence */
    }
    unlink(path);
    return 0;
}
