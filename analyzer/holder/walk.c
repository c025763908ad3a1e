/* Reading edges: which field a slot is, and what type the block behind it has.
 *
 * With debug information the type of the root variable is followed field by field; a `void *` is
 * given the one struct whose size and pointer fields fit the block; a pointer to an inner member
 * gives the struct around it. Where types end, a step names the creator of the block and the
 * offset, and a slot that is one of many like slots reads as [*]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/holder/holding.h"
#include "base/string.h"

#define LIKE_SLOTS_MIN 4
#define CANDIDATES     24

struct wh_reader {
    struct wh_holding *h;
    struct wh_map strides; /* (source vertex, creator of the target) -> index */
    uint64_t *stride;
    uint32_t stride_count;
    size_t stride_room;
    struct wh_map guesses; /* (module, creator, size) -> index */
    const struct wh_type **guess;
    uint32_t guess_count;
    size_t guess_room;
    uint32_t *modules; /* per block: see module_of_edge() */
};

int wh_reader_open(struct wh_holding *h, struct wh_reader **ret, struct wh_error *error) {
    *ret = calloc(1, sizeof(**ret));
    if (!*ret)
        return wh_fail(error, WH_ESYSTEM, "no memory for reading paths");
    (*ret)->h = h;
    (*ret)->modules = malloc((h->graph.blocks + 1ul) * sizeof(uint32_t));
    if (!(*ret)->modules) {
        free(*ret);
        *ret = NULL;
        return wh_fail(error, WH_ESYSTEM, "no memory for reading paths");
    }
    memset((*ret)->modules, 0xff, (h->graph.blocks + 1ul) * sizeof(uint32_t));
    return 0;
}

void wh_reader_close(struct wh_reader *r) {
    if (!r)
        return;
    wh_map_release(&r->strides);
    wh_map_release(&r->guesses);
    free(r->stride);
    free(r->guess);
    free(r->modules);
    free(r);
}

static uint32_t creator_of(const struct wh_holding *h, uint32_t block) {
    return wh_frames_creator_id(h->frames, h->heap.nodes[block].stack_id);
}

/* --- like slots
 * ----------------------------------------------------------------------------------- */

