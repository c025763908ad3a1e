/* The graph's promises on random object graphs with brute-force answers, and on deep ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random_graph.h"

#define ROUNDS 3000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static uint32_t popcount(uint32_t x) {
    return (uint32_t)__builtin_popcount(x);
}

/* --- against brute force
 * --------------------------------------------------------------------------- */

static const char *check_strength(const struct sketch *s, const struct wh_graph *g,
                                  const struct answers *a) {
    for (uint32_t b = 0; b < s->blocks; b++) {
        uint32_t v = s->place[b], cycle;
        if (g->strength[v] != a->strength[b])
            return "strength";
        enum wh_lost_state lost = a->strength[b] ? WH_LOST_NOT : brute_lost(s, a, b, &cycle);
        if (g->lost_state[v] != lost)
            return "lost state";
        if (lost == WH_LOST_CYCLE && g->lost_cycle[v] != cycle)
            return "size of a lost cycle";
    }
    return NULL;
}

/* The closest of the strict dominators: the one all others dominate. */
static uint32_t brute_idom(const struct sketch *s, const struct answers *a,
                           const struct wh_graph *g, uint32_t b) {
    uint32_t strict = a->dominators[b] & ~(1u << b), best = g->super, depth = 0;
    for (uint32_t d = 0; d < s->blocks; d++)
        if (strict >> d & 1 && popcount(a->dominators[d]) > depth) {
            depth = popcount(a->dominators[d]);
            best = s->place[d];
        }
    if (best == g->super && a->var_dominates[b])
        best = g->blocks + (uint32_t)__builtin_ctz(a->var_dominates[b]);
    return best;
}

static const char *check_dominators(const struct sketch *s, const struct wh_graph *g,
                                    const struct answers *a) {
    uint64_t total = 0;
    for (uint32_t b = 0; b < s->blocks; b++) {
        uint32_t v = s->place[b];
        uint64_t retained = 0;
        total += s->size[b];
        if (!a->strength[b])
            continue;
        if (g->idom[v] != brute_idom(s, a, g, b))
            return "dominator";
        for (uint32_t d = 0; d < s->blocks; d++)
            if (a->dominators[d] >> b & 1)
                retained += s->size[d];
        if (g->retained_bytes[v] != retained)
            return "retained bytes";
    }
    if (g->retained_bytes[g->super] != total || g->retained_objects[g->super] != s->blocks)
        return "total";
    return NULL;
}

static const char *check_holders(const struct sketch *s, const struct wh_graph *g,
                                 const struct answers *a) {
    for (uint32_t b = 0; b < s->blocks; b++) {
        uint32_t v = s->place[b], vars = 0;
        for (uint32_t i = 0; i < s->vars; i++)
            if (a->reach[MAX_BLOCKS + i][b])
                vars |= 1u << i;
        uint64_t mask = wh_graph_mask(g, v);
        uint32_t seen = 0;
        if (mask & WH_SHARE_OTHER)
            return "a variable without a bit";
        for (uint32_t bit = 0; bit < 63; bit++)
            if (mask >> bit & 1)
                seen |= 1u << g->bit_variable[bit];
        if (seen != vars)
            return "set of holders";
        if (wh_graph_holders(g, v) != popcount(vars))
            return "number of holders";
    }
    return NULL;
}

/* exclusive + shared + lost = live, exactly; and effective sums to what is held. */
static const char *check_conservation(const struct sketch *s, const struct wh_graph *g) {
    uint64_t exclusive = 0, shared = 0, effective = 0, total = 0, held = 0;
    for (uint32_t b = 0; b < s->blocks; b++) {
        total += s->size[b];
        held += g->strength[s->place[b]] ? s->size[b] : 0;
    }
    for (uint32_t i = 0; i < s->vars; i++) {
        exclusive += g->sums[i].exclusive_bytes;
        effective += g->sums[i].effective_bytes;
        if (g->sums[i].reachable_bytes < g->sums[i].exclusive_bytes)
            return "reachable below exclusive";
    }
    for (uint32_t i = 0; i < g->group_count; i++)
        shared += g->groups[i].bytes;
    if (exclusive + shared + g->retained_bytes[g->lost] != total)
        return "conservation";
    return effective == held ? NULL : "effective bytes do not sum to what is held";
}

/* The vertex that an edge comes from. */
static uint32_t source_of(const struct prepared *p, const struct wh_heap_edge *e, uint64_t edge) {
    return e->from & WH_FROM_ROOT
               ? p->heap.node_count + p->edge_variable[edge - wh_edges_of_roots(&p->heap.edges)]
               : e->from;
}

/* Every path is real, leads to a root, is as strong as its block and as short as its stage allows.
 */
