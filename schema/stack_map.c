/* A process's node numbers to stack_node.id, read back from the trace.
 *
 * The hard thing is the fork: a child's numbers below the one at which it began are its parent's,
 * and that number is in the child's first event alone. A chain of forks is followed through
 * process.parent_id, bounded because a damaged file may contain a ring. */
#include "schema/stack_map.h"

#include <stdlib.h>

#include "base/string.h"
#include "schema/chunk.h"

#define FORKS_MAX 64

void wh_stack_map_release(struct wh_stack_map *map) {
    for (size_t i = 0; i < map->count; i++)
        wh_nodes_release(&map->processes[i].nodes);
    free(map->processes);
    *map = (struct wh_stack_map){.store = map->store};
}

/* The fork that a process began with. 1 = *ret_parent and *ret_nodes are set, 0 = it was no fork.
 */
static int read_fork(struct wh_store *store, int64_t process_id, int64_t *ret_parent,
                     uint32_t *ret_nodes, struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store,
                           "SELECT parent_id FROM process WHERE id = ?1 AND is_exec = 0"
                           " AND parent_id IS NOT NULL AND parent_id <> id",
                           &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, process_id);
    rc = wh_query_step(q, error);
    if (rc == 1)
        *ret_parent = wh_query_int(q, 0);
    wh_query_close(q);
    if (rc != 1)
        return rc;
    struct wh_events *events;
    struct wh_stored_event first;
    rc = wh_events_open(store, &(struct wh_chunk_range){.process_id = process_id, .raw_stacks = 1},
                        &events, error);
    if (rc)
        return rc;
    rc = wh_events_next(events, &first, error);
    wh_events_close(events);
    if (rc != 1 || first.event.kind != WH_EV_FORK || first.event.detail != 2)
        return rc < 0 ? rc : 0;
    *ret_nodes = first.event.node;
    return 1;
}

/* The extents that a process met itself. */
static int read_extents(struct wh_store *store, int64_t process_id, struct wh_nodes *nodes,
                        struct wh_error *error) {
    struct wh_query *q;
    int rc = wh_query_open(store, "SELECT extent, first_id FROM stack_extent WHERE process_id = ?1",
                           &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, process_id);
    while ((rc = wh_query_step(q, error)) == 1) {
        int64_t extent = wh_query_int(q, 0), first = wh_query_int(q, 1);
        if (extent < 0 || extent >= WH_NODE_MAX / WH_NODE_EXTENT || first < 0 || first > UINT32_MAX)
            continue;
        if (wh_nodes_restore(nodes, (uint32_t)extent, (uint32_t)first) != 0) {
            rc = wh_fail(error, WH_ESYSTEM, "out of memory");
            break;
        }
    }
    wh_query_close(q);
    return rc;
}

static struct wh_nodes *find(struct wh_stack_map *map, int64_t process_id) {
    /* Events come chunk by chunk: nearly always the same process as before. */
    if (map->last < map->count && map->processes[map->last].process_id == process_id)
        return &map->processes[map->last].nodes;
    for (size_t i = 0; i < map->count; i++)
        if (map->processes[i].process_id == process_id) {
            map->last = i;
            return &map->processes[i].nodes;
        }
    return NULL;
}

/* Adds the map of a process, its ancestors' first. */
static int add(struct wh_stack_map *map, int64_t process_id, int depth, struct wh_error *error) {
    int64_t parent = 0;
    uint32_t first = 0;
    int rc = depth < FORKS_MAX ? read_fork(map->store, process_id, &parent, &first, error) : 0;
    int is_forked = rc == 1;
    if (is_forked)
        rc = find(map, parent) ? 0 : add(map, parent, depth + 1, error);
    if (rc < 0)
        return rc;
    struct wh_nodes nodes;
    if (is_forked ? wh_nodes_fork(find(map, parent), first, &nodes) : wh_nodes_init(&nodes))
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    rc = read_extents(map->store, process_id, &nodes, error);
    if (!rc &&
        wh_array_reserve(&map->processes, &map->room, map->count + 1, sizeof *map->processes))
        rc = wh_fail(error, WH_ESYSTEM, "out of memory");
    if (rc) {
        wh_nodes_release(&nodes);
        return rc;
    }
    map->processes[map->count++] = (struct wh_stack_map_process){process_id, nodes};
    return 0;
}

uint32_t wh_stack_map_id(struct wh_stack_map *map, int64_t process_id, uint32_t local, int *ret_rc,
                         struct wh_error *error) {
    struct wh_nodes *nodes = find(map, process_id);
    *ret_rc = 0;
    if (!local)
        return 0;
    if (!nodes) {
        *ret_rc = add(map, process_id, 0, error);
        nodes = *ret_rc ? NULL : find(map, process_id);
    }
    return nodes ? wh_nodes_id(nodes, local) : 0;
}
