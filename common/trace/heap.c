/* A frozen heap's life and its storage form.
 *
 * Storage: one column after the other. A value becomes the difference to the item before where
 * neighbours resemble each other, then a LEB128 varint; a run of zeros becomes a zero and its
 * length. Most columns of most heaps are little but runs, so what is left for zlib is a third of
 * the bytes. A slice decodes alone. What is hard: the bytes come from a file that anybody may have
 * written, so nothing is believed before it is checked. */
#include "trace/heap.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/large.h"

#define VARINT_MAX  10u
#define BATCH       512u /* values between the items and their bytes */
#define COLUMNS_MAX 10u  /* of a part */

/* --- columns
 * --------------------------------------------------------------------------------------- */

/* load: values of `count` items; the one before them may be looked at, unless they are a slice's
 * first. put: values to items [first, first + count) of a slice, false = out of the member's range;
 * what lies before `first` is complete in the columns before this one. */
struct column {
    void (*load)(const void *items, uint64_t count, bool is_first, uint64_t *values);
    bool (*put)(void *items, uint64_t first, uint64_t count, const uint64_t *values);
    bool is_delta; /* differences, zigzag coded */
    bool is_dense; /* no runs: a slice is never much longer than its bytes */
};

#define LOW(bits) (UINT64_MAX >> (64 - (bits)))

#define LOAD(type, member)                                                                         \
    static void load_##type##_##member(const void *items, uint64_t count, bool is_first,           \
                                       uint64_t *values) {                                         \
        const struct wh_heap_##type *item = items;                                                 \
        (void)is_first;                                                                            \
        for (uint64_t i = 0; i < count; i++)                                                       \
            values[i] = item[i].member;                                                            \
    }

#define PUT(type, member, bits, place)                                                             \
    static bool put_##type##_##member(void *items, uint64_t first, uint64_t count,                 \
                                      const uint64_t *values) {                                    \
        uint64_t all = 0;                                                                          \
        for (uint64_t i = 0; i < count; i++) {                                                     \
            all |= values[i];                                                                      \
            place = values[i] & LOW(bits);                                                         \
        }                                                                                          \
        return (all & ~LOW(bits)) == 0;                                                            \
    }

