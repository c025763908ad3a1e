/* What a word that points into a node is worth, seen with its neighbours alone. */
#include <stdlib.h>
#include <string.h>

#include "record/snapshot/extract.h"

/* A word that points into a node, with what stands around it. */
struct candidate {
    uint64_t value;
    uint32_t node;                           /* the node it hits */
    uint64_t before2, before, after, after2; /* neighbouring words of the same range, 0 outside */
    uint8_t has_before, has_after;           /* how many neighbours exist: 0..2 */
};

struct length {
    uint64_t visible;
    enum wh_edge_evidence evidence;
};

static bool points_into(const struct wh_heap_node *n, uint64_t value) {
    return value - n->address <= n->size && value != 0;
}

#define ROUNDING_MIN 16u /* an allocator's rounding up: this much, or an eighth */

/* Size of an element when `capacity` of them fill the rest of the block but for the allocator's
 * rounding; 0 = they do not. */
static uint64_t element_size(uint64_t capacity, uint64_t rest) {
    if (!capacity)
        return 0;
    uint64_t each = rest / capacity;
    if (rest % capacity)
        each = each >= 8 ? each & ~7ull : each >= 4 ? 4 : each >= 2 ? 2 : 1;
    uint64_t unused = rest - capacity * each;
    return unused < ROUNDING_MIN || unused < rest / 8 ? each : 0;
}

static struct length length_beside(const struct wh_extract *x, const struct candidate *c) {
    const struct wh_heap_node *n = &x->heap->nodes[c->node];
    uint64_t rest = n->address + n->size - c->value;
    struct length none = {0, WH_EVIDENCE_NONE};
    if (c->has_after && c->after >= c->value && points_into(n, c->after))
        return (struct length){c->after - c->value, WH_EVIDENCE_BEGIN_END};
    if (!c->has_after || c->after == 0 || c->after > rest)
        return none;
    if (c->has_after > 1 && c->after2 >= c->after && c->after2 <= rest) {
        uint64_t each = element_size(c->after2, rest);
        bool is_exact = c->after2 == rest || c->after2 + 1 == rest; /* one more for the NUL */
        return (struct length){c->after * each,
                               each == 1 && is_exact ? WH_EVIDENCE_BYTES : WH_EVIDENCE_PTR_LEN_CAP};
    }
    uint32_t other = c->has_before > 1 ? wh_index_find(&x->index, c->before2) : WH_NO_NODE;
    bool run = other != WH_NO_NODE && c->before &&
               c->before <= x->heap->nodes[other].address + x->heap->nodes[other].size - c->before2;
    return (struct length){c->after, run ? WH_EVIDENCE_IOVEC : WH_EVIDENCE_PTR_LEN};
}

/* Offset of the next chunk's header as glibc lays chunks out, seen from this block. */
static uint64_t header_offset(const struct wh_heap_node *n) {
    uint64_t chunk = (n->size + 8 + 15) & ~15ull;
    return (chunk < 32 ? 32 : chunk) - 16;
}

/* Fills to, to_offset, visible, edge_class and evidence of *edge. False = the word is no reference.
 */
static bool classify(const struct wh_extract *x, const struct candidate *c,
                     struct wh_heap_edge *edge) {
    const struct wh_heap_node *n = &x->heap->nodes[c->node];
    uint64_t offset = c->value - n->address;
    struct length length = length_beside(x, c);
    bool begin_before = c->has_before && points_into(n, c->before) && c->before <= c->value;
    *edge = (struct wh_heap_edge){
        .to = c->node,
        .to_offset = offset & WH_OFFSET_MASK,
        .visible = length.visible > WH_OFFSET_MASK ? 0 : length.visible & WH_OFFSET_MASK,
        .evidence = length.evidence & 31};
    if (offset == 0) {
        edge->edge_class = WH_EDGE_START;
    } else if (offset == n->size) {
        bool near = begin_before || (c->has_before > 1 && points_into(n, c->before2)) ||
                    (c->has_after && points_into(n, c->after));
        if (!near)
            return false;
        edge->edge_class = WH_EDGE_REASONED;
        edge->evidence = WH_EVIDENCE_ONE_PAST;
        edge->visible = 0;
    } else if (begin_before) {
        edge->edge_class = WH_EDGE_REASONED;
        edge->evidence = WH_EVIDENCE_BEGIN_END;
    } else if (n->kind == WH_NODE_BLOCK && offset == header_offset(n)) {
        edge->edge_class = WH_EDGE_SUSPECT;
        edge->evidence = WH_EVIDENCE_HEADER;
        edge->visible = 0;
    } else if (length.evidence != WH_EVIDENCE_NONE) {
        edge->edge_class = WH_EDGE_REASONED;
    } else if (offset < 8) {
        edge->edge_class = WH_EDGE_TAGGED;
        edge->evidence = WH_EVIDENCE_LOW_TAG;
    } else {
        edge->edge_class = WH_EDGE_INTERIOR;
    }
    return true;
}