static const char *check_tree(const struct sketch *s, const struct prepared *p,
                              const struct wh_graph *g) {
    for (uint32_t b = 0; b < s->blocks; b++) {
        uint32_t v = s->place[b], steps = 0;
        if (!g->strength[v])
            continue;
        uint8_t worth = 5;
        while (v < g->blocks) {
            if (++steps > s->blocks)
                return "path does not end";
            struct wh_heap_edge e = wh_edges_get(&p->heap.edges, g->tree_edge[v]);
            uint32_t from = source_of(p, &e, g->tree_edge[v]);
            if (e.to != v || from != g->tree_parent[v])
                return "path takes an edge that is not there";
            if (!wh_graph_is_kept(g, g->tree_edge[v]))
                return "path takes an edge of no worth";
            worth = e.edge_class < worth ? e.edge_class : worth;
            v = from;
        }
        worth = g->strength[v] < worth ? g->strength[v] : worth;
        if (worth != g->strength[s->place[b]])
            return "path weaker than its block";
    }
    return NULL;
}

static const char *check_all(const struct sketch *s) {
    struct prepared p;
    struct wh_graph g;
    struct answers a;
    const char *what;
    sketch_heap(s, &p);
    solve_brute(s, &a);
    if (wh_graph_solve(&p.input, &g, NULL) < 0) {
        prepared_release(&p);
        return "solve failed";
    }
    what = check_strength(s, &g, &a);
    what = what ? what : check_dominators(s, &g, &a);
    what = what ? what : check_holders(s, &g, &a);
    what = what ? what : check_conservation(s, &g);
    what = what ? what : check_tree(s, &p, &g);
    wh_graph_release(&g);
    prepared_release(&p);
    return what;
}

static void random_graphs_have_brute_force_answers(void **state) {
    (void)state;
    assert_int_equal(sketch_run(seed_from_environment(), ROUNDS, check_all), 0);
}

/* --- the same answers for another layout or with weaker edges
 * -------------------------------------- */

static const char *compare(const struct sketch *s, const struct sketch *t) {
    struct prepared p, q;
    struct wh_graph g, h;
    const char *what = NULL;
    sketch_heap(s, &p);
    sketch_heap(t, &q);
    int r = wh_graph_solve(&p.input, &g, NULL) | wh_graph_solve(&q.input, &h, NULL);
    for (uint32_t b = 0; r == 0 && !what && b < s->blocks; b++) {
        uint32_t v = s->place[b], w = t->place[b];
        if (g.strength[v] != h.strength[w] || g.retained_bytes[v] != h.retained_bytes[w] ||
            wh_graph_mask(&g, v) != wh_graph_mask(&h, w) || g.lost_state[v] != h.lost_state[w])
            what = "an answer changed";
        for (; !what && v < g.blocks; v = g.tree_parent[v], w = h.tree_parent[w]) {
            if (w >= h.blocks || p.heap.nodes[v].allocation_id != q.heap.nodes[w].allocation_id)
                what = "a path changed";
            else if (g.tree_edge[v] != WH_GRAPH_NONE &&
                     wh_edges_get(&p.heap.edges, g.tree_edge[v]).from_offset !=
                         wh_edges_get(&q.heap.edges, h.tree_edge[w]).from_offset)
                what = "a path takes another slot";
        }
        if (!what && v != w)
            what = "a root changed";
    }
    wh_graph_release(&g);
    wh_graph_release(&h);
    prepared_release(&p);
    prepared_release(&q);
    return r ? "solve failed" : what;
}

static const char *check_layout(const struct sketch *s) {
    struct sketch t = *s;
    sketch_shuffle(&t);
    for (uint32_t i = t.edges; i > 1; i--) {
        uint32_t j = rng(i);
        struct sketch_edge e = t.edge[i - 1];
        t.edge[i - 1] = t.edge[j];
        t.edge[j] = e;
    }
    return compare(s, &t);
}

static void other_addresses_give_the_same_answers(void **state) {
    (void)state;
    assert_int_equal(sketch_run(seed_from_environment(), ROUNDS, check_layout), 0);
}

static const char *check_weaker(const struct sketch *s) {
    struct answers a;
    struct sketch t = *s;
    memset(&a, 0, sizeof(a));
    solve_strength(s, &a);
    for (int i = 0; i < 10 && t.edges < MAX_EDGES; i++) {
        uint32_t to = rng(s->blocks);
        if (!a.strength[to])
            continue;
        uint32_t from = s->vars && rng(2) ? MAX_BLOCKS + rng(s->vars) : rng(s->blocks);
        t.edge[t.edges++] =
            (struct sketch_edge){from, to, 1000 + rng(1000), (uint8_t)rng(a.strength[to])};
    }
    return compare(s, &t);
}

