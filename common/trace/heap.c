/* A frozen heap's life and its storage form.
 *
 * Storage: one column after the other, every value as a LEB128 varint; columns whose neighbours
 * resemble each other are stored as the zigzag difference to the item before. zlib then sees long
 * runs of small equal bytes. A slice decodes alone: differences start from zero. What is hard: the
 * bytes come from a file that anybody may have written, so nothing is believed before it is
 * checked. */
#include "trace/heap.h"

#include <stdlib.h>
#include <string.h>

#define VARINT_MAX 10u

struct column {
    size_t offset; /* in the item */
    uint8_t width; /* bytes of the member */
    uint8_t delta; /* 1 = difference to the item before */
};

#define COLUMN(type, member, is_delta)                                                             \
    { offsetof(struct type, member), sizeof(((struct type *)0)->member), is_delta }

static const struct column node_columns[] = {
    COLUMN(wh_heap_node, address, 1),       COLUMN(wh_heap_node, size, 1),
    COLUMN(wh_heap_node, allocation_id, 1), COLUMN(wh_heap_node, stack_id, 1),
    COLUMN(wh_heap_node, alloc_order, 1),   COLUMN(wh_heap_node, kind, 0),
    COLUMN(wh_heap_node, flags, 0),
};
static const struct column root_columns[] = {
    COLUMN(wh_heap_root, start, 1),      COLUMN(wh_heap_root, end, 1),
    COLUMN(wh_heap_root, pc, 1),         COLUMN(wh_heap_root, load_bias, 1),
    COLUMN(wh_heap_root, tls_offset, 1), COLUMN(wh_heap_root, module, 1),
    COLUMN(wh_heap_root, tid, 1),        COLUMN(wh_heap_root, number, 1),
    COLUMN(wh_heap_root, text, 1),       COLUMN(wh_heap_root, kind, 0),
};
static const struct column edge_columns[] = {
    COLUMN(wh_heap_edge, from, 1),        COLUMN(wh_heap_edge, to, 1),
    COLUMN(wh_heap_edge, from_offset, 1), COLUMN(wh_heap_edge, to_offset, 0),
    COLUMN(wh_heap_edge, visible, 0),     COLUMN(wh_heap_edge, edge_class, 0),
    COLUMN(wh_heap_edge, evidence, 0),
};

static const struct {
    const struct column *columns;
    size_t column_count;
    size_t item_bytes;
    const char *name;
} parts[] = {
    {node_columns, sizeof node_columns / sizeof *node_columns, sizeof(struct wh_heap_node),
     "nodes"},
    {root_columns, sizeof root_columns / sizeof *root_columns, sizeof(struct wh_heap_root),
     "roots"},
    {edge_columns, sizeof edge_columns / sizeof *edge_columns, sizeof(struct wh_heap_edge),
     "edges"},
};

void wh_heap_release(struct wh_heap *heap) {
    free(heap->nodes);
    free(heap->roots);
    free(heap->edges);
    free(heap->texts);
    *heap = (struct wh_heap){0};
}

static uint64_t part_count(const struct wh_heap *heap, enum wh_heap_part part) {
    switch (part) {
    case WH_HEAP_NODES:
        return heap->node_count;
    case WH_HEAP_ROOTS:
        return heap->root_count;
    case WH_HEAP_EDGES:
        return heap->edge_count;
    case WH_HEAP_TEXTS:
        return heap->texts_bytes;
    }
    return 0;
}

static const unsigned char *part_items(const struct wh_heap *heap, enum wh_heap_part part) {
    switch (part) {
    case WH_HEAP_NODES:
        return (const unsigned char *)heap->nodes;
    case WH_HEAP_ROOTS:
        return (const unsigned char *)heap->roots;
    case WH_HEAP_EDGES:
        return (const unsigned char *)heap->edges;
    case WH_HEAP_TEXTS:
        return (const unsigned char *)heap->texts;
    }
    return NULL;
}

static uint64_t load_member(const unsigned char *at, uint8_t width) {
    uint64_t v8;
    uint32_t v4;
    switch (width) {
    case 8:
        memcpy(&v8, at, sizeof v8);
        return v8;
    case 4:
        memcpy(&v4, at, sizeof v4);
        return v4;
    default:
        return *at;
    }
}

