#include "analyzer/holder/registry.h"

#include <stdlib.h>
#include <string.h>

#define NONE         UINT32_MAX
#define MEMBERS_MIN  64
#define CREATORS_MIN 8 /* a program's own list has members of one or a few kinds */

struct lists {
    uint32_t *next, *previous; /* per block: what its first and second word point to the start of */
    uint32_t *creator;         /* per block: wh_frames id */
    uint32_t *root_edge;       /* per block: a root's reference to its start */
    uint32_t *head;            /* per block in a registry: the root edge that leads to the list */
    uint8_t *is_kind;          /* per creator: some of its blocks are */
};

static int open_lists(struct lists *l, const struct wh_heap *heap, const struct wh_frames *frames,
                      struct wh_error *error) {
    uint32_t blocks = heap->node_count, creators = 0;
    size_t room = blocks ? blocks : 1;
    l->next = malloc(room * sizeof(*l->next));
    l->previous = malloc(room * sizeof(*l->previous));
    l->creator = malloc(room * sizeof(*l->creator));
    l->root_edge = malloc(room * sizeof(*l->root_edge));
    l->head = malloc(room * sizeof(*l->head));
    if (!l->next || !l->previous || !l->creator || !l->root_edge || !l->head)
        return wh_fail(error, WH_ESYSTEM, "no memory for the lists of %u blocks", blocks);
    memset(l->next, 0xff, room * sizeof(*l->next));
    memset(l->previous, 0xff, room * sizeof(*l->previous));
    memset(l->root_edge, 0xff, room * sizeof(*l->root_edge));
    memset(l->head, 0xff, room * sizeof(*l->head));
    for (uint32_t b = 0; b < blocks; b++) {
        l->creator[b] = wh_frames_creator_id(frames, heap->nodes[b].stack_id);
        creators = l->creator[b] > creators ? l->creator[b] : creators;
    }
    l->is_kind = calloc(creators + 1ul, 1);
    return l->is_kind ? 0 : wh_fail(error, WH_ESYSTEM, "no memory for %u creators", creators);
}

static int is_link(const struct wh_heap_edge *e) {
    return e->to_offset == 0 && e->edge_class > WH_EDGE_SUSPECT;
}

static void find_links(struct lists *l, const struct wh_heap *heap) {
    struct wh_edge_walk w = {.edges = &heap->edges};
    while (wh_edge_next(&w)) {
        const struct wh_heap_edge *e = &w.edge;
        if (!is_link(e))
            continue;
        if (e->from & WH_FROM_ROOT)
            l->root_edge[e->to] = (uint32_t)w.index;
        else if (e->from_offset == 0)
            l->next[e->from] = e->to;
        else if (e->from_offset == sizeof(uint64_t))
            l->previous[e->from] = e->to;
    }
}

/* The member after b: their links agree. */
static uint32_t after(const struct lists *l, uint32_t b) {
    uint32_t next = l->next[b];
    return next != NONE && next != b && l->previous[next] == b ? next : NONE;
}

/* Has the list that begins with `first` members of many creators? Only the first creators are told
 * apart: their number matters as long as it is small. */
static int is_mixed(const struct lists *l, uint32_t first) {
    uint32_t creators[CREATORS_MIN], count = 0, members = 0;
    for (uint32_t b = first; b != NONE; b = after(l, b)) {
        uint32_t i = 0;
        while (i < count && creators[i] != l->creator[b])
            i++;
        if (i == count && count < CREATORS_MIN)
            creators[count++] = l->creator[b];
        if (++members >= MEMBERS_MIN && count == CREATORS_MIN)
            return 1;
    }
    return 0;
}

/* A list of kinds that registries have is one too: a collector's young objects may be all alike. */
static int is_of_known_kinds(const struct lists *l, uint32_t first) {
    for (uint32_t b = first; b != NONE; b = after(l, b))
        if (!l->is_kind[l->creator[b]])
            return 0;
    return 1;
}