static void a_weaker_edge_changes_nothing(void **state) {
    (void)state;
    assert_int_equal(sketch_run(seed_from_environment(), ROUNDS, check_weaker), 0);
}

/* --- questions
 * ------------------------------------------------------------------------------------- */

static const char *check_whatif(const struct sketch *s) {
    struct sketch rest = *s;
    struct prepared p;
    struct wh_graph g;
    uint8_t believed[MAX_EDGES], seen[MAX_BLOCKS] = {0};
    const char *what = NULL;
    if (!s->vars)
        return NULL;
    uint32_t dropped = s->edges % s->vars;
    rest.var[dropped].strength = 0;
    for (uint32_t i = 0; i < s->edges; i++)
        believed[i] = s->edge[i].edge_class > 0;
    for (uint32_t v = 0; v < s->vars; v++)
        if (v != dropped)
            walk(s, believed, MAX_BLOCKS + v, WH_GRAPH_NONE, seen);
    sketch_heap(&rest, &p);
    assert_int_equal(wh_graph_solve(&p.input, &g, NULL), 0);
    for (uint32_t b = 0; b < s->blocks; b++)
        if (seen[b] != (g.strength[s->place[b]] > 0))
            what = "what stays";
    wh_graph_release(&g);
    prepared_release(&p);
    return what;
}

static void without_a_variable_what_others_reach_stays(void **state) {
    (void)state;
    assert_int_equal(sketch_run(seed_from_environment(), ROUNDS, check_whatif), 0);
}

static const char *check_path(const struct prepared *p, const struct wh_graph_path *path,
                              uint32_t block, uint8_t *used) {
    uint32_t at = p->heap.node_count + path->variable;
    for (uint32_t i = 0; i < path->length; i++) {
        struct wh_heap_edge e = wh_edges_get(&p->heap.edges, path->steps[i]);
        uint32_t from = source_of(p, &e, path->steps[i]);
        if (from != at || e.edge_class < path->strength)
            return "a disjoint path that is none";
        if (used[from]++)
            return "paths meet";
        at = e.to;
    }
    return at == block ? NULL : "a disjoint path leads elsewhere";
}

static const char *check_disjoint(const struct sketch *s) {
    struct prepared p;
    struct wh_graph g;
    struct wh_csr csr;
    const char *what = NULL;
    sketch_heap(s, &p);
    assert_int_equal(wh_graph_solve(&p.input, &g, NULL), 0);
    assert_int_equal(wh_graph_reversed(&p.input, 1, &csr, NULL), 0);
    for (uint32_t b = 0; !what && b < s->blocks; b++) {
        struct wh_graph_path paths[3] = {0};
        uint32_t count = 0;
        uint8_t used[MAX_V] = {0};
        assert_int_equal(wh_graph_disjoint_paths(&p.input, &csr, b, 3, paths, &count, NULL), 0);
        if ((count > 0) != (g.strength[b] > 0) || (count && paths[0].strength != g.strength[b]))
            what = "the first path is not the strongest";
        for (uint32_t i = 0; i < count; i++) {
            what = what ? what : check_path(&p, &paths[i], b, used);
            wh_graph_path_release(&paths[i]);
        }
    }
    wh_csr_release(&csr);
    wh_graph_release(&g);
    prepared_release(&p);
    return what;
}

static void disjoint_paths_share_nothing(void **state) {
    (void)state;
    assert_int_equal(sketch_run(seed_from_environment(), ROUNDS / 3, check_disjoint), 0);
}

/* --- special shapes
 * -------------------------------------------------------------------------------- */

