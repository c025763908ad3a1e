/* Concrete paths for people: reading the same edges that were grouped, with indices and addresses.
 */
#include "analyzer/holder/card.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"

const char *wh_class_name(unsigned edge_class) {
    static const char *const names[] = {"suspect",  "tagged", "interior",
                                        "reasoned", "start",  "typed"};
    return edge_class < sizeof(names) / sizeof(*names) ? names[edge_class] : "?";
}

const char *wh_class_reason(unsigned edge_class, unsigned evidence) {
    switch (evidence) {
    case WH_EVIDENCE_PTR_LEN:
    case WH_EVIDENCE_PTR_LEN_CAP:
    case WH_EVIDENCE_BYTES:
        return "a length that fits the block lies beside the pointer";
    case WH_EVIDENCE_IOVEC:
        return "one of a run of (pointer, length) pairs";
    case WH_EVIDENCE_BEGIN_END:
        return "begin and end of a range in the same block";
    case WH_EVIDENCE_ONE_PAST:
        return "the end of a range whose begin lies in the block";
    case WH_EVIDENCE_COOKIE:
        return "just behind a header at the block's start";
    case WH_EVIDENCE_OFFSET:
        return "many references hit blocks of this creator at this offset";
    case WH_EVIDENCE_HEADER:
        return "the address of the next chunk's header: no reference";
    case WH_EVIDENCE_LOW_TAG:
        return "the pointer's low bits are used as a tag";
    case WH_EVIDENCE_UNALIGNED:
        return "the word is not aligned";
    case WH_EVIDENCE_HIGH_TAG:
        return "the pointer's high bits are used as a tag";
    case WH_EVIDENCE_BASE:
        return "vtables at the block's start and there: a second base class";
    case WH_EVIDENCE_OR_END:
        return "the block's address, or the end of a range in the block before it";
    case WH_EVIDENCE_TAIL:
        return "left over: behind what (begin, end, capacity) say is used of the block";
    case WH_EVIDENCE_REGISTRY:
        return "a link of a list through objects of all kinds, such as a collector's";
    default:
        break;
    }
    switch (edge_class) {
    case WH_EDGE_TYPED:
        return "a pointer by debug information";
    case WH_EDGE_START:
        return "an aligned word that is the block's address";
    case WH_EDGE_INTERIOR:
        return "an aligned word that points inside the block";
    case WH_EDGE_SUSPECT:
        return "probably left over: never names a holder";
    default:
        return "";
    }
}

int wh_card_path(const struct wh_holding *h, uint32_t block, struct wh_graph_path *ret,
                 struct wh_error *error) {
    const struct wh_graph *g = &h->graph;
    uint32_t length = 0, v;
    *ret = (struct wh_graph_path){.strength = g->strength[block]};
    for (v = block; v < g->blocks && g->tree_edge[v] != WH_GRAPH_NONE; v = g->tree_parent[v])
        length++;
    ret->steps = malloc((length ? length : 1) * sizeof(*ret->steps));
    if (!ret->steps)
        return wh_fail(error, WH_ESYSTEM, "no memory for a path of %u steps", length);
    ret->length = length;
    for (v = block; v < g->blocks && g->tree_edge[v] != WH_GRAPH_NONE; v = g->tree_parent[v])
        ret->steps[--length] = g->tree_edge[v];
    ret->variable = v - g->blocks;
    return 0;
}

int wh_card_paths(struct wh_holding *h, uint32_t block, uint32_t max, struct wh_graph_path *ret,
                  uint32_t *ret_count, struct wh_error *error) {
    struct wh_csr reversed = {0};
    *ret_count = 0;
    if (h->graph.lost_state[block] != WH_LOST_NOT || !max)
        return 0;
    int status = wh_card_path(h, block, &ret[0], error);
    if (status < 0)
        return status;
    *ret_count = 1;
    status = wh_graph_reversed(&h->input, WH_EDGE_TAGGED, &reversed, error);
    if (status == 0)
        status = wh_graph_disjoint_paths(&h->input, &reversed, block, max, ret, ret_count, error);
    wh_csr_release(&reversed);
    return status;
}

static const char *source_text(struct wh_holding *h, const struct wh_heap_edge *e, uint64_t edge) {
    char text[400];
    if (e->from & WH_FROM_ROOT) {
        const struct wh_holder_variable *v =
            &h->variables.items[wh_variables_of_edge(&h->variables, edge)];
        snprintf(text, sizeof(text), "%s %s%s%s%s", wh_root_kind_name(v->kind), v->name,
                 v->module ? " (" : "", v->module ? v->module : "", v->module ? ")" : "");
    } else {
        snprintf(text, sizeof(text), "block created by %s, %llu bytes",
                 wh_holding_creator(h, e->from), (unsigned long long)h->heap.nodes[e->from].size);
    }
    return wh_names_intern(&h->texts, text);
}

