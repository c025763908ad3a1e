/* Shared ownership: which variables keep the blocks that no single variable dominates.
 *
 * Everything under one child of the super-root in the dominator tree has the same holders, and an
 * edge can enter such a subtree only at its head. So it is enough to work on heads and variables: a
 * graph that is usually thousands of times smaller. Masks of the 63 heaviest variables (and one bit
 * for the others) run through its strongly connected components in topological order, which
 * Tarjan's algorithm over *incoming* edges yields by itself: a component closes after all that can
 * reach it. (Pearce's form of it: one number a head, and only those stay open that are not the root
 * of their component.) Heads are numbered as the depth-first walk met them. */
#include "analyzer/graph/graph_internal.h"

#include <string.h>

#include "base/string.h"

#define CLOSED UINT32_MAX

/* The explicit call stack. */
struct step {
    uint32_t head, cursor;
    int is_root; /* of its component, as far as is known */
};

struct share {
    struct wh_graph *graph;
    const struct wh_dfs *dfs;
    const struct wh_heads *heads;
    uint64_t *mask;     /* per head */
    uint32_t *visit;    /* per head: 0 = not visited; the lowest visit reachable; at last CLOSED */
    uint32_t *variable; /* per variable: its number in the walk */
    uint32_t *open;     /* heads without a component, which are not the root of theirs */
    struct step *steps;
    uint32_t open_count, open_room, visits;
    size_t depth, room;
};

void wh_heads_release(struct wh_heads *heads) {
    free(heads->number);
    free(heads->above);
    free(heads->offset);
    free(heads->owner);
    *heads = (struct wh_heads){0};
}

/* Neighbours that have one owner stand together mostly: it is listed once. The list of a head
 * begins at or before that of its number, so it is written over what was read. */
static void list_owners(struct wh_dfs *dfs, struct wh_heads *heads) {
    uint32_t at = 0;
    for (uint32_t h = 0; h < heads->count; h++) {
        uint32_t n = heads->number[h], before = dfs->owner[dfs->parent[n]];
        uint32_t first = dfs->in.offset[n], end = dfs->in.offset[n + 1];
        heads->above[h] = before;
        dfs->in.offset[h] = at;
        for (uint32_t i = first; i < end; i++) {
            uint32_t owner = dfs->owner[dfs->in.target[i]];
            if (owner == before)
                continue;
            dfs->in.target[at++] = owner;
            before = owner;
        }
    }
    dfs->in.offset[heads->count] = at;
}

static void shrink(uint32_t **array, size_t count) {
    uint32_t *less = realloc(*array, (count + 1) * sizeof(*less));
    *array = less ? less : *array;
}

int wh_graph_heads(struct wh_dfs *dfs, struct wh_heads *ret, struct wh_error *error) {
    *ret = (struct wh_heads){.count = dfs->heads};
    ret->number = wh_graph_room(dfs->heads, sizeof(*ret->number), error);
    ret->above = wh_graph_room(dfs->heads, sizeof(*ret->above), error);
    if (!ret->number || !ret->above) {
        wh_heads_release(ret);
        return WH_ESYSTEM;
    }
    for (uint32_t i = 1; i < dfs->count; i++)
        if (dfs->idom[i] == 0 && dfs->owner[i] & WH_OWNER_HEAD)
            ret->number[dfs->owner[i] & ~WH_OWNER_HEAD] = i;
    list_owners(dfs, ret);
    ret->offset = dfs->in.offset;
    ret->owner = dfs->in.target;
    dfs->in.offset = dfs->in.target = NULL;
    free(dfs->parent);
    dfs->parent = NULL;
    shrink(&ret->owner, ret->offset[ret->count]);
    shrink(&ret->offset, ret->count);
    return 0;
}

static uint64_t head_bytes(const struct share *s, uint32_t h) {
    return s->dfs->bytes[s->heads->number[h]];
}

