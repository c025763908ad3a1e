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

/* Heads are numbered as the depth-first walk met them: `in`, `parent` and `owner` of neighbours lie
 * side by side then. graph->heads has them by block, for wh_graph_mask(). */
struct head {
    uint64_t mask;
    uint32_t number; /* in the walk */
    uint32_t index;  /* visit number + 1; 0 = not visited */
    uint32_t low;    /* smallest visit number reachable; CLOSED once the component is complete */
    uint32_t cursor; /* next neighbour to look at */
    uint32_t caller; /* the explicit call stack: who came to me */
};
#define CLOSED UINT32_MAX

struct share {
    struct wh_graph *graph;
    const struct wh_dfs *dfs;
    struct head *heads;
    uint32_t *open;     /* heads without a component yet */
    uint32_t *variable; /* per variable: its number in the walk */
    uint32_t visits, open_count;
};

static uint64_t head_bytes(const struct share *s, uint32_t h) {
    return s->dfs->bytes[s->heads[h].number];
}

static int list_heads(struct share *s, struct wh_error *error) {
    const struct wh_dfs *dfs = s->dfs;
    s->heads = wh_graph_array(dfs->heads, sizeof(*s->heads), error);
    s->open = wh_graph_room(dfs->heads, sizeof(*s->open), error);
    s->variable = wh_graph_room(s->graph->variables, sizeof(*s->variable), error);
    if (!s->heads || !s->open || !s->variable)
        return WH_ESYSTEM;
    for (uint32_t i = 1; i < dfs->count; i++) {
        if (dfs->idom[i] != 0) /* everything below the super-root is a variable, LOST or a head */
            continue;
        if (dfs->owner[i] & WH_OWNER_HEAD)
            s->heads[dfs->owner[i] & ~WH_OWNER_HEAD].number = i;
        else if (dfs->vertex[i] < s->graph->lost)
            s->variable[dfs->vertex[i] - s->graph->blocks] = i;
    }
    return 0;
}

/* Blocks as bits, and how many are set before each word. */
struct rank {
    uint64_t bits;
    uint32_t before;
};

/* The heads and their masks in the order of their blocks. */
static int publish_heads(struct share *s, struct wh_error *error) {
    struct wh_graph *g = s->graph;
    uint32_t words = g->blocks / 64 + 1, count = s->dfs->heads;
    struct rank *ranks = wh_graph_array(words, sizeof(*ranks), error);
    g->heads = wh_graph_room(count, sizeof(*g->heads), error);
    g->head_mask = wh_graph_room(count, sizeof(*g->head_mask), error);
    if (!ranks || !g->heads || !g->head_mask) {
        free(ranks);
        return WH_ESYSTEM;
    }
    for (uint32_t h = 0; h < count; h++) {
        uint32_t v = s->dfs->vertex[s->heads[h].number];
        ranks[v / 64].bits |= UINT64_C(1) << v % 64;
    }
    for (uint32_t w = 1; w < words; w++)
        ranks[w].before = ranks[w - 1].before + (uint32_t)__builtin_popcountll(ranks[w - 1].bits);
    for (uint32_t h = 0; h < count; h++) {
        uint32_t v = s->dfs->vertex[s->heads[h].number];
        uint64_t lower = ranks[v / 64].bits & ((UINT64_C(1) << v % 64) - 1);
        uint32_t at = ranks[v / 64].before + (uint32_t)__builtin_popcountll(lower);
        g->heads[at] = v;
        g->head_mask[at] = s->heads[h].mask;
    }
    g->head_count = count;
    free(ranks);
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

/* The k-th incoming neighbour of head h (the tree edge last) as an owner; 0 = no more. */
static inline int incoming(const struct share *s, uint32_t h, uint32_t k, uint32_t *ret_owner) {
    const struct wh_dfs *dfs = s->dfs;
    uint32_t n = s->heads[h].number, first = dfs->in.offset[n],
             count = dfs->in.offset[n + 1] - first;
    if (k > count)
        return 0;
    *ret_owner = dfs->owner[k < count ? dfs->in.target[first + k] : dfs->parent[n]];
    return 1;
}

/* Bits go to the variables with the most bytes of their own or one step away. */
static int assign_bits(struct share *s, struct wh_error *error) {
    struct wh_graph *g = s->graph;
    struct candidate *all = wh_graph_array(g->variables, sizeof(*all), error);
    if (!all)
        return WH_ESYSTEM;
    for (uint32_t i = 0; i < g->variables; i++) {
        all[i] = (struct candidate){s->dfs->bytes[s->variable[i]], i};
        g->variable_bit[i] = 63;
    }
    for (uint32_t h = 0, owner; h < s->dfs->heads; h++)
        for (uint32_t k = 0; incoming(s, h, k, &owner); k++)
            if (!(owner & WH_OWNER_HEAD) && owner < g->lost)
                all[owner - g->blocks].bytes += head_bytes(s, h);
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
    struct head *head = &s->heads[h];
    head->index = head->low = ++s->visits;
    head->caller = from;
    s->open[s->open_count++] = h;
}

static void close_component(struct share *s, uint32_t h) {
    uint64_t mask = 0;
    uint32_t first = s->open_count;
    do {
        mask |= s->heads[s->open[--first]].mask;
    } while (s->open[first] != h);
    for (uint32_t i = first; i < s->open_count; i++) {
        s->heads[s->open[i]].mask = mask;
        s->heads[s->open[i]].low = CLOSED;
    }
    s->open_count = first;
}

static void visit(struct share *s, uint32_t start) {
    uint32_t h = start, owner;
    enter(s, h, WH_GRAPH_NONE);
    while (h != WH_GRAPH_NONE) {
        struct head *head = &s->heads[h];
        if (incoming(s, h, head->cursor, &owner)) {
            head->cursor++;
            if (!(owner & WH_OWNER_HEAD)) {
                head->mask |= variable_mask(s->graph, owner);
                continue;
            }
            const struct head *other = &s->heads[owner & ~WH_OWNER_HEAD];
            if (!other->index) {
                enter(s, owner & ~WH_OWNER_HEAD, h);
                h = owner & ~WH_OWNER_HEAD;
            } else if (other->low == CLOSED) {
                head->mask |= other->mask;
            } else if (other->index < head->low) {
                head->low = other->index;
            }
            continue;
        }
        if (head->low == head->index)
            close_component(s, h);
        if (head->caller != WH_GRAPH_NONE) {
            struct head *back = &s->heads[head->caller];
            if (head->low == CLOSED)
                back->mask |= head->mask;
            else if (head->low < back->low)
                back->low = head->low;
        }
        h = head->caller;
    }
}

static uint32_t holders_of(uint64_t mask) {
    uint32_t count = (uint32_t)__builtin_popcountll(mask);
    return count < 2 ? 2 : count; /* a head has two independent holders by definition */
}

static int by_group_bytes(const void *a, const void *b) {
    const struct wh_share_group *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->mask < y->mask ? -1 : x->mask > y->mask;
}

/* Masks seen so far; open addressing. There are far fewer than heads. */
struct group_table {
    uint32_t *slots; /* index into groups + 1, 0 = free */
    uint32_t mask;
};

static uint32_t *group_slot(const struct group_table *t, const struct wh_share_group *groups,
                            uint64_t mask) {
    uint64_t hash = mask * UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t i = (uint32_t)(hash >> 32) & t->mask;; i = (i + 1) & t->mask)
        if (!t->slots[i] || groups[t->slots[i] - 1].mask == mask)
            return &t->slots[i];
}

