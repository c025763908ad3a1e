/* The trie of grouped paths: growing it block by block, collapsing recursion, and giving every node
 * its text. Blocks are taken in order of birth and nothing but a node's ancestors decides where a
 * step leads, so the trie does not depend on addresses. */
#include "analyzer/holder/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/holder/holding.h"
#include "base/string.h"

#define LOOP_SEARCH 12 /* ancestors looked at for the beginning of a loop */
#define HOLDER_TEXTS                                                                               \
    400 /* with more different paths than this, holders are cut to the heavy ones */
#define UNTYPED_SIZE                                                                               \
    512 /* larger untyped blocks are arrays: their size says nothing about kind                    \
         */
#define PATH_TEXT 2048

struct builder {
    struct wh_holding *h;
    struct wh_reader *reader;
    struct wh_map index; /* (parent, creator), step, (type or size) -> node */
    uint32_t *pending;   /* blocks whose parents come first */
    uint32_t pending_room;
    struct wh_error *error;
};

static void node_free(struct wh_path_node *n) {
    free(n->field);
    free(n->star);
}

void wh_paths_release(struct wh_paths *p) {
    for (uint32_t i = 0; i < p->count; i++)
        node_free(&p->nodes[i]);
    free(p->nodes);
    free(p->node_of);
    free(p->rows);
    free(p->row_of);
    *p = (struct wh_paths){0};
}

/* --- growing -------------------------------------------------------------------------------------
 */

/* The kind of block that a step leads to. */
struct kind {
    const struct wh_type *type;
    uint32_t creator, size;
    int elements;
    const char *creator_name;
};

static uint64_t kind_key(const struct kind *k) {
    return k->type ? (uint64_t)(uintptr_t)k->type : (uint64_t)k->size << 1 | 1;
}

static int same_kind(const struct wh_path_node *n, const struct kind *k) {
    if (n->creator != k->creator || n->type != k->type)
        return 0;
    return n->type ? wh_type_kind(n->type) == WH_TYPE_STRUCT : n->size && n->size == k->size;
}

static int add_node(struct builder *b, struct wh_path_node node, const struct wh_reading *reading,
                    struct wh_key key, uint32_t *ret) {
    struct wh_paths *p = &b->h->paths;
    if (wh_array_reserve(&p->nodes, &p->room, (size_t)p->count + 1, sizeof(node)) < 0)
        return wh_fail(b->error, WH_ESYSTEM, "no memory for %u paths", p->count);
    if (reading->is_typed) {
        node.field = malloc(sizeof(*node.field));
        if (!node.field)
            return wh_fail(b->error, WH_ESYSTEM, "no memory for %u paths", p->count);
        *node.field = reading->field;
    }
    *ret = p->count;
    p->nodes[p->count++] = node;
    return wh_map_add(&b->index, key, *ret, b->error);
}

static int add_star_step(struct builder *b, struct wh_path_node *n, const char *step) {
    if (!n->star)
        n->star = calloc(1, sizeof(*n->star));
    if (!n->star)
        return wh_fail(b->error, WH_ESYSTEM, "no memory for paths");
    for (uint32_t i = 0; i < n->star->count; i++)
        if (n->star->steps[i] == step)
            return 0;
    if (n->star->count < WH_PATH_STAR_STEPS)
        n->star->steps[n->star->count++] = step;
    return 0;
}

/* A step from a block to one of its own kind: the star below the parent, or the parent if it is
 * one. */
static int star_step(struct builder *b, uint32_t parent, const struct kind *k,
                     const struct wh_reading *reading, const char *step, uint32_t *ret) {
    struct wh_paths *p = &b->h->paths;
    *ret = parent;
    if (!p->nodes[parent].star) {
        *ret = p->nodes[parent].star_child;
        if (*ret == WH_PATH_NONE) {
            const struct wh_path_node *up = &p->nodes[parent];
            struct wh_path_node n = {.parent = parent,
                                     .creator = k->creator,
                                     .creator_name = k->creator_name,
                                     .type = k->type,
                                     .step = step,
                                     .star_child = WH_PATH_NONE,
                                     .variable = up->variable,
                                     .size = k->size,
                                     .depth = up->depth + 1,
                                     .elements = (uint8_t)k->elements};
            struct wh_key key = {(uint64_t)parent << 32 | k->creator, 1, kind_key(k)};
            int status = add_node(b, n, reading, key, ret);
            if (status < 0)
                return status;
            p->nodes[parent].star_child = *ret;
        }
    }
    return add_star_step(b, &p->nodes[*ret], step);
}

