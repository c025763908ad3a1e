#include "trace/edges.h"

#include <stdlib.h>
#include <string.h>

#include "base/large.h"
#include "base/string.h"

#define ROOM_MIN 1024u
#define FAR      1024ull /* edges: a source so far away is searched for */

int wh_edges_open(struct wh_edges *edges, uint32_t nodes, void *memory, uint64_t room,
                  struct wh_error *error) {
    room = room ? room : ROOM_MIN;
    *edges = (struct wh_edges){.nodes = nodes, .room = room};
    edges->items = memory ? memory : wh_large_alloc(room * sizeof *edges->items);
    edges->first = wh_large_alloc((nodes + 1ull) * sizeof *edges->first);
    if (!edges->items || !edges->first) {
        wh_edges_release(edges);
        return wh_fail(error, WH_ESYSTEM, "no memory for the references of %u blocks", nodes);
    }
    return WH_OK;
}

void wh_edges_reset(struct wh_edges *edges, uint32_t nodes) {
    edges->nodes = nodes;
    edges->begun = edges->unit_count = 0;
    edges->count = edges->plain_until = 0;
}

void wh_edges_release(struct wh_edges *edges) {
    free(edges->items);
    free(edges->first);
    free(edges->root);
    free(edges->units);
    free(edges->page);
    *edges = (struct wh_edges){0};
}

/* --- adding
 * ------------------------------------------------------------------------------------------ */

/* Moved page by page, not copied: twice as much memory would be the most that a snapshot takes. */
static bool grow_items(struct wh_edges *edges, uint64_t needed) {
    uint64_t room = edges->room + edges->room / 2;
    room = room < needed ? needed : room;
    struct wh_edge *more = realloc(edges->items, room * sizeof *more);
    if (!more)
        return false;
    edges->items = more;
    edges->room = room;
    return true;
}

/* Sets `first` of all nodes up to this one. */
static void begin_node(struct wh_edges *edges, uint32_t node) {
    while (edges->begun <= node)
        edges->first[edges->begun++] = (uint32_t)edges->count;
}

/* The shortest form. Returns how many of the units it takes; without, *ret_place is complete. */
static unsigned encode(const struct wh_heap_edge *e, uint32_t *ret_form, uint32_t *ret_place,
                       uint64_t units[2]) {
    uint64_t slot = e->from_offset >> 3, target = e->to_offset >> 3;
    bool is_short = !e->visible && !(e->from_offset & 7);
    if (is_short && !e->to_offset && slot <= WH_PLACE_MAX) {
        *ret_form = WH_EDGE_PLAIN;
        *ret_place = (uint32_t)slot;
        return 0;
    }
    if (is_short && !(e->to_offset & 7) && slot <= WH_NEAR_MAX && target <= WH_NEAR_MAX) {
        *ret_form = WH_EDGE_NEAR;
        *ret_place = (uint32_t)(slot | target << WH_NEAR_BITS);
        return 0;
    }
    units[0] = (slot & UINT32_MAX) | e->to_offset << 32;
    units[1] =
        e->visible | (e->from_offset & 7) << 40 | (slot >> 32) << 43 | (e->to_offset >> 32) << 48;
    *ret_form = units[1] ? WH_EDGE_FULL : WH_EDGE_FAR;
    return units[1] ? 2 : 1;
}

/* Of the next edge; *ret_place is where. */
static bool add_units(struct wh_edges *edges, const uint64_t *units, unsigned count,
                      uint32_t *ret_place) {
    if (edges->unit_count > UINT32_MAX - 2 ||
        wh_array_reserve(&edges->units, &edges->unit_room, edges->unit_count + (size_t)count,
                         sizeof *edges->units) < 0)
        return false;
    *ret_place = edges->unit_count - edges->page[edges->count / WH_EDGE_PAGE];
    for (unsigned i = 0; i < count; i++)
        edges->units[edges->unit_count++] = units[i];
    return true;
}

static bool add_page(struct wh_edges *edges) {
    uint64_t page = edges->count / WH_EDGE_PAGE;
    if (wh_array_reserve(&edges->page, &edges->page_room, page + 1, sizeof *edges->page) < 0)
        return false;
    edges->page[page] = edges->unit_count;
    return true;
}

static bool add_root(struct wh_edges *edges, uint32_t root) {
    uint64_t at = edges->count - edges->first[edges->nodes];
    if (wh_array_reserve(&edges->root, &edges->root_room, at + 1, sizeof *edges->root) < 0)
        return false;
    edges->root[at] = root;
    return true;
}