static unsigned char *put_varint(unsigned char *p, uint64_t v) {
    while (v >= 0x80) {
        *p++ = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    *p++ = (unsigned char)v;
    return p;
}

static unsigned char *pack_column(unsigned char *p, const struct column *column,
                                  const unsigned char *items, size_t item_bytes, uint64_t count) {
    uint64_t before = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t v = load_member(items + i * item_bytes + column->offset, column->width);
        uint64_t difference = v - before;
        if (column->delta) {
            p = put_varint(p, (difference << 1) ^ (0 - (difference >> 63)));
            before = v;
        } else {
            p = put_varint(p, v);
        }
    }
    return p;
}

int wh_heap_pack(const struct wh_heap *heap, enum wh_heap_part part, uint64_t first, uint64_t count,
                 unsigned char **ret_data, size_t *ret_bytes, struct wh_error *error) {
    uint64_t have = part_count(heap, part);
    if ((unsigned)part > WH_HEAP_TEXTS || count > WH_HEAP_SLICE || first > have ||
        count > have - first)
        return wh_fail(error, WH_EUSAGE, "slice of a heap outside its bounds");
    const unsigned char *items = part_items(heap, part);
    if (part == WH_HEAP_TEXTS) {
        unsigned char *copy = malloc(count ? count : 1);
        if (!copy)
            return wh_fail(error, WH_ESYSTEM, "out of memory");
        if (count)
            memcpy(copy, items + first, count);
        *ret_data = copy;
        *ret_bytes = count;
        return WH_OK;
    }
    size_t bound = 1;
    for (size_t c = 0; c < parts[part].column_count; c++)
        bound += count * (parts[part].columns[c].width == 1 ? 2 : VARINT_MAX);
    unsigned char *data = malloc(bound), *p = data;
    if (!data)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    for (size_t c = 0; c < parts[part].column_count; c++)
        p = pack_column(p, &parts[part].columns[c], items + first * parts[part].item_bytes,
                        parts[part].item_bytes, count);
    *ret_data = data;
    *ret_bytes = (size_t)(p - data);
    return WH_OK;
}

/* Reads one varint. NULL = the data end inside it or it does not fit 64 bits. */
static const unsigned char *take_varint(const unsigned char *p, const unsigned char *end,
                                        uint64_t *ret_value) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
        uint64_t byte = *p++;
        if (shift == 63 && byte > 1)
            return NULL;
        v |= (byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_value = v;
            return p;
        }
    }
    return NULL;
}

static const unsigned char *unpack_column(const unsigned char *p, const unsigned char *end,
                                          const struct column *column, unsigned char *items,
                                          size_t item_bytes, uint64_t count) {
    uint64_t before = 0,
             limit = column->width == 8 ? UINT64_MAX : (1ull << (8 * column->width)) - 1;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t v;
        p = take_varint(p, end, &v);
        if (!p)
            return NULL;
        if (column->delta) {
            v = before + ((v >> 1) ^ (0 - (v & 1)));
            before = v;
        }
        if (v > limit)
            return NULL;
        unsigned char *at = items + i * item_bytes + column->offset;
        if (column->width == 8) {
            memcpy(at, &v, sizeof v);
        } else if (column->width == 4) {
            uint32_t narrow = (uint32_t)v;
            memcpy(at, &narrow, sizeof narrow);
        } else {
            *at = (unsigned char)v;
        }
    }
    return p;
}

/* Makes room for `count` more items and returns where they go. */
static unsigned char *grow_part(struct wh_heap *heap, enum wh_heap_part part, uint64_t count) {
    size_t item = part == WH_HEAP_TEXTS ? 1 : parts[part].item_bytes;
    uint64_t have = part_count(heap, part);
    unsigned char *items =
        realloc((void *)(uintptr_t)part_items(heap, part), (have + count) * item + 1);
    if (!items)
        return NULL;
    memset(items + have * item, 0, count * item);
    if (part == WH_HEAP_NODES)
        heap->nodes = (struct wh_heap_node *)(void *)items;
    else if (part == WH_HEAP_ROOTS)
        heap->roots = (struct wh_heap_root *)(void *)items;
    else if (part == WH_HEAP_EDGES)
        heap->edges = (struct wh_heap_edge *)(void *)items;
    else
        heap->texts = (char *)items;
    return items + have * item;
}

