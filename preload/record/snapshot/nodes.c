/* The live set as nodes: sorted by address, birth order, overlaps resolved.
 *
 * Two live blocks cannot share a byte, except that a mapping may serve as an allocator's or a
 * stack's memory. Anything else that overlaps is a block whose free was not seen (lost events,
 * operation in flight): the older one is dropped and counted. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/large.h"
#include "record/snapshot/extract.h"

#define DIGIT_BITS 11
#define DIGITS     (1u << DIGIT_BITS)
#define AHEAD      16u /* blocks fetched before their turn */

#define EDGES_PER_NODE 6u /* room made at first; what is not touched costs nothing */

void wh_keyed_sort(struct wh_keyed *items, struct wh_keyed *spare, size_t count) {
    struct wh_keyed *from = items, *to = spare;
    uint64_t all_or = 0, all_and = ~0ull, before = 0;
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
        all_or |= items[i].key;
        all_and &= items[i].key;
        sorted &= before <= items[i].key;
        before = items[i].key;
    }
    uint64_t varying = all_or ^ all_and;
    if (sorted)
        return;
    for (unsigned shift = (unsigned)__builtin_ctzll(varying); shift < 64; shift += DIGIT_BITS) {
        if ((varying >> shift & (DIGITS - 1)) == 0)
            continue; /* every key has the same digit here */
        size_t starts[DIGITS] = {0}, sum = 0;
        for (size_t i = 0; i < count; i++)
            starts[from[i].key >> shift & (DIGITS - 1)]++;
        for (unsigned d = 0; d < DIGITS; d++) {
            size_t n = starts[d];
            starts[d] = sum;
            sum += n;
        }
        for (size_t i = 0; i < count; i++)
            to[starts[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
        struct wh_keyed *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

static uint64_t node_end(const struct wh_heap_node *n) {
    return n->address + n->size;
}

/* Drops nodes that cannot be there. Returns how many are kept; *ret_mapped: mappings are among
 * them. */
static uint32_t resolve_overlaps(struct wh_heap_node *nodes, uint32_t count, uint32_t *ret_dropped,
                                 bool *ret_mapped) {
    uint32_t kept = 0, open[64], depth = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct wh_heap_node n = nodes[i];
        *ret_mapped |= n.kind == WH_NODE_MMAP;
        /* Behind everything so far, as nearly all are. */
        if (depth && n.address >= node_end(&nodes[open[0]]) &&
            n.address > nodes[kept - 1].address && node_end(&n) < 1ull << 62) {
            if (kept != i)
                nodes[kept] = n;
            open[0] = kept++;
            depth = 1;
            continue;
        }
        bool keep = n.address != 0 && node_end(&n) >= n.address && node_end(&n) < 1ull << 62;
        while (keep && depth && node_end(&nodes[open[depth - 1]]) <= n.address &&
               nodes[open[depth - 1]].address != n.address)
            depth--;
        while (keep && depth) {
            struct wh_heap_node *outer = &nodes[open[depth - 1]];
            if ((outer->kind == WH_NODE_MMAP || outer->kind == WH_NODE_UNSAMPLED) &&
                node_end(outer) >= node_end(&n) && outer->address < n.address && depth < 64)
                break;
            if (outer->allocation_id > n.allocation_id) {
                keep = false;
            } else if (open[depth - 1] + 1 == kept) {
                kept--; /* the older one is the last kept: gone */
                depth--;
            } else {
                keep = false; /* something is already nested in it */
            }
            ++*ret_dropped;
        }
        if (!keep) {
            *ret_dropped += depth == 0;
            continue;
        }
        nodes[kept] = n;
        open[depth++] = kept++;
    }
    return kept;
}

/* What is scanned although others may write it meanwhile. */
static void flag_shared(struct wh_extract *x) {
    const struct wh_frozen *f = x->f;
    for (uint32_t i = 0, m = 0; i < x->heap->node_count; i++) {
        struct wh_heap_node *n = &x->heap->nodes[i];
        if (n->kind != WH_NODE_MMAP)
            continue;
        while (m < f->map_count && f->maps[m].end <= n->address)
            m++;
        if (m < f->map_count && f->maps[m].start <= n->address && f->maps[m].shared) {
            n->flags |= WH_NODE_VOLATILE;
            x->shared_bytes += n->size;
        }
    }
}

static bool is_sorted(const struct wh_heap_node *nodes, uint64_t count) {
    for (uint64_t i = 1; i < count; i++)
        if (nodes[i - 1].address > nodes[i].address)
            return false;
    return true;
}

/* memory: what will be the room of the edges serves for the sort and for the sorted nodes on their
 * way back: fresh pages are dear. */
static void sort_nodes(struct wh_heap_node *nodes, uint64_t count, void *memory) {
    struct wh_keyed *items = memory, *spare = items + count;
    for (uint64_t i = 0; i < count; i++)
        items[i] = (struct wh_keyed){nodes[i].address, (uint32_t)i};
    wh_keyed_sort(items, spare, count);
    struct wh_heap_node *gathered = (struct wh_heap_node *)(void *)spare;
    for (uint64_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(&nodes[items[i + AHEAD].value]);
        gathered[i] = nodes[items[i].value];
    }
    memcpy(nodes, gathered, count * sizeof *nodes);
}

int wh_extract_nodes(struct wh_extract *x, uint64_t count) {
    uint64_t room = count * EDGES_PER_NODE + 65536;
    void *memory = count >= WH_FROM_ROOT - 1 ? NULL : wh_large_alloc(room * sizeof(struct wh_edge));
    if (!memory)
        return WH_ESYSTEM;
    if (!is_sorted(x->heap->nodes, count))
        sort_nodes(x->heap->nodes, count, memory);
    uint32_t dropped = 0;
    bool mapped = false;
    x->heap->node_count = resolve_overlaps(x->heap->nodes, (uint32_t)count, &dropped, &mapped);
    if (wh_edges_open(&x->heap->edges, x->heap->node_count, memory, room, NULL) != WH_OK)
        return WH_ESYSTEM;
    if (dropped) {
        x->figures->unknown_blocks += dropped;
        wh_snapshot_caveat(x->figures, "%u blocks overlapped others and were left out", dropped);
    }
    if (mapped)
        flag_shared(x);
    return wh_index_init(&x->index, x->heap->nodes, x->heap->node_count);
}

static_assert(sizeof(struct wh_keyed) + sizeof(struct wh_heap_node) <=
                  EDGES_PER_NODE * sizeof(struct wh_edge),
              "the room of the edges takes the sort's arrays");
