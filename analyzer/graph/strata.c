/* Strength: for every block the best path by its worst step (widest path), and the holder graph.
 *
 * Six strata are worked off from the strongest down. A vertex taken in stratum L is worth exactly
 * L; its edges of class c promise min(L, c) to their targets, so nothing can be promised more than
 * the current stratum and each vertex waits in at most five buckets: O(V + E). */
#include "analyzer/graph/graph_internal.h"

struct bucket {
    uint32_t *items;
    uint32_t count, capacity;
};

static int push(struct bucket *b, uint32_t v, struct wh_error *error) {
    int r = wh_graph_grow(&b->items, &b->capacity, b->count + 1, error);
    if (r < 0)
        return r;
    b->items[b->count++] = v;
    return 0;
}

/* Takes every vertex waiting in `level` and promises strengths to their neighbours. strength[]
 * holds promises until done[] says that it is final. */
static int drain(struct wh_graph *graph, const struct wh_out *out, struct bucket *buckets,
                 unsigned level, uint8_t *done, struct wh_error *error) {
    struct bucket *mine = &buckets[level];
    while (mine->count) {
        uint32_t u = mine->items[--mine->count];
        if (done[u])
            continue;
        done[u] = 1;
        for (uint32_t at = wh_out_begin(out, u), end = wh_out_end(out, u); at < end; at++) {
            const struct wh_edge *e = &out->items[wh_out_edge(out, u, at)];
            uint32_t v = e->to;
            uint8_t c = e->edge_class;
            uint8_t worth = c < level ? c : (uint8_t)level;
            if (done[v] || worth <= graph->strength[v])
                continue;
            graph->strength[v] = worth;
            int r = push(&buckets[worth], v, error);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int wh_graph_strata(const struct wh_graph_input *input, struct wh_graph *graph,
                    const struct wh_out *out, struct wh_error *error) {
    struct bucket buckets[WH_GRAPH_LEVELS] = {0};
    uint8_t *done = wh_graph_array(graph->vertices, 1, error);
    int r = done ? 0 : WH_ESYSTEM;
    for (uint32_t i = 0; i < input->variable_count && r == 0; i++) {
        uint8_t s = input->variables[i].strength;
        if (s >= WH_GRAPH_LEVELS)
            s = WH_GRAPH_LEVELS - 1;
        graph->strength[graph->blocks + i] = s;
        if (s)
            r = push(&buckets[s], graph->blocks + i, error);
    }
    for (unsigned level = WH_GRAPH_LEVELS - 1; level >= 1 && r == 0; level--)
        r = drain(graph, out, buckets, level, done, error);
    for (unsigned level = 0; level < WH_GRAPH_LEVELS; level++)
        free(buckets[level].items);
    free(done);
    return r;
}

void wh_graph_keep(struct wh_graph *graph, const struct wh_out *out) {
    for (uint32_t u = 0; u < graph->lost; u++)
        for (uint32_t at = wh_out_begin(out, u), end = wh_out_end(out, u); at < end; at++) {
            uint32_t edge = wh_out_edge(out, u, at);
            const struct wh_edge *e = &out->items[edge];
            uint8_t c = e->edge_class, worth = c < graph->strength[u] ? c : graph->strength[u];
            if (c >= WH_EDGE_TAGGED && e->to != u && worth >= graph->strength[e->to])
                graph->kept[edge / 64] |= UINT64_C(1) << edge % 64;
        }
}