static void fill(const struct wh_holding *h, const struct wh_heap_edge *e, struct wh_hop *hop) {
    hop->from_offset = e->from_offset;
    hop->to_offset = e->to_offset;
    hop->visible = e->visible;
    hop->block = e->to;
    hop->edge_class = e->edge_class;
    hop->evidence = e->evidence;
    hop->target = h->heap.nodes[e->to].address;
    if (!(e->from & WH_FROM_ROOT))
        hop->slot = h->heap.nodes[e->from].address + e->from_offset;
    else if (h->heap.roots[e->from & ~WH_FROM_ROOT].kind != WH_ROOT_REGISTER)
        hop->slot = h->heap.roots[e->from & ~WH_FROM_ROOT].start + e->from_offset;
}

int wh_card_hops(struct wh_holding *h, const uint32_t *edges, uint32_t count, struct wh_hop **ret,
                 struct wh_error *error) {
    struct wh_reader *reader = NULL;
    struct wh_text path = {0};
    struct wh_reading before = {0};
    struct wh_hop *hops = calloc(count ? count : 1, sizeof(*hops));
    int status = hops ? wh_reader_open(h, &reader, error)
                      : wh_fail(error, WH_ESYSTEM, "no memory for a path of %u steps", count);
    for (uint32_t i = 0; i < count && status == 0; i++) {
        const struct wh_heap_edge edge = wh_edges_get(&h->heap.edges, edges[i]), *e = &edge;
        struct wh_reading reading;
        char step[1024];
        status = wh_reader_read(reader, edges[i], before.type, before.elements, &reading, error);
        if (status < 0)
            break;
        wh_reading_text(&reading, before.is_typed ? &before.field : NULL,
                        e->from & WH_FROM_ROOT ? "" : wh_holding_creator(h, e->from), 0, step,
                        sizeof(step));
        wh_text_puts(&path, step);
        fill(h, e, &hops[i]);
        hops[i].source = source_text(h, e, edges[i]);
        hops[i].text = path.failed ? NULL : wh_names_intern(&h->texts, path.data);
        hops[i].step = wh_names_intern(&h->texts, step);
        if (!hops[i].text || !hops[i].step || !hops[i].source)
            status = wh_fail(error, WH_ESYSTEM, "no memory for a path of %u steps", count);
        if (reading.is_typed && reading.type && hops[i].edge_class == WH_EDGE_START)
            hops[i].edge_class =
                WH_EDGE_TYPED; /* what the types say, for the reader; ranks are not touched */
        before = reading;
    }
    wh_reader_close(reader);
    wh_text_release(&path);
    if (status < 0) {
        free(hops);
        hops = NULL;
    }
    *ret = hops;
    return status;
}

int wh_card_reference(struct wh_holding *h, uint32_t edge, struct wh_hop *ret,
                      struct wh_error *error) {
    struct wh_heap_edge e = wh_edges_get(&h->heap.edges, edge);
    *ret = (struct wh_hop){0};
    fill(h, &e, ret);
    ret->source = source_text(h, &e, edge);
    ret->text = ret->step = "";
    if (!(e.from & WH_FROM_ROOT) && h->paths.row_of[e.from] != WH_PATH_NONE)
        ret->text = h->paths.rows[h->paths.row_of[e.from]].text;
    return ret->source ? 0 : wh_fail(error, WH_ESYSTEM, "no memory for a reference");
}

uint32_t wh_card_find(const struct wh_holding *h, uint64_t address) {
    uint32_t low = 0, high = h->heap.node_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (h->heap.nodes[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return WH_GRAPH_NONE;
    const struct wh_heap_node *n = &h->heap.nodes[low - 1];
    return address - n->address < (n->size ? n->size : 1) ? low - 1 : WH_GRAPH_NONE;
}

uint32_t wh_card_largest(struct wh_holding *h, const char *creator, const char *holder) {
    uint32_t best = WH_GRAPH_NONE;
    for (uint32_t i = 0; i < h->graph.blocks; i++) {
        uint32_t b = h->order[i];
        if (best != WH_GRAPH_NONE && h->heap.nodes[b].size <= h->heap.nodes[best].size)
            continue;
        if (creator && !strstr(wh_holding_creator(h, b), creator))
            continue;
        if (holder && !strstr(wh_holding_holder(h, b), holder) &&
            (h->paths.row_of[b] == WH_PATH_NONE ||
             !strstr(h->paths.rows[h->paths.row_of[b]].text, holder)))
            continue;
        best = b;
    }
    return best;
}