/* The ancestor that was reached by the same step into the same kind: deeper is the same again. */
static uint32_t find_loop(const struct wh_paths *p, uint32_t parent, const struct kind *k,
                          const char *step) {
    uint32_t n = parent;
    for (int i = 0; i < LOOP_SEARCH && n != WH_PATH_NONE; i++, n = p->nodes[n].parent)
        if (p->nodes[n].step == step && p->nodes[n].parent != WH_PATH_NONE &&
            same_kind(&p->nodes[n], k))
            return n;
    return WH_PATH_NONE;
}

static int find_or_add(struct builder *b, uint32_t parent, const struct kind *k,
                       const struct wh_reading *reading, const char *step, uint32_t variable,
                       uint32_t *ret) {
    struct wh_paths *p = &b->h->paths;
    struct wh_key key = {(uint64_t)parent << 32 | k->creator, (uint64_t)(uintptr_t)step,
                         kind_key(k)};
    *ret = wh_map_find(&b->index, key);
    if (*ret != WH_MAP_NONE) {
        if (variable < p->nodes[*ret].variable)
            p->nodes[*ret].variable = variable;
        return 0;
    }
    if (parent != WH_PATH_NONE) {
        if (same_kind(&p->nodes[parent], k))
            return star_step(b, parent, k, reading, step, ret);
        *ret = find_loop(p, parent, k, step);
        if (*ret != WH_PATH_NONE) {
            p->nodes[*ret].loop = 1;
            return 0;
        }
        if (p->count >= WH_PATH_NODES_MAX) {
            *ret = parent;
            return 0;
        }
    }
    struct wh_path_node n = {.parent = parent,
                             .creator = k->creator,
                             .creator_name = k->creator_name,
                             .type = k->type,
                             .step = step,
                             .star_child = WH_PATH_NONE,
                             .variable = variable,
                             .size = k->size,
                             .function = reading->function,
                             .elements = (uint8_t)k->elements};
    n.depth = parent == WH_PATH_NONE ? 1 : p->nodes[parent].depth + 1;
    return add_node(b, n, reading, key, ret);
}

/* The node of a block whose parent has one. */
static int place_block(struct builder *b, uint32_t block) {
    struct wh_holding *h = b->h;
    uint32_t up = h->graph.tree_parent[block], edge = h->graph.tree_edge[block],
             parent = WH_PATH_NONE;
    const struct wh_path_node *from = NULL;
    if (up < h->graph.blocks) {
        parent = h->paths.node_of[up];
        from = &h->paths.nodes[parent];
    }
    struct wh_reading reading;
    int status = wh_reader_read(b->reader, edge, from ? from->type : NULL,
                                from ? from->elements : 0, &reading, b->error);
    if (status < 0)
        return status;
    char text[PATH_TEXT];
    wh_reading_text(&reading, from ? from->field : NULL, from ? from->creator_name : "?", 1, text,
                    sizeof(text));
    const char *step = wh_names_intern(&h->texts, text);
    if (!step)
        return wh_fail(b->error, WH_ESYSTEM, "no memory for paths");
    const struct wh_heap_node *node = &h->heap.nodes[block];
    struct kind k = {.type = reading.type,
                     .creator = wh_frames_creator_id(h->frames, node->stack_id),
                     .elements = reading.elements,
                     .creator_name = wh_holding_creator(h, block)};
    if (!k.type && wh_edges_count_of(&h->heap.edges, block) && node->size <= UNTYPED_SIZE)
        k.size = (uint32_t)node->size;
    uint32_t variable = from ? from->variable : up - h->graph.blocks;
    return find_or_add(b, parent, &k, &reading, step, variable, &h->paths.node_of[block]);
}

