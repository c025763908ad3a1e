/* Which references own? Several equally strong ones may lead to a block, and one of them has to be
 * named first. Strength cannot tell a container from the cache in front of it, a weak reference or
 * a pointer back to the parent - but what they do to other blocks can: a place whose many
 * references hardly ever keep their target alone, wherever they lead, is not where objects are
 * owned.
 *
 * A place is a field of all blocks of one kind (their creator, and the offset), the slots of one
 * large block that lead to one kind, or what the caller calls one of a root variable. */
#include "analyzer/graph/graph_internal.h"

#define REFERENCES_MIN 32u   /* fewer say nothing */
#define LARGE_MIN      64u   /* a block with so many has places of its own */
#define ALONE_SHARE    16u   /* one in so many does not make an owner */
#define WORDS          64u   /* fields of a kind that are told apart */
#define SAMPLE         4096u /* blocks of a kind that are looked at */

struct wh_place {
    uint32_t references, alone;
};

static void count(struct wh_place *p, bool is_alone) {
    p->references++;
    p->alone += is_alone;
}

static bool owns(const struct wh_place *p) {
    return p->references < REFERENCES_MIN || p->alone > p->references / ALONE_SHARE;
}

static bool bit(const uint64_t *bits, uint32_t block) {
    return bits[block / 64] >> block % 64 & 1;
}

static void set_bit(uint64_t *bits, uint32_t block) {
    bits[block / 64] |= UINT64_C(1) << block % 64;
}

static bool is_large(const struct wh_places *p, uint32_t u) {
    uint32_t at = wh_out_begin(p->out, u), end = wh_out_end(p->out, u), kept = 0;
    if (u >= p->graph->blocks || end - at < LARGE_MIN)
        return false;
    for (; at < end && kept < LARGE_MIN; at++)
        kept += wh_graph_is_kept(p->graph, at) != 0;
    return kept == LARGE_MIN;
}

/* 0 = nobody knows. */
static uint32_t kind_of(const struct wh_graph_input *in, uint32_t block) {
    uint32_t stack = in->heap->nodes[block].stack_id;
    return stack < in->stacks ? in->stack_kind[stack] : 0;
}

static struct wh_place *place_of_root(const struct wh_places *p, uint32_t edge) {
    const struct wh_graph_input *in = p->input;
    if (!in->edge_places)
        return NULL;
    uint32_t place = in->edge_place[edge - wh_edges_of_roots(&in->heap->edges)];
    return place < in->edge_places ? &p->of_roots[place] : NULL;
}

static unsigned word_of(const struct wh_places *p, uint32_t edge) {
    uint64_t word = wh_edges_from_offset(&p->input->heap->edges, edge) / sizeof(uint64_t);
    return word < WORDS ? (unsigned)word : WORDS - 1;
}

/* Of each kind the same number of blocks, chosen by the order of their birth. */
static void count_kinds(const struct wh_places *p, uint32_t *blocks, struct wh_place *fields) {
    const struct wh_graph *g = p->graph;
    const struct wh_heap_node *nodes = p->input->heap->nodes;
    for (uint32_t u = 0; u < g->blocks; u++)
        blocks[kind_of(p->input, u)]++;
    for (uint32_t u = 0; u < g->blocks; u++) {
        uint32_t kind = kind_of(p->input, u), one_in = blocks[kind] / SAMPLE + 1;
        uint64_t random = nodes[u].allocation_id * UINT64_C(0x9e3779b97f4a7c15) >> 32;
        if (!kind || random % one_in || is_large(p, u))
            continue;
        for (uint32_t at = wh_out_begin(p->out, u), end = wh_out_end(p->out, u); at < end; at++)
            if (wh_graph_is_kept(g, at))
                count(&fields[kind * WORDS + word_of(p, at)], g->idom[p->out->items[at].to] == u);
    }
}

static int judge_kinds(struct wh_places *p, struct wh_error *error) {
    uint32_t kinds = p->input->kinds;
    uint32_t *blocks = wh_graph_array(kinds, sizeof(*blocks), error);
    struct wh_place *fields = wh_graph_array((size_t)kinds * WORDS, sizeof(*fields), error);
    int r = blocks && fields ? 0 : WH_ESYSTEM;
    if (r == 0)
        count_kinds(p, blocks, fields);
    for (uint32_t i = 0; i < kinds * WORDS && r == 0; i++) {
        uint64_t field = UINT64_C(1) << i % WORDS;
        if (!owns(&fields[i]))
            p->idle[i / WORDS] |= field;
        else if (fields[i].references)
            p->owning[i / WORDS] |= field;
        p->has_idle |= p->idle[i / WORDS] != 0;
    }
    free(blocks);
    free(fields);
    return r;
}

