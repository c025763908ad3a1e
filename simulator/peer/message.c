/* Messages, see message.h. The template lives in one anonymous mapping. */
#include "peer/message.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static struct {
    struct message built;
    uint8_t *bytes;
    size_t capacity;
} kept;

uint64_t message_total(const struct message *message) {
    return message->kind == MESSAGE_RAW ? message->bytes : MESSAGE_MSG_AT + message->bytes;
}

static void put_u32(uint8_t *to, uint64_t value) {
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* {"s0":"aaaa...","s1":...,"pad":"xxxx"}: exactly message->bytes long. */
static void fill_json(const struct message *message, char *to) {
    char *at = to, *end = to + message->bytes;
    for (uint32_t i = 0; i < message->strings && end - at > (long)message->string_bytes + 40; i++) {
        at += snprintf(at, (size_t)(end - at), "%c\"s%u\":\"", i ? ',' : '{', i);
        memset(at, 'a' + (int)(i % 26), message->string_bytes);
        if (i < message->escaped)
            memcpy(at, "\\n", 2);
        at += message->string_bytes;
        *at++ = '"';
    }
    at += snprintf(at, (size_t)(end - at), "%c\"pad\":\"", at == to ? '{' : ',');
    memset(at, 'x', (size_t)(end - at));
    memcpy(end - 2, "\"}", 2);
}

const uint8_t *message_template(const struct message *message) {
    struct message wanted = *message;
    wanted.first_id = 0;
    if (kept.bytes && memcmp(&kept.built, &wanted, sizeof(wanted)) == 0)
        return kept.bytes;
    uint64_t total = message_total(message);
    if (total > kept.capacity) {
        if (kept.bytes)
            munmap(kept.bytes, kept.capacity);
        kept.bytes = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (kept.bytes == MAP_FAILED) {
            kept.bytes = NULL;
            kept.capacity = 0;
            return NULL;
        }
        kept.capacity = total;
    }
    memset(kept.bytes, 'm', total);
    put_u32(kept.bytes, total - 4);
    if (message->kind != MESSAGE_RAW) {
        put_u32(kept.bytes + 4, MESSAGE_ID_BYTES);
        memcpy(kept.bytes + MESSAGE_ID_AT, "id-00000000", MESSAGE_ID_BYTES);
        put_u32(kept.bytes + MESSAGE_MSG_AT - 4, message->bytes);
    }
    if (message->kind == MESSAGE_JSON)
        fill_json(message, (char *)kept.bytes + MESSAGE_MSG_AT);
    kept.built = wanted;
    return kept.bytes;
}

void message_copy(const struct message *message, uint32_t index, uint64_t offset, uint8_t *to,
                  size_t count) {
    const uint8_t *template = message_template(message);
    if (!template)
        return;
    memcpy(to, template + offset, count);
    if (message->kind == MESSAGE_RAW)
        return;
    char id[MESSAGE_ID_BYTES + 1];
    snprintf(id, sizeof(id), "id-%08u", (message->first_id + index) % 100000000u);
    for (size_t i = 0; i < MESSAGE_ID_BYTES; i++)
        if (MESSAGE_ID_AT + i >= offset && MESSAGE_ID_AT + i < offset + count)
            to[MESSAGE_ID_AT + i - offset] = (uint8_t)id[i];
}
