/* Go's map, see map.h. A slot is empty when its top hash is 0. */
#include "runtime/map.h"

#include <string.h>

#include "runtime/runtime.h"

GO_TYPE(type_hmap, struct hmap, offsetof(struct hmap, buckets), offsetof(struct hmap, oldbuckets),
        offsetof(struct hmap, extra));

#define EACH8(start, step)                                                                         \
    (start), (start) + (step), (start) + 2 * (step), (start) + 3 * (step), (start) + 4 * (step),   \
        (start) + 5 * (step), (start) + 6 * (step), (start) + 7 * (step)

GO_TYPE(type_bucket_string_eface, struct bucket_string_eface,
        EACH8(offsetof(struct bucket_string_eface, keys), 16),
        EACH8(offsetof(struct bucket_string_eface, elems) + 8, 16),
        offsetof(struct bucket_string_eface, overflow));
GO_TYPE(type_bucket_eface_pointer, struct bucket_eface_pointer,
        EACH8(offsetof(struct bucket_eface_pointer, keys) + 8, 16),
        EACH8(offsetof(struct bucket_eface_pointer, elems), 8),
        offsetof(struct bucket_eface_pointer, overflow));

GO_TYPE(type_bucket_int_pointer, struct bucket_int_pointer,
        EACH8(offsetof(struct bucket_int_pointer, elems), 8),
        offsetof(struct bucket_int_pointer, overflow));

static uint64_t hash_bytes(const char *bytes, int64_t count) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < count; i++)
        hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

static uint64_t hash_string(const void *key) {
    const struct go_string *text = key;
    return hash_bytes(text->ptr, text->len);
}

static int is_equal_string(const void *a, const void *b) {
    const struct go_string *x = a, *y = b;
    return x->len == y->len && memcmp(x->ptr, y->ptr, (size_t)x->len) == 0;
}

static uint64_t hash_eface(const void *key) {
    const struct go_eface *value = key;
    return value->type == &type_string ? hash_string(value->data) : hash_bytes(value->data, 8);
}

static int is_equal_eface(const void *a, const void *b) {
    const struct go_eface *x = a, *y = b;
    if (x->type != y->type)
        return 0;
    return x->type == &type_string ? is_equal_string(x->data, y->data)
                                   : memcmp(x->data, y->data, 8) == 0;
}

static uint64_t hash_int(const void *key) {
    return hash_bytes(key, sizeof(int64_t));
}

static int is_equal_int(const void *a, const void *b) {
    return memcmp(a, b, sizeof(int64_t)) == 0;
}

const struct map_type map_string_eface = {
    &type_bucket_string_eface,
    offsetof(struct bucket_string_eface, keys),
    offsetof(struct bucket_string_eface, elems),
    offsetof(struct bucket_string_eface, overflow),
    sizeof(struct go_string),
    sizeof(struct go_eface),
    hash_string,
    is_equal_string,
};
const struct map_type map_eface_pointer = {
    &type_bucket_eface_pointer,
    offsetof(struct bucket_eface_pointer, keys),
    offsetof(struct bucket_eface_pointer, elems),
    offsetof(struct bucket_eface_pointer, overflow),
    sizeof(struct go_eface),
    sizeof(void *),
    hash_eface,
    is_equal_eface,
};
const struct map_type map_int_pointer = {
    &type_bucket_int_pointer,
    offsetof(struct bucket_int_pointer, keys),
    offsetof(struct bucket_int_pointer, elems),
    offsetof(struct bucket_int_pointer, overflow),
    sizeof(int64_t),
    sizeof(void *),
    hash_int,
    is_equal_int,
};

struct hmap *runtime_makemap(void) {
    return runtime_newobject(&type_hmap);
}

static uint8_t top_of(uint64_t hash) {
    uint8_t top = (uint8_t)(hash >> 56);
    return top ? top : 1;
}

static char *bucket_of(const struct map_type *type, const struct hmap *map, uint64_t hash) {
    return (char *)map->buckets + (hash & (((uint64_t)1 << map->B) - 1)) * type->bucket->size;
}

static char **overflow_of(const struct map_type *type, char *bucket) {
    return (char **)(void *)(bucket + type->overflow_offset);
}

struct position {
    char *bucket; /* NULL = not found */
    int slot;
};

static struct position find(const struct map_type *type, const struct hmap *map, const void *key) {
    if (!map->buckets)
        return (struct position){NULL, 0};
    uint64_t hash = type->hash(key);
    for (char *b = bucket_of(type, map, hash); b; b = *overflow_of(type, b))
        for (int i = 0; i < MAP_BUCKET_COUNT; i++)
            if ((uint8_t)b[i] == top_of(hash) &&
                type->is_equal(b + type->keys_offset + (size_t)i * type->key_size, key))
                return (struct position){b, i};
    return (struct position){NULL, 0};
}

