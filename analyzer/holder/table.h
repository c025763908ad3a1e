/* Two small containers of the holder analysis: interned texts and an exact map from three words to
 * an index. Both only grow and are freed as a whole. Context: one thread. */
#ifndef WH_HOLDER_TABLE_H
#define WH_HOLDER_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Texts that live until the release; equal texts are the same pointer. */
struct wh_names {
    char **slots;
    size_t capacity, count;
    char *chunk;
    size_t chunk_left;
    char **chunks;
    size_t chunk_count;
};

/* NULL only when memory runs out; text NULL reads as "". */
const char *wh_names_intern(struct wh_names *texts, const char *text);
void wh_names_release(struct wh_names *texts);

struct wh_key {
    uint64_t a, b, c;
};

struct wh_map {
    struct wh_key *keys;
    uint32_t *values; /* index + 1; 0 = free */
    uint32_t capacity, count;
};

#define WH_MAP_NONE UINT32_MAX
uint32_t wh_map_find(const struct wh_map *map, struct wh_key key); /* WH_MAP_NONE = not there */

/* Adds a key that is not there. value < UINT32_MAX - 1. */
int wh_map_add(struct wh_map *map, struct wh_key key, uint32_t value, struct wh_error *error);
void wh_map_release(struct wh_map *map);

#endif
