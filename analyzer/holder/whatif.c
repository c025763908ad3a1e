/* Dropping variables and references, and walking the graph again. */
#include "analyzer/holder/whatif.h"

#include <stdlib.h>
#include <string.h>

#include "base/string.h"

struct question {
    struct wh_holding *h;
    uint8_t *variable; /* per variable: dropped */
    uint8_t *edge;     /* per heap edge: dropped */
    uint8_t *target;   /* per path node: its references are dropped */
    uint8_t *source;   /* per path node: its blocks hold such references */
    struct wh_whatif *answer;
    struct wh_error *error;
};

static const char *text_of(const struct wh_paths *p, uint32_t node) {
    uint32_t star = p->nodes[node].star_child;
    return p->nodes[star == WH_PATH_NONE ? node : star].text;
}

static uint32_t drop_variables(struct question *q, const char *name) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < q->h->variables.count; i++)
        if (strcmp(q->h->variables.items[i].name, name) == 0) {
            q->variable[i] = 1;
            found++;
        }
    q->answer->variables += found;
    return found;
}

static uint32_t mark_paths(struct question *q, const char *text) {
    const struct wh_paths *p = &q->h->paths;
    uint32_t found = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        if (strcmp(text_of(p, i), text) != 0 && strcmp(p->nodes[i].holder, text) != 0)
            continue;
        q->target[i] = 1;
        if (p->nodes[i].parent != WH_PATH_NONE)
            q->source[p->nodes[i].parent] = 1;
        if (p->nodes[i].star || p->nodes[i].loop)
            q->source[i] = 1;
        found++;
    }
    return found;
}

/* Does this reference, which no strongest path takes, read as the dropped path? */
static int reads_as(struct question *q, struct wh_reader *reader, uint32_t edge,
                    const struct wh_heap_edge *e, const char *text, int *ret) {
    struct wh_holding *h = q->h;
    const struct wh_path_node *from = NULL;
    struct wh_reading reading;
    char step[2048];
    *ret = 0;
    if (!(e->from & WH_FROM_ROOT)) {
        uint32_t node = h->paths.node_of[e->from];
        if (node == WH_PATH_NONE || !q->source[node])
            return 0;
        from = &h->paths.nodes[node];
    }
    int status = wh_reader_read(reader, edge, from ? from->type : NULL, from ? from->elements : 0,
                                &reading, q->error);
    if (status < 0)
        return status;
    wh_reading_text(&reading, from ? from->field : NULL, from ? from->creator_name : "", 1, step,
                    sizeof(step));
    const char *before = from ? text_of(&h->paths, h->paths.node_of[e->from]) : "";
    size_t length = strlen(before);
    *ret = strncmp(text, before, length) == 0 && strcmp(text + length, step) == 0;
    return 0;
}

static int drop_edges(struct question *q, const char *text) {
    struct wh_holding *h = q->h;
    struct wh_reader *reader = NULL;
    int status = wh_reader_open(h, &reader, q->error);
    struct wh_edge_walk w = {.edges = &h->heap.edges};
    while (status == 0 && wh_edge_next(&w)) {
        uint64_t i = w.index;
        uint32_t to = w.edge.to, node = h->paths.node_of[to];
        int drop = node != WH_PATH_NONE && q->target[node] && h->graph.tree_edge[to] == i;
        if (!drop && w.edge.edge_class != WH_EDGE_SUSPECT)
            status = reads_as(q, reader, (uint32_t)i, &w.edge, text, &drop);
        if (drop && !q->edge[i]) {
            q->edge[i] = 1;
            q->answer->edges++;
        }
    }
    wh_reader_close(reader);
    return status;
}

static int apply(struct question *q, const char *drop) {
    if (drop_variables(q, drop))
        return 0;
    if (!mark_paths(q, drop)) {
        const char *near = wh_holding_nearest(q->h, drop);
        return wh_fail(q->error, WH_ENOTFOUND,
                       "'%s' is neither a root variable nor a path%s%s%s `whoholds holders` and "
                       "`whoholds holders --paths` list them",
                       drop, near ? "; is '" : ":", near ? near : "", near ? "' meant?" : "");
    }
    return drop_edges(q, drop);
}

/* Does the block's strongest path go through something that is dropped? */
static int goes_through(const struct question *q, uint32_t block) {
    const struct wh_graph *g = &q->h->graph;
    uint32_t v = block;
    for (; v < g->blocks; v = g->tree_parent[v])
        if (g->tree_edge[v] == WH_GRAPH_NONE || q->edge[g->tree_edge[v]])
            return g->tree_edge[v] != WH_GRAPH_NONE;
    return v < g->lost && q->variable[v - g->blocks];
}

static int by_bytes(const void *a, const void *b) {
    const struct wh_whatif_row *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return strcmp(x->name, y->name);
}