/* So many can be added without a look: until the end of the page or of the room, or the limit. */
static void set_plain(struct wh_edges *edges) {
    uint64_t page_end = (edges->count + WH_EDGE_PAGE - 1) & ~(uint64_t)(WH_EDGE_PAGE - 1);
    edges->plain_until = page_end < edges->room ? page_end : edges->room;
    if (edges->plain_until > UINT32_MAX)
        edges->plain_until = UINT32_MAX;
}

int wh_edges_add_any(struct wh_edges *edges, const struct wh_heap_edge *e, struct wh_error *error) {
    bool is_root = e->from & WH_FROM_ROOT;
    uint32_t form, place = 0;
    uint64_t units[2];
    unsigned count = encode(e, &form, &place, units);
    if (is_root ? !edges->first : e->from >= edges->nodes || e->from + 1 < edges->begun)
        return wh_fail(error, WH_EINPUT, "the edges of a snapshot are out of order");
    if (edges->count >= UINT32_MAX)
        return wh_fail(error, WH_EINPUT, "the graph has more than 2^32 edges");
    begin_node(edges, is_root ? edges->nodes : e->from);
    if ((edges->count == edges->room && !grow_items(edges, edges->count + 1)) ||
        (edges->count % WH_EDGE_PAGE == 0 && !add_page(edges)) ||
        (is_root && !add_root(edges, e->from & ~WH_FROM_ROOT)) ||
        (count && !add_units(edges, units, count, &place)))
        return wh_fail(error, WH_ESYSTEM, "no memory for the references of a snapshot");
    edges->items[edges->count++] = (struct wh_edge){.to = e->to,
                                                    .edge_class = e->edge_class & 7u,
                                                    .evidence = e->evidence & 31u,
                                                    .form = form & 3u,
                                                    .place = place & WH_PLACE_MAX};
    set_plain(edges);
    return WH_OK;
}

static unsigned units_of(const struct wh_edge *e) {
    return e->form <= WH_EDGE_NEAR ? 0 : e->form == WH_EDGE_FAR ? 1 : 2;
}

/* Items into one page. */
static bool append_items(struct wh_edges *edges, const struct wh_edges *part, uint64_t first,
                         uint64_t count) {
    struct wh_edge *to = edges->items + edges->count;
    memcpy(to, part->items + first, count * sizeof *to);
    for (uint64_t i = 0; part->unit_count && i < count; i++) {
        uint32_t place;
        if (!units_of(&to[i]))
            continue;
        if (!add_units(edges, wh_edges_units(part, first + i), units_of(&to[i]), &place))
            return false;
        to[i].place = place & WH_PLACE_MAX;
    }
    edges->count += count;
    return true;
}

int wh_edges_append(struct wh_edges *edges, const struct wh_edges *part, bool continues,
                    struct wh_error *error) {
    bool failed = false;
    uint32_t nodes = part->nodes - continues;
    if (nodes > edges->nodes || edges->begun > edges->nodes - nodes ||
        edges->count + part->count >= UINT32_MAX)
        return wh_fail(error, WH_EINPUT, "the graph has more than 2^32 edges");
    if (edges->count + part->count > edges->room)
        failed = !grow_items(edges, edges->count + part->count);
    for (uint32_t n = continues; n < part->nodes; n++)
        edges->first[edges->begun++] = (uint32_t)edges->count + part->first[n];
    for (uint64_t i = 0, n; i < part->count && !failed; i += n) {
        n = WH_EDGE_PAGE - edges->count % WH_EDGE_PAGE;
        n = n < part->count - i ? n : part->count - i;
        failed = (edges->count % WH_EDGE_PAGE == 0 && !add_page(edges)) ||
                 !append_items(edges, part, i, n);
    }
    set_plain(edges);
    return failed ? wh_fail(error, WH_ESYSTEM, "no memory for the references of a snapshot")
                  : WH_OK;
}

/* The item that lies at `from` moves to `to`, its units to `unit`. base: first unit of the page
 * that it comes from, as it was. Returns how many units it has now. */
static unsigned move_item(struct wh_edges *edges, uint64_t from, uint64_t to, uint32_t base,
                          uint32_t unit) {
    struct wh_edge *item = &edges->items[to];
    uint64_t units[2];
    uint32_t form, place, *page = &edges->page[from / WH_EDGE_PAGE], now = *page;
    *page = base;
    struct wh_heap_edge e = wh_edges_get_of(edges, from, 0);
    *page = now;
    *item = edges->items[from];
    unsigned count = encode(&e, &form, &place, units);
    if (count)
        place = unit - edges->page[to / WH_EDGE_PAGE];
    memcpy(edges->units + unit, units, count * sizeof *units);
    item->form = form & 3;
    item->place = place & WH_PLACE_MAX;
    return count;
}

/* Units of forgotten lengths go, and edges whose bit is set, if any is; the others move together.
 */
