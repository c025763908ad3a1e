/* Keepers, and with them the rows of table path.
 *
 * Going from a block up its strongest path, a container is explained when the function that
 * allocated it is on the block's creator stack; the root, when the source file that defines it is
 * (without debug information: its module). The first that is not is the keeper: the one whom a
 * profile of creators cannot name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/holder/holding.h"
#include "base/string.h"

struct keeper_walk {
    struct wh_holding *h;
    struct wh_map memo; /* (stack, node) -> index into answers */
    const char **answers;
    uint32_t answer_count;
    size_t answer_room;
    struct wh_map rows; /* (text, holder, keeper) -> row */
    struct wh_error *error;
};

static int on_stack(const struct wh_holding *h, uint32_t stack, enum wh_frames_kind kind,
                    const char *name) {
    return wh_frames_has(h->frames, stack, kind, wh_frames_id(h->frames, kind, name));
}

static int root_explained(const struct wh_holding *h, const struct wh_path_node *first,
                          uint32_t stack) {
    const struct wh_holder_variable *v = &h->variables.items[first->variable];
    if (v->kind == WH_ROOT_STACK)
        return !first->function || on_stack(h, stack, WH_FRAMES_FUNCTION, first->function);
    if (v->file && v->kind != WH_ROOT_INFRA)
        return on_stack(h, stack, WH_FRAMES_FILE, v->file);
    return !v->module || on_stack(h, stack, WH_FRAMES_MODULE, v->module);
}

/* The list's own text for a block that lies in a list. */
static const char *container_text(const struct wh_paths *p, uint32_t node) {
    uint32_t star = p->nodes[node].star_child;
    return p->nodes[star == WH_PATH_NONE ? node : star].text;
}

static int find_keeper(struct keeper_walk *w, uint32_t stack, uint32_t node, const char **ret) {
    const struct wh_paths *p = &w->h->paths;
    *ret = NULL;
    for (uint32_t n = node; p->nodes[n].parent != WH_PATH_NONE; n = p->nodes[n].parent) {
        uint32_t container = p->nodes[n].parent;
        uint32_t creator = p->nodes[container].creator;
        if (!creator || wh_frames_has(w->h->frames, stack, WH_FRAMES_FUNCTION, creator))
            continue;
        char text[2600];
        snprintf(text, sizeof(text), "%s [created by %s]", container_text(p, container),
                 p->nodes[container].creator_name);
        *ret = wh_names_intern(&w->h->texts, text);
        return *ret ? 0 : WH_ESYSTEM;
    }
    uint32_t first = node;
    while (p->nodes[first].parent != WH_PATH_NONE)
        first = p->nodes[first].parent;
    if (root_explained(w->h, &p->nodes[first], stack))
        return 0;
    *ret = w->h->variables.items[p->nodes[first].variable].name;
    return 0;
}

static int keeper_of(struct keeper_walk *w, uint32_t stack, uint32_t node, const char **ret) {
    struct wh_key key = {(uint64_t)stack << 32 | node, 0, 0};
    uint32_t index = wh_map_find(&w->memo, key);
    if (index == WH_MAP_NONE) {
        const char *keeper = NULL;
        index = w->answer_count;
        if (find_keeper(w, stack, node, &keeper) < 0 ||
            wh_array_reserve(&w->answers, &w->answer_room, (size_t)index + 1, sizeof(*w->answers)) <
                0)
            return wh_fail(w->error, WH_ESYSTEM, "no memory for keepers");
        int status = wh_map_add(&w->memo, key, index, w->error);
        if (status < 0)
            return status;
        w->answers[w->answer_count++] = keeper;
    }
    *ret = w->answers[index];
    return 0;
}