struct sum {
    struct wh_map map;
    struct wh_whatif_row *rows;
    uint32_t count;
    size_t room;
};

static int add(struct question *q, struct sum *s, const char *name, uint64_t bytes) {
    name = wh_names_intern(&q->h->texts, name);
    struct wh_key key = {(uintptr_t)name, 0, 0};
    uint32_t index = name ? wh_map_find(&s->map, key) : WH_MAP_NONE;
    if (index == WH_MAP_NONE) {
        index = s->count;
        if (!name || wh_array_reserve(&s->rows, &s->room, (size_t)index + 1, sizeof(*s->rows)) < 0)
            return wh_fail(q->error, WH_ESYSTEM, "no memory for the answer");
        int status = wh_map_add(&s->map, key, index, q->error);
        if (status < 0)
            return status;
        s->rows[s->count++] = (struct wh_whatif_row){.name = name};
    }
    s->rows[index].bytes += bytes;
    s->rows[index].objects++;
    return 0;
}

/* The graph without what is dropped, solved again: who keeps what stays. */
static int solve_rest(struct question *q, struct wh_graph *rest) {
    struct wh_holding *h = q->h;
    for (uint64_t i = 0; i < h->heap.edges.count; i++)
        if (q->edge[i])
            wh_edges_change(&h->heap.edges, i, WH_EDGE_SUSPECT, WH_EVIDENCE_NONE);
    for (uint32_t i = 0; i < h->variables.count; i++)
        if (q->variable[i])
            h->variables.graph[i].strength = 0;
    return wh_graph_solve(&h->input, rest, q->error);
}

static int answer(struct question *q) {
    struct wh_holding *h = q->h;
    struct wh_graph rest = {0};
    struct sum freed = {0}, kept = {0};
    uint32_t blocks = h->graph.blocks;
    uint8_t *through = calloc(blocks ? blocks : 1, 1);
    int status = through ? 0 : wh_fail(q->error, WH_ESYSTEM, "no memory for the answer");
    for (uint32_t b = 0; b < blocks && status == 0; b++)
        through[b] = h->graph.lost_state[b] == WH_LOST_NOT && goes_through(q, b);
    if (status == 0)
        status = solve_rest(q, &rest);
    for (uint32_t b = 0; b < blocks && status == 0; b++) {
        uint64_t size = h->heap.nodes[b].size;
        if (through[b]) {
            q->answer->through_bytes += size;
            q->answer->through_objects++;
        }
        if (h->graph.lost_state[b] == WH_LOST_NOT && rest.lost_state[b] != WH_LOST_NOT) {
            q->answer->freed_bytes += size;
            q->answer->freed_objects++;
            status = add(q, &freed, wh_holding_creator(h, b), size);
        } else if (through[b]) {
            uint32_t v = b;
            while (v < blocks)
                v = rest.tree_parent[v];
            status = add(q, &kept, h->variables.items[v - blocks].name, size);
        }
    }
    wh_graph_release(&rest);
    free(through);
    wh_map_release(&freed.map);
    wh_map_release(&kept.map);
    q->answer->freed = freed.rows;
    q->answer->freed_count = freed.count;
    q->answer->kept = kept.rows;
    q->answer->kept_count = kept.count;
    if (freed.count)
        qsort(freed.rows, freed.count, sizeof(*freed.rows), by_bytes);
    if (kept.count)
        qsort(kept.rows, kept.count, sizeof(*kept.rows), by_bytes);
    return status;
}

int wh_whatif(struct wh_holding *h, const char *const *drops, uint32_t drop_count,
              struct wh_whatif *ret, struct wh_error *error) {
    *ret = (struct wh_whatif){0};
    struct question q = {.h = h, .answer = ret, .error = error};
    uint32_t nodes = h->paths.count ? h->paths.count : 1;
    q.variable = calloc(h->variables.count ? h->variables.count : 1, 1);
    q.edge = calloc(h->heap.edges.count + 1, 1);
    q.target = calloc(nodes, 1);
    q.source = calloc(nodes, 1);
    int status = q.variable && q.edge && q.target && q.source
                     ? 0
                     : wh_fail(error, WH_ESYSTEM, "no memory for the question");
    for (uint32_t i = 0; i < drop_count && status == 0; i++) {
        memset(q.target, 0, nodes);
        memset(q.source, 0, nodes);
        status = apply(&q, drops[i]);
    }
    if (status == 0)
        status = answer(&q);
    free(q.variable);
    free(q.edge);
    free(q.target);
    free(q.source);
    if (status < 0)
        wh_whatif_release(ret);
    return status;
}

void wh_whatif_release(struct wh_whatif *w) {
    free(w->freed);
    free(w->kept);
    *w = (struct wh_whatif){0};
}
