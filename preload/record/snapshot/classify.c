/* What a reference is worth, second look: what only the many or the target's own content can tell.
 *
 * A wrapper's header, a new[] cookie, a second base class, an intrusive list's offset - and the
 * allocator's chunk headers, which look like references to a block's last bytes but are none. */
#include <stdlib.h>
#include <string.h>

#include "record/snapshot/extract.h"

#define OFFSET_HITS_MIN   2u /* targets of one creator hit at one offset: no accident any more */
#define ODD_HITS_MIN      4u /* at one that no pointer to a field has, and */
#define ODD_SHARE         4u /* of those of one creator and size, one in so many */
#define CONTENT_READS_MAX 200000u

/* How many blocks are hit at an offset; open addressing. 20 bytes: where most references are inner
 * ones there are hundreds of thousands. */
struct __attribute__((packed, aligned(4))) offset_count {
    uint64_t offset : 40;
    uint64_t size_class : 24; /* 0 = of any size */
    uint32_t stack_id, last_node;
    uint32_t hits : 31;
    uint32_t is_repeated : 1; /* more than one reference hits the same block there */
};

struct offset_table {
    struct offset_count *slots;
    size_t mask, used;
};

/* Where `key` is, or the free slot for it. */
static struct offset_count *offset_slot(const struct offset_table *t,
                                        const struct offset_count *key) {
    uint64_t hash = (key->offset * 0x9e3779b97f4a7c15ull) ^
                    (key->stack_id * 0xff51afd7ed558ccdull) ^
                    (key->size_class * 0xc4ceb9fe1a85ec53ull);
    for (size_t i = (hash ^ hash >> 29) & t->mask;; i = (i + 1) & t->mask) {
        struct offset_count *slot = &t->slots[i];
        if (slot->hits == 0 || (slot->offset == key->offset && slot->stack_id == key->stack_id &&
                                slot->size_class == key->size_class))
            return slot;
    }
}

static bool offset_grow(struct offset_table *t) {
    struct offset_table bigger = {.mask = t->mask * 2 + 1, .used = t->used};
    bigger.slots = calloc(bigger.mask + 1, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i <= t->mask; i++)
        if (t->slots[i].hits)
            *offset_slot(&bigger, &t->slots[i]) = t->slots[i];
    free(t->slots);
    *t = bigger;
    return true;
}

static void count_offset(struct offset_table *t, struct offset_count key, uint32_t node) {
    if (!t->slots)
        return;
    struct offset_count *slot = offset_slot(t, &key);
    if (slot->hits == 0) {
        *slot = key;
        if (++t->used > t->mask / 4 * 3 && !offset_grow(t)) {
            free(t->slots); /* no memory: no offset is consistent */
            t->slots = NULL;
            return;
        }
        slot = offset_slot(t, &key);
    } else if (slot->last_node == node) {
        slot->is_repeated = 1;
        return;
    }
    slot->hits = (slot->hits + 1) & INT32_MAX;
    slot->last_node = node;
}

static bool is_open_question(const struct wh_edge *e) {
    return e->edge_class == WH_EDGE_INTERIOR;
}

static bool is_header(const struct wh_edge *e) {
    return e->edge_class == WH_EDGE_SUSPECT && e->evidence == WH_EVIDENCE_HEADER;
}

static bool is_tagged(const struct wh_edge *e) {
    return e->edge_class == WH_EDGE_TAGGED && e->evidence == WH_EVIDENCE_LOW_TAG;
}

/* A tag, or an odd place inside? */
static bool is_odd(const struct wh_heap *h, uint64_t edge) {
    const struct wh_edge *e = &h->edges.items[edge];
    return (is_open_question(e) || is_tagged(e)) && wh_edges_to_offset(&h->edges, edge) % 8;
}

/* What only all edges together can tell. */
struct overview {
    struct offset_table offsets; /* interior offsets that blocks of one creator are hit at */
    uint8_t *started;            /* per node: something refers to its first byte */
    uint64_t *asked;             /* bit per edge: the first look was not enough */
};

/* The first asked edge from `edge` on, or the number of edges. */
static uint64_t next_asked(const struct overview *o, uint64_t edge, uint64_t count) {
    uint64_t bits = edge < count ? o->asked[edge / 64] >> edge % 64 : 0;
    if (bits)
        return edge + (uint64_t)__builtin_ctzll(bits);
    for (uint64_t word = edge / 64 + 1; word * 64 < count; word++)
        if (o->asked[word])
            return word * 64 + (uint64_t)__builtin_ctzll(o->asked[word]);
    return count;
}

static bool has_creator(const struct wh_heap *h, const struct wh_edge *e) {
    return h->nodes[e->to].stack_id != 0;
}

static struct offset_count offset_key(const struct wh_heap *h, uint64_t edge) {
    return (struct offset_count){.offset = wh_edges_to_offset(&h->edges, edge) & WH_OFFSET_MASK,
                                 .stack_id = h->nodes[h->edges.items[edge].to].stack_id};
}