static void tighten(struct wh_edges *edges, const uint64_t *dropped) {
    uint64_t kept = 0, roots = wh_edges_of_roots(edges);
    uint32_t kept_units = 0, base = 0, node = 0;
    for (uint64_t i = 0; i < edges->count; i++) {
        if (i % WH_EDGE_PAGE == 0)
            base = edges->page[i / WH_EDGE_PAGE];
        while (dropped && node <= edges->nodes && edges->first[node] == i)
            edges->first[node++] = (uint32_t)kept;
        if (dropped && dropped[i / 64] >> i % 64 & 1)
            continue;
        if (kept % WH_EDGE_PAGE == 0)
            edges->page[kept / WH_EDGE_PAGE] = kept_units;
        if (units_of(&edges->items[i]))
            kept_units += move_item(edges, i, kept, base, kept_units);
        else
            edges->items[kept] = edges->items[i];
        if (i >= roots)
            edges->root[kept - edges->first[edges->nodes]] = edges->root[i - roots];
        kept++;
    }
    while (dropped && node <= edges->nodes)
        edges->first[node++] = (uint32_t)kept;
    edges->count = kept;
    edges->unit_count = kept_units;
    edges->is_loose = false;
    set_plain(edges);
}

void wh_edges_drop(struct wh_edges *edges, const uint64_t *which) {
    tighten(edges, which);
}

void wh_edges_finish(struct wh_edges *edges) {
    begin_node(edges, edges->nodes);
    if (edges->is_loose)
        tighten(edges, NULL);
    uint64_t *less =
        edges->units ? realloc(edges->units, (edges->unit_count + 1ull) * sizeof *less) : NULL;
    if (less) {
        edges->units = less;
        edges->unit_room = edges->unit_count + 1ull;
    }
    wh_large_trim(edges->items, edges->count * sizeof *edges->items,
                  edges->room * sizeof *edges->items);
}

/* --- changing
 * ---------------------------------------------------------------------------------------- */

void wh_edges_change(struct wh_edges *edges, uint64_t edge, unsigned edge_class,
                     unsigned evidence) {
    edges->items[edge].edge_class = edge_class & 7;
    edges->items[edge].evidence = evidence & 31;
}

void wh_edges_forget_length(struct wh_edges *edges, uint64_t edge) {
    if (edges->items[edge].form != WH_EDGE_FULL)
        return;
    wh_edges_units(edges, edge)[1] &= ~WH_OFFSET_MASK;
    edges->is_loose = true;
}

void wh_edges_drop_roots(struct wh_edges *edges) {
    uint64_t first = wh_edges_of_roots(edges);
    for (uint64_t i = first; i < edges->count; i++)
        if (units_of(&edges->items[i])) {
            edges->unit_count = (uint32_t)(wh_edges_units(edges, i) - edges->units);
            break;
        }
    edges->count = first;
    edges->plain_until = 0;
}

/* --- reading
 * ----------------------------------------------------------------------------------------- */

static uint32_t source_of(const struct wh_edges *edges, uint64_t edge) {
    if (edge >= edges->first[edges->nodes])
        return edges->root[edge - edges->first[edges->nodes]] | WH_FROM_ROOT;
    uint32_t low = 0, high = edges->nodes;
    while (low < high) { /* the first node behind it */
        uint32_t middle = low + (high - low) / 2;
        if (edges->first[middle] <= edge)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

struct wh_heap_edge wh_edges_get_of(const struct wh_edges *edges, uint64_t edge, uint32_t from) {
    const struct wh_edge *item = &edges->items[edge];
    return (struct wh_heap_edge){.from = from,
                                 .to = item->to,
                                 .from_offset = wh_edges_from_offset(edges, edge),
                                 .to_offset = wh_edges_to_offset(edges, edge),
                                 .visible = wh_edges_visible(edges, edge),
                                 .edge_class = item->edge_class,
                                 .evidence = item->evidence};
}

struct wh_heap_edge wh_edges_get(const struct wh_edges *edges, uint64_t edge) {
    return wh_edges_get_of(edges, edge, source_of(edges, edge));
}

bool wh_edge_next(struct wh_edge_walk *w) {
    const struct wh_edges *edges = w->edges;
    if (w->next >= edges->count)
        return false;
    uint64_t roots = edges->first[edges->nodes];
    w->index = w->next++;
    if (w->index >= roots)
        w->from = edges->root[w->index - roots] | WH_FROM_ROOT;
    else if (w->from >= edges->nodes || edges->first[w->from] > w->index ||
             edges->first[w->from + 1] + FAR <= w->index)
        w->from = source_of(edges, w->index);
    else
        while (edges->first[w->from + 1] <= w->index)
            w->from++;
    w->edge = wh_edges_get_of(edges, w->index, w->from);
    return true;
}
