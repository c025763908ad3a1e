/* Loading, naming, solving and grouping one snapshot, in that order. */
#include "analyzer/holder/holding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/holder/freelist.h"
#include "analyzer/holder/offset.h"
#include "analyzer/holder/place.h"
#include "analyzer/holder/registry.h"
#include "analyzer/holder/runtime.h"
#include "analyzer/holder/tail.h"
#include "base/string.h"

static int load_row(struct wh_holding *h, struct wh_error *error) {
    struct wh_query *q;
    int status =
        wh_query_open(h->store, "SELECT process_id, at_ns FROM snapshot WHERE id = ?1", &q, error);
    if (status < 0)
        return status;
    wh_query_bind_int(q, 1, h->snapshot_id);
    status = wh_query_step(q, error);
    if (status > 0) {
        h->process_id = wh_query_int(q, 0);
        h->at_ns = wh_query_int(q, 1);
    }
    wh_query_close(q);
    if (status == 0)
        return wh_fail(error, WH_ENOTFOUND, "there is no snapshot %lld in this trace",
                       (long long)h->snapshot_id);
    return status < 0 ? status : 0;
}

/* Weighs the references, names the roots and solves the graph. */
static int weigh_and_solve(struct wh_holding *h, const struct wh_kinds *kinds,
                           struct wh_error *error) {
    uint32_t *edge_place = NULL;
    int status = wh_tails_weaken(&h->heap, error);
    if (status == 0)
        status = wh_registry_weaken(&h->heap, h->frames, error);
    if (status == 0)
        status = wh_offsets_raise(&h->heap, h->frames, error);
    if (status == 0)
        status = wh_variables_resolve(&h->heap, h->symbols, h->process_id, h->at_ns, &h->texts,
                                      &h->variables, error);
    if (status < 0)
        return status;
    wh_free_lists_weaken(&h->heap, &h->variables);
    h->input = (struct wh_graph_input){.heap = &h->heap,
                                       .variables = h->variables.graph,
                                       .variable_count = h->variables.count,
                                       .edge_variable = h->variables.edge_variable};
    struct wh_graph_input input = h->input;
    status = wh_places_make(&h->heap, kinds, &h->variables, &h->texts, &input, &edge_place, error);
    if (status == 0)
        status = wh_graph_solve(&input, &h->graph, error);
    free(edge_place);
    return status;
}

static int solve(struct wh_holding *h, struct wh_error *error) {
    struct wh_kinds kinds = {0};
    int status = wh_runtime_adopt(&h->heap, h->frames, error);
    if (status == 0)
        status = wh_kinds_make(&h->heap, h->frames, &kinds, error);
    if (status == 0)
        status = weigh_and_solve(h, &kinds, error);
    wh_kinds_release(&kinds);
    if (status < 0)
        return status;
    h->order = malloc((h->heap.node_count + 1ul) * sizeof(*h->order));
    if (!h->order)
        return wh_fail(error, WH_ESYSTEM, "no memory for %u blocks", h->heap.node_count);
    wh_heap_order(&h->heap, h->order);
    status = wh_paths_build(h, error);
    if (status == 0)
        status = wh_paths_finish(h, error);
    return status == 0 ? wh_paths_rows(h, error) : status;
}

int wh_naming_open(struct wh_store *store, struct wh_symbols *symbols, struct wh_naming *ret,
                   struct wh_error *error) {
    *ret = (struct wh_naming){.symbols = symbols ? wh_symbols_share(symbols) : NULL};
    int status = symbols ? 0 : wh_symbols_open(store, &ret->symbols, error);
    if (status == 0)
        status = wh_frames_load(store, &ret->frames, error);
    if (status < 0)
        wh_naming_close(ret);
    return status;
}

void wh_naming_close(struct wh_naming *naming) {
    wh_frames_free(naming->frames);
    wh_symbols_close(naming->symbols);
    *naming = (struct wh_naming){0};
}

