/* sync.Map, see map.h. */
#include "sync/map.h"

#include "runtime/runtime.h"

GO_TYPE(type_sync_entry, struct sync_entry, offsetof(struct sync_entry, p));
GO_TYPE(type_sync_Map, struct sync_Map, offsetof(struct sync_Map, dirty));

void sync_Map_Store(struct sync_Map *map, struct go_eface key, struct go_eface value) {
    if (!map->dirty)
        map->dirty = runtime_makemap();
    struct sync_entry **slot = runtime_mapassign(&map_eface_pointer, map->dirty, &key);
    if (!*slot)
        *slot = runtime_newobject(&type_sync_entry);
    (*slot)->p = runtime_newobject(&type_eface);
    *(*slot)->p = value;
}

bool sync_Map_Load(struct sync_Map *map, struct go_eface key, struct go_eface *ret_value) {
    struct sync_entry **slot =
        map->dirty ? runtime_mapaccess(&map_eface_pointer, map->dirty, &key) : NULL;
    if (!slot)
        return false;
    *ret_value = *(*slot)->p;
    return true;
}

void sync_Map_Delete(struct sync_Map *map, struct go_eface key) {
    if (map->dirty)
        runtime_mapdelete(&map_eface_pointer, map->dirty, &key);
}

int64_t sync_Map_Len(const struct sync_Map *map) {
    return map->dirty ? map->dirty->count : 0;
}
