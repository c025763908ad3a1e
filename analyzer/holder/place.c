#include "analyzer/holder/place.h"

#include <stdlib.h>

#include "analyzer/symbol/type.h"

#define EDGES_MIN  32u   /* of a variable: with fewer no part of it can be an owner or none */
#define PART_BYTES 4096u /* of a variable without a type: a part */

/* Which part of its variable a slot belongs to: with a type, those that read alike. */
static struct wh_key part_of(const struct wh_heap *heap, const struct wh_variables *variables,
                             struct wh_names *texts, const struct wh_heap_edge *e,
                             uint32_t variable) {
    const struct wh_holder_variable *v = &variables->items[variable];
    const struct wh_heap_root *root = &heap->roots[e->from & ~WH_FROM_ROOT];
    uint64_t offset = root->start + e->from_offset - v->address;
    const struct wh_type_want want = {heap->nodes[e->to].size, e->to_offset, NULL};
    struct wh_type_field field;
    if (v->type && wh_type_at(v->type, 0, offset, false, &want, &field) == 0 && field.is_pointer)
        return (struct wh_key){variable, (uintptr_t)wh_names_intern(texts, field.collapsed), 1};
    return (struct wh_key){variable, offset / PART_BYTES, 0};
}

int wh_places_make(const struct wh_heap *heap, const struct wh_kinds *kinds,
                   const struct wh_variables *variables, struct wh_names *texts,
                   struct wh_graph_input *input, uint32_t **ret_edge_place,
                   struct wh_error *error) {
    uint64_t count = heap->edges.count - variables->first_root_edge;
    uint32_t *place = malloc((count + 1) * sizeof(*place));
    struct wh_map numbers = {0};
    struct wh_edge_walk w = {.edges = &heap->edges, .next = variables->first_root_edge};
    int status = place ? 0 : wh_fail(error, WH_ESYSTEM, "no memory for the places of references");
    while (status == 0 && wh_edge_next(&w)) {
        uint32_t variable = wh_variables_of_edge(variables, w.index), part = WH_GRAPH_NONE;
        const struct wh_holder_variable *v = &variables->items[variable];
        if (v->edge_count >= EDGES_MIN && (v->kind == WH_ROOT_GLOBAL || v->kind == WH_ROOT_TLS)) {
            struct wh_key key = part_of(heap, variables, texts, &w.edge, variable);
            part = wh_map_find(&numbers, key);
            if (part == WH_MAP_NONE) {
                part = numbers.count;
                status = wh_map_add(&numbers, key, part, error);
            }
        }
        place[w.index - variables->first_root_edge] = part;
    }
    *ret_edge_place = place;
    input->edge_place = place;
    input->edge_places = numbers.count;
    input->stack_kind = kinds->of_stack;
    input->stacks = kinds->stacks;
    input->kinds = kinds->count;
    wh_map_release(&numbers);
    return status;
}
