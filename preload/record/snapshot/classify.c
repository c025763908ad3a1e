/* What a reference is worth, second look: what only the many or the target's own content can tell.
 *
 * A wrapper's header, a new[] cookie, a second base class, an intrusive list's offset - and the
 * allocator's chunk headers, which look like references to a block's last bytes but are none. */
#include <stdlib.h>
#include <string.h>

#include "base/string.h"
#include "record/snapshot/extract.h"

#define OFFSET_HITS_MIN   2u /* targets of one creator hit at one offset: no accident any more */
#define ODD_HITS_MIN      4u /* at one that no pointer to a field has, and */
#define ODD_SHARE         4u /* of those of one creator and size, one in so many */
#define CONTENT_READS_MAX 200000u

/* How many blocks are hit at an offset; open addressing. */
struct offset_key {
    uint64_t offset;
    uint32_t stack_id;
    uint32_t size_class; /* 0 = of any size */
};

struct offset_count {
    struct offset_key key;
    uint32_t hits, last_node;
    bool is_repeated; /* more than one reference hits the same block there */
};

struct offset_table {
    struct offset_count *slots;
    size_t mask, used;
};

static bool is_key(const struct offset_key *a, const struct offset_key *b) {
    return a->offset == b->offset && a->stack_id == b->stack_id && a->size_class == b->size_class;
}

static struct offset_count *offset_slot(const struct offset_table *t, struct offset_key key) {
    uint64_t hash = (key.offset * 0x9e3779b97f4a7c15ull) ^ (key.stack_id * 0xff51afd7ed558ccdull) ^
                    (key.size_class * 0xc4ceb9fe1a85ec53ull);
    for (size_t i = (hash ^ hash >> 29) & t->mask;; i = (i + 1) & t->mask)
        if (t->slots[i].hits == 0 || is_key(&t->slots[i].key, &key))
            return &t->slots[i];
}

static bool offset_grow(struct offset_table *t) {
    struct offset_table bigger = {.mask = t->mask * 2 + 1, .used = t->used};
    bigger.slots = calloc(bigger.mask + 1, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i <= t->mask; i++)
        if (t->slots[i].hits)
            *offset_slot(&bigger, t->slots[i].key) = t->slots[i];
    free(t->slots);
    *t = bigger;
    return true;
}

static bool is_open_question(const struct wh_edge *e) {
    return e->edge_class == WH_EDGE_INTERIOR;
}

/* A tag, or an odd place inside? */
static bool is_odd(const struct wh_heap *h, uint64_t edge) {
    const struct wh_edge *e = &h->edges.items[edge];
    return (e->edge_class == WH_EDGE_INTERIOR ||
            (e->edge_class == WH_EDGE_TAGGED && e->evidence == WH_EVIDENCE_LOW_TAG)) &&
           wh_edges_to_offset(&h->edges, edge) % 8;
}

/* What only all edges together can tell. */
struct overview {
    struct offset_table offsets; /* interior offsets that blocks of one creator are hit at */
    uint8_t *started;            /* per node: something refers to its first byte */
    uint64_t *odd;               /* edges that are odd, as indices */
    size_t odd_count, odd_room;
};

static bool has_creator(const struct wh_heap *h, const struct wh_edge *e) {
    return h->nodes[e->to].stack_id != 0;
}

static struct offset_key offset_key(const struct wh_heap *h, uint64_t edge) {
    return (struct offset_key){wh_edges_to_offset(&h->edges, edge),
                               h->nodes[h->edges.items[edge].to].stack_id, 0};
}

#define ALL_ODD UINT64_MAX /* as an offset: each odd one */

static struct offset_key odd_key(const struct wh_heap *h, const struct wh_edge *e,
                                 uint64_t offset) {
    const struct wh_heap_node *n = &h->nodes[e->to];
    return (struct offset_key){offset, n->stack_id, (uint32_t)((n->size + 15) / 16 + 1)};
}

static void count_offset(struct overview *o, const struct wh_edge *e, struct offset_key key) {
    if (!o->offsets.slots)
        return;
    struct offset_count *slot = offset_slot(&o->offsets, key);
    if (slot->hits == 0) {
        *slot = (struct offset_count){.key = key, .hits = 1, .last_node = e->to};
        if (++o->offsets.used * 2 > o->offsets.mask && !offset_grow(&o->offsets)) {
            free(o->offsets.slots); /* no memory: no offset is consistent */
            o->offsets.slots = NULL;
        }
    } else if (slot->last_node != e->to) {
        slot->hits++;
        slot->last_node = e->to;
    } else {
        slot->is_repeated = true;
    }
}

static bool add_odd(struct overview *o, uint64_t edge) {
    if (wh_array_reserve(&o->odd, &o->odd_room, o->odd_count + 1, sizeof *o->odd) < 0)
        return false;
    o->odd[o->odd_count++] = edge;
    return true;
}

