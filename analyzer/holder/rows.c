/* The rows of root, path, held, reference, gap, share_group and the sums in snapshot. Each table is
 * one iterator over flat arrays; ids go on from what the trace has. What is large are held and
 * reference, one row a block and an edge: of snapshots that are not written in full, only blocks of
 * annotated pools have them. */
#include "analyzer/holder/rows.h"

#include <stdlib.h>

#include "analyzer/holder/visible.h"

struct writer {
    struct wh_holding *h;
    const struct wh_gap *gap;
    const uint64_t *visible;
    const struct wh_acquirers *acquirers;
    enum wh_block_rows block_rows;
    int64_t root_id, path_id;  /* the first ones of this snapshot */
    uint64_t at;               /* iterator */
    struct wh_edge_walk edges; /* likewise, of reference */
    uint32_t *per_block;       /* reference: rows written into each block, by strength */
    uint32_t *by_allocation;   /* blocks in the order of table held's key */
    uint32_t *variable_of;     /* per block: where its strongest path begins */
    uint32_t *references;      /* per block: how many edges lead to it */
    unsigned edge_class;
    int all_edges;
};

const char *wh_evidence_name(unsigned evidence) {
    static const char *const names[] = {
        NULL,          "(ptr,len)",      "(ptr,len,cap)", "begin/end",
        "one past",    "cookie",         "like offsets",  "next header",
        "low tag",     "unaligned slot", "high tag",      "iovec",
        "second base", "registry link",  "or an end",     "(ptr,len,cap) bytes",
        "unused tail"};
    return evidence < sizeof(names) / sizeof(*names) ? names[evidence] : NULL;
}

static void cell_size(struct wh_cell *c, uint64_t value, uint64_t unknown) {
    if (value == unknown)
        wh_cell_null(c);
    else
        wh_cell_int(c, (int64_t)value);
}

static int next_root(void *arg, struct wh_cell *c) {
    struct writer *w = arg;
    if (w->at >= w->h->variables.count)
        return 0;
    uint32_t i = (uint32_t)w->at++;
    const struct wh_holder_variable *v = &w->h->variables.items[i];
    const struct wh_share_sum *sum = &w->h->graph.sums[i];
    wh_cell_int(&c[0], w->root_id + i);
    wh_cell_int(&c[1], w->h->snapshot_id);
    wh_cell_text(&c[2], wh_root_kind_name(v->kind));
    wh_cell_text(&c[3], v->name);
    wh_cell_text(&c[4], v->module);
    wh_cell_text(&c[5], v->type ? wh_type_name(v->type) : NULL);
    cell_size(&c[6], v->tid, 0);
    cell_size(&c[7], v->address, 0);
    cell_size(&c[8], v->size, 0);
    wh_cell_int(&c[9], v->strength);
    wh_cell_int(&c[10], (int64_t)sum->exclusive_bytes);
    cell_size(&c[11], sum->reachable_bytes, WH_SHARE_UNKNOWN);
    cell_size(&c[12], sum->effective_bytes, WH_SHARE_UNKNOWN);
    return 1;
}

static int next_path(void *arg, struct wh_cell *c) {
    struct writer *w = arg;
    if (w->at >= w->h->paths.row_count)
        return 0;
    const struct wh_path_row *row = &w->h->paths.rows[w->at];
    wh_cell_int(&c[0], w->path_id + (int64_t)w->at++);
    wh_cell_int(&c[1], w->h->snapshot_id);
    wh_cell_int(&c[2], w->root_id + row->variable);
    wh_cell_text(&c[3], row->holder);
    wh_cell_text(&c[4], row->keeper);
    wh_cell_text(&c[5], row->text);
    wh_cell_int(&c[6], row->length);
    wh_cell_int(&c[7], row->objects);
    wh_cell_int(&c[8], (int64_t)row->bytes);
    return 1;
}

/* Every step up the tree is taken once: what was passed on the way gets the answer too. */
static void find_variables(const struct wh_graph *g, uint32_t *variable_of) {
    for (uint32_t b = 0; b < g->blocks; b++)
        variable_of[b] = WH_GRAPH_NONE;
    for (uint32_t b = 0; b < g->blocks; b++) {
        uint32_t v = b;
        while (v < g->blocks && variable_of[v] == WH_GRAPH_NONE)
            v = g->tree_parent[v];
        uint32_t variable = v < g->blocks ? variable_of[v] : v - g->blocks;
        for (v = b; v < g->blocks && variable_of[v] == WH_GRAPH_NONE; v = g->tree_parent[v])
            variable_of[v] = variable;
    }
}