int wh_holding_open(struct wh_store *store, int64_t snapshot_id, const struct wh_naming *naming,
                    struct wh_holding **ret, struct wh_error *error) {
    struct wh_holding *h = calloc(1, sizeof(*h));
    if (!h)
        return wh_fail(error, WH_ESYSTEM, "no memory");
    h->store = store;
    h->snapshot_id = snapshot_id;
    int status = load_row(h, error);
    if (status == 0)
        status = wh_store_get_heap(store, snapshot_id, &h->heap, error);
    if (status == 0 && !naming) {
        status = wh_naming_open(store, NULL, &h->own, error);
        naming = &h->own;
    }
    if (status == 0) {
        h->symbols = naming->symbols;
        h->frames = naming->frames;
        status = solve(h, error);
    }
    if (status < 0) {
        wh_holding_close(h);
        return status;
    }
    *ret = h;
    return 0;
}

void wh_holding_close(struct wh_holding *h) {
    if (!h)
        return;
    wh_paths_release(&h->paths);
    wh_graph_release(&h->graph);
    wh_variables_release(&h->variables);
    wh_naming_close(&h->own);
    wh_heap_release(&h->heap);
    wh_names_release(&h->texts);
    wh_map_release(&h->shares);
    free(h->share_names);
    free(h->order);
    free(h);
}

const char *wh_holding_creator(const struct wh_holding *h, uint32_t block) {
    if (h->heap.nodes[block].kind == WH_NODE_UNSAMPLED)
        return WH_NOT_SAMPLED;
    const char *creator = wh_frames_creator(h->frames, h->heap.nodes[block].stack_id);
    return creator ? creator : "?";
}

#define SHARE_NAMES 4

static const char *make_share_name(struct wh_holding *h, uint64_t mask) {
    const char *names[64];
    uint32_t times[64], count = 0;
    struct wh_text text = {0};
    for (uint32_t bit = 0; bit < 63; bit++) {
        if (!(mask >> bit & 1))
            continue;
        const char *name = h->variables.items[h->graph.bit_variable[bit]].name;
        uint32_t i = 0;
        while (i < count && strcmp(names[i], name) != 0)
            i++;
        if (i == count) {
            names[count] = name;
            times[count++] = 0;
        }
        times[i]++;
    }
    wh_text_puts(&text, "shared: ");
    for (uint32_t i = 0; i < count && i < SHARE_NAMES; i++) {
        wh_text_printf(&text, "%s%s", i ? " + " : "", names[i]);
        if (times[i] > 1)
            wh_text_printf(&text, " ×%u", times[i]);
    }
    if (count > SHARE_NAMES)
        wh_text_printf(&text, " + %u more", count - SHARE_NAMES);
    if (mask & WH_SHARE_OTHER)
        wh_text_puts(&text, count ? " + others" : "several small roots");
    const char *name = text.failed ? NULL : wh_names_intern(&h->texts, text.data);
    wh_text_release(&text);
    return name;
}

static const char *shared_by(struct wh_holding *h, uint64_t mask) {
    struct wh_key key = {mask, 0, 0};
    uint32_t index = wh_map_find(&h->shares, key);
    if (index == WH_MAP_NONE) {
        const char *name = make_share_name(h, mask);
        index = h->share_count;
        if (!name || wh_map_add(&h->shares, key, index, NULL) < 0 ||
            wh_array_reserve(&h->share_names, &h->share_room, (size_t)index + 1, sizeof(name)) < 0)
            return NULL;
        h->share_names[h->share_count++] = name;
    }
    return h->share_names[index];
}

const char *wh_holding_share_name(struct wh_holding *h, uint64_t mask) {
    const char *name = shared_by(h, mask);
    return name ? name + strlen("shared: ") : "?";
}

int wh_holding_is_shared(const struct wh_holding *h, uint32_t block) {
    return h->graph.top[block] == block && h->graph.lost_state[block] == WH_LOST_NOT;
}

const char *wh_holding_holder(struct wh_holding *h, uint32_t block) {
    if (h->graph.lost_state[block] != WH_LOST_NOT)
        return "lost";
    if (wh_holding_is_shared(h, block))
        return shared_by(h, wh_graph_mask(&h->graph, block));
    return h->paths.rows[h->paths.row_of[block]].holder;
}