#define COLUMN(type, member, bits)                                                                 \
    LOAD(type, member)                                                                             \
    PUT(type, member, bits, ((struct wh_heap_##type *)items)[first + i].member)

/* Edges of a slice as they are read back, column by column: before all are there none can be kept.
 */
struct edge_slice {
    uint64_t from_offset[WH_HEAP_SLICE], to_offset[WH_HEAP_SLICE], visible[WH_HEAP_SLICE];
    uint32_t from[WH_HEAP_SLICE], to[WH_HEAP_SLICE];
    uint8_t edge_class[WH_HEAP_SLICE], evidence[WH_HEAP_SLICE];
};

#define EDGE_COLUMN(member, bits)                                                                  \
    LOAD(edge, member)                                                                             \
    PUT(edge, member, bits, ((struct edge_slice *)items)->member[first + i])

COLUMN(node, address, 48)
COLUMN(node, size, 64)
COLUMN(node, allocation_id, 64)
COLUMN(node, stack_id, 32)
COLUMN(node, kind, 8)
COLUMN(node, flags, 8)
COLUMN(root, start, 64)
COLUMN(root, end, 64)
COLUMN(root, pc, 64)
COLUMN(root, load_bias, 64)
COLUMN(root, tls_offset, 64)
COLUMN(root, module, 32)
COLUMN(root, tid, 32)
COLUMN(root, number, 32)
COLUMN(root, text, 32)
COLUMN(root, kind, 8)
EDGE_COLUMN(from, 32)
EDGE_COLUMN(to_offset, 40)
EDGE_COLUMN(visible, 40)
EDGE_COLUMN(edge_class, 3)
EDGE_COLUMN(evidence, 5)

static uint64_t zigzag(uint64_t difference) {
    return difference << 1 ^ (0 - (difference >> 63));
}

static uint64_t unzigzag(uint64_t v) {
    return v >> 1 ^ (0 - (v & 1));
}

/* Blocks refer to blocks nearby: the target as seen from the source. */
static void load_edge_to(const void *items, uint64_t count, bool is_first, uint64_t *values) {
    const struct wh_heap_edge *e = items;
    (void)is_first;
    for (uint64_t i = 0; i < count; i++)
        values[i] = e[i].from & WH_FROM_ROOT ? e[i].to : zigzag((uint64_t)e[i].to - e[i].from);
}

static bool put_edge_to(void *items, uint64_t first, uint64_t count, const uint64_t *values) {
    struct edge_slice *e = items;
    uint64_t all = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t from = e->from[first + i];
        uint64_t to = from & WH_FROM_ROOT ? values[i] : unzigzag(values[i]) + from;
        all |= to;
        e->to[first + i] = (uint32_t)to;
    }
    return all <= UINT32_MAX;
}

/* The slot as seen from the one before in the same source. */
static void load_edge_from_offset(const void *items, uint64_t count, bool is_first,
                                  uint64_t *values) {
    const struct wh_heap_edge *e = items;
    for (uint64_t i = 0; i < count; i++) {
        bool same = (i || !is_first) && e[i - 1].from == e[i].from;
        values[i] = zigzag(e[i].from_offset - (same ? e[i - 1].from_offset : 0));
    }
}

static bool put_edge_from_offset(void *items, uint64_t first, uint64_t count,
                                 const uint64_t *values) {
    struct edge_slice *e = items;
    uint64_t all = 0;
    for (uint64_t i = first; i < first + count; i++) {
        bool same = i && e->from[i - 1] == e->from[i];
        uint64_t offset = unzigzag(values[i - first]) + (same ? e->from_offset[i - 1] : 0);
        all |= offset;
        e->from_offset[i] = offset & WH_OFFSET_MASK;
    }
    return all <= WH_OFFSET_MASK;
}

#define ROW(type, member, delta, dense)                                                            \
    { load_##type##_##member, put_##type##_##member, delta, dense }

static const struct column node_columns[] = {
    ROW(node, address, true, true),        ROW(node, size, false, false),
    ROW(node, allocation_id, true, false), ROW(node, stack_id, true, false),
    ROW(node, kind, true, false),          ROW(node, flags, true, false),
};
static const struct column root_columns[] = {
    ROW(root, start, true, true),       ROW(root, end, true, false),
    ROW(root, pc, true, false),         ROW(root, load_bias, true, false),
    ROW(root, tls_offset, true, false), ROW(root, module, true, false),
    ROW(root, tid, true, false),        ROW(root, number, true, false),
    ROW(root, text, true, false),       ROW(root, kind, true, false),
};
static const struct column edge_columns[] = {
    ROW(edge, from, true, false),         ROW(edge, to, false, true),
    ROW(edge, from_offset, false, false), ROW(edge, to_offset, false, false),
    ROW(edge, visible, false, false),     ROW(edge, edge_class, true, false),
    ROW(edge, evidence, true, false),
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

static_assert(sizeof root_columns / sizeof *root_columns <= COLUMNS_MAX &&
                  sizeof edge_columns / sizeof *edge_columns <= COLUMNS_MAX,
              "a part has more columns than are packed at once");

void wh_heap_release(struct wh_heap *heap) {
    free(heap->nodes);
    free(heap->roots);
    wh_edges_release(&heap->edges);
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
        return heap->edges.count;
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
        break; /* not kept as items */
    case WH_HEAP_TEXTS:
        return (const unsigned char *)heap->texts;
    }
    return NULL;
}

/* --- packing
 * --------------------------------------------------------------------------------------- */

static inline unsigned char *put_varint(unsigned char *p, uint64_t v) {
    while (v >= 0x80) {
        *p++ = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    *p++ = (unsigned char)v;
    return p;
}

static void to_differences(uint64_t *values, uint64_t count, uint64_t *before) {
    uint64_t last = *before;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t v = values[i];
        values[i] = zigzag(v - last);
        last = v;
    }
    *before = last;
}

static void from_differences(uint64_t *values, uint64_t count, uint64_t *before) {
    uint64_t last = *before;
    for (uint64_t i = 0; i < count; i++)
        values[i] = last += unzigzag(values[i]);
    *before = last;
}

/* A column that is being packed. */
struct packed {
    unsigned char *start, *end;
    uint64_t before, zeros;
};

static void end_run(struct packed *to) {
    if (!to->zeros)
        return;
    *to->end++ = 0;
    to->end = put_varint(to->end, to->zeros - 1);
    to->zeros = 0;
}

static void pack_values(struct packed *to, const struct column *column, uint64_t *values,
                        uint64_t count) {
    if (column->is_delta)
        to_differences(values, count, &to->before);
    for (uint64_t i = 0; i < count; i++) {
        if (values[i] == 0 && !column->is_dense) {
            to->zeros++;
            continue;
        }
        end_run(to);
        to->end = put_varint(to->end, values[i]);
    }
}

/* The items are read once, batch by batch, into all columns at the same time. Edges are written out
 * for that, behind the last one of the batch before. */
static void pack_batches(const struct wh_heap *heap, enum wh_heap_part part, uint64_t first,
                         uint64_t count, struct packed *columns) {
    struct wh_heap_edge edges[BATCH + 1];
    struct wh_edge_walk walk = {.edges = &heap->edges, .next = first};
    uint64_t values[BATCH];
    for (uint64_t at = 0; at < count; at += BATCH) {
        uint64_t n = count - at < BATCH ? count - at : BATCH;
        const void *items = edges + 1;
        if (part == WH_HEAP_EDGES) {
            edges[0] = edges[BATCH];
            for (uint64_t i = 1; i <= n && wh_edge_next(&walk); i++)
                edges[i] = walk.edge;
        } else {
            items = part_items(heap, part) + (first + at) * parts[part].item_bytes;
        }
        for (size_t c = 0; c < parts[part].column_count; c++) {
            parts[part].columns[c].load(items, n, at == 0, values);
            pack_values(&columns[c], &parts[part].columns[c], values, n);
        }
    }
}

size_t wh_heap_pack_room(enum wh_heap_part part, uint64_t count) {
    return 1 + (part == WH_HEAP_TEXTS ? count : parts[part].column_count * count * VARINT_MAX);
}

int wh_heap_pack(const struct wh_heap *heap, enum wh_heap_part part, uint64_t first, uint64_t count,
                 unsigned char *data, size_t *ret_bytes, struct wh_error *error) {
    uint64_t have = part_count(heap, part);
    if ((unsigned)part > WH_HEAP_TEXTS || count > WH_HEAP_SLICE || first > have ||
        count > have - first)
        return wh_fail(error, WH_EUSAGE, "slice of a heap outside its bounds");
    bool is_text = part == WH_HEAP_TEXTS;
    size_t column_count = is_text ? 0 : parts[part].column_count, room = count * VARINT_MAX;
    unsigned char *end = data;
    struct packed columns[COLUMNS_MAX];
    for (size_t c = 0; c < column_count; c++)
        columns[c] = (struct packed){.start = data + c * room, .end = data + c * room};
    if (!is_text)
        pack_batches(heap, part, first, count, columns);
    else if (count)
        memcpy(data, heap->texts + first, count);
    for (size_t c = 0; c < column_count; c++) {
        end_run(&columns[c]);
        size_t bytes = (size_t)(columns[c].end - columns[c].start);
        memmove(end, columns[c].start, bytes);
        end += bytes;
    }
    *ret_bytes = is_text ? count : (size_t)(end - data);
    return WH_OK;
}

/* Reads one varint. NULL = the data end inside it or it does not fit 64 bits. */
static inline const unsigned char *take_varint(const unsigned char *p, const unsigned char *end,
                                               uint64_t *ret_value) {
    uint64_t v = 0;
    if (p < end && *p < 0x80) {
        *ret_value = *p;
        return p + 1;
    }
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

/* NULL = the bytes are no column of so many values. */
static const unsigned char *unpack_column(const unsigned char *p, const unsigned char *end,
                                          const struct column *column, void *items,
                                          uint64_t count) {
    uint64_t values[BATCH], before = 0, zeros = 0;
    for (uint64_t first = 0; first < count; first += BATCH) {
        uint64_t n = count - first < BATCH ? count - first : BATCH;
        for (uint64_t i = 0; i < n;) {
            if (zeros) {
                uint64_t run = zeros < n - i ? zeros : n - i;
                memset(values + i, 0, run * sizeof *values);
                i += run;
                zeros -= run;
                continue;
            }
            p = take_varint(p, end, &values[i]);
            if (!p)
                return NULL;
            if (values[i++] == 0 && !column->is_dense) {
                p = take_varint(p, end, &zeros);
                if (!p || zeros > count - first - i)
                    return NULL;
            }
        }
        if (column->is_delta)
            from_differences(values, n, &before);
        if (!column->put(items, first, n, values))
            return NULL;
    }
    return p;
}

static void set_items(struct wh_heap *heap, enum wh_heap_part part, void *items) {
    if (part == WH_HEAP_NODES)
        heap->nodes = items;
    else if (part == WH_HEAP_ROOTS)
        heap->roots = items;
    else
        heap->texts = items;
}

static size_t item_bytes(enum wh_heap_part part) {
    return part == WH_HEAP_TEXTS ? 1 : parts[part].item_bytes;
}

int wh_heap_reserve(struct wh_heap *heap, enum wh_heap_part part, uint64_t count,
                    struct wh_error *error) {
    if (part == WH_HEAP_EDGES && !heap->edges.items)
        heap->room[part] = count; /* made when the nodes are known */
    if (part == WH_HEAP_EDGES || part_items(heap, part) || !count)
        return WH_OK;
    void *items = count > SIZE_MAX / 64 ? NULL : wh_large_alloc(count * item_bytes(part));
    if (!items)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    set_items(heap, part, items);
    heap->room[part] = count;
    return WH_OK;
}

/* Makes room for `count` more items and returns where they go. */
static unsigned char *grow_part(struct wh_heap *heap, enum wh_heap_part part, uint64_t count) {
    uint64_t have = part_count(heap, part);
    unsigned char *items = (unsigned char *)(uintptr_t)part_items(heap, part);
    if (have + count > heap->room[part]) {
        items = realloc(items, (have + count) * item_bytes(part) + 1);
        if (!items)
            return NULL;
        set_items(heap, part, items);
        heap->room[part] = have + count;
    }
    return items + have * item_bytes(part);
}

static void count_part(struct wh_heap *heap, enum wh_heap_part part, uint64_t count) {
    if (part == WH_HEAP_NODES)
        heap->node_count += (uint32_t)count;
    else if (part == WH_HEAP_ROOTS)
        heap->root_count += (uint32_t)count;
    else
        heap->texts_bytes += (uint32_t)count;
}

/* False = the bytes are no such slice. */
static bool unpack_columns(enum wh_heap_part part, const unsigned char *data, size_t bytes,
                           void *items, uint64_t count) {
    const unsigned char *p = data, *end = data + bytes;
    for (size_t c = 0; c < parts[part].column_count && p; c++)
        p = unpack_column(p, end, &parts[part].columns[c], items, count);
    return p == end;
}

static int unpack_edges(struct wh_heap *heap, uint64_t count, const unsigned char *data,
                        size_t bytes, struct wh_error *error) {
    struct edge_slice *s = malloc(sizeof *s);
    int rc = WH_OK;
    if (!s)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    if (!unpack_columns(WH_HEAP_EDGES, data, bytes, s, count))
        rc = wh_fail(error, WH_EINPUT, "damaged snapshot: a slice of edges does not decode");
    else if (!heap->edges.items)
        rc = wh_edges_open(&heap->edges, heap->node_count, NULL, heap->room[WH_HEAP_EDGES], error);
    for (uint64_t i = 0; i < count && rc == WH_OK; i++) {
        struct wh_heap_edge e = {.from = s->from[i],
                                 .to = s->to[i],
                                 .from_offset = s->from_offset[i],
                                 .to_offset = s->to_offset[i],
                                 .visible = s->visible[i],
                                 .edge_class = s->edge_class[i],
                                 .evidence = s->evidence[i]};
        rc = wh_edges_add(&heap->edges, &e, error);
    }
    free(s);
    return rc;
}

int wh_heap_unpack(struct wh_heap *heap, enum wh_heap_part part, uint64_t count,
                   const unsigned char *data, size_t bytes, struct wh_error *error) {
    if ((unsigned)part > WH_HEAP_TEXTS || count > WH_HEAP_SLICE)
        return wh_fail(error, WH_EINPUT, "damaged snapshot: a slice of %llu items",
                       (unsigned long long)count);
    /* Each part has a column in which every value takes a byte at least: a huge count with few
     * bytes is refused before any allocation. */
    if (bytes < count || (part == WH_HEAP_TEXTS && bytes != count))
        return wh_fail(error, WH_EINPUT, "damaged snapshot: a slice is too short");
    if (part != WH_HEAP_EDGES && part_count(heap, part) + count >= WH_FROM_ROOT)
        return wh_fail(error, WH_EINPUT, "damaged snapshot: too many items");
    if (part == WH_HEAP_NODES && heap->edges.items)
        return wh_fail(error, WH_EINPUT, "damaged snapshot: nodes behind edges");
    if (count == 0)
        return bytes == 0 ? WH_OK
                          : wh_fail(error, WH_EINPUT, "damaged snapshot: bytes after a slice");
    if (part == WH_HEAP_EDGES)
        return unpack_edges(heap, count, data, bytes, error);
    unsigned char *items = grow_part(heap, part, count);
    if (!items)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    if (part == WH_HEAP_ROOTS)
        memset(items, 0, count * sizeof(struct wh_heap_root)); /* nodes have no padding */
    if (part == WH_HEAP_TEXTS)
        memcpy(items, data, count);
    else if (!unpack_columns(part, data, bytes, items, count))
        return wh_fail(error, WH_EINPUT, "damaged snapshot: a slice of %s does not decode",
                       parts[part].name);
    count_part(heap, part, count);
    return WH_OK;
}

/* --- births
 * ---------------------------------------------------------------------------------------- */

#define RANGE_PER_NODE 256u /* ids a live block at most, for ranks by bitmap */

struct id_word {
    uint64_t bits;
    uint32_t before; /* ids below the word's first */
};

/* By a bitmap over the range of ids: one bit an allocation, which stays in the cache where a sort
 * would stream. False where ids are too far apart, or not unique. */
static bool order_close_ids(const struct wh_heap_node *nodes, uint32_t count, uint32_t *order) {
    uint64_t low = UINT64_MAX, high = 0;
    for (uint32_t i = 0; i < count; i++) {
        low = nodes[i].allocation_id < low ? nodes[i].allocation_id : low;
        high = nodes[i].allocation_id > high ? nodes[i].allocation_id : high;
    }
    if (high - low >= (uint64_t)count * RANGE_PER_NODE)
        return false;
    struct id_word *words = calloc((high - low) / 64 + 1, sizeof *words);
    if (!words)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t id = nodes[i].allocation_id - low;
        words[id / 64].bits |= 1ull << (id % 64);
    }
    uint32_t sum = 0;
    for (uint64_t w = 0; w <= (high - low) / 64; w++) {
        words[w].before = sum;
        sum += (uint32_t)__builtin_popcountll(words[w].bits);
    }
    for (uint32_t i = 0; i < count && sum == count; i++) {
        uint64_t id = nodes[i].allocation_id - low;
        uint64_t earlier = words[id / 64].bits & ((1ull << (id % 64)) - 1);
        order[words[id / 64].before + (uint32_t)__builtin_popcountll(earlier)] = i;
    }
    free(words);
    return sum == count;
}

static int by_birth(const void *a, const void *b, void *nodes) {
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    uint64_t x = ((const struct wh_heap_node *)nodes)[i].allocation_id;
    uint64_t y = ((const struct wh_heap_node *)nodes)[k].allocation_id;
    return x != y ? (x < y ? -1 : 1) : (i > k) - (i < k);
}

void wh_heap_order(const struct wh_heap *heap, uint32_t *order) {
    uint32_t count = heap->node_count;
    if (count == 0 || order_close_ids(heap->nodes, count, order))
        return;
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    wh_heap_sort_births(heap, order, count);
}

void wh_heap_sort_births(const struct wh_heap *heap, uint32_t *blocks, uint32_t count) {
    if (count)
        qsort_r(blocks, count, sizeof *blocks, by_birth, heap->nodes);
}

/* --- checking
 * -------------------------------------------------------------------------------------- */

static const char *check_nodes(const struct wh_heap *heap) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < heap->node_count; i++) {
        const struct wh_heap_node *n = &heap->nodes[i];
        if (n->kind > WH_NODE_UNSAMPLED)
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

/* Edges [first, end) of one source. */
static const char *check_slots(const struct wh_heap *heap, uint64_t first, uint64_t end) {
    uint64_t before = 0;
    for (uint64_t i = first; i < end; i++) {
        const struct wh_edge *e = &heap->edges.items[i];
        uint64_t slot = wh_edges_from_offset(&heap->edges, i);
        if (e->to >= heap->node_count)
            return "an edge to nowhere";
        if (e->edge_class > WH_EDGE_TYPED || e->evidence > WH_EVIDENCE_BYTES)
            return "an edge of unknown class";
        if (slot < before)
            return "edges out of order";
        before = slot;
    }
    return NULL;
}

/* Those of nodes are in the nodes' order, or could not have been added. */
static const char *check_edges(const struct wh_heap *heap) {
    const struct wh_edges *e = &heap->edges;
    const char *why = NULL;
    if (e->items && (e->nodes != heap->node_count || e->begun != e->nodes + 1))
        return "edges that are not complete";
    uint64_t roots = wh_edges_of_roots(e);
    for (uint32_t n = 0; n < e->nodes && !why; n++)
        why = check_slots(heap, e->first[n], e->first[n + 1]);
    for (uint64_t i = roots, end; i < e->count && !why; i = end) {
        const uint32_t *root = &e->root[i - roots];
        end = i + 1;
        while (end < e->count && root[end - i] == *root)
            end++;
        if (*root >= heap->root_count)
            return "an edge from nowhere";
        if (i > roots && root[-1] > *root)
            return "edges out of order";
        why = check_slots(heap, i, end);
    }
    return why;
}

int wh_heap_check(const struct wh_heap *heap, struct wh_error *error) {
    const char *why = check_nodes(heap);
    if (!why)
        why = check_roots(heap);
    if (!why)
        why = check_edges(heap);
    return why ? wh_fail(error, WH_EINPUT, "damaged snapshot: %s", why) : WH_OK;
}