/* A believable one, of a node. */
static void note_reference(struct wh_extract *x, uint32_t from) {
    uint64_t *refers = &x->refers[from / 64], bit = 1ull << from % 64;
    if (x->refers_shared)
        __atomic_fetch_or(refers, bit, __ATOMIC_RELAXED);
    else
        __atomic_store_n(refers, *refers | bit, __ATOMIC_RELAXED);
}

static void add_edge(struct wh_extract *x, struct wh_heap_edge *edge) {
    if (!(edge->from & WH_FROM_ROOT)) {
        if (edge->edge_class >= WH_EDGE_INTERIOR)
            note_reference(x, edge->from);
        edge->from -= x->first_node;
    }
    if (wh_edges_add(&x->heap->edges, edge, NULL) != WH_OK)
        x->failed = true;
}

/* The node whose end the value is, when a neighbour of the slot points into it too. before: the
 * last one that starts at the value or below. */
static uint32_t find_ended(const struct wh_extract *x, const struct candidate *c, uint32_t before) {
    if (before == WH_NO_NODE)
        return WH_NO_NODE;
    uint32_t node = before;
    if (x->heap->nodes[node].address == c->value && node-- == 0)
        return WH_NO_NODE;
    const struct wh_heap_node *n = &x->heap->nodes[node];
    if (n->address + n->size != c->value || n->size == 0)
        return WH_NO_NODE;
    bool near = (c->has_before && c->before - n->address < n->size) ||
                (c->has_before > 1 && c->before2 - n->address < n->size);
    return near ? node : WH_NO_NODE;
}

/* Of a value that is one node's end and the next one's start, as with allocators that leave no gap:
 * what does it mean? A full range has its end twice; addresses of nodes on both sides make it one
 * of an array; else nobody knows. */
enum meaning { IS_END, IS_START, IS_EITHER };

static enum meaning meaning_of(const struct wh_extract *x, const struct candidate *c,
                               uint32_t ended, uint32_t before) {
    uint64_t beside[2] = {c->has_after ? c->after : 0, c->has_before > 1 ? c->before2 : 0};
    if (ended == before || beside[0] == c->value || (c->has_before && c->before == c->value))
        return IS_END;
    for (int i = 0; i < 2; i++) {
        uint32_t node = beside[i] ? wh_index_find(&x->index, beside[i]) : WH_NO_NODE;
        if (node != WH_NO_NODE && node != ended && x->heap->nodes[node].address == beside[i])
            return IS_START;
    }
    return IS_EITHER;
}

/* A pointer in packed data: weak evidence, so only exact starts count. */
static void take_unaligned(struct wh_extract *x, const struct wh_words *words, uint32_t from,
                           uint64_t slot, uint64_t from_offset, uint32_t before) {
    uint64_t value = wh_word_at(words, (int64_t)(slot - words->address));
    uint32_t node = wh_index_covering(&x->index, value, before);
    if (node == WH_NO_NODE || node == from || x->heap->nodes[node].address != value ||
        from_offset > WH_OFFSET_MASK)
        return;
    struct wh_heap_edge edge = {.from = from,
                                .to = node,
                                .from_offset = from_offset & WH_OFFSET_MASK,
                                .edge_class = WH_EDGE_TAGGED,
                                .evidence = WH_EVIDENCE_UNALIGNED};
    add_edge(x, &edge);
}

/* The word's neighbours, as far as they are in [start, end) and in the piece. */
static void look_around(const struct wh_words *words, int64_t at, uint64_t slot, uint64_t start,
                        uint64_t end, struct candidate *c) {
    int64_t low = -(int64_t)words->before, high = (int64_t)(words->bytes + words->after);
    if (slot - start >= 8 && at - 8 >= low) {
        c->has_before = 1;
        c->before = wh_word_at(words, at - 8);
        if (slot - start >= 16 && at - 16 >= low) {
            c->has_before = 2;
            c->before2 = wh_word_at(words, at - 16);
        }
    }
    if (end - slot >= 16 && at + 16 <= high) {
        c->has_after = 1;
        c->after = wh_word_at(words, at + 8);
        if (end - slot >= 24 && at + 24 <= high) {
            c->has_after = 2;
            c->after2 = wh_word_at(words, at + 16);
        }
    }
}