static int has_rows(const struct writer *w, uint32_t block) {
    return w->block_rows == WH_BLOCK_ROWS_ALL ||
           (w->acquirers->names && w->acquirers->names[block]);
}

static const char *state_name(uint8_t lost_state) {
    switch (lost_state) {
    case WH_LOST_NOT:
        return "held";
    case WH_LOST_INDIRECT:
        return "lost_indirect";
    default:
        return "lost";
    }
}

static int next_held(void *arg, struct wh_cell *c) {
    struct writer *w = arg;
    const struct wh_graph *g = &w->h->graph;
    const struct wh_heap_node *nodes = w->h->heap.nodes;
    uint32_t b;
    do { /* blocks that the recorder knows no lifetime of have no row, nor have doubles */
        if (w->at >= g->blocks)
            return 0;
        b = w->by_allocation[w->at++];
    } while (
        !nodes[b].allocation_id || !has_rows(w, b) ||
        (w->at > 1 && nodes[w->by_allocation[w->at - 2]].allocation_id == nodes[b].allocation_id));
    int held = g->lost_state[b] == WH_LOST_NOT;
    wh_cell_int(&c[0], w->h->snapshot_id);
    wh_cell_int(&c[1], (int64_t)nodes[b].allocation_id);
    wh_cell_text(&c[2], state_name(g->lost_state[b]));
    if (held) {
        wh_cell_int(&c[3], w->root_id + (int64_t)w->variable_of[b]);
        wh_cell_int(&c[4], w->path_id + (int64_t)w->h->paths.row_of[b]);
    }
    if (g->idom[b] < g->blocks && nodes[g->idom[b]].allocation_id)
        wh_cell_int(&c[5], (int64_t)nodes[g->idom[b]].allocation_id);
    wh_cell_int(&c[6], (int64_t)g->retained_bytes[b]);
    wh_cell_int(&c[7], wh_holding_is_shared(w->h, b) ? (int64_t)wh_graph_holders(g, b) : held);
    cell_size(&c[8], w->visible[b], WH_VISIBLE_UNKNOWN);
    if (w->acquirers->stacks)
        cell_size(&c[9], w->acquirers->stacks[b], 0);
    wh_cell_int(&c[10], held ? g->strength[b] : -1);
    wh_cell_int(&c[11], g->lost_cycle[b]);
    wh_cell_int(&c[12], w->references[b]);
    return 1;
}

static void reference_cells(const struct writer *w, struct wh_cell *c) {
    const struct wh_heap *heap = &w->h->heap;
    const struct wh_heap_edge *e = &w->edges.edge;
    uint64_t edge = w->edges.index;
    wh_cell_int(&c[0], w->h->snapshot_id);
    uint64_t offset = e->from_offset;
    if (e->from & WH_FROM_ROOT) {
        uint32_t variable = wh_variables_of_edge(&w->h->variables, edge);
        const struct wh_holder_variable *v = &w->h->variables.items[variable];
        wh_cell_int(&c[2], w->root_id + variable);
        if (v->address)
            offset += heap->roots[e->from & ~WH_FROM_ROOT].start - v->address;
    } else if (heap->nodes[e->from].allocation_id) {
        wh_cell_int(&c[1], (int64_t)heap->nodes[e->from].allocation_id);
    }
    wh_cell_int(&c[3], (int64_t)offset);
    wh_cell_int(&c[4], (int64_t)heap->nodes[e->to].allocation_id);
    wh_cell_int(&c[5], (int64_t)e->to_offset);
    wh_cell_int(&c[6], e->edge_class);
    wh_cell_text(&c[7], wh_evidence_name(e->evidence));
    cell_size(&c[8], e->visible, 0);
    wh_cell_int(&c[9], wh_graph_is_kept(&w->h->graph, edge));
}

/* With too many edges they are offered once per class, strongest first, and each block takes its
 * first eight. */