/* What blocks refer to, too, other than what it dominates itself, of the blocks in `wanted`. */
static void find_others(const struct wh_places *p, const uint64_t *wanted, uint64_t *ret) {
    for (uint32_t u = 0; u < p->graph->blocks; u++)
        for (uint32_t at = wh_out_begin(p->out, u), end = wh_out_end(p->out, u); at < end; at++) {
            uint32_t to = p->out->items[at].to;
            if (bit(wanted, to) && wh_graph_is_kept(p->graph, at) && p->graph->idom[u] != to)
                set_bit(ret, to);
        }
}

/* A variable is as large as a program likes to make it: that it dominates what its slot leads to is
 * no proof where blocks refer to that, too. */
static int count_roots(struct wh_places *p, struct wh_error *error) {
    const struct wh_graph *g = p->graph;
    uint64_t *wanted = wh_graph_array(g->blocks / 64 + 1, sizeof(*wanted), error);
    uint64_t *others = wh_graph_array(g->blocks / 64 + 1, sizeof(*others), error);
    int r = wanted && others ? 0 : WH_ESYSTEM;
    for (int pass = 0; pass < 2 && r == 0; pass++) {
        for (uint32_t u = g->blocks; u < g->lost; u++)
            for (uint32_t at = wh_out_begin(p->out, u), end = wh_out_end(p->out, u); at < end;
                 at++) {
                uint32_t edge = wh_out_edge(p->out, u, at), to = p->out->items[edge].to;
                struct wh_place *place = wh_graph_is_kept(g, edge) ? place_of_root(p, edge) : NULL;
                if (place && pass == 0)
                    set_bit(wanted, to);
                else if (place)
                    count(place, g->idom[to] == u && !bit(others, to));
            }
        if (pass == 0)
            find_others(p, wanted, others);
    }
    free(wanted);
    free(others);
    return r;
}

int wh_graph_places(const struct wh_graph_input *input, const struct wh_graph *graph,
                    const struct wh_out *out, struct wh_places *ret, struct wh_error *error) {
    struct wh_places p = {.input = input, .graph = graph, .out = out};
    p.idle = wh_graph_array(input->kinds + 1ul, sizeof(*p.idle), error);
    p.owning = wh_graph_array(input->kinds + 1ul, sizeof(*p.owning), error);
    p.of_large = wh_graph_array(input->kinds + 1ul, sizeof(*p.of_large), error);
    p.of_roots = wh_graph_array(input->edge_places + 1ul, sizeof(*p.of_roots), error);
    int r = p.idle && p.owning && p.of_large && p.of_roots ? 0 : WH_ESYSTEM;
    if (r == 0 && input->kinds)
        r = judge_kinds(&p, error);
    if (r == 0 && input->edge_places)
        r = count_roots(&p, error);
    if (r < 0)
        wh_places_release(&p);
    *ret = p;
    return r;
}

void wh_places_release(struct wh_places *places) {
    free(places->idle);
    free(places->owning);
    free(places->of_large);
    free(places->of_roots);
    *places = (struct wh_places){0};
}

static void clear(struct wh_places *p, uint32_t u) {
    for (uint32_t at = wh_out_begin(p->out, u), end = wh_out_end(p->out, u); at < end; at++)
        p->of_large[kind_of(p->input, p->out->items[at].to)] = (struct wh_place){0};
}

static void count_large(struct wh_places *p, uint32_t u) {
    for (uint32_t at = wh_out_begin(p->out, u), end = wh_out_end(p->out, u); at < end; at++) {
        uint32_t to = p->out->items[at].to;
        if (wh_graph_is_kept(p->graph, at))
            count(&p->of_large[kind_of(p->input, to)], p->graph->idom[to] == u);
    }
}

enum wh_owning wh_places_look(struct wh_places *p, uint32_t u) {
    bool knows_kinds = p->input->kinds != 0;
    if (p->is_large)
        clear(p, p->from);
    p->from = u;
    p->is_large = knows_kinds && is_large(p, u);
    if (p->is_large)
        count_large(p, u);
    if (p->is_large || (u >= p->graph->blocks && p->input->edge_places))
        return WH_OWNS_SOME;
    if (u >= p->graph->blocks || !p->has_idle)
        return WH_OWNS_ALL;
    uint32_t kind = kind_of(p->input, u);
    return !p->idle[kind] ? WH_OWNS_ALL : p->owning[kind] ? WH_OWNS_SOME : WH_OWNS_NONE;
}

bool wh_places_own(const struct wh_places *p, uint32_t edge) {
    const struct wh_place *place;
    if (p->from >= p->graph->blocks)
        place = place_of_root(p, edge);
    else if (!p->is_large)
        return !(p->idle[kind_of(p->input, p->from)] >> word_of(p, edge) & 1);
    else
        place = &p->of_large[kind_of(p->input, p->out->items[edge].to)];
    return !place || place == p->of_large || owns(place);
}
