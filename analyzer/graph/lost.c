/* Lost blocks: which of them are roots of what is lost, which form cycles, which hang below.
 *
 * Strongly connected components (Tarjan, explicit stack) of the graph among the lost blocks; a
 * component that no other lost block refers to is a root or, with two blocks or more, a cycle. Each
 * gives one leader, the block born first, so that the choice does not depend on addresses. */
#include "analyzer/graph/graph_internal.h"

struct tarjan {
    const struct wh_out *out;
    const struct wh_graph *graph;
    uint32_t *index;  /* visit number + 1; 0 = not visited */
    uint32_t *low;    /* smallest visit number reachable; afterwards the component */
    uint32_t *cursor; /* next edge to look at */
    uint32_t *caller; /* the explicit call stack: who came to me */
    uint32_t *open;   /* vertices without a component yet */
    uint8_t *closed;
    uint32_t visits, open_count, components;
};

static void tarjan_release(struct tarjan *t) {
    free(t->index);
    free(t->low);
    free(t->cursor);
    free(t->caller);
    free(t->open);
    free(t->closed);
}

static void enter(struct tarjan *t, uint32_t v, uint32_t from) {
    t->index[v] = t->low[v] = ++t->visits;
    t->cursor[v] = wh_out_begin(t->out, v);
    t->caller[v] = from;
    t->open[t->open_count++] = v;
}

/* v is the first visited of its component: takes the component off the open stack. */
static void close_component(struct tarjan *t, uint32_t v) {
    uint32_t w;
    do {
        w = t->open[--t->open_count];
        t->closed[w] = 1;
        t->low[w] = t->components;
    } while (w != v);
    t->components++;
}

static void visit(struct tarjan *t, uint32_t start) {
    uint32_t v = start;
    enter(t, v, WH_GRAPH_NONE);
    while (v != WH_GRAPH_NONE) {
        if (t->cursor[v] < wh_out_end(t->out, v)) {
            uint32_t edge = t->cursor[v]++, w = t->out->items[edge].to;
            if (!wh_graph_is_kept(t->graph, edge)) /* what is lost keeps nothing but lost blocks */
                continue;
            if (!t->index[w]) {
                enter(t, w, v);
                v = w;
            } else if (!t->closed[w] && t->index[w] < t->low[v]) {
                t->low[v] = t->index[w];
            }
            continue;
        }
        uint32_t back = t->caller[v];
        uint32_t low = t->low[v];
        if (low == t->index[v])
            close_component(t, v);
        if (back != WH_GRAPH_NONE && low < t->low[back])
            t->low[back] = low;
        v = back;
    }
}

/* Classifies the components; leaders[component] ends as its first-born block. */
static void classify(const struct wh_heap *heap, struct wh_graph *graph, const struct tarjan *t,
                     uint32_t *size, uint32_t *leaders, uint8_t *referred) {
    for (uint32_t v = 0; v < graph->blocks; v++) {
        if (graph->strength[v])
            continue;
        uint32_t c = t->low[v];
        if (size[c]++ == 0 || heap->nodes[v].allocation_id < heap->nodes[leaders[c]].allocation_id)
            leaders[c] = v;
        for (uint32_t i = wh_out_begin(t->out, v); i < wh_out_end(t->out, v); i++)
            if (wh_graph_is_kept(graph, i) && t->low[t->out->items[i].to] != c)
                referred[t->low[t->out->items[i].to]] = 1;
    }
    for (uint32_t v = 0; v < graph->blocks; v++) {
        if (graph->strength[v])
            continue;
        uint32_t c = t->low[v];
        if (referred[c])
            graph->lost_state[v] = WH_LOST_INDIRECT;
        else
            graph->lost_state[v] = size[c] > 1 ? WH_LOST_CYCLE : WH_LOST_ROOT;
        if (graph->lost_state[v] == WH_LOST_CYCLE)
            graph->lost_cycle[v] = size[c];
    }
}

/* Keeps the leaders of components that nothing lost refers to, first-born first. */
static uint32_t choose_leaders(const struct wh_heap *heap, uint32_t *leaders,
                               const uint8_t *referred, uint32_t components) {
    uint32_t count = 0;
    for (uint32_t c = 0; c < components; c++)
        if (!referred[c])
            leaders[count++] = leaders[c];
    wh_heap_sort_births(heap, leaders, count);
    return count;
}

int wh_graph_lost(const struct wh_heap *heap, struct wh_graph *graph, const struct wh_out *out,
                  uint32_t **ret_leaders, uint32_t *ret_count, struct wh_error *error) {
    uint32_t n = graph->blocks, lost = 0;
    *ret_leaders = NULL;
    *ret_count = 0;
    for (uint32_t v = 0; v < n; v++)
        lost += graph->strength[v] == 0;
    if (!lost)
        return 0;
    struct tarjan t = {.out = out, .graph = graph};
    t.index = wh_graph_array(n, sizeof(*t.index), error);
    t.low = wh_graph_array(n, sizeof(*t.low), error);
    t.cursor = wh_graph_array(n, sizeof(*t.cursor), error);
    t.caller = wh_graph_array(n, sizeof(*t.caller), error);
    t.open = wh_graph_array(lost, sizeof(*t.open), error);
    t.closed = wh_graph_array(n, 1, error);
    uint32_t *size = wh_graph_array(lost, sizeof(*size), error);
    uint32_t *leaders = wh_graph_array(lost, sizeof(*leaders), error);
    uint8_t *referred = wh_graph_array(lost, 1, error);
    int r = WH_ESYSTEM;
    if (t.index && t.low && t.cursor && t.caller && t.open && t.closed && size && leaders &&
        referred) {
        for (uint32_t v = 0; v < n; v++)
            if (!graph->strength[v] && !t.index[v])
                visit(&t, v);
        classify(heap, graph, &t, size, leaders, referred);
        *ret_count = choose_leaders(heap, leaders, referred, t.components);
        *ret_leaders = leaders;
        leaders = NULL;
        r = 0;
    }
    free(size);
    free(leaders);
    free(referred);
    tarjan_release(&t);
    return r;
}