static uint64_t gcd(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* The distance of the slots first..end-1 that lead to blocks of one creator, 0 = too few. */
static uint64_t measure_stride(const struct wh_holding *h, uint64_t first, uint64_t end,
                               uint32_t creator) {
    uint64_t stride = 0, previous = 0, count = 0;
    struct wh_edge_walk w = {.edges = &h->heap.edges, .next = first};
    while (w.next < end && wh_edge_next(&w)) {
        if (creator_of(h, w.edge.to) != creator)
            continue;
        uint64_t at = w.edge.from_offset;
        if (w.edge.from & WH_FROM_ROOT)
            at += h->heap.roots[w.edge.from & ~WH_FROM_ROOT].start;
        if (count++ && at > previous)
            stride = gcd(stride, at - previous);
        previous = at;
    }
    return count >= LIKE_SLOTS_MIN ? stride : 0;
}

static int stride_of(struct wh_reader *r, uint32_t edge, const struct wh_heap_edge *e,
                     uint64_t *ret, struct wh_error *error) {
    const struct wh_holding *h = r->h;
    uint64_t first, end, source;
    if (e->from & WH_FROM_ROOT) {
        uint32_t variable = wh_variables_of_edge(&h->variables, edge);
        const struct wh_holder_variable *v = &h->variables.items[variable];
        first = v->first_edge;
        end = first + v->edge_count;
        source = (uint64_t)h->heap.node_count + variable;
    } else {
        first = h->heap.edges.first[e->from];
        end = h->heap.edges.first[e->from + 1];
        source = e->from;
    }
    *ret = 0;
    if (end - first < LIKE_SLOTS_MIN)
        return 0;
    struct wh_key key = {source, creator_of(h, e->to), 0};
    uint32_t index = wh_map_find(&r->strides, key);
    if (index == WH_MAP_NONE) {
        index = r->stride_count;
        if (wh_array_reserve(&r->stride, &r->stride_room, (size_t)index + 1, sizeof(*r->stride)) <
            0)
            return wh_fail(error, WH_ESYSTEM, "no memory for reading paths");
        int status = wh_map_add(&r->strides, key, index, error);
        if (status < 0)
            return status;
        r->stride[r->stride_count++] = measure_stride(h, first, end, (uint32_t)key.b);
    }
    *ret = r->stride[index];
    return 0;
}

/* --- types
 * ----------------------------------------------------------------------------------------- */

#define FITS_EDGES 256 /* of a large array the first references are proof enough */

/* Could the block be a t, or an array of them, as far as its own references tell? Each must lie
 * where t has a pointer, and what that pointer is said to point to must fit into the block it leads
 * to. */
static int fits(const struct wh_holding *h, uint32_t block, const struct wh_type *t) {
    const struct wh_edges *edges = &h->heap.edges;
    uint64_t size = h->heap.nodes[block].size;
    uint32_t first = edges->first[block], count = wh_edges_count_of(edges, block);
    for (uint32_t i = 0; i < count && i < FITS_EDGES; i++) {
        const struct wh_heap_edge edge = wh_edges_get_of(edges, first + i, block), *e = &edge;
        struct wh_type_want want = {h->heap.nodes[e->to].size, e->to_offset, NULL};
        struct wh_type_field field;
        if (e->edge_class < WH_EDGE_INTERIOR)
            continue;
        if (wh_type_at(t, size, e->from_offset, false, &want, &field) < 0 || !field.is_pointer)
            return 0;
        if (field.pointee && wh_type_size(field.pointee) > h->heap.nodes[e->to].size)
            return 0;
    }
    return 1;
}

/* The one struct of the root's module that fits an untyped block. NULL = none or several; a block
 * without references proves nothing. */
static int guess_type(struct wh_reader *r, int64_t module, uint32_t block,
                      const struct wh_type **ret, struct wh_error *error) {
    struct wh_holding *h = r->h;
    *ret = NULL;
    if (!module || !h->symbols || !wh_edges_count_of(&h->heap.edges, block))
        return 0;
    struct wh_key key = {(uint64_t)module, creator_of(h, block), h->heap.nodes[block].size};
    uint32_t index = wh_map_find(&r->guesses, key);
    if (index == WH_MAP_NONE) {
        const struct wh_type *types[CANDIDATES], *found = NULL;
        struct wh_module *m = wh_symbols_module(h->symbols, module);
        size_t count = m ? wh_type_of_size(m, key.c, types, CANDIDATES) : 0, fitting = 0;
        for (size_t i = 0; i < count && i < CANDIDATES; i++)
            if (fits(h, block, types[i])) {
                found = types[i];
                fitting++;
            }
        index = r->guess_count;
        if (wh_array_reserve(&r->guess, &r->guess_room, (size_t)index + 1, sizeof(*r->guess)) < 0)
            return wh_fail(error, WH_ESYSTEM, "no memory for reading paths");
        int status = wh_map_add(&r->guesses, key, index, error);
        if (status < 0)
            return status;
        r->guess[r->guess_count++] = fitting == 1 && count <= CANDIDATES ? found : NULL;
    }
    *ret = r->guess[index];
    return 0;
}

/* The type of the block that an edge leads to, from what the slot is declared to point to. */
static void target_type(const struct wh_holding *h, const struct wh_heap_edge *e,
                        const struct wh_type *pointee, int elements, struct wh_reading *ret) {
    uint64_t block = h->heap.nodes[e->to].size, size = pointee ? wh_type_size(pointee) : 0;
    int has_references = wh_edges_count_of(&h->heap.edges, e->to) > 0;
    ret->type = NULL;
    ret->elements = 0;
    if (!size || (wh_type_kind(pointee) == WH_TYPE_SCALAR && has_references))
        return;
    if (e->to_offset % size == 0 && (e->to_offset == 0 || elements || block % size == 0)) {
        /* A pointer behind a header of the same size as what it is said to point to is no proof of
         * an array: the block's own references must agree. */
        int is_inner = e->to_offset > 0 && !elements;
        if (size <= block && (!is_inner || fits(h, e->to, pointee))) {
            ret->type = pointee;
            ret->elements = elements || e->to_offset > 0;
        }
        return;
    }
    if (wh_type_kind(pointee) != WH_TYPE_SCALAR)
        ret->type = wh_type_container(pointee, e->to_offset, block);
}

#define MODULE_UNKNOWN UINT32_MAX

/* Module of the root that the edge's path begins at, 0 = none. Remembered for each block on the
 * way: a list of a million would be walked a million times. */
static uint32_t module_of_edge(struct wh_reader *r, const struct wh_heap_edge *e) {
    const struct wh_holding *h = r->h;
    const struct wh_graph *g = &h->graph;
    uint32_t v = e->from, root = WH_GRAPH_NONE, module = 0;
    while (!(v & WH_FROM_ROOT) && v < g->blocks && r->modules[v] == MODULE_UNKNOWN) {
        uint32_t up = g->tree_edge[v];
        if (up == WH_GRAPH_NONE) /* lost */
            break;
        if (g->tree_parent[v] >= g->blocks)
            root = wh_edges_get(&h->heap.edges, up).from;
        v = root == WH_GRAPH_NONE ? g->tree_parent[v] : root;
    }
    if (v & WH_FROM_ROOT)
        module = h->heap.roots[v & ~WH_FROM_ROOT].module;
    else if (r->modules[v] != MODULE_UNKNOWN)
        module = r->modules[v];
    for (v = e->from; v < g->blocks && r->modules[v] == MODULE_UNKNOWN; v = g->tree_parent[v])
        r->modules[v] = module;
    return module;
}

static int read_typed(struct wh_reader *r, const struct wh_heap_edge *e, const struct wh_type *type,
                      uint64_t size, uint64_t offset, int elements, struct wh_reading *ret,
                      struct wh_error *error) {
    const struct wh_holding *h = r->h;
    struct wh_type_want want = {h->heap.nodes[e->to].size, e->to_offset, NULL};
    if (!type || wh_type_at(type, size, offset, elements != 0, &want, &ret->field) < 0 ||
        !ret->field.is_pointer)
        return 0;
    ret->is_typed = 1;
    if (elements == WH_ELEMENTS_SLICE)
        wh_type_mark_element(type, &ret->field);
    target_type(h, e, ret->field.pointee, ret->field.is_elements, ret);
    if (ret->elements && ret->field.is_slice)
        ret->elements = WH_ELEMENTS_SLICE;
    if (!ret->type && !ret->field.pointee && e->to_offset == 0)
        return guess_type(r, module_of_edge(r, e), e->to, &ret->type, error);
    return 0;
}

static int read_untyped(struct wh_reader *r, uint32_t edge, const struct wh_heap_edge *e,
                        uint64_t offset, struct wh_reading *ret, struct wh_error *error) {
    ret->offset = offset;
    return ret->is_whole ? 0 : stride_of(r, edge, e, &ret->stride, error);
}

int wh_reader_read(struct wh_reader *r, uint32_t edge, const struct wh_type *type, int elements,
                   struct wh_reading *ret, struct wh_error *error) {
    struct wh_holding *h = r->h;
    const struct wh_heap_edge read = wh_edges_get(&h->heap.edges, edge), *e = &read;
    uint64_t size, offset = e->from_offset;
    *ret = (struct wh_reading){0};
    if (e->from & WH_FROM_ROOT) {
        struct wh_slot slot;
        if (wh_variables_slot(&h->variables, &h->heap, h->symbols, h->process_id, h->at_ns,
                              &h->texts, edge, &slot) < 0)
            return wh_fail(error, WH_ESYSTEM, "no memory for reading paths");
        ret->root_text = slot.text;
        ret->function = slot.function;
        ret->is_whole = slot.is_whole;
        type = slot.type;
        size = 0; /* exactly one of its type */
        offset = slot.offset;
        elements = 0;
    } else {
        size = h->heap.nodes[e->from].size;
    }
    int status = read_typed(r, e, type, size, offset, elements, ret, error);
    if (status == 0 && !ret->is_typed)
        status = read_untyped(r, edge, e, offset, ret, error);
    return status;
}

void wh_reading_text(const struct wh_reading *reading, const struct wh_type_field *previous,
                     const char *creator, int collapsed, char *text, size_t size) {
    char path[2 * WH_FIELD_TEXT] = "x"; /* stands for the text before */
    size_t used = 0;
    text[0] = 0;
    if (reading->root_text) {
        used = (size_t)snprintf(text, size, "%s", reading->root_text);
    } else if (!reading->is_typed) {
        used = creator[0] == '(' ? (size_t)snprintf(text, size, " → [%.*s]",
                                                    (int)strlen(creator) - 2, creator + 1)
                                 : (size_t)snprintf(text, size, " → [created by %s]", creator);
    }
    if (used >= size)
        return;
    if (reading->is_typed) {
        wh_path_append(path, sizeof(path), previous, &reading->field, collapsed != 0);
        snprintf(text + used, size - used, "%s", path + 1);
    } else if (reading->is_whole) {
        return;
    } else if (collapsed && reading->stride) {
        uint64_t rest = reading->offset % reading->stride;
        if (rest)
            snprintf(text + used, size - used, "[*]+0x%llx", (unsigned long long)rest);
        else
            snprintf(text + used, size - used, "[*]");
    } else if (reading->offset) {
        snprintf(text + used, size - used, "+0x%llx", (unsigned long long)reading->offset);
    }
}