/* Places a block after the unplaced ones above it. */
static int place_chain(struct builder *b, uint32_t block) {
    struct wh_holding *h = b->h;
    uint32_t depth = 0;
    for (uint32_t v = block; v < h->graph.blocks && h->paths.node_of[v] == WH_PATH_NONE;
         v = h->graph.tree_parent[v]) {
        if (depth == b->pending_room) {
            uint32_t room = b->pending_room ? b->pending_room * 2 : 1024;
            uint32_t *grown = realloc(b->pending, room * sizeof(*grown));
            if (!grown)
                return wh_fail(b->error, WH_ESYSTEM, "no memory for a path of %u steps", depth);
            b->pending = grown;
            b->pending_room = room;
        }
        b->pending[depth++] = v;
    }
    int status = 0;
    while (depth && status == 0)
        status = place_block(b, b->pending[--depth]);
    return status;
}

int wh_paths_build(struct wh_holding *h, struct wh_error *error) {
    struct builder b = {.h = h, .error = error};
    uint32_t blocks = h->graph.blocks;
    h->paths.node_of = malloc((blocks ? blocks : 1) * sizeof(uint32_t));
    if (!h->paths.node_of)
        return wh_fail(error, WH_ESYSTEM, "no memory for the paths of %u blocks", blocks);
    for (uint32_t i = 0; i < blocks; i++)
        h->paths.node_of[i] = WH_PATH_NONE;
    int status = wh_reader_open(h, &b.reader, error);
    for (uint32_t i = 0; i < blocks && status == 0; i++)
        if (h->graph.lost_state[h->order[i]] == WH_LOST_NOT)
            status = place_chain(&b, h->order[i]);
    wh_reader_close(b.reader);
    wh_map_release(&b.index);
    free(b.pending);
    return status;
}

/* --- texts
 * ------------------------------------------------------------------------------------------ */

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Characters of an untyped step without its offset: " → [created by f]"; 0 = a typed one. */
static size_t untyped_length(const char *step) {
    const char *end = strncmp(step, " → [created by ", strlen(" → [created by ")) == 0
                          ? strrchr(step, ']')
                          : NULL;
    if (end && strcmp(end - 2, "[*]") == 0)
        end -= 3;
    return end && *end == ']' ? (size_t)(end - step) + 1 : 0;
}

/* "->next*" or "->(left|right)*"; links inside library containers add nothing, and of untyped ones
 * it matters that they lead from like to like, not at which offsets. */
static void star_text(struct wh_path_star *star, char *text, size_t size) {
    const char *steps[WH_PATH_STAR_STEPS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < star->count; i++)
        if (*star->steps[i])
            steps[count++] = star->steps[i];
    text[0] = 0;
    if (!count)
        return;
    qsort(steps, count, sizeof(*steps), by_text);
    int arrow = 1, same = (int)untyped_length(steps[0]);
    for (uint32_t i = 0; i < count; i++) {
        arrow &= strncmp(steps[i], "->", 2) == 0;
        same = strncmp(steps[i], steps[0], (size_t)same) == 0 ? same : 0;
    }
    if (same && count > 1) {
        snprintf(text, size, "%.*s*", same, steps[0]);
        return;
    }
    size_t used = (size_t)snprintf(text, size, "%s%s", arrow ? "->" : "", count > 1 ? "(" : "");
    for (uint32_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? "|" : "",
                                 steps[i] + (arrow ? 2 : 0));
    if (used < size)
        snprintf(text + used, size - used, "%s*", count > 1 ? ")" : "");
}

/* How blocks of a node read: list elements all read as their list's star. */
static const char *text_of(const struct wh_paths *p, uint32_t node) {
    uint32_t star = p->nodes[node].star_child;
    return p->nodes[star == WH_PATH_NONE ? node : star].text;
}