#define ALL_ODD        WH_OFFSET_MASK /* as an offset: each odd one */
#define SIZE_CLASS_MAX ((1u << 24) - 1)

static struct offset_count odd_key(const struct wh_heap *h, const struct wh_edge *e,
                                   uint64_t offset) {
    const struct wh_heap_node *n = &h->nodes[e->to];
    uint64_t size_class = (n->size + 15) / 16 + 1;
    return (struct offset_count){
        .offset = offset & WH_OFFSET_MASK,
        .stack_id = n->stack_id,
        .size_class = (size_class < SIZE_CLASS_MAX ? size_class : SIZE_CLASS_MAX) & SIZE_CLASS_MAX};
}

/* The bits of 64 edges at once, without a branch: which of them are asked cannot be guessed. Class
 * and evidence are one byte of an edge. */
static void ask(struct wh_extract *x, struct overview *o) {
    struct wh_edges *edges = &x->heap->edges;
    uint8_t is_asked[256];
    for (unsigned i = 0; i < 256; i++) {
        struct wh_edge e = {.edge_class = i & 7, .evidence = i >> 3 & 31};
        is_asked[i] = is_open_question(&e) || is_tagged(&e) || is_header(&e);
    }
    for (uint64_t i = 0; i < edges->count; i += 64) {
        uint64_t n = edges->count - i < 64 ? edges->count - i : 64, asked = 0, full = 0;
        for (uint64_t k = 0; k < n; k++) {
            const struct wh_edge *e = &edges->items[i + k];
            asked |= (uint64_t)is_asked[e->edge_class | (unsigned)e->evidence << 3] << k;
            full |= (uint64_t)(e->form == WH_EDGE_FULL) << k;
        }
        o->asked[i / 64] = asked;
        for (; full; full &= full - 1) {
            uint64_t edge = i + (uint64_t)__builtin_ctzll(full);
            if (wh_is_doubtful(x, edges->items[edge].to, edges->items[edge].evidence))
                wh_edges_forget_length(edges, edge);
        }
    }
}

/* A tag is on a pointer to what others point at without one; where nothing ever refers to the first
 * byte, an odd offset is where the object begins behind its header. */
static void count_odd(const struct wh_heap *h, struct overview *o) {
    uint64_t count = h->edges.count;
    for (uint64_t i = 0; i < count; i++)
        if (h->edges.items[i].edge_class >= WH_EDGE_START)
            o->started[h->edges.items[i].to] = 1;
    for (uint64_t i = next_asked(o, 0, count); i < count; i = next_asked(o, i + 1, count)) {
        const struct wh_edge *e = &h->edges.items[i];
        if (o->started[e->to] || !has_creator(h, e) || !is_odd(h, i))
            continue;
        count_offset(&o->offsets, odd_key(h, e, wh_edges_to_offset(&h->edges, i)), e->to);
        count_offset(&o->offsets, odd_key(h, e, ALL_ODD), e->to);
    }
}

static bool look_over(struct wh_extract *x, struct overview *o) {
    const struct wh_heap *h = x->heap;
    uint64_t count = h->edges.count;
    bool any_odd = false;
    *o = (struct overview){.offsets = {.mask = 1023}};
    o->offsets.slots = calloc(o->offsets.mask + 1, sizeof *o->offsets.slots);
    o->started = calloc(h->node_count + 1ull, 1);
    o->asked = malloc((count / 64 + 1) * sizeof *o->asked);
    if (!o->started || !o->asked)
        return false;
    ask(x, o);
    for (uint64_t i = next_asked(o, 0, count); i < count; i = next_asked(o, i + 1, count)) {
        const struct wh_edge *e = &h->edges.items[i];
        if (!has_creator(h, e))
            continue;
        any_odd |= is_odd(h, i);
        if (is_open_question(e))
            count_offset(&o->offsets, offset_key(h, i), e->to);
    }
    if (any_odd)
        count_odd(h, o);
    return true;
}

static void release(struct overview *o) {
    free(o->offsets.slots);
    free(o->started);
    free(o->asked);
}

static const struct offset_count *count_at(const struct overview *o, struct offset_count key) {
    return offset_slot(&o->offsets, &key);
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
        uint32_t hits = count_at(o, odd_key(h, e, wh_edges_to_offset(&h->edges, edge)))->hits;
        return hits >= ODD_HITS_MIN &&
               hits >= count_at(o, odd_key(h, e, ALL_ODD))->hits / ODD_SHARE;
    }
    const struct offset_count *slot = count_at(o, offset_key(h, edge));
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
    return is_header(e) || (is_open_question(e) && wh_edges_to_offset(&h->edges, edge) % 8 == 0 &&
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
    uint64_t count = h->edges.count;
    for (uint64_t i = next_asked(&o, 0, count); i < count; i = next_asked(&o, i + 1, count)) {
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