static bool look_over(struct wh_extract *x, struct overview *o) {
    struct wh_heap *h = x->heap;
    *o = (struct overview){.offsets = {.mask = 1023}};
    o->offsets.slots = calloc(o->offsets.mask + 1, sizeof *o->offsets.slots);
    o->started = calloc(h->node_count + 1ull, 1);
    if (!o->started)
        return false;
    const struct wh_edge *items = h->edges.items;
    for (uint64_t i = 0; i < h->edges.count; i++) {
        const struct wh_edge *e = &items[i];
        bool odd = is_odd(h, i);
        if (e->form == WH_EDGE_FULL && wh_is_doubtful(x, e->to, e->evidence))
            wh_edges_forget_length(&h->edges, i);
        if ((!odd && !is_open_question(e)) || !has_creator(h, e))
            continue;
        if (odd && !add_odd(o, i))
            return false;
        if (is_open_question(e))
            count_offset(o, e, offset_key(h, i));
    }
    /* A tag is on a pointer to what others point at without one; where nothing ever refers to the
     * first byte, an odd offset is where the object begins behind its header. */
    for (uint64_t i = 0; i < h->edges.count && o->odd_count; i++)
        if (items[i].edge_class >= WH_EDGE_START)
            o->started[items[i].to] = 1;
    for (size_t i = 0; i < o->odd_count; i++) {
        const struct wh_edge *e = &items[o->odd[i]];
        if (o->started[e->to])
            continue;
        count_offset(o, e, odd_key(h, e, wh_edges_to_offset(&h->edges, o->odd[i])));
        count_offset(o, e, odd_key(h, e, ALL_ODD));
    }
    return true;
}

static void release(struct overview *o) {
    free(o->offsets.slots);
    free(o->started);
    free(o->odd);
}

/* A variable that lives as long as the program: nobody leaves an address there by accident. */
static bool is_of_global(const struct wh_heap *h, uint64_t edge) {
    uint64_t roots = wh_edges_of_roots(&h->edges);
    return edge >= roots && h->roots[h->edges.root[edge - roots]].kind == WH_ROOT_GLOBAL;
}

/* Offsets that many blocks of one creator are hit at: container_of, wrapper headers. Of an only
 * child, the one that a global variable names and another reference as well: Lua's state behind
 * its extra space, a singleton behind a header. */
static bool is_usual(const struct overview *o, const struct wh_heap *h, uint64_t edge) {
    const struct wh_edge *e = &h->edges.items[edge];
    bool odd = is_odd(h, edge);
    if (!o->offsets.slots || (!odd && !is_open_question(e)) || !has_creator(h, e))
        return false;
    if (odd) {
        uint32_t hits =
            offset_slot(&o->offsets, odd_key(h, e, wh_edges_to_offset(&h->edges, edge)))->hits;
        return hits >= ODD_HITS_MIN &&
               hits >= offset_slot(&o->offsets, odd_key(h, e, ALL_ODD))->hits / ODD_SHARE;
    }
    const struct offset_count *slot = offset_slot(&o->offsets, offset_key(h, edge));
    return slot->hits >= OFFSET_HITS_MIN || (slot->is_repeated && is_of_global(h, edge));
}

/* A word that could be a vtable's address: in a module, not in memory that is written all the time.
 */
static bool is_vtable(const struct wh_extract *x, uint64_t word) {
    if (word % 8 || word < 4096)
        return false;
    const struct wh_mapping *m = wh_maps_find(x->f, word);
    return m && m->inode && !m->writable && !m->shared && m->path[0] == '/';
}

/* A count or a length in front of the bytes that the reference points at? */
static bool is_cookie(uint64_t word, uint64_t size, uint64_t offset) {
    uint64_t rest = size - offset;
    return word == size || word == rest || (word && word <= rest && rest % word == 0);
}

static void look_inside(const struct wh_extract *x, uint64_t edge) {
    struct wh_edges *edges = &x->heap->edges;
    const struct wh_edge *e = &edges->items[edge];
    const struct wh_heap_node *n = &x->heap->nodes[e->to];
    uint64_t offset = wh_edges_to_offset(&x->heap->edges, edge);
    if (e->edge_class == WH_EDGE_SUSPECT) {
        /* A chunk header only if this really is glibc's chunk: its size word says so. */
        uint64_t word = wh_image_word(x->f, n->address - 8);
        if ((word & ~7ull) != offset + 16)
            wh_edges_change(edges, edge, WH_EDGE_INTERIOR, WH_EVIDENCE_NONE);
    } else if (offset <= 64 && is_cookie(wh_image_word(x->f, n->address), n->size, offset)) {
        wh_edges_change(edges, edge, WH_EDGE_REASONED, WH_EVIDENCE_COOKIE);
    } else if (is_vtable(x, wh_image_word(x->f, n->address)) &&
               is_vtable(x, wh_image_word(x->f, n->address + offset))) {
        wh_edges_change(edges, edge, WH_EDGE_REASONED, WH_EVIDENCE_BASE);
    }
}

static bool wants_look(const struct wh_heap *h, uint64_t edge) {
    const struct wh_edge *e = &h->edges.items[edge];
    return (e->edge_class == WH_EDGE_SUSPECT && e->evidence == WH_EVIDENCE_HEADER) ||
           (is_open_question(e) && wh_edges_to_offset(&h->edges, edge) % 8 == 0 &&
            h->nodes[e->to].size >= 16);
}

void wh_classify_all(struct wh_extract *x) {
    struct wh_heap *h = x->heap;
    struct overview o;
    uint32_t reads = 0;
    if (!look_over(x, &o)) {
        release(&o);
        x->failed = true;
        return;
    }
    for (uint64_t i = 0; i < h->edges.count; i++) {
        if (is_usual(&o, h, i))
            wh_edges_change(&h->edges, i, WH_EDGE_REASONED, WH_EVIDENCE_OFFSET);
        if (reads < CONTENT_READS_MAX && wants_look(h, i)) {
            look_inside(x, i);
            reads++;
        }
    }
    release(&o);
    wh_edges_finish(&h->edges);
    if (reads == CONTENT_READS_MAX)
        wh_snapshot_caveat(x->figures,
                           "interior references beyond the first %u were not examined closely",
                           CONTENT_READS_MAX);
}