/* Any word. before: the last node that starts at its value or below. */
static void take_any(struct wh_extract *x, struct wh_words *words, uint32_t from, uint64_t origin,
                     uint64_t slot, uint64_t start, uint64_t end, uint32_t before) {
    int64_t at = (int64_t)(slot - words->address);
    uint64_t raw = wh_word_at(words, at);
    struct candidate c = {.value = raw & WH_LOW48};
    look_around(words, at, slot, start, end, &c);
    uint32_t ended = raw == c.value ? find_ended(x, &c, before) : WH_NO_NODE;
    enum meaning meaning = ended != WH_NO_NODE ? meaning_of(x, &c, ended, before) : IS_START;
    c.node = meaning == IS_END ? ended : wh_index_covering(&x->index, c.value, before);
    if (c.node == WH_NO_NODE && (c.value & 7)) { /* a tag beyond the end of a tiny block */
        c.node = wh_index_find(&x->index, c.value & ~7ull);
        if (c.node != WH_NO_NODE && x->heap->nodes[c.node].address != (c.value & ~7ull))
            return;
    }
    if (c.node == WH_NO_NODE || c.node == from) /* what points at itself holds nothing */
        return;
    if ((slot - origin) > WH_OFFSET_MASK ||
        c.value - x->heap->nodes[c.node].address > WH_OFFSET_MASK) {
        words->too_deep++;
        return;
    }
    struct wh_heap_edge edge;
    if (!classify(x, &c, &edge))
        return;
    if (raw != c.value) {
        if (c.value != x->heap->nodes[c.node].address)
            return;
        edge.edge_class = WH_EDGE_TAGGED;
        edge.evidence = WH_EVIDENCE_HIGH_TAG;
        edge.visible = 0;
    }
    if (meaning == IS_EITHER) {
        edge.edge_class = WH_EDGE_TAGGED;
        edge.evidence = WH_EVIDENCE_OR_END;
        edge.visible = 0;
    }
    if (edge.visible && wh_is_doubtful(x, c.node, edge.evidence)) /* saves most long entries */
        edge.visible = 0;
    edge.from = from;
    edge.from_offset = (slot - origin) & WH_OFFSET_MASK;
    add_edge(x, &edge);
}

/* Most words are a block's address, untagged, and not the end of the block before. */
static bool is_start(const struct wh_extract *x, uint64_t value, uint64_t slot, uint32_t guess) {
    if (guess == WH_NO_NODE || x->index.crowded || slot % 8)
        return false;
    const struct wh_heap_node *n = &x->heap->nodes[guess];
    return value == n->address && n->size && !(guess && n[-1].address + n[-1].size == value);
}

/* Such a word: what is left to see is a length, or a pointer into the same block, behind it. */
static void take_start(struct wh_extract *x, const struct wh_words *words, uint32_t from,
                       uint64_t origin, uint64_t slot, uint64_t start, uint64_t end,
                       struct candidate *c) {
    const struct wh_heap_node *n = &x->heap->nodes[c->node];
    int64_t at = (int64_t)(slot - words->address);
    struct length length = {0, WH_EVIDENCE_NONE};
    if (end - slot >= 16 && at + 16 <= (int64_t)(words->bytes + words->after)) {
        uint64_t after = wh_word_at(words, at + 8);
        if (after - 1 < n->size || after - c->value <= n->size) {
            look_around(words, at, slot, start, end, c);
            length = length_beside(x, c);
            if (length.visible > WH_OFFSET_MASK || wh_is_doubtful(x, c->node, length.evidence))
                length.visible = 0;
        }
    }
    if (!length.visible && !(from & WH_FROM_ROOT) &&
        wh_edges_add_plain(&x->heap->edges, from - x->first_node, slot - origin, c->node,
                           WH_EDGE_START, length.evidence)) {
        note_reference(x, from);
        return;
    }
    struct wh_heap_edge edge = {.from = from,
                                .to = c->node,
                                .from_offset = (slot - origin) & WH_OFFSET_MASK,
                                .visible = length.visible,
                                .edge_class = WH_EDGE_START,
                                .evidence = length.evidence & 31};
    add_edge(x, &edge);
}

void wh_word_take(struct wh_extract *x, struct wh_words *words, uint32_t from, uint64_t origin,
                  uint64_t slot, uint64_t start, uint64_t end, uint32_t guess) {
    uint64_t value = wh_word_at(words, (int64_t)(slot - words->address));
    if (is_start(x, value, slot, guess) && slot - origin <= WH_OFFSET_MASK) {
        struct candidate c = {.value = value, .node = guess};
        if (guess != from) /* what points at itself holds nothing */
            take_start(x, words, from, origin, slot, start, end, &c);
        return;
    }
    uint32_t before = wh_index_settle(&x->index, value & WH_LOW48, guess);
    if (slot % 8)
        take_unaligned(x, words, from, slot, slot - origin, before);
    else
        take_any(x, words, from, origin, slot, start, end, before);
}
