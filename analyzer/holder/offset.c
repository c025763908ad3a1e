#include "analyzer/holder/offset.h"

#include <stdlib.h>

#define AGREED_MIN 8u  /* for each place they agree on */
#define HEADER_MAX 64u /* bytes */
#define NONE       0
#define SEVERAL    255

/* By its references, of a kind. */
struct kind {
    uint32_t blocks, agreed;     /* agreed: all to the block are at one offset, which is not 0 */
    uint32_t at[HEADER_MAX + 1]; /* of the agreed: so many at that offset */
    uint32_t places;             /* offsets of some */
};

struct look {
    const struct wh_heap *heap;
    const struct wh_kinds *kinds;
    struct kind *kind;
    uint8_t *offset; /* per block: the one it is referred to at */
};

/* The offset that an edge speaks for. */
static unsigned offset_of(const struct wh_edges *edges, uint64_t edge) {
    unsigned c = edges->items[edge].edge_class;
    if (c <= WH_EDGE_TAGGED)
        return NONE;
    uint64_t offset = c == WH_EDGE_START ? 0 : wh_edges_to_offset(edges, edge);
    return offset && offset <= HEADER_MAX ? (unsigned)offset : SEVERAL;
}

static void look_at(struct look *l) {
    const struct wh_edges *edges = &l->heap->edges;
    for (uint64_t i = 0; i < edges->count; i++) {
        uint8_t *of_block = &l->offset[edges->items[i].to];
        unsigned offset = offset_of(edges, i);
        if (offset != NONE)
            *of_block = (uint8_t)(*of_block == NONE || *of_block == offset ? offset : SEVERAL);
    }
    for (uint32_t b = 0; b < l->heap->node_count; b++) {
        struct kind *k = &l->kind[wh_kinds_of(l->kinds, l->heap, b)];
        unsigned offset = l->offset[b];
        k->blocks += offset != NONE;
        if (offset == NONE || offset == SEVERAL)
            continue;
        k->agreed++;
        k->places += k->at[offset]++ == 0;
    }
}

static bool has_header(const struct look *l, uint32_t block, unsigned offset) {
    uint32_t kind = wh_kinds_of(l->kinds, l->heap, block);
    const struct kind *k = &l->kind[kind];
    return kind && k->agreed >= k->blocks / 2 && k->agreed >= AGREED_MIN * k->places &&
           k->at[offset];
}

/* How a length became known is worth more than how the class did. */
static void raise(struct wh_edges *edges, uint64_t edge) {
    unsigned evidence = edges->items[edge].evidence;
    wh_edges_change(edges, edge, WH_EDGE_START,
                    evidence == WH_EVIDENCE_NONE ? WH_EVIDENCE_OFFSET : evidence);
}

int wh_offsets_raise(struct wh_heap *heap, const struct wh_kinds *kinds, struct wh_error *error) {
    struct look l = {.heap = heap, .kinds = kinds};
    l.kind = calloc(kinds->count, sizeof(*l.kind));
    l.offset = calloc(heap->node_count + 1ul, 1);
    int status = 0;
    if (!l.kind || !l.offset)
        status = wh_fail(error, WH_ESYSTEM, "no memory for the headers of %u kinds", kinds->count);
    if (status == 0)
        look_at(&l);
    for (uint64_t i = 0; i < heap->edges.count && status == 0; i++) {
        unsigned offset = offset_of(&heap->edges, i);
        if (offset != NONE && offset != SEVERAL && has_header(&l, heap->edges.items[i].to, offset))
            raise(&heap->edges, i);
    }
    free(l.offset);
    free(l.kind);
    return status;
}
