/* Shared ownership: which variables keep the blocks that no single variable dominates.
 *
 * Everything under one child of the super-root in the dominator tree has the same holders, and an
 * edge can enter such a subtree only at its head. So it is enough to work on heads and variables: a
 * graph that is usually thousands of times smaller. Masks of the 63 heaviest variables (and one bit
 * for the others) run through its strongly connected components in topological order, which
 * Tarjan's algorithm over *incoming* edges yields by itself: a component closes after all that can
 * reach it. */
#include "analyzer/graph/graph_internal.h"

#include <string.h>

struct share {
    struct wh_graph *graph;
    const struct wh_dfs *dfs;
    uint32_t *head_of; /* block -> index in heads, or NONE */
    uint64_t *mask;    /* per head */
    uint32_t *index, *low, *cursor, *caller, *open;
    uint8_t *closed;
    uint32_t visits, open_count;
};

static int is_head(const struct wh_graph *g, uint32_t v) {
    return v < g->blocks && g->top[v] == v;
}

/* The child of the super-root that v belongs to. */
static uint32_t top_of(const struct wh_graph *g, uint32_t v) {
    return v < g->blocks ? g->top[v] : v;
}

static int list_heads(struct share *s, struct wh_error *error) {
    struct wh_graph *g = s->graph;
    for (uint32_t b = 0; b < g->blocks; b++)
        g->head_count += is_head(g, b) ? 1 : 0;
    g->heads = wh_graph_array(g->head_count, sizeof(*g->heads), error);
    g->head_mask = wh_graph_array(g->head_count, sizeof(*g->head_mask), error);
    s->head_of = wh_graph_array(g->blocks, sizeof(*s->head_of), error);
    if (!g->heads || !g->head_mask || !s->head_of)
        return WH_ESYSTEM;
    s->mask = g->head_mask;
    uint32_t at = 0;
    for (uint32_t b = 0; b < g->blocks; b++) {
        s->head_of[b] = is_head(g, b) ? at : WH_GRAPH_NONE;
        if (is_head(g, b))
            g->heads[at++] = b;
    }
    return 0;
}

struct candidate {
    uint64_t bytes;
    uint32_t variable;
};

static int by_bytes(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->variable < y->variable ? -1 : x->variable > y->variable;
}

/* Bits go to the variables with the most bytes of their own or one step away. */
static int assign_bits(struct share *s, struct wh_error *error) {
    struct wh_graph *g = s->graph;
    struct candidate *all = wh_graph_array(g->variables, sizeof(*all), error);
    if (!all)
        return WH_ESYSTEM;
    for (uint32_t i = 0; i < g->variables; i++) {
        all[i] = (struct candidate){g->retained_bytes[g->blocks + i], i};
        g->variable_bit[i] = 63;
    }
    for (uint32_t h = 0; h < g->head_count; h++) {
        uint32_t n = s->dfs->number[g->heads[h]];
        for (uint32_t e = s->dfs->in.offset[n]; e <= s->dfs->in.offset[n + 1]; e++) {
            /* one more than the list has: the depth-first tree's own edge */
            uint32_t p = e < s->dfs->in.offset[n + 1] ? s->dfs->in.target[e] : s->dfs->parent[n];
            uint32_t t = top_of(g, s->dfs->vertex[p]);
            if (t >= g->blocks && t < g->lost)
                all[t - g->blocks].bytes += g->retained_bytes[g->heads[h]];
        }
    }
    qsort(all, g->variables, sizeof(*all), by_bytes);
    for (uint32_t bit = 0; bit < 64; bit++)
        g->bit_variable[bit] = WH_GRAPH_NONE;
    for (uint32_t i = 0; i < g->variables && i < 63 && all[i].bytes; i++) {
        g->bit_variable[i] = all[i].variable;
        g->variable_bit[all[i].variable] = (uint8_t)i;
    }
    free(all);
    return 0;
}

