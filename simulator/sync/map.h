/* sync.Map: key ─► entry ─► boxed interface ─► value. Only the writable half is modelled, which is
 * where the bytes are. Context: one thread. */
#ifndef WH_SIM_SYNC_MAP_H
#define WH_SIM_SYNC_MAP_H

#include <stdbool.h>

#include "runtime/map.h"

struct sync_entry {
    struct go_eface *p;
};

struct sync_Map {
    struct hmap *dirty;
};

extern const struct go_type type_sync_Map;

/* A sync.Map whose values are `element`s, laid out as struct sync_Map. Use with SYNC_MAP(). */
#define SYNC_MAP(pointer) ((struct sync_Map *)(void *)(pointer))
#define SYNC_MAP_OF(name, element)                                                                 \
    struct name##_value {                                                                          \
        const struct go_type *type;                                                                \
        element *data;                                                                             \
    };                                                                                             \
    struct name##_entry {                                                                          \
        struct name##_value *p;                                                                    \
    };                                                                                             \
    MAP_BUCKET(name##_hmap, struct go_eface, struct name##_entry *);                               \
    MAP_HEADER(name##_hmap);                                                                       \
    struct name {                                                                                  \
        struct name##_hmap *dirty;                                                                 \
    }

/* key: from runtime_convT64 or runtime_convTstring. */
void sync_Map_Store(struct sync_Map *map, struct go_eface key, struct go_eface value);
bool sync_Map_Load(struct sync_Map *map, struct go_eface key, struct go_eface *ret_value);
void sync_Map_Delete(struct sync_Map *map, struct go_eface key);
int64_t sync_Map_Len(const struct sync_Map *map);

#endif