static void *elem_at(const struct map_type *type, struct position at) {
    return at.bucket + type->elems_offset + (size_t)at.slot * type->elem_size;
}

/* A free slot for `hash`, in a new overflow bucket if need be. */
static struct position runtime_mapslot(const struct map_type *type, struct hmap *map,
                                       uint64_t hash) {
    char *b = bucket_of(type, map, hash);
    for (;;) {
        for (int i = 0; i < MAP_BUCKET_COUNT; i++)
            if (!b[i]) {
                b[i] = (char)top_of(hash);
                return (struct position){b, i};
            }
        char **next = overflow_of(type, b);
        if (!*next) {
            *next = runtime_newobject(type->bucket);
            map->noverflow++;
        }
        b = *next;
    }
}

static int move_one(void *arg, const void *key, void *elem) {
    struct {
        const struct map_type *type;
        struct hmap *map;
    } *to = arg;
    struct position at = runtime_mapslot(to->type, to->map, to->type->hash(key));
    memcpy(at.bucket + to->type->keys_offset + (size_t)at.slot * to->type->key_size, key,
           to->type->key_size);
    memcpy(elem_at(to->type, at), elem, to->type->elem_size);
    return 0;
}

static void runtime_hashGrow(const struct map_type *type, struct hmap *map) {
    struct hmap old = *map;
    map->B = (uint8_t)(old.B + 1);
    map->noverflow = 0;
    map->buckets = runtime_makeslice(type->bucket, (int64_t)1 << map->B);
    struct {
        const struct map_type *type;
        struct hmap *map;
    } to = {type, map};
    runtime_mapiterate(type, &old, move_one, &to);
}

void *runtime_mapassign(const struct map_type *type, struct hmap *map, const void *key) {
    struct position at = find(type, map, key);
    if (at.bucket)
        return elem_at(type, at);
    if (!map->buckets)
        map->buckets = runtime_newobject(type->bucket);
    /* Go grows above 6.5 entries a bucket. */
    if (map->count >= MAP_BUCKET_COUNT && map->count * 2 >= (int64_t)13 << map->B)
        runtime_hashGrow(type, map);
    at = runtime_mapslot(type, map, type->hash(key));
    memcpy(at.bucket + type->keys_offset + (size_t)at.slot * type->key_size, key, type->key_size);
    map->count++;
    return elem_at(type, at);
}

void *runtime_mapaccess(const struct map_type *type, struct hmap *map, const void *key) {
    struct position at = find(type, map, key);
    return at.bucket ? elem_at(type, at) : NULL;
}

void runtime_mapdelete(const struct map_type *type, struct hmap *map, const void *key) {
    struct position at = find(type, map, key);
    if (!at.bucket)
        return;
    memset(at.bucket + type->keys_offset + (size_t)at.slot * type->key_size, 0, type->key_size);
    memset(elem_at(type, at), 0, type->elem_size);
    at.bucket[at.slot] = 0;
    map->count--;
}

void *runtime_mapiternext(const struct map_type *type, struct hmap *map, struct map_iterator *it) {
    for (;;) {
        if (!it->bucket) {
            if (!map->buckets || it->next_bucket == (uint64_t)1 << map->B)
                return NULL;
            it->bucket = (char *)map->buckets + it->next_bucket++ * type->bucket->size;
            it->slot = 0;
        }
        for (; it->slot < MAP_BUCKET_COUNT; it->slot++)
            if (it->bucket[it->slot])
                return elem_at(type, (struct position){it->bucket, it->slot++});
        it->bucket = *overflow_of(type, it->bucket);
        it->slot = 0;
    }
}

int runtime_mapiterate(const struct map_type *type, struct hmap *map,
                       int (*visit)(void *arg, const void *key, void *elem), void *arg) {
    struct map_iterator it = {0};
    int result = 0;
    for (void *elem; !result && (elem = runtime_mapiternext(type, map, &it));)
        result = visit(arg, it.bucket + type->keys_offset + (size_t)(it.slot - 1) * type->key_size,
                       elem);
    return result;
}

struct go_eface runtime_convT64(int64_t value) {
    int64_t *box = runtime_newobject(&type_int64);
    *box = value;
    return (struct go_eface){&type_int64, box};
}

struct go_eface runtime_convTstring(struct go_string value) {
    struct go_string *box = runtime_newobject(&type_string);
    *box = value;
    return (struct go_eface){&type_string, box};
}