static int open_share(struct share *s, struct wh_error *error) {
    const struct wh_dfs *dfs = s->dfs;
    const struct wh_graph *g = s->graph;
    s->mask = wh_graph_array(s->heads->count, sizeof(*s->mask), error);
    s->visit = wh_graph_array(s->heads->count, sizeof(*s->visit), error);
    s->variable = wh_graph_room(g->variables, sizeof(*s->variable), error);
    if (!s->mask || !s->visit || !s->variable)
        return WH_ESYSTEM;
    for (uint32_t i = 1; i < dfs->count; i++)
        if (dfs->vertex[i] >= g->blocks && dfs->vertex[i] < g->lost)
            s->variable[dfs->vertex[i] - g->blocks] = i;
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
    uint32_t words = g->blocks / 64 + 1, count = s->heads->count;
    struct rank *ranks = wh_graph_array(words, sizeof(*ranks), error);
    g->heads = wh_graph_room(count, sizeof(*g->heads), error);
    g->head_mask = wh_graph_room(count, sizeof(*g->head_mask), error);
    if (!ranks || !g->heads || !g->head_mask) {
        free(ranks);
        return WH_ESYSTEM;
    }
    for (uint32_t h = 0; h < count; h++) {
        uint32_t v = s->dfs->vertex[s->heads->number[h]];
        ranks[v / 64].bits |= UINT64_C(1) << v % 64;
    }
    for (uint32_t w = 1; w < words; w++)
        ranks[w].before = ranks[w - 1].before + (uint32_t)__builtin_popcountll(ranks[w - 1].bits);
    for (uint32_t h = 0; h < count; h++) {
        uint32_t v = s->dfs->vertex[s->heads->number[h]];
        uint64_t lower = ranks[v / 64].bits & ((UINT64_C(1) << v % 64) - 1);
        uint32_t at = ranks[v / 64].before + (uint32_t)__builtin_popcountll(lower);
        g->heads[at] = v;
        g->head_mask[at] = s->mask[h];
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

/* The k-th owner of a neighbour that refers to head h (the tree's last); 0 = no more. */
static inline int incoming(const struct share *s, uint32_t h, uint32_t k, uint32_t *ret_owner) {
    uint32_t first = s->heads->offset[h], count = s->heads->offset[h + 1] - first;
    if (k > count)
        return 0;
    *ret_owner = k < count ? s->heads->owner[first + k] : s->heads->above[h];
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
    for (uint32_t h = 0, owner; h < s->heads->count; h++)
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

static int enter(struct share *s, uint32_t h, struct wh_error *error) {
    if (wh_array_reserve(&s->steps, &s->room, s->depth + 1, sizeof(*s->steps)) < 0)
        return wh_fail(error, WH_ESYSTEM, "no memory for a graph of %zu items", s->depth);
    s->visit[h] = ++s->visits;
    s->steps[s->depth++] = (struct step){h, 0, 1};
    return 0;
}

/* What the step's head learns of another one, which was visited before or just now. */
static void learn(struct share *s, struct step *step, uint32_t other) {
    if (s->visit[other] == CLOSED) {
        s->mask[step->head] |= s->mask[other];
    } else if (s->visit[other] < s->visit[step->head]) {
        s->visit[step->head] = s->visit[other];
        step->is_root = 0;
    }
}

/* h is the root of its component, whose other heads lie on top of the open ones. */
static void close_component(struct share *s, uint32_t h) {
    uint64_t mask = s->mask[h];
    uint32_t first = s->open_count;
    while (first && s->visit[s->open[first - 1]] >= s->visit[h])
        mask |= s->mask[s->open[--first]];
    for (uint32_t i = first; i < s->open_count; i++) {
        s->mask[s->open[i]] = mask;
        s->visit[s->open[i]] = CLOSED;
    }
    s->mask[h] = mask;
    s->visit[h] = CLOSED;
    s->open_count = first;
}

static int leave(struct share *s, struct wh_error *error) {
    struct step done = s->steps[--s->depth];
    if (done.is_root) {
        close_component(s, done.head);
    } else {
        int r = wh_graph_grow(&s->open, &s->open_room, s->open_count + 1, error);
        if (r < 0)
            return r;
        s->open[s->open_count++] = done.head;
    }
    if (s->depth)
        learn(s, &s->steps[s->depth - 1], done.head);
    return 0;
}

static int visit(struct share *s, uint32_t start, struct wh_error *error) {
    uint32_t owner;
    int r = enter(s, start, error);
    while (r == 0 && s->depth) {
        struct step *step = &s->steps[s->depth - 1];
        if (!incoming(s, step->head, step->cursor, &owner)) {
            r = leave(s, error);
            continue;
        }
        step->cursor++;
        uint32_t other = owner & ~WH_OWNER_HEAD;
        if (!(owner & WH_OWNER_HEAD))
            s->mask[step->head] |= variable_mask(s->graph, owner);
        else if (s->visit[other])
            learn(s, step, other);
        else
            r = enter(s, other, error);
    }
    return r;
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
    for (uint32_t h = 0; r == 0 && h < s->heads->count; h++) {
        uint32_t *slot = group_slot(&t, g->groups, s->mask[h]);
        if (!*slot) {
            g->groups[g->group_count++] =
                (struct wh_share_group){.mask = s->mask[h], .holders = holders_of(s->mask[h])};
            *slot = g->group_count;
        }
        g->groups[*slot - 1].bytes += head_bytes(s, h);
        g->groups[*slot - 1].objects += s->dfs->objects[s->heads->number[h]];
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

int wh_graph_share(struct wh_graph *graph, const struct wh_dfs *dfs, const struct wh_heads *heads,
                   struct wh_error *error) {
    struct share s = {.graph = graph, .dfs = dfs, .heads = heads};
    graph->variable_bit = wh_graph_array(graph->variables, 1, error);
    graph->sums = wh_graph_array(graph->variables, sizeof(*graph->sums), error);
    int r = graph->variable_bit && graph->sums ? open_share(&s, error) : WH_ESYSTEM;
    if (r == 0)
        r = assign_bits(&s, error);
    for (uint32_t h = 0; r == 0 && h < heads->count; h++)
        if (!s.visit[h])
            r = visit(&s, h, error);
    if (r == 0)
        r = publish_heads(&s, error);
    if (r == 0)
        r = make_groups(&s, error);
    if (r == 0)
        make_sums(&s);
    free(s.mask);
    free(s.visit);
    free(s.variable);
    free(s.open);
    free(s.steps);
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
