/* Go's map: buckets of eight, top hashes first, then keys, then elements, then the overflow bucket.
 *
 * Three kinds cover what the models need. Growing moves everything at once
 * where Go would do it step by step, which changes no size after the fact. Context: one thread. */
#ifndef WH_SIM_RUNTIME_MAP_H
#define WH_SIM_RUNTIME_MAP_H

#include "runtime/gotypes.h"

struct hmap { /* 48 bytes */
    int64_t count;
    uint8_t flags, B; /* 1 << B buckets */
    uint16_t noverflow;
    uint32_t hash0;
    void *buckets;
    void *oldbuckets;
    uint64_t nevacuate;
    void *extra;
};

#define MAP_BUCKET_COUNT 8

/* Names for what a map holds in one place, laid out as the generic ones below: debug information
 * then leads from the variable through its buckets to the elements. Use with MAP(): MAP(&x->map).
 */
#define MAP(pointer) ((struct hmap *)(void *)(pointer))
#define MAP_HEADER(name)                                                                           \
    struct name {                                                                                  \
        int64_t count;                                                                             \
        uint8_t flags, B;                                                                          \
        uint16_t noverflow;                                                                        \
        uint32_t hash0;                                                                            \
        struct name##_bucket *buckets, *oldbuckets;                                                \
        uint64_t nevacuate;                                                                        \
        void *extra;                                                                               \
    }
#define MAP_BUCKET(name, key, element)                                                             \
    struct name##_bucket {                                                                         \
        uint8_t tophash[MAP_BUCKET_COUNT];                                                         \
        key keys[MAP_BUCKET_COUNT];                                                                \
        element elems[MAP_BUCKET_COUNT];                                                           \
        struct name##_bucket *overflow;                                                            \
    }
/* map[int]*element */
#define MAP_INT_OF(name, element)                                                                  \
    MAP_BUCKET(name, int64_t, element *);                                                          \
    MAP_HEADER(name)
/* map[string]interface{} whose interfaces hold an element */
#define MAP_STRING_OF(name, element)                                                               \
    struct name##_value {                                                                          \
        const struct go_type *type;                                                                \
        element *data;                                                                             \
    };                                                                                             \
    MAP_BUCKET(name, struct go_string, struct name##_value);                                       \
    MAP_HEADER(name)

struct bucket_string_eface { /* of map[string]interface{}, 272 bytes */
    uint8_t tophash[MAP_BUCKET_COUNT];
    struct go_string keys[MAP_BUCKET_COUNT];
    struct go_eface elems[MAP_BUCKET_COUNT];
    struct bucket_string_eface *overflow;
};

struct bucket_eface_pointer { /* of map[interface{}]*T, 208 bytes */
    uint8_t tophash[MAP_BUCKET_COUNT];
    struct go_eface keys[MAP_BUCKET_COUNT];
    void *elems[MAP_BUCKET_COUNT];
    struct bucket_eface_pointer *overflow;
};

struct bucket_int_pointer { /* of map[int]*T or map[int]func(), 144 bytes */
    uint8_t tophash[MAP_BUCKET_COUNT];
    int64_t keys[MAP_BUCKET_COUNT];
    void *elems[MAP_BUCKET_COUNT];
    struct bucket_int_pointer *overflow;
};

struct map_type {
    const struct go_type *bucket;
    uint32_t keys_offset, elems_offset, overflow_offset, key_size, elem_size;
    uint64_t (*hash)(const void *key);
    int (*is_equal)(const void *a, const void *b);
};

extern const struct map_type map_string_eface, map_eface_pointer, map_int_pointer;
extern const struct go_type type_hmap;

struct hmap *runtime_makemap(void);
/* Where the element of `key` is, entered if it was not there. */
void *runtime_mapassign(const struct map_type *type, struct hmap *map, const void *key);
void *runtime_mapaccess(const struct map_type *type, struct hmap *map,
                        const void *key); /* or NULL */
void runtime_mapdelete(const struct map_type *type, struct hmap *map, const void *key);
/* Calls visit for every element until it returns non-zero, which is returned. */
int runtime_mapiterate(const struct map_type *type, struct hmap *map,
                       int (*visit)(void *arg, const void *key, void *elem), void *arg);

/* The same without a function of one's own in the stack: start with {0}, ends with NULL. */
struct map_iterator {
    uint64_t next_bucket;
    char *bucket;
    int slot;
};
void *runtime_mapiternext(const struct map_type *type, struct hmap *map, struct map_iterator *it);

/* Keys of map_eface_pointer: a boxed integer or a boxed string. */
struct go_eface runtime_convT64(int64_t value);
struct go_eface runtime_convTstring(struct go_string value);

#endif
