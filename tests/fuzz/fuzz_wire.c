/* A traced program can scribble over the blocks it shares with the recorder: reading one must end,
 * stay inside it, and give texts that lie inside it. What was read and fits must also be writable
 * again. Input: the payload of one block. */
#include <stdlib.h>
#include <string.h>

#include "wire/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const uint8_t *data, size_t size, const char *text, uint32_t bytes) {
    const uint8_t *p = (const uint8_t *)text;
    if (bytes && (p < data || p + bytes > data + size))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t buffer[65536];
    struct wh_block header;
    struct wh_reader reader;
    struct wh_event event;
    struct wh_writer writer = {.cursor = buffer, .end = buffer + sizeof buffer};
    memset(&header, 0, sizeof header);
    if (size > WH_BLOCK_PAYLOAD)
        return 0;
    wh_reader_init(&reader, &header, data, (uint32_t)size);
    for (size_t records = 0; wh_reader_next(&reader, &event) == 1; records++) {
        if (records > size)
            abort(); /* a record takes at least a byte */
        inside(data, size, event.text, event.text_bytes);
        inside(data, size, event.text2, event.text2_bytes);
        wh_writer_put(&writer, &event);
        if (writer.cursor > writer.end)
            abort();
    }
    return 0;
}