static int next_reference(void *arg, struct wh_cell *c) {
    struct writer *w = arg;
    const struct wh_heap *heap = &w->h->heap;
    for (;;) {
        if (!wh_edge_next(&w->edges)) {
            if (w->all_edges || w->edge_class == 0)
                return 0;
            w->edge_class--;
            w->edges = (struct wh_edge_walk){.edges = &heap->edges};
            continue;
        }
        const struct wh_heap_edge *e = &w->edges.edge;
        if (!heap->nodes[e->to].allocation_id || !has_rows(w, e->to))
            continue;
        if (w->all_edges)
            break;
        if (e->edge_class == w->edge_class && w->per_block[e->to] < WH_REFERENCE_PER_BLOCK) {
            w->per_block[e->to]++;
            break;
        }
    }
    reference_cells(w, c);
    return 1;
}

static int next_gap(void *arg, struct wh_cell *c) {
    struct writer *w = arg;
    if (w->at >= w->gap->count)
        return 0;
    const struct wh_gap_row *row = &w->gap->rows[w->at++];
    wh_cell_int(&c[0], w->h->snapshot_id);
    wh_cell_text(&c[1], row->creator);
    wh_cell_text(&c[2], row->holder);
    wh_cell_int(&c[3], row->objects);
    wh_cell_int(&c[4], (int64_t)row->bytes);
    wh_cell_int(&c[5], (int64_t)row->retained_bytes);
    if (row->pinned_bytes) {
        c[6].type = WH_CELL_REAL;
        c[6].real =
            (double)row->pinned_bytes / (double)(row->visible_bytes ? row->visible_bytes : 1);
    }
    wh_cell_int(&c[7], row->hidden);
    wh_cell_text(&c[8], row->acquirer);
    wh_cell_text(&c[9], row->root);
    wh_cell_int(&c[10], row->ways);
    return 1;
}

static int next_share(void *arg, struct wh_cell *c) {
    struct writer *w = arg;
    if (w->at >= w->h->graph.group_count)
        return 0;
    const struct wh_share_group *g = &w->h->graph.groups[w->at++];
    wh_cell_int(&c[0], w->h->snapshot_id);
    wh_cell_text(&c[1], wh_holding_share_name(w->h, g->mask));
    wh_cell_int(&c[2], g->holders);
    wh_cell_int(&c[3], g->objects);
    wh_cell_int(&c[4], (int64_t)g->bytes);
    return 1;
}

/* --- in order
 * ----------------------------------------------------------------------------------------- */

static int first_free_id(struct wh_store *store, const char *sql, int64_t *ret,
                         struct wh_error *error) {
    struct wh_query *q;
    int status = wh_query_open(store, sql, &q, error);
    if (status < 0)
        return status;
    status = wh_query_step(q, error);
    if (status > 0)
        *ret = wh_query_int(q, 0);
    wh_query_close(q);
    return status < 0 ? status : 0;
}

static int insert(struct writer *w, const char *table, const char *columns, wh_row_fn next,
                  struct wh_error *error) {
    w->at = 0;
    return wh_store_insert(w->h->store, table, columns, next, w, error);
}

static int write_sums(const struct writer *w, struct wh_error *error) {
    struct wh_query *q;
    int status =
        wh_query_open(w->h->store,
                      "UPDATE snapshot SET held_bytes = ?2, lost_bytes = ?3, shared_bytes = ?4, "
                      "gap_bytes = ?5, untracked_bytes = live_bytes - ?6, block_rows = ?7 "
                      "WHERE id = ?1",
                      &q, error);
    if (status < 0)
        return status;
    wh_query_bind_int(q, 1, w->h->snapshot_id);
    wh_query_bind_int(q, 2, (int64_t)w->gap->held_bytes);
    wh_query_bind_int(q, 3, (int64_t)w->gap->lost_bytes);
    wh_query_bind_int(q, 4, (int64_t)w->gap->shared_bytes);
    wh_query_bind_int(q, 5, (int64_t)w->gap->hidden_bytes);
    wh_query_bind_int(q, 6, (int64_t)(w->gap->held_bytes + w->gap->lost_bytes));
    wh_query_bind_text(q, 7, w->block_rows == WH_BLOCK_ROWS_ALL ? "all" : "pooled");
    status = wh_query_step(q, error);
    wh_query_close(q);
    return status < 0 ? status : 0;
}

