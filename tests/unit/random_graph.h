/* Random object graphs with brute-force answers, and a shrinker for those that fail.
 *
 * A sketch is a small graph as plain lists; sketch_heap() makes the frozen heap that the product
 * reads. The oracles share no idea with the product: strengths by relaxing until nothing changes,
 * dominators by removing every vertex in turn, holders by one walk per variable. */
#ifndef WH_TEST_RANDOM_GRAPH_H
#define WH_TEST_RANDOM_GRAPH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/graph/graph.h"

#define MAX_BLOCKS 28
#define MAX_VARS   9
#define MAX_EDGES  160
#define MAX_V      (MAX_BLOCKS + MAX_VARS)

struct sketch_edge {
    uint32_t from; /* block, or MAX_BLOCKS + variable */
    uint32_t to;
    uint32_t offset;
    uint8_t edge_class;
};

struct sketch {
    uint32_t blocks, vars, edges;
    uint64_t size[MAX_BLOCKS];
    struct wh_graph_variable var[MAX_VARS];
    struct sketch_edge edge[MAX_EDGES];
    uint32_t place[MAX_BLOCKS]; /* block -> its rank by address */
};

struct prepared {
    struct wh_heap heap;
    uint32_t *edge_variable;
    struct wh_graph_input input;
};

static uint64_t rng_state;

