/* Which paths to one block have nothing in common? Recomputed: dominators alone would give a floor,
 * not an answer. */
#include "analyzer/graph/graph_internal.h"

void wh_graph_path_release(struct wh_graph_path *path) {
    free(path->steps);
    *path = (struct wh_graph_path){0};
}

struct search {
    const struct wh_graph_input *input;
    const struct wh_csr *reversed;
    uint8_t *used;  /* per vertex: inside a path already found */
    uint8_t *seen;  /* per vertex: visited by this search */
    uint32_t *next; /* per vertex: the step towards the block */
    uint32_t *next_edge;
    uint32_t *queue;
};

/* Shortest path from any variable to the block over edges of class >= level from variables of at
 * least that strength. Returns the variable's vertex or NONE. */
static uint32_t search_level(struct search *s, uint32_t block, unsigned level) {
    uint32_t blocks = s->input->heap->node_count, head = 0, tail = 0, found = WH_GRAPH_NONE;
    for (uint32_t v = 0; v < s->reversed->vertices; v++)
        s->seen[v] = 0;
    s->seen[block] = 1;
    s->queue[tail++] = block;
    while (head < tail && found == WH_GRAPH_NONE) {
        uint32_t v = s->queue[head++];
        for (uint32_t e = s->reversed->offset[v]; e < s->reversed->offset[v + 1]; e++) {
            uint32_t u = s->reversed->target[e];
            if (s->seen[u] || s->used[u] ||
                s->input->heap->edges.items[s->reversed->edge[e]].edge_class < level)
                continue;
            if (u >= blocks && s->input->variables[u - blocks].strength < level)
                continue;
            s->seen[u] = 1;
            s->next[u] = v;
            s->next_edge[u] = s->reversed->edge[e];
            if (u < blocks)
                s->queue[tail++] = u;
            else if (found == WH_GRAPH_NONE || u < found)
                found = u; /* the step's other variables may still rank before it */
        }
    }
    return found;
}

static int keep_path(struct search *s, uint32_t variable, uint32_t block, unsigned level,
                     struct wh_graph_path *path, struct wh_error *error) {
    uint32_t length = 0;
    for (uint32_t v = variable; v != block; v = s->next[v])
        length++;
    path->steps = wh_graph_array(length, sizeof(*path->steps), error);
    if (!path->steps)
        return WH_ESYSTEM;
    path->length = length;
    path->variable = variable - s->input->heap->node_count;
    path->strength = (uint8_t)level;
    uint32_t at = 0;
    for (uint32_t v = variable; v != block; v = s->next[v]) {
        s->used[v] = 1;
        path->steps[at++] = s->next_edge[v];
    }
    return 0;
}

static void avoid(struct search *s, const struct wh_graph_path *path) {
    uint32_t blocks = s->input->heap->node_count;
    s->used[blocks + path->variable] = 1;
    for (uint32_t i = 0; i + 1 < path->length; i++)
        s->used[s->input->heap->edges.items[path->steps[i]].to] = 1;
}

int wh_graph_disjoint_paths(const struct wh_graph_input *input, const struct wh_csr *reversed,
                            uint32_t block, uint32_t max, struct wh_graph_path *paths,
                            uint32_t *count, struct wh_error *error) {
    struct search s = {.input = input, .reversed = reversed};
    uint32_t vertices = reversed->vertices;
    s.used = wh_graph_array(vertices, 1, error);
    s.seen = wh_graph_array(vertices, 1, error);
    s.next = wh_graph_array(vertices, sizeof(*s.next), error);
    s.next_edge = wh_graph_array(vertices, sizeof(*s.next_edge), error);
    s.queue = wh_graph_array(vertices, sizeof(*s.queue), error);
    int r = s.used && s.seen && s.next && s.next_edge && s.queue ? 0 : WH_ESYSTEM;
    for (uint32_t i = 0; r == 0 && i < *count; i++)
        avoid(&s, &paths[i]);
    for (unsigned level = WH_GRAPH_LEVELS - 1; r == 0 && level >= 1; level--) {
        uint32_t variable = 0;
        while (r == 0 && *count < max &&
               (variable = search_level(&s, block, level)) != WH_GRAPH_NONE) {
            r = keep_path(&s, variable, block, level, &paths[*count], error);
            *count += r == 0;
        }
    }
    free(s.used);
    free(s.seen);
    free(s.next);
    free(s.next_edge);
    free(s.queue);
    return r;
}
