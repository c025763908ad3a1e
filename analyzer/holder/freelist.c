#include "analyzer/holder/freelist.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/symbol/type.h"

#define EDGES_MAX 256u /* a variable that points to more structs is a table of them */

/* Does the program itself call the slot one of a list of free things, as `cache.free_list[*]` or
 * `state.freelists.nodes.items[*]`? */
bool wh_is_free_list(const char *name, const char *field) {
    char text[512];
    size_t length = (size_t)snprintf(text, sizeof(text), "%s%s", name, field);
    if (length >= sizeof(text))
        return false;
    if (strstr(text, "free_list") || strstr(text, "freelist"))
        return true;
    while (length >= 3 && strcmp(text + length - 3, "[*]") == 0)
        text[length -= 3] = 0;
    while (length && (isalnum((unsigned char)text[length - 1]) || text[length - 1] == '_'))
        length--;
    return strcmp(text + length, "free") == 0;
}

/* The struct that the edge's slot is declared to point to; NULL = none, or not that block. */
static const struct wh_type *struct_behind(const struct wh_heap *heap,
                                           const struct wh_holder_variable *v,
                                           const struct wh_heap_edge *e) {
    uint64_t offset = heap->roots[e->from & ~WH_FROM_ROOT].start + e->from_offset - v->address;
    const struct wh_type_want want = {heap->nodes[e->to].size, 0, NULL};
    struct wh_type_field field;
    if (!v->type || !v->is_named || v->edge_count > EDGES_MAX || e->to_offset ||
        wh_type_at(v->type, 0, offset, false, &want, &field) < 0 || !field.is_pointer ||
        !field.pointee || wh_type_kind(field.pointee) != WH_TYPE_STRUCT ||
        wh_type_size(field.pointee) > heap->nodes[e->to].size)
        return NULL;
    return field.pointee;
}

static void weaken_inside(struct wh_heap *heap, uint32_t block, const struct wh_type *type) {
    struct wh_edges *edges = &heap->edges;
    for (uint32_t i = edges->first[block]; i < edges->first[block + 1]; i++) {
        uint64_t offset = wh_edges_from_offset(edges, i);
        const struct wh_type_want want = {0};
        struct wh_type_field field;
        if (edges->items[i].edge_class > WH_EDGE_TAGGED && offset < wh_type_size(type) &&
            wh_type_at(type, 0, offset, false, &want, &field) == 0 &&
            wh_is_free_list("", field.collapsed))
            wh_edges_change(edges, i, WH_EDGE_TAGGED, edges->items[i].evidence);
    }
}

void wh_free_lists_weaken(struct wh_heap *heap, const struct wh_variables *variables) {
    struct wh_edge_walk w = {.edges = &heap->edges, .next = variables->first_root_edge};
    while (wh_edge_next(&w)) {
        const struct wh_holder_variable *v =
            &variables->items[wh_variables_of_edge(variables, w.index)];
        const struct wh_type *type = struct_behind(heap, v, &w.edge);
        if (type)
            weaken_inside(heap, w.edge.to, type);
    }
}