/* Lists end at a head in a root, so each has a first member, and a root refers to one of its ends;
 * a ring of blocks alone has none and is left as it is. Returns how many lists are registries. */
static uint32_t mark_members(struct lists *l, uint32_t blocks,
                             int (*is_registry)(const struct lists *, uint32_t)) {
    uint32_t found = 0;
    for (uint32_t first = 0; first < blocks; first++) {
        uint32_t before = l->previous[first], last = first;
        if (l->head[first] != NONE || (before != NONE && after(l, before) == first))
            continue;
        while (after(l, last) != NONE)
            last = after(l, last);
        uint32_t head = l->root_edge[l->root_edge[first] != NONE ? first : last];
        if (last == first || head == NONE || !is_registry(l, first))
            continue;
        for (uint32_t b = first; b != NONE; b = after(l, b)) {
            l->head[b] = head;
            l->is_kind[l->creator[b]] = 1;
        }
        found++;
    }
    return found;
}

/* What becomes of an edge: 1 = it is a link to the next member, which the list's head stands for;
 * 0 = it stays, as weak as it is worth. Between two blocks of such kinds a pointer in the first
 * words is a link also where it was left over. */
static int weaken(const struct lists *l, struct wh_heap_edge *e) {
    int is_root = (e->from & WH_FROM_ROOT) != 0;
    if (!is_link(e) || (is_root && l->head[e->to] == NONE))
        return 0;
    if (!is_root && (e->from_offset > sizeof(uint64_t) || !l->is_kind[l->creator[e->from]] ||
                     !l->is_kind[l->creator[e->to]]))
        return 0;
    int is_member = !is_root && l->head[e->from] != NONE;
    int is_back = is_member && e->from_offset && after(l, e->to) == e->from;
    e->edge_class = is_back ? WH_EDGE_SUSPECT : WH_EDGE_TAGGED;
    e->evidence = WH_EVIDENCE_REGISTRY;
    return is_member && e->from_offset == 0 && after(l, e->from) == e->to;
}

/* A registry's members are its head's, each for itself: through its neighbours in the list a member
 * would seem to be kept by whoever keeps one of them. A list of n has n - 1 links; the member that
 * the root refers to needs none. */
static int weaken_all(const struct lists *l, struct wh_heap *heap, struct wh_error *error) {
    struct wh_edges left;
    int status = wh_edges_open(&left, heap->node_count, NULL, heap->edges.count, error);
    struct wh_edge_walk w = {.edges = &heap->edges};
    while (status == 0 && wh_edge_next(&w))
        if (!weaken(l, &w.edge))
            status = wh_edges_add(&left, &w.edge, error);
    for (uint32_t b = 0; b < heap->node_count && status == 0; b++) {
        if (l->head[b] == NONE || l->root_edge[b] != NONE)
            continue;
        struct wh_heap_edge own = wh_edges_get(&heap->edges, l->head[b]);
        own.to = b;
        own.edge_class = WH_EDGE_TAGGED;
        own.evidence = WH_EVIDENCE_REGISTRY;
        status = wh_edges_add(&left, &own, error);
    }
    if (status < 0) {
        wh_edges_release(&left);
        return status;
    }
    wh_edges_finish(&left);
    wh_edges_release(&heap->edges);
    heap->edges = left;
    return 0;
}

int wh_registry_weaken(struct wh_heap *heap, const struct wh_frames *frames,
                       struct wh_error *error) {
    struct lists l = {0};
    int status = open_lists(&l, heap, frames, error);
    if (status == 0) {
        find_links(&l, heap);
        if (mark_members(&l, heap->node_count, is_mixed)) {
            mark_members(&l, heap->node_count, is_of_known_kinds);
            status = weaken_all(&l, heap, error);
        }
    }
    free(l.next);
    free(l.previous);
    free(l.creator);
    free(l.root_edge);
    free(l.head);
    free(l.is_kind);
    return status;
}