static uint32_t rng(uint32_t below) {
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (uint32_t)((rng_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

static void sketch_shuffle(struct sketch *s) {
    for (uint32_t i = 0; i < s->blocks; i++)
        s->place[i] = i;
    for (uint32_t i = s->blocks; i > 1; i--) {
        uint32_t j = rng(i), t = s->place[i - 1];
        s->place[i - 1] = s->place[j];
        s->place[j] = t;
    }
}

static void sketch_random(struct sketch *s) {
    *s = (struct sketch){.blocks = 1 + rng(MAX_BLOCKS), .vars = rng(MAX_VARS + 1)};
    for (uint32_t i = 0; i < s->blocks; i++)
        s->size[i] = 1 + rng(1000);
    for (uint32_t i = 0; i < s->vars; i++)
        s->var[i] = (struct wh_graph_variable){(uint8_t)(1 + rng(5)), (uint8_t)rng(3)};
    uint32_t wanted = rng(s->blocks * 4 + 1), spread = 1 + rng(6);
    for (uint32_t i = 0; i < wanted && s->edges < MAX_EDGES; i++) {
        struct sketch_edge *e = &s->edge[s->edges++];
        e->from = s->vars && rng(4) == 0 ? MAX_BLOCKS + rng(s->vars) : rng(s->blocks);
        e->to = rng(s->blocks);
        e->offset = s->edges; /* unique: a slot holds one word */
        e->edge_class = (uint8_t)(rng(spread) == 0 ? rng(6) : 4);
    }
    for (uint32_t i = s->edges; i > 1; i--) { /* slots in random order */
        uint32_t j = rng(i), t = s->edge[i - 1].offset;
        s->edge[i - 1].offset = s->edge[j].offset;
        s->edge[j].offset = t;
    }
    for (uint32_t i = 0; i < s->blocks; i++)
        s->place[i] = i;
}

static int heap_edge_order(const void *a, const void *b) {
    const struct wh_heap_edge *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->from_offset < y->from_offset ? -1 : x->from_offset > y->from_offset;
}

/* The variables' roots stand in reverse, so that rank and address disagree. */
static void sketch_heap(const struct sketch *s, struct prepared *p) {
    *p = (struct prepared){0};
    struct wh_heap *h = &p->heap;
    h->node_count = s->blocks;
    h->root_count = s->vars;
    h->nodes = calloc(s->blocks + 1, sizeof(*h->nodes));
    h->roots = calloc(s->vars + 1, sizeof(*h->roots));
    struct wh_heap_edge edges[MAX_EDGES];
    p->edge_variable = calloc(s->edges + 1, sizeof(*p->edge_variable));
    for (uint32_t i = 0; i < s->blocks; i++) {
        struct wh_heap_node *n = &h->nodes[s->place[i]];
        n->address = 0x10000 + s->place[i] * 0x1000;
        n->size = s->size[i];
        n->allocation_id = i + 1;
    }
    for (uint32_t i = 0; i < s->edges; i++) {
        const struct sketch_edge *e = &s->edge[i];
        uint32_t from = e->from < MAX_BLOCKS
                            ? s->place[e->from]
                            : (s->vars - 1 - (e->from - MAX_BLOCKS)) | WH_FROM_ROOT;
        edges[i] = (struct wh_heap_edge){.from = from,
                                         .to = s->place[e->to],
                                         .from_offset = e->offset,
                                         .edge_class = (unsigned char)(e->edge_class & 7)};
    }
    qsort(edges, s->edges, sizeof(*edges), heap_edge_order);
    int failed = wh_edges_open(&h->edges, s->blocks, NULL, 0, NULL);
    for (uint32_t i = 0; i < s->edges; i++) {
        failed |= wh_edges_add(&h->edges, &edges[i], NULL);
        if (edges[i].from & WH_FROM_ROOT)
            p->edge_variable[i - wh_edges_of_roots(&h->edges)] =
                s->vars - 1 - (edges[i].from & ~WH_FROM_ROOT);
    }
    if (failed)
        abort();
    wh_edges_finish(&h->edges);
    p->input = (struct wh_graph_input){.heap = h,
                                       .variables = s->var,
                                       .variable_count = s->vars,
                                       .edge_variable = p->edge_variable};
}

static void prepared_release(struct prepared *p) {
    wh_heap_release(&p->heap);
    free(p->edge_variable);
}

/* --- brute force ---------------------------------------------------------------------------------
 */

struct answers {
    uint8_t strength[MAX_V]; /* index: block, or MAX_BLOCKS + variable */
    uint8_t kept[MAX_EDGES];
    uint8_t reach[MAX_V][MAX_BLOCKS]; /* over kept edges, not counting the start itself unless in a
                                         cycle */
    uint32_t dominators[MAX_BLOCKS];  /* mask of blocks that dominate it, itself included */
    uint32_t var_dominates[MAX_BLOCKS]; /* mask of variables that dominate it */
};

static void walk(const struct sketch *s, const uint8_t *kept, uint32_t start, uint32_t without,
                 uint8_t *seen) {
    uint32_t stack[MAX_EDGES + 1], n = 0;
    stack[n++] = start;
    while (n) {
        uint32_t u = stack[--n];
        for (uint32_t i = 0; i < s->edges; i++) {
            const struct sketch_edge *e = &s->edge[i];
            if (!kept[i] || e->from != u || e->to == without || seen[e->to])
                continue;
            seen[e->to] = 1;
            stack[n++] = e->to;
        }
    }
}

static void solve_strength(const struct sketch *s, struct answers *a) {
    for (uint32_t i = 0; i < s->vars; i++)
        a->strength[MAX_BLOCKS + i] = s->var[i].strength;
    for (int changed = 1; changed;) {
        changed = 0;
        for (uint32_t i = 0; i < s->edges; i++) {
            const struct sketch_edge *e = &s->edge[i];
            uint8_t w = a->strength[e->from] < e->edge_class ? a->strength[e->from] : e->edge_class;
            if (w > a->strength[e->to]) {
                a->strength[e->to] = w;
                changed = 1;
            }
        }
    }
    for (uint32_t i = 0; i < s->edges; i++) {
        const struct sketch_edge *e = &s->edge[i];
        uint8_t w = a->strength[e->from] < e->edge_class ? a->strength[e->from] : e->edge_class;
        a->kept[i] = e->from != e->to && e->edge_class > 0 && w >= a->strength[e->to];
    }
}

static void solve_brute(const struct sketch *s, struct answers *a) {
    memset(a, 0, sizeof(*a));
    solve_strength(s, a);
    for (uint32_t v = 0; v < s->blocks; v++)
        walk(s, a->kept, v, WH_GRAPH_NONE, a->reach[v]);
    for (uint32_t v = 0; v < s->vars; v++)
        walk(s, a->kept, MAX_BLOCKS + v, WH_GRAPH_NONE, a->reach[MAX_BLOCKS + v]);
    for (uint32_t gone = 0; gone < s->blocks; gone++) {
        uint8_t seen[MAX_BLOCKS] = {0};
        for (uint32_t v = 0; v < s->vars; v++)
            walk(s, a->kept, MAX_BLOCKS + v, gone, seen);
        for (uint32_t b = 0; b < s->blocks; b++)
            if (a->strength[b] && (!seen[b] || b == gone))
                a->dominators[b] |= 1u << gone;
    }
    for (uint32_t gone = 0; gone < s->vars; gone++) {
        uint8_t seen[MAX_BLOCKS] = {0};
        for (uint32_t v = 0; v < s->vars; v++)
            if (v != gone)
                walk(s, a->kept, MAX_BLOCKS + v, WH_GRAPH_NONE, seen);
        for (uint32_t b = 0; b < s->blocks; b++)
            if (a->strength[b] && !seen[b])
                a->var_dominates[b] |= 1u << gone;
    }
}

static enum wh_lost_state brute_lost(const struct sketch *s, const struct answers *a, uint32_t b,
                                     uint32_t *cycle) {
    enum wh_lost_state state = WH_LOST_ROOT;
    *cycle = 0;
    for (uint32_t u = 0; u < s->blocks; u++) {
        if (u == b || a->strength[u])
            continue;
        if (a->reach[u][b] && !a->reach[b][u])
            return WH_LOST_INDIRECT;
        if (a->reach[u][b] && a->reach[b][u]) {
            state = WH_LOST_CYCLE;
            ++*cycle;
        }
    }
    *cycle += state == WH_LOST_CYCLE ? 1 : 0;
    return state;
}

/* --- shrinking -----------------------------------------------------------------------------------
 */

typedef const char *(*sketch_check)(const struct sketch *s); /* NULL = right, else what is wrong */

static void sketch_print(const struct sketch *s, const char *what) {
    fprintf(stderr, "smallest failing graph: %u blocks, %u variables: %s\n", s->blocks, s->vars,
            what);
    for (uint32_t i = 0; i < s->vars; i++)
        fprintf(stderr, "  var%u strength %u stage %u\n", i, s->var[i].strength, s->var[i].stage);
    for (uint32_t i = 0; i < s->edges; i++)
        fprintf(stderr, "  %s%u +%u -> %u class %u\n", s->edge[i].from < MAX_BLOCKS ? "" : "var",
                s->edge[i].from < MAX_BLOCKS ? s->edge[i].from : s->edge[i].from - MAX_BLOCKS,
                s->edge[i].offset, s->edge[i].to, s->edge[i].edge_class);
}

/* Drops edges, then trailing blocks and variables, as long as the check still fails. */
static void sketch_shrink(struct sketch *s, sketch_check check) {
    for (int changed = 1; changed;) {
        changed = 0;
        for (uint32_t i = 0; i < s->edges; i++) {
            struct sketch t = *s;
            t.edge[i] = t.edge[--t.edges];
            if (check(&t)) {
                *s = t;
                changed = 1;
                i--;
            }
        }
        for (int which = 0; which < 2; which++) {
            struct sketch t = *s;
            uint32_t *n = which ? &t.vars : &t.blocks;
            int used = 0;
            for (uint32_t i = 0; i < t.edges; i++)
                used |= t.edge[i].from == *n - 1 + (which ? MAX_BLOCKS : 0) ||
                        (!which && t.edge[i].to == *n - 1);
            if (*n <= (which ? 0u : 1u) || used)
                continue;
            --*n;
            for (uint32_t i = 0; i < t.blocks; i++)
                t.place[i] = i;
            if (check(&t)) {
                *s = t;
                changed = 1;
            }
        }
    }
}

/* Runs the check on `rounds` random graphs; a failure is shrunk and printed with its seed. */
static int sketch_run(uint64_t seed, unsigned rounds, sketch_check check) {
    for (unsigned i = 0; i < rounds; i++) {
        struct sketch s;
        rng_state = (seed + i) * UINT64_C(0x9e3779b97f4a7c15) + 1;
        sketch_random(&s);
        const char *what = check(&s);
        if (!what)
            continue;
        fprintf(stderr, "seed %llu: %s\n", (unsigned long long)(seed + i), what);
        sketch_shrink(&s, check);
        what = check(&s);
        sketch_print(&s, what ? what : "(no longer fails)");
        return 1;
    }
    return 0;
}

static inline uint64_t seed_from_environment(void) {
    const char *text = getenv("WH_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240218;
    fprintf(stderr, "WH_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

#endif