static void count_part(struct wh_heap *heap, enum wh_heap_part part, uint64_t count) {
    if (part == WH_HEAP_NODES)
        heap->node_count += (uint32_t)count;
    else if (part == WH_HEAP_ROOTS)
        heap->root_count += (uint32_t)count;
    else if (part == WH_HEAP_EDGES)
        heap->edge_count += count;
    else
        heap->texts_bytes += (uint32_t)count;
}

int wh_heap_unpack(struct wh_heap *heap, enum wh_heap_part part, uint64_t count,
                   const unsigned char *data, size_t bytes, struct wh_error *error) {
    if ((unsigned)part > WH_HEAP_TEXTS || count > WH_HEAP_SLICE)
        return wh_fail(error, WH_EINPUT, "damaged snapshot: a slice of %llu items",
                       (unsigned long long)count);
    /* Every value takes a byte at least: a huge count with few bytes is refused before any
     * allocation. */
    size_t least = part == WH_HEAP_TEXTS ? count : count * parts[part].column_count;
    if (bytes < least || (part == WH_HEAP_TEXTS && bytes != count))
        return wh_fail(error, WH_EINPUT, "damaged snapshot: a slice is too short");
    if (part != WH_HEAP_EDGES && part_count(heap, part) + count >= WH_FROM_ROOT)
        return wh_fail(error, WH_EINPUT, "damaged snapshot: too many items");
    if (count == 0)
        return bytes == 0 ? WH_OK
                          : wh_fail(error, WH_EINPUT, "damaged snapshot: bytes after a slice");
    unsigned char *items = grow_part(heap, part, count);
    if (!items)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    if (part == WH_HEAP_TEXTS) {
        memcpy(items, data, count);
    } else {
        const unsigned char *p = data, *end = data + bytes;
        for (size_t c = 0; c < parts[part].column_count && p; c++)
            p = unpack_column(p, end, &parts[part].columns[c], items, parts[part].item_bytes,
                              count);
        if (p != end)
            return wh_fail(error, WH_EINPUT, "damaged snapshot: a slice of %s does not decode",
                           parts[part].name);
    }
    count_part(heap, part, count);
    return WH_OK;
}

static const char *check_nodes(const struct wh_heap *heap) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < heap->node_count; i++) {
        const struct wh_heap_node *n = &heap->nodes[i];
        if (n->kind > WH_NODE_STACK)
            return "a node of unknown kind";
        if (n->address + n->size < n->address)
            return "a node beyond the address space";
        if (i && n->address <= heap->nodes[i - 1].address)
            return "nodes out of order";
        /* A node may lie inside the one before (coroutine stack, pool in a mapping), never across
         * its end. */
        if (n->address < end && n->address + n->size > end)
            return "nodes that overlap";
        if (n->address + n->size > end)
            end = n->address + n->size;
    }
    return NULL;
}

static const char *check_roots(const struct wh_heap *heap) {
    if (heap->texts_bytes && (heap->texts[0] || heap->texts[heap->texts_bytes - 1]))
        return "texts without an end";
    for (uint32_t i = 0; i < heap->root_count; i++) {
        const struct wh_heap_root *r = &heap->roots[i];
        if (r->kind > WH_ROOT_INFRA || r->start > r->end)
            return "a root of unknown kind or negative size";
        if (r->text >= heap->texts_bytes && r->text)
            return "a root's name outside the texts";
    }
    return NULL;
}

static const char *check_edges(const struct wh_heap *heap) {
    for (uint64_t i = 0; i < heap->edge_count; i++) {
        const struct wh_heap_edge *e = &heap->edges[i];
        uint32_t from = e->from & ~WH_FROM_ROOT;
        if (from >= (e->from & WH_FROM_ROOT ? heap->root_count : heap->node_count) ||
            e->to >= heap->node_count)
            return "an edge from or to nowhere";
        if (e->edge_class > WH_EDGE_TYPED || e->evidence > WH_EVIDENCE_BASE)
            return "an edge of unknown class";
        if (i &&
            (e[-1].from > e->from || (e[-1].from == e->from && e[-1].from_offset > e->from_offset)))
            return "edges out of order";
    }
    return NULL;
}

int wh_heap_check(const struct wh_heap *heap, struct wh_error *error) {
    const char *why = check_nodes(heap);
    if (!why)
        why = check_roots(heap);
    if (!why)
        why = check_edges(heap);
    return why ? wh_fail(error, WH_EINPUT, "damaged snapshot: %s", why) : WH_OK;
}