static uint64_t variable_mask(const struct wh_graph *g, uint32_t vertex) {
    return UINT64_C(1) << g->variable_bit[vertex - g->blocks];
}

static void enter(struct share *s, uint32_t h, uint32_t from) {
    s->index[h] = s->low[h] = ++s->visits;
    s->cursor[h] = 0;
    s->caller[h] = from;
    s->open[s->open_count++] = h;
}

/* The k-th incoming neighbour of head h (the tree edge last); 0 = no more. */
static int incoming(const struct share *s, uint32_t h, uint32_t k, uint32_t *ret_top) {
    uint32_t n = s->dfs->number[s->graph->heads[h]];
    uint32_t first = s->dfs->in.offset[n], count = s->dfs->in.offset[n + 1] - first;
    if (k > count)
        return 0;
    uint32_t p = k < count ? s->dfs->in.target[first + k] : s->dfs->parent[n];
    *ret_top = top_of(s->graph, s->dfs->vertex[p]);
    return 1;
}

static void close_component(struct share *s, uint32_t h) {
    uint64_t mask = 0;
    uint32_t first = s->open_count;
    do {
        mask |= s->mask[s->open[--first]];
    } while (s->open[first] != h);
    for (uint32_t i = first; i < s->open_count; i++) {
        s->mask[s->open[i]] = mask;
        s->closed[s->open[i]] = 1;
    }
    s->open_count = first;
}

static void visit(struct share *s, uint32_t start) {
    uint32_t h = start, top;
    enter(s, h, WH_GRAPH_NONE);
    while (h != WH_GRAPH_NONE) {
        if (incoming(s, h, s->cursor[h], &top)) {
            s->cursor[h]++;
            if (top >= s->graph->blocks) {
                s->mask[h] |= variable_mask(s->graph, top);
                continue;
            }
            uint32_t p = s->head_of[top];
            if (!s->index[p]) {
                enter(s, p, h);
                h = p;
            } else if (s->closed[p]) {
                s->mask[h] |= s->mask[p];
            } else if (s->index[p] < s->low[h]) {
                s->low[h] = s->index[p];
            }
            continue;
        }
        uint32_t back = s->caller[h], low = s->low[h];
        if (low == s->index[h])
            close_component(s, h);
        if (back != WH_GRAPH_NONE) {
            if (s->closed[h])
                s->mask[back] |= s->mask[h];
            else if (low < s->low[back])
                s->low[back] = low;
        }
        h = back;
    }
}

static uint32_t holders_of(uint64_t mask) {
    uint32_t count = (uint32_t)__builtin_popcountll(mask);
    return count < 2 ? 2 : count; /* a head has two independent holders by definition */
}

static int by_mask(const void *a, const void *b) {
    uint64_t x = ((const struct wh_share_group *)a)->mask,
             y = ((const struct wh_share_group *)b)->mask;
    return x < y ? -1 : x > y;
}

static int by_group_bytes(const void *a, const void *b) {
    const struct wh_share_group *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return by_mask(a, b);
}

static int make_groups(struct wh_graph *g, struct wh_error *error) {
    g->groups = wh_graph_array(g->head_count, sizeof(*g->groups), error);
    if (!g->groups)
        return WH_ESYSTEM;
    for (uint32_t h = 0; h < g->head_count; h++)
        g->groups[h] =
            (struct wh_share_group){g->head_mask[h], g->retained_bytes[g->heads[h]],
                                    g->retained_objects[g->heads[h]], holders_of(g->head_mask[h])};
    qsort(g->groups, g->head_count, sizeof(*g->groups), by_mask);
    for (uint32_t h = 0; h < g->head_count; h++) {
        if (g->group_count && g->groups[g->group_count - 1].mask == g->groups[h].mask) {
            g->groups[g->group_count - 1].bytes += g->groups[h].bytes;
            g->groups[g->group_count - 1].objects += g->groups[h].objects;
        } else {
            g->groups[g->group_count++] = g->groups[h];
        }
    }
    qsort(g->groups, g->group_count, sizeof(*g->groups), by_group_bytes);
    return 0;
}