/* A list of ten million blocks, each pointing to the next and back. */
static void a_deep_list_does_not_overflow(void **state) {
    (void)state;
    const uint32_t n = SANITIZED ? 1000000 : 10000000;
    struct wh_heap h = {.node_count = n, .root_count = 1};
    h.nodes = calloc(n, sizeof(*h.nodes));
    h.roots = calloc(1, sizeof(*h.roots));
    uint32_t variable = 0;
    int failed = wh_edges_open(&h.edges, n, NULL, 2ull * n, NULL);
    for (uint32_t i = 0; i < n; i++) {
        h.nodes[i] = (struct wh_heap_node){
            .address = (0x1000 + i * 32ull) & WH_ADDRESS_MASK, .size = 16, .allocation_id = i + 1};
        struct wh_heap_edge next = {.from = i, .to = i + 1, .edge_class = WH_EDGE_START};
        struct wh_heap_edge back = {
            .from = i, .to = i - 1, .from_offset = 8, .edge_class = WH_EDGE_START};
        failed |= i + 1 < n ? wh_edges_add(&h.edges, &next, NULL) : 0;
        failed |= i ? wh_edges_add(&h.edges, &back, NULL) : 0;
    }
    struct wh_heap_edge head = {.from = WH_FROM_ROOT, .to = 0, .edge_class = WH_EDGE_START};
    assert_int_equal(failed | wh_edges_add(&h.edges, &head, NULL), 0);
    wh_edges_finish(&h.edges);
    struct wh_graph_variable v = {5, 0};
    struct wh_graph_input in = {
        .heap = &h, .variables = &v, .variable_count = 1, .edge_variable = &variable};
    struct wh_graph g;
    assert_int_equal(wh_graph_solve(&in, &g, NULL), 0);
    assert_int_equal(g.retained_bytes[0], 16ull * n);
    assert_int_equal(g.retained_objects[n / 2], n - n / 2);
    assert_int_equal(g.strength[n - 1], WH_EDGE_START);
    wh_graph_release(&g);
    h.roots[0].start = 1; /* the same list, lost: one component */
    v.strength = 0;
    assert_int_equal(wh_graph_solve(&in, &g, NULL), 0);
    assert_int_equal(g.lost_state[n / 2], WH_LOST_CYCLE);
    assert_int_equal(g.lost_cycle[0], n);
    wh_graph_release(&g);
    wh_heap_release(&h);
}

static void an_edge_out_of_range_is_refused(void **state) {
    (void)state;
    struct sketch s = {.blocks = 1, .vars = 1, .edges = 1, .size = {8}, .var = {{5, 0}}};
    s.edge[0] = (struct sketch_edge){MAX_BLOCKS, 0, 0, 4};
    struct prepared p;
    struct wh_graph g;
    struct wh_error error;
    sketch_heap(&s, &p);
    p.heap.edges.items[0].to = 7;
    assert_int_equal(wh_graph_solve(&p.input, &g, &error), WH_EINPUT);
    p.heap.edges.items[0].to = 0;
    p.edge_variable[0] = 3;
    assert_int_equal(wh_graph_solve(&p.input, &g, &error), WH_EINPUT);
    prepared_release(&p);
}

static void an_empty_heap_has_an_answer(void **state) {
    (void)state;
    struct wh_heap h = {0};
    struct wh_graph_input in = {.heap = &h};
    struct wh_graph g;
    assert_int_equal(wh_graph_solve(&in, &g, NULL), 0);
    assert_int_equal(g.retained_bytes[g.super], 0);
    wh_graph_release(&g);
}

/* 70 variables share one block: more than there are bits. */
static void more_holders_than_bits_are_a_lower_bound(void **state) {
    (void)state;
    enum { N = 70 };
    struct wh_heap_node node = {.address = 16, .size = 100, .allocation_id = 1};
    struct wh_heap_root roots[N] = {0};
    struct wh_graph_variable vars[N];
    uint32_t map[N];
    struct wh_heap h = {.nodes = &node, .roots = roots, .node_count = 1, .root_count = N};
    assert_int_equal(wh_edges_open(&h.edges, 1, NULL, 0, NULL), 0);
    for (uint32_t i = 0; i < N; i++) {
        struct wh_heap_edge edge = {.from = i | WH_FROM_ROOT, .edge_class = WH_EDGE_START};
        assert_int_equal(wh_edges_add(&h.edges, &edge, NULL), 0);
        vars[i] = (struct wh_graph_variable){5, 0};
        map[i] = i;
    }
    struct wh_graph_input in = {
        .heap = &h, .variables = vars, .variable_count = N, .edge_variable = map};
    struct wh_graph g;
    assert_int_equal(wh_graph_solve(&in, &g, NULL), 0);
    assert_int_equal(wh_graph_mask(&g, 0), UINT64_MAX);
    assert_int_equal(wh_graph_holders(&g, 0), 64);
    assert_int_equal(g.sums[0].reachable_bytes, 100);
    assert_int_equal(g.sums[0].effective_bytes, 2); /* 100 / 64 and one of the rest */
    assert_int_equal(g.sums[69].reachable_bytes, 0);
    wh_graph_release(&g);
    wh_edges_release(&h.edges);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_have_brute_force_answers),
        cmocka_unit_test(other_addresses_give_the_same_answers),
        cmocka_unit_test(a_weaker_edge_changes_nothing),
        cmocka_unit_test(without_a_variable_what_others_reach_stays),
        cmocka_unit_test(disjoint_paths_share_nothing),
        cmocka_unit_test(a_deep_list_does_not_overflow),
        cmocka_unit_test(an_edge_out_of_range_is_refused),
        cmocka_unit_test(an_empty_heap_has_an_answer),
        cmocka_unit_test(more_holders_than_bits_are_a_lower_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