static int by_allocation_id(const void *a, const void *b, void *nodes) {
    uint64_t x = ((struct wh_heap_node *)nodes)[*(const uint32_t *)a].allocation_id;
    uint64_t y = ((struct wh_heap_node *)nodes)[*(const uint32_t *)b].allocation_id;
    return x < y ? -1 : x > y;
}

static int write_all(struct writer *w, struct wh_error *error) {
    struct wh_store *store = w->h->store;
    int status =
        first_free_id(store, "SELECT coalesce(max(id), 0) + 1 FROM root", &w->root_id, error);
    if (status == 0)
        status =
            first_free_id(store, "SELECT coalesce(max(id), 0) + 1 FROM path", &w->path_id, error);
    if (status == 0)
        status = insert(
            w, "root",
            "id, snapshot_id, kind, name, module, type_name, tid, address, size_bytes, strength, "
            "exclusive_bytes, reachable_bytes, effective_bytes",
            next_root, error);
    if (status == 0)
        status = insert(w, "path",
                        "id, snapshot_id, root_id, holder, keeper, text, length, objects, bytes",
                        next_path, error);
    if (status == 0)
        status = insert(
            w, "held",
            "snapshot_id, allocation_id, state, root_id, path_id, dominator_id, retained_bytes, "
            "holders, visible_bytes, acquirer_stack_id, strength, cycle_objects, "
            "reference_count",
            next_held, error);
    if (status == 0)
        status =
            insert(w, "reference",
                   "snapshot_id, from_allocation_id, from_root_id, from_offset, to_allocation_id, "
                   "to_offset, class, evidence, visible_bytes, is_kept",
                   next_reference, error);
    if (status == 0)
        status = insert(
            w, "gap",
            "snapshot_id, creator, holder, objects, bytes, retained_bytes, amplification, hidden, "
            "acquirer, root, ways",
            next_gap, error);
    if (status == 0)
        status = insert(w, "share_group", "snapshot_id, holders, holder_count, objects, bytes",
                        next_share, error);
    return status == 0 ? write_sums(w, error) : status;
}

/* Blocks in the order of their allocations, so that held is written from left to right. */
static void order_blocks(struct writer *w) {
    const struct wh_heap_node *nodes = w->h->heap.nodes;
    uint32_t blocks = w->h->graph.blocks;
    int sorted = 1;
    for (uint32_t i = 0; i < blocks; i++) {
        w->by_allocation[i] = w->h->order[i]; /* by birth: mostly that very order */
        sorted &= i == 0 || nodes[w->by_allocation[i - 1]].allocation_id <=
                                nodes[w->by_allocation[i]].allocation_id;
    }
    if (!sorted)
        qsort_r(w->by_allocation, blocks, sizeof(*w->by_allocation), by_allocation_id,
                w->h->heap.nodes);
}

int wh_rows_write(struct wh_holding *h, const struct wh_gap *gap, const uint64_t *visible,
                  const struct wh_acquirers *acquirers, enum wh_block_rows block_rows,
                  struct wh_error *error) {
    struct writer w = {.h = h,
                       .gap = gap,
                       .visible = visible,
                       .acquirers = acquirers,
                       .block_rows = block_rows,
                       .edge_class = WH_EDGE_TYPED,
                       .edges = {.edges = &h->heap.edges},
                       .all_edges = h->heap.edges.count <= WH_REFERENCE_ROWS_MAX};
    uint32_t blocks = h->graph.blocks ? h->graph.blocks : 1;
    w.per_block = w.all_edges ? NULL : calloc(blocks, sizeof(*w.per_block));
    w.by_allocation = malloc(blocks * sizeof(*w.by_allocation));
    w.variable_of = malloc(blocks * sizeof(*w.variable_of));
    w.references = calloc(blocks, sizeof(*w.references));
    int status = (w.all_edges || w.per_block) && w.by_allocation && w.variable_of && w.references
                     ? 0
                     : wh_fail(error, WH_ESYSTEM, "no memory for the rows of %u blocks", blocks);
    if (status == 0) {
        order_blocks(&w);
        find_variables(&h->graph, w.variable_of);
        for (uint64_t e = 0; e < h->heap.edges.count; e++)
            w.references[h->heap.edges.items[e].to]++;
        status = write_all(&w, error);
    }
    free(w.per_block);
    free(w.by_allocation);
    free(w.variable_of);
    free(w.references);
    return status;
}