static int row_of(struct keeper_walk *w, uint32_t block, uint32_t *ret) {
    struct wh_paths *p = &w->h->paths;
    uint32_t node = p->node_of[block];
    const struct wh_path_node *n = &p->nodes[node];
    const char *keeper = NULL, *text = container_text(p, node);
    int status = keeper_of(w, w->h->heap.nodes[block].stack_id, node, &keeper);
    if (status < 0)
        return status;
    struct wh_key key = {(uintptr_t)text, (uintptr_t)n->holder, (uintptr_t)keeper};
    *ret = wh_map_find(&w->rows, key);
    if (*ret == WH_MAP_NONE) {
        *ret = p->row_count;
        if (wh_array_reserve(&p->rows, &p->row_room, (size_t)p->row_count + 1, sizeof(*p->rows)) <
            0)
            return wh_fail(w->error, WH_ESYSTEM, "no memory for paths");
        status = wh_map_add(&w->rows, key, *ret, w->error);
        if (status < 0)
            return status;
        p->rows[p->row_count++] = (struct wh_path_row){.text = text,
                                                       .holder = n->holder,
                                                       .keeper = keeper,
                                                       .variable = n->variable,
                                                       .length = n->depth};
    }
    struct wh_path_row *row = &p->rows[*ret];
    row->variable = n->variable < row->variable ? n->variable : row->variable;
    row->length = n->depth < row->length ? n->depth : row->length;
    row->bytes += w->h->heap.nodes[block].size;
    row->objects++;
    return 0;
}

static int by_bytes(const void *a, const void *b, void *rows) {
    const struct wh_path_row *x = (struct wh_path_row *)rows + *(const uint32_t *)a;
    const struct wh_path_row *y = (struct wh_path_row *)rows + *(const uint32_t *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    int c = strcmp(x->text, y->text);
    c = c ? c : strcmp(x->holder, y->holder);
    return c ? c : strcmp(x->keeper ? x->keeper : "", y->keeper ? y->keeper : "");
}

/* Rows largest first, so that their ids say something and repeat. */
static int sort_rows(struct wh_holding *h, struct wh_error *error) {
    struct wh_paths *p = &h->paths;
    uint32_t count = p->row_count ? p->row_count : 1;
    uint32_t *order = malloc(count * sizeof(*order)), *rank = malloc(count * sizeof(*rank));
    struct wh_path_row *sorted = malloc(count * sizeof(*sorted));
    if (!order || !rank || !sorted) {
        free(order);
        free(rank);
        free(sorted);
        return wh_fail(error, WH_ESYSTEM, "no memory for %u paths", p->row_count);
    }
    for (uint32_t i = 0; i < p->row_count; i++)
        order[i] = i;
    qsort_r(order, p->row_count, sizeof(*order), by_bytes, p->rows);
    for (uint32_t i = 0; i < p->row_count; i++) {
        sorted[i] = p->rows[order[i]];
        rank[order[i]] = i;
    }
    for (uint32_t b = 0; b < h->graph.blocks; b++)
        if (p->row_of[b] != WH_PATH_NONE)
            p->row_of[b] = rank[p->row_of[b]];
    free(p->rows);
    free(order);
    free(rank);
    p->rows = sorted;
    p->row_room = count;
    return 0;
}

int wh_paths_rows(struct wh_holding *h, struct wh_error *error) {
    struct keeper_walk w = {.h = h, .error = error};
    uint32_t blocks = h->graph.blocks;
    int status = 0;
    h->paths.row_of = malloc((blocks ? blocks : 1) * sizeof(uint32_t));
    if (!h->paths.row_of)
        return wh_fail(error, WH_ESYSTEM, "no memory for the paths of %u blocks", blocks);
    for (uint32_t b = 0; b < blocks; b++)
        h->paths.row_of[b] = WH_PATH_NONE;
    for (uint32_t b = 0; b < blocks && status == 0; b++)
        if (h->paths.node_of[b] != WH_PATH_NONE)
            status = row_of(&w, b, &h->paths.row_of[b]);
    wh_map_release(&w.memo);
    wh_map_release(&w.rows);
    free(w.answers);
    return status < 0 ? status : sort_rows(h, error);
}
