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
    edges->begun = edges->wide_count = 0;
    edges->count = edges->plain_until = 0;
}

void wh_edges_release(struct wh_edges *edges) {
    free(edges->items);
    free(edges->first);
    free(edges->root);
    free(edges->wide);
    free(edges->page);
    *edges = (struct wh_edges){0};
}

/* --- adding
 * ------------------------------------------------------------------------------------------ */

static bool grow_items(struct wh_edges *edges, uint64_t needed) {
    uint64_t room = edges->room + edges->room / 2;
    room = room < needed ? needed : room;
    struct wh_edge *more = wh_large_alloc(room * sizeof *more);
    if (!more)
        return false;
    memcpy(more, edges->items, edges->count * sizeof *more);
    free(edges->items);
    edges->items = more;
    edges->room = room;
    return true;
}

/* Sets `first` of all nodes up to this one. */
static void begin_node(struct wh_edges *edges, uint32_t node) {
    while (edges->begun <= node)
        edges->first[edges->begun++] = (uint32_t)edges->count;
}

static bool is_narrow(const struct wh_heap_edge *e) {
    return !e->to_offset && !e->visible && e->from_offset % 8 == 0 &&
           e->from_offset / 8 <= WH_PLACE_MAX;
}

static bool add_wide(struct wh_edges *edges, const struct wh_heap_edge *e, uint32_t *ret_place) {
    if (wh_array_reserve(&edges->wide, &edges->wide_room, edges->wide_count + 1ull,
                         sizeof *edges->wide) < 0)
        return false;
    *ret_place = edges->wide_count - edges->page[edges->count / WH_EDGE_PAGE];
    edges->wide[edges->wide_count++] =
        (struct wh_edge_wide){e->from_offset & WH_OFFSET_MASK, e->to_offset & WH_OFFSET_MASK,
                              e->visible & WH_OFFSET_MASK};
    return true;
}

static bool add_page(struct wh_edges *edges) {
    uint64_t page = edges->count / WH_EDGE_PAGE;
    if (wh_array_reserve(&edges->page, &edges->page_room, page + 1, sizeof *edges->page) < 0)
        return false;
    edges->page[page] = edges->wide_count;
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
    uint32_t place = (uint32_t)(e->from_offset / 8) & WH_PLACE_MAX;
    if (is_root ? !edges->first : e->from >= edges->nodes || e->from + 1 < edges->begun)
        return wh_fail(error, WH_EINPUT, "the edges of a snapshot are out of order");
    if (edges->count >= UINT32_MAX)
        return wh_fail(error, WH_EINPUT, "the graph has more than 2^32 edges");
    begin_node(edges, is_root ? edges->nodes : e->from);
    bool narrow = is_narrow(e);
    if ((edges->count == edges->room && !grow_items(edges, edges->count + 1)) ||
        (edges->count % WH_EDGE_PAGE == 0 && !add_page(edges)) ||
        (is_root && !add_root(edges, e->from & ~WH_FROM_ROOT)) ||
        (!narrow && !add_wide(edges, e, &place)))
        return wh_fail(error, WH_ESYSTEM, "no memory for the references of a snapshot");
    edges->items[edges->count++] = (struct wh_edge){.to = e->to,
                                                    .edge_class = e->edge_class & 7u,
                                                    .evidence = e->evidence & 31u,
                                                    .is_wide = !narrow,
                                                    .place = place & WH_PLACE_MAX};
    set_plain(edges);
    return WH_OK;
}

/* Items into one page. */
static bool append_items(struct wh_edges *edges, const struct wh_edges *part, uint64_t first,
                         uint64_t count) {
    uint32_t base = edges->page[edges->count / WH_EDGE_PAGE];
    struct wh_edge *to = edges->items + edges->count;
    memcpy(to, part->items + first, count * sizeof *to);
    for (uint64_t i = 0; part->wide_count && i < count; i++) {
        if (!to[i].is_wide)
            continue;
        if (wh_array_reserve(&edges->wide, &edges->wide_room, edges->wide_count + 1ull,
                             sizeof *edges->wide) < 0)
            return false;
        edges->wide[edges->wide_count] = *wh_edges_wide(part, first + i);
        to[i].place = (edges->wide_count++ - base) & WH_PLACE_MAX;
    }
    edges->count += count;
    return true;
}

int wh_edges_append(struct wh_edges *edges, const struct wh_edges *part, struct wh_error *error) {
    bool failed = false;
    if (part->nodes > edges->nodes || edges->begun > edges->nodes - part->nodes ||
        edges->count + part->count >= UINT32_MAX)
        return wh_fail(error, WH_EINPUT, "the graph has more than 2^32 edges");
    if (edges->count + part->count > edges->room)
        failed = !grow_items(edges, edges->count + part->count);
    for (uint32_t n = 0; n < part->nodes; n++)
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

/* Entries whose length was forgotten go, the others move together. */
static void tighten(struct wh_edges *edges) {
    uint32_t kept = 0, base = 0;
    for (uint64_t i = 0; i < edges->count; i++) {
        struct wh_edge *item = &edges->items[i];
        if (i % WH_EDGE_PAGE == 0) {
            base = edges->page[i / WH_EDGE_PAGE];
            edges->page[i / WH_EDGE_PAGE] = kept;
        }
        if (!item->is_wide)
            continue;
        struct wh_edge_wide w = edges->wide[base + item->place];
        struct wh_heap_edge e = {
            .from_offset = w.from_offset, .to_offset = w.to_offset, .visible = w.visible};
        if (is_narrow(&e)) {
            item->is_wide = 0;
            item->place = (uint32_t)(w.from_offset / 8) & WH_PLACE_MAX;
        } else {
            item->place = (kept - edges->page[i / WH_EDGE_PAGE]) & WH_PLACE_MAX;
            edges->wide[kept++] = w;
        }
    }
    edges->wide_count = kept;
    edges->is_loose = false;
}

void wh_edges_finish(struct wh_edges *edges) {
    begin_node(edges, edges->nodes);
    if (edges->is_loose)
        tighten(edges);
    struct wh_edge_wide *less =
        edges->wide ? realloc(edges->wide, (edges->wide_count + 1ull) * sizeof *less) : NULL;
    if (less) {
        edges->wide = less;
        edges->wide_room = edges->wide_count + 1ull;
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
    if (!edges->items[edge].is_wide)
        return;
    wh_edges_wide(edges, edge)->visible = 0;
    edges->is_loose = true;
}

void wh_edges_drop_roots(struct wh_edges *edges) {
    uint64_t first = wh_edges_of_roots(edges);
    for (uint64_t i = first; i < edges->count; i++)
        if (edges->items[i].is_wide) {
            edges->wide_count = (uint32_t)(wh_edges_wide(edges, i) - edges->wide);
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
    struct wh_heap_edge e = {
        .from = from, .to = item->to, .edge_class = item->edge_class, .evidence = item->evidence};
    if (item->is_wide) {
        const struct wh_edge_wide *w = wh_edges_wide(edges, edge);
        e.from_offset = w->from_offset;
        e.to_offset = w->to_offset;
        e.visible = w->visible;
    } else {
        e.from_offset = item->place * UINT64_C(8) & WH_OFFSET_MASK;
    }
    return e;
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
