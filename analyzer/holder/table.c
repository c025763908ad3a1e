/* Interned texts and the exact three-word map: open addressing, doubled at two thirds. */
#include "analyzer/holder/table.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536

static uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t text_hash(const char *text) {
    uint64_t h = 1469598103934665603u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return mix(h);
}

static char *chunk_copy(struct wh_names *t, const char *text) {
    size_t bytes = strlen(text) + 1;
    if (bytes > t->chunk_left) {
        size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        char **chunks = realloc(t->chunks, (t->chunk_count + 1) * sizeof(*chunks));
        if (!chunks)
            return NULL;
        t->chunks = chunks;
        char *chunk = malloc(size);
        if (!chunk)
            return NULL;
        t->chunks[t->chunk_count++] = chunk;
        t->chunk = chunk;
        t->chunk_left = size;
    }
    char *copy = memcpy(t->chunk, text, bytes);
    t->chunk += bytes;
    t->chunk_left -= bytes;
    return copy;
}

static char **text_slot(char **slots, size_t capacity, const char *text) {
    size_t i = text_hash(text) & (capacity - 1);
    while (slots[i] && strcmp(slots[i], text) != 0)
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static int texts_grow(struct wh_names *t) {
    size_t capacity = t->capacity ? t->capacity * 2 : 256;
    char **slots = calloc(capacity, sizeof(*slots));
    if (!slots)
        return WH_ESYSTEM;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->slots[i])
            *text_slot(slots, capacity, t->slots[i]) = t->slots[i];
    free(t->slots);
    t->slots = slots;
    t->capacity = capacity;
    return 0;
}

const char *wh_names_intern(struct wh_names *t, const char *text) {
    if (!text)
        text = "";
    if (t->count * 3 >= t->capacity * 2 && texts_grow(t) < 0)
        return NULL;
    char **slot = text_slot(t->slots, t->capacity, text);
    if (!*slot) {
        *slot = chunk_copy(t, text);
        t->count += *slot != NULL;
    }
    return *slot;
}

void wh_names_release(struct wh_names *t) {
    for (size_t i = 0; i < t->chunk_count; i++)
        free(t->chunks[i]);
    free(t->chunks);
    free(t->slots);
    *t = (struct wh_names){0};
}

static uint32_t map_slot(const struct wh_key *keys, const uint32_t *values, uint32_t capacity,
                         struct wh_key key) {
    uint32_t i = (uint32_t)mix(key.a + mix(key.b + mix(key.c + 1))) & (capacity - 1);
    while (values[i] && (keys[i].a != key.a || keys[i].b != key.b || keys[i].c != key.c))
        i = (i + 1) & (capacity - 1);
    return i;
}

uint32_t wh_map_find(const struct wh_map *map, struct wh_key key) {
    if (!map->capacity)
        return WH_MAP_NONE;
    return map->values[map_slot(map->keys, map->values, map->capacity, key)] - 1;
}

static int map_grow(struct wh_map *map, struct wh_error *error) {
    uint32_t capacity = map->capacity ? map->capacity * 2 : 256;
    struct wh_key *keys = calloc(capacity, sizeof(*keys));
    uint32_t *values = calloc(capacity, sizeof(*values));
    if (!keys || !values) {
        free(keys);
        free(values);
        return wh_fail(error, WH_ESYSTEM, "no memory for %u paths", capacity);
    }
    for (uint32_t i = 0; i < map->capacity; i++)
        if (map->values[i]) {
            uint32_t slot = map_slot(keys, values, capacity, map->keys[i]);
            keys[slot] = map->keys[i];
            values[slot] = map->values[i];
        }
    free(map->keys);
    free(map->values);
    map->keys = keys;
    map->values = values;
    map->capacity = capacity;
    return 0;
}

int wh_map_add(struct wh_map *map, struct wh_key key, uint32_t value, struct wh_error *error) {
    if ((uint64_t)map->count * 3 >= (uint64_t)map->capacity * 2) {
        int r = map_grow(map, error);
        if (r < 0)
            return r;
    }
    uint32_t slot = map_slot(map->keys, map->values, map->capacity, key);
    map->keys[slot] = key;
    map->values[slot] = value + 1;
    map->count++;
    return 0;
}

void wh_map_release(struct wh_map *map) {
    free(map->keys);
    free(map->values);
    *map = (struct wh_map){0};
}