static int set_text(struct wh_holding *h, uint32_t i) {
    struct wh_paths *p = &h->paths;
    struct wh_path_node *n = &p->nodes[i];
    char text[PATH_TEXT], step[PATH_TEXT];
    int fits;
    const char *before = "";
    if (n->parent != WH_PATH_NONE)
        before = n->star ? p->nodes[n->parent].text : text_of(p, n->parent);
    if (n->star)
        star_text(n->star, step, sizeof(step));
    else
        snprintf(step, sizeof(step), "%s%s", n->step, n->loop && *n->step ? "*" : "");
    fits = snprintf(text, sizeof(text), "%.*s%s", (int)(sizeof(text) / 2), before, step);
    if (fits >= (int)sizeof(text) || strlen(before) > sizeof(text) / 2) /* absurdly deep */
        snprintf(text, sizeof(text), "%.900s…%.900s", before, step);
    n->text = wh_names_intern(&h->texts, text);
    n->own = wh_names_intern(&h->texts, step);
    return n->text && n->own ? 0 : WH_ESYSTEM;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The smallest subtree that still gives a holder's name: 0 when there are few paths. */
static int holder_threshold(const struct wh_paths *p, uint64_t *ret, struct wh_error *error) {
    *ret = 0;
    if (p->count <= HOLDER_TEXTS)
        return 0;
    uint64_t *sizes = malloc(p->count * sizeof(*sizes));
    if (!sizes)
        return wh_fail(error, WH_ESYSTEM, "no memory for %u paths", p->count);
    for (uint32_t i = 0; i < p->count; i++)
        sizes[i] = p->nodes[i].subtree_bytes;
    qsort(sizes, p->count, sizeof(*sizes), by_size);
    *ret = sizes[HOLDER_TEXTS];
    free(sizes);
    return 0;
}

/* What people read of a path: the variable, its typed fields, and of the steps that only creators
 * and offsets describe the last. The rest is in the path's full text. */
static int short_text(struct wh_holding *h, uint32_t i, const char **ret) {
    const struct wh_path_node *nodes = h->paths.nodes;
    uint32_t typed = i, untyped = 0;
    for (; nodes[typed].parent != WH_PATH_NONE && !nodes[typed].field; typed = nodes[typed].parent)
        untyped++;
    *ret = text_of(&h->paths, i);
    if (untyped < 2)
        return 0;
    uint32_t star = nodes[i].star_child;
    char text[2 * PATH_TEXT];
    snprintf(text, sizeof(text), "%s → …%s", text_of(&h->paths, typed),
             nodes[star == WH_PATH_NONE ? i : star].own);
    *ret = wh_names_intern(&h->texts, text);
    return *ret ? 0 : WH_ESYSTEM;
}

static int set_holder(struct wh_holding *h, uint32_t i, uint64_t threshold) {
    struct wh_paths *p = &h->paths;
    struct wh_path_node *n = &p->nodes[i];
    if (short_text(h, i, &n->holder) < 0)
        return WH_ESYSTEM;
    if (n->parent == WH_PATH_NONE || n->subtree_bytes > threshold || threshold == 0)
        return 0;
    const char *up = p->nodes[n->parent].holder; /* parents come first */
    char text[PATH_TEXT];
    size_t length = strlen(up);
    if (length >= strlen("…") && strcmp(up + length - strlen("…"), "…") == 0)
        n->holder = up;
    else {
        snprintf(text, sizeof(text), "%.2000s…", up);
        n->holder = wh_names_intern(&h->texts, text);
    }
    return n->holder ? 0 : WH_ESYSTEM;
}

int wh_paths_finish(struct wh_holding *h, struct wh_error *error) {
    struct wh_paths *p = &h->paths;
    int status = 0;
    for (uint32_t b = 0; b < h->graph.blocks; b++)
        if (p->node_of[b] != WH_PATH_NONE)
            p->nodes[p->node_of[b]].subtree_bytes += h->heap.nodes[b].size;
    for (uint32_t i = p->count; i-- > 0;)
        if (p->nodes[i].parent != WH_PATH_NONE)
            p->nodes[p->nodes[i].parent].subtree_bytes += p->nodes[i].subtree_bytes;
    /* A star's text is needed by its siblings, which may come before it. */
    for (uint32_t i = 0; i < p->count && status == 0; i++) {
        if (p->nodes[i].star)
            continue;
        status = set_text(h, i);
        if (status == 0 && p->nodes[i].star_child != WH_PATH_NONE)
            status = set_text(h, p->nodes[i].star_child);
    }
    uint64_t threshold = 0;
    if (status == 0)
        status = holder_threshold(p, &threshold, error);
    for (uint32_t i = 0; i < p->count && status == 0; i++)
        status = set_holder(h, i, threshold);
    return status == WH_ESYSTEM ? wh_fail(error, WH_ESYSTEM, "no memory for the texts of paths")
                                : status;
}
