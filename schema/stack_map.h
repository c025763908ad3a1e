/* Trace-wide stack ids for the raw events of a stored trace: the table stack_extent and the forks
 * put back into what the recorder had (common/trace/nodes.h). Context: one thread. */
#ifndef WH_SCHEMA_STACK_MAP_H
#define WH_SCHEMA_STACK_MAP_H

#include "schema/store.h"
#include "trace/nodes.h"

struct wh_stack_map_process {
    int64_t process_id;
    struct wh_nodes nodes;
};

/* Maps of the processes met so far; {store} to begin with. */
struct wh_stack_map {
    struct wh_store *store;
    struct wh_stack_map_process *processes;
    size_t count, room;
    size_t last; /* found most recently */
};

/* stack_node.id of a process's own node number; 0 for 0 and for what the trace does not know.
 * < 0 in *ret_rc only when the trace cannot be read. */
uint32_t wh_stack_map_id(struct wh_stack_map *map, int64_t process_id, uint32_t local, int *ret_rc,
                         struct wh_error *error);
void wh_stack_map_release(struct wh_stack_map *map);

#endif