static int grow_groups(struct wh_graph *g, struct group_table *t, struct wh_error *error) {
    uint32_t room = (t->mask + 1) * 2;
    free(t->slots);
    t->mask = room - 1;
    t->slots = wh_graph_array(room, sizeof(*t->slots), error);
    if (!t->slots)
        return WH_ESYSTEM;
    struct wh_share_group *more = realloc(g->groups, room / 2 * sizeof(*more));
    if (!more)
        return wh_fail(error, WH_ESYSTEM, "no memory for %u groups", room);
    g->groups = more;
    for (uint32_t i = 0; i < g->group_count; i++)
        *group_slot(t, g->groups, g->groups[i].mask) = i + 1;
    return 0;
}

static int make_groups(struct share *s, struct wh_error *error) {
    struct wh_graph *g = s->graph;
    struct group_table t = {.mask = 127};
    int r = grow_groups(g, &t, error);
    for (uint32_t h = 0; r == 0 && h < s->dfs->heads; h++) {
        uint32_t *slot = group_slot(&t, g->groups, s->heads[h].mask);
        if (!*slot) {
            g->groups[g->group_count++] = (struct wh_share_group){
                .mask = s->heads[h].mask, .holders = holders_of(s->heads[h].mask)};
            *slot = g->group_count;
        }
        g->groups[*slot - 1].bytes += head_bytes(s, h);
        g->groups[*slot - 1].objects += s->dfs->objects[s->heads[h].number];
        if (g->group_count > t.mask / 2)
            r = grow_groups(g, &t, error);
    }
    free(t.slots);
    if (r == 0)
        qsort(g->groups, g->group_count, sizeof(*g->groups), by_group_bytes);
    return r;
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

static void make_sums(const struct share *s) {
    struct wh_graph *g = s->graph;
    for (uint32_t i = 0; i < g->variables; i++) {
        struct wh_share_sum *sum = &g->sums[i];
        sum->exclusive_bytes = s->dfs->bytes[s->variable[i]];
        sum->exclusive_objects = s->dfs->objects[s->variable[i]];
        int known = g->variable_bit[i] < 63 || sum->exclusive_bytes == 0;
        sum->reachable_bytes = known ? sum->exclusive_bytes : WH_SHARE_UNKNOWN;
        sum->effective_bytes = sum->reachable_bytes;
        sum->reachable_objects = sum->exclusive_objects;
    }
    for (uint32_t i = 0; i < g->group_count; i++)
        sum_group(g, &g->groups[i]);
}

int wh_graph_share(struct wh_graph *graph, const struct wh_dfs *dfs, struct wh_error *error) {
    struct share s = {.graph = graph, .dfs = dfs};
    graph->variable_bit = wh_graph_array(graph->variables, 1, error);
    graph->sums = wh_graph_array(graph->variables, sizeof(*graph->sums), error);
    int r = graph->variable_bit && graph->sums ? list_heads(&s, error) : WH_ESYSTEM;
    if (r == 0)
        r = assign_bits(&s, error);
    for (uint32_t h = 0; r == 0 && h < dfs->heads; h++)
        if (!s.heads[h].index)
            visit(&s, h);
    if (r == 0)
        r = publish_heads(&s, error);
    if (r == 0)
        r = make_groups(&s, error);
    if (r == 0)
        make_sums(&s);
    free(s.heads);
    free(s.open);
    free(s.variable);
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