/* Divides a group's bytes among its holders; what does not divide goes to the first ones, so that
 * nothing is lost by rounding. */
static void sum_group(struct wh_graph *g, const struct wh_share_group *group) {
    uint64_t part = group->bytes / group->holders, rest = group->bytes % group->holders;
    for (uint32_t bit = 0; bit < 63; bit++) {
        if (!(group->mask >> bit & 1))
            continue;
        struct wh_share_sum *sum = &g->sums[g->bit_variable[bit]];
        sum->reachable_bytes += group->bytes;
        sum->reachable_objects += group->objects;
        sum->effective_bytes += part + (rest ? 1 : 0);
        rest -= rest ? 1 : 0;
    }
}

static void make_sums(struct wh_graph *g) {
    for (uint32_t i = 0; i < g->variables; i++) {
        struct wh_share_sum *sum = &g->sums[i];
        sum->exclusive_bytes = g->retained_bytes[g->blocks + i];
        sum->exclusive_objects = g->retained_objects[g->blocks + i];
        int known = g->variable_bit[i] < 63 || sum->exclusive_bytes == 0;
        sum->reachable_bytes = known ? sum->exclusive_bytes : WH_SHARE_UNKNOWN;
        sum->effective_bytes = sum->reachable_bytes;
        sum->reachable_objects = sum->exclusive_objects;
    }
    for (uint32_t i = 0; i < g->group_count; i++)
        sum_group(g, &g->groups[i]);
}

static int propagate(struct share *s, struct wh_error *error) {
    uint32_t heads = s->graph->head_count;
    s->index = wh_graph_array(heads, sizeof(*s->index), error);
    s->low = wh_graph_array(heads, sizeof(*s->low), error);
    s->cursor = wh_graph_array(heads, sizeof(*s->cursor), error);
    s->caller = wh_graph_array(heads, sizeof(*s->caller), error);
    s->open = wh_graph_array(heads, sizeof(*s->open), error);
    s->closed = wh_graph_array(heads, 1, error);
    if (!s->index || !s->low || !s->cursor || !s->caller || !s->open || !s->closed)
        return WH_ESYSTEM;
    for (uint32_t h = 0; h < heads; h++)
        if (!s->index[h])
            visit(s, h);
    return 0;
}

int wh_graph_share(struct wh_graph *graph, const struct wh_dfs *dfs, struct wh_error *error) {
    struct share s = {.graph = graph, .dfs = dfs};
    graph->variable_bit = wh_graph_array(graph->variables, 1, error);
    graph->sums = wh_graph_array(graph->variables, sizeof(*graph->sums), error);
    int r = graph->variable_bit && graph->sums ? list_heads(&s, error) : WH_ESYSTEM;
    if (r == 0)
        r = assign_bits(&s, error);
    if (r == 0)
        r = propagate(&s, error);
    if (r == 0)
        r = make_groups(graph, error);
    if (r == 0)
        make_sums(graph);
    free(s.head_of);
    free(s.index);
    free(s.low);
    free(s.cursor);
    free(s.caller);
    free(s.open);
    free(s.closed);
    return r;
}

uint64_t wh_graph_mask(const struct wh_graph *graph, uint32_t block) {
    uint32_t top = graph->top[block];
    if (top == graph->lost)
        return 0;
    if (top >= graph->blocks)
        return variable_mask(graph, top);
    uint32_t low = 0, high = graph->head_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (graph->heads[middle] < top)
            low = middle + 1;
        else
            high = middle;
    }
    return graph->head_mask[low];
}

uint32_t wh_graph_holders(const struct wh_graph *graph, uint32_t block) {
    uint32_t top = graph->top[block];
    if (top == graph->lost)
        return 0;
    return top >= graph->blocks ? 1 : holders_of(wh_graph_mask(graph, block));
}
