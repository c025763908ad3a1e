#include "analyzer/holder/registry.h"

#include <stdlib.h>
#include <string.h>

#define MEMBERS_MIN  64
#define CREATORS_MIN 8 /* a program's own list has members of one or a few kinds */
#define SAMPLES      4096u
#define NEAR         256u /* members that a sample looks at */

/* Where in its block a member has its two links: at the start, or behind two words that some of a
 * collector's objects have in front of them (CPython's managed dictionaries). */
#define LATE_BYTES 16u

/* A place in a block where links may lie. */
struct member {
    uint32_t block; /* NO_BLOCK = none */
    bool is_late;
};
#define NO_BLOCK UINT32_MAX

struct lists {
    const struct wh_heap *heap;
    const struct wh_frames *frames;
    uint32_t
        *head; /* per block in a registry: the root edge that leads to the list; else NO_HEAD */
    uint8_t *is_late; /* per block in a registry */
    uint8_t *kind;    /* per creator: bit 0, some of its members' links are at the start; 1, late */
    uint32_t kinds;
};
#define NO_HEAD  UINT32_MAX
#define HEADLESS (UINT32_MAX - 1)

static struct member target(const struct wh_heap_edge *e) {
    struct member none = {NO_BLOCK, false};
    if (e->edge_class <= WH_EDGE_SUSPECT || (e->to_offset && e->to_offset != LATE_BYTES))
        return none;
    return (struct member){e->to, e->to_offset != 0};
}

static bool is_same(struct member a, struct member b) {
    return a.block == b.block && a.is_late == b.is_late;
}

/* What m's first (1: second) link refers to. */
static struct member link_of(const struct lists *l, struct member m, unsigned which) {
    const struct wh_edges *edges = &l->heap->edges;
    const uint64_t wanted = (m.is_late ? LATE_BYTES : 0) + which * sizeof(uint64_t);
    for (uint32_t i = edges->first[m.block]; i < edges->first[m.block + 1]; i++) {
        struct wh_heap_edge e = wh_edges_get_of(edges, i, m.block);
        if (e.from_offset == wanted)
            return target(&e);
        if (e.from_offset > wanted)
            break;
    }
    return (struct member){NO_BLOCK, false};
}

/* The member after m, or before it: their links agree. */
static struct member neighbour(const struct lists *l, struct member m, unsigned which) {
    struct member n = link_of(l, m, which);
    if (n.block == NO_BLOCK || is_same(n, m) || !is_same(link_of(l, n, !which), m))
        n.block = NO_BLOCK;
    return n;
}

static struct member after(const struct lists *l, struct member m) {
    return neighbour(l, m, 0);
}
static struct member before(const struct lists *l, struct member m) {
    return neighbour(l, m, 1);
}

static uint32_t creator_of(const struct lists *l, uint32_t block) {
    return wh_frames_creator_id(l->frames, l->heap->nodes[block].stack_id);
}

/* Has the list members of many creators among the `limit` from `first` on? Only the first creators
 * are told apart: their number matters as long as it is small. */
static bool is_mixed_near(const struct lists *l, struct member first, uint32_t limit) {
    uint32_t creators[CREATORS_MIN], count = 0, members = 0;
    for (struct member m = first; m.block != NO_BLOCK && members < limit; m = after(l, m)) {
        uint32_t i = 0, creator = creator_of(l, m.block);
        while (i < count && creators[i] != creator)
            i++;
        if (i == count && count < CREATORS_MIN)
            creators[count++] = creator;
        if (++members >= MEMBERS_MIN && count == CREATORS_MIN)
            return true;
    }
    return false;
}

static bool is_mixed(const struct lists *l, struct member first) {
    return is_mixed_near(l, first, UINT32_MAX);
}

static uint8_t kind_of(const struct lists *l, uint32_t block) {
    uint32_t creator = creator_of(l, block);
    return creator < l->kinds ? l->kind[creator] : 0;
}

/* May links of this block lie there? Those of a member lie in one place. */
static bool has_links_at(const struct lists *l, uint32_t block, bool is_late) {
    return l->head[block] != NO_HEAD ? l->is_late[block] == is_late
                                     : (kind_of(l, block) & 1u << is_late) != 0;
}

/* A list of kinds that registries have is one too: a collector's young objects may be all alike. A
 * few may be the first of theirs. */
static bool is_of_known_kinds(const struct lists *l, struct member first) {
    uint32_t known = 0, members = 0;
    for (struct member m = first; m.block != NO_BLOCK; m = after(l, m), members++)
        known += has_links_at(l, m.block, m.is_late);
    return known > members / 2;
}

/* Made for the first registry: most heaps have none. */
static int make_room(struct lists *l, struct wh_error *error) {
    uint32_t blocks = l->heap->node_count;
    if (l->head)
        return 0;
    for (uint32_t b = 0; b < blocks; b++) {
        uint32_t creator = creator_of(l, b);
        l->kinds = creator >= l->kinds ? creator + 1 : l->kinds;
    }
    l->head = malloc(blocks * sizeof *l->head);
    l->is_late = calloc(blocks, 1);
    l->kind = calloc(l->kinds, 1);
    if (!l->head || !l->is_late || !l->kind)
        return wh_fail(error, WH_ESYSTEM, "no memory for the lists of %u blocks", blocks);
    memset(l->head, 0xff, blocks * sizeof *l->head);
    return 0;
}

/* The first member of m's list; none if it is a ring. */
static struct member first_from(const struct lists *l, struct member m) {
    struct member begin = m, previous;
    while ((previous = before(l, m)).block != NO_BLOCK) {
        m = previous;
        if (is_same(m, begin))
            return (struct member){NO_BLOCK, false};
    }
    return m;
}

/* The list that has m at one of its ends: its first member. A ring of blocks alone has no end. */
static struct member first_of(const struct lists *l, struct member m) {
    struct member none = {NO_BLOCK, false}, next = after(l, m), previous = before(l, m);
    if ((next.block == NO_BLOCK) == (previous.block == NO_BLOCK))
        return none; /* in the middle, or alone */
    return first_from(l, m);
}

static int mark(struct lists *l, struct member first, uint32_t head, struct wh_error *error) {
    if (make_room(l, error))
        return error->code;
    for (struct member m = first; m.block != NO_BLOCK; m = after(l, m)) {
        l->head[m.block] = head;
        l->is_late[m.block] = m.is_late;
        l->kind[creator_of(l, m.block)] |= (uint8_t)(1u << m.is_late);
    }
    return 0;
}

/* Lists end at a head in a root, so a root refers to one of their ends. */
static int mark_members(struct lists *l, bool (*is_registry)(const struct lists *, struct member),
                        struct wh_error *error) {
    struct wh_edge_walk w = {.edges = &l->heap->edges, .next = wh_edges_of_roots(&l->heap->edges)};
    while (wh_edge_next(&w)) {
        struct member m = target(&w.edge), first = {NO_BLOCK, false};
        if (m.block != NO_BLOCK && (!l->head || l->head[m.block] == NO_HEAD))
            first = first_of(l, m);
        if (first.block == NO_BLOCK || !is_registry(l, first))
            continue;
        if (mark(l, first, (uint32_t)w.index, error))
            return error->code;
    }
    return 0;
}

/* Lists whose head nobody sees (CPython 3.13 has it at an odd address): a collector's goes through
 * so many of all blocks that a sample of them meets it. */
static int mark_headless(struct lists *l, bool mixed, struct wh_error *error) {
    uint32_t blocks = l->heap->node_count, step = blocks / SAMPLES + 1;
    for (uint32_t b = 0; b < blocks; b += step)
        for (unsigned late = 0; late < 2; late++) {
            struct member m = {b, late != 0};
            if ((l->head && l->head[b] != NO_HEAD) || after(l, m).block == NO_BLOCK ||
                (mixed ? !is_mixed_near(l, m, NEAR) : !is_of_known_kinds(l, m)))
                continue;
            m = first_from(l, m);
            if (m.block == NO_BLOCK || (!mixed && !is_of_known_kinds(l, m)))
                continue;
            if (mark(l, m, HEADLESS, error))
                return error->code;
        }
    return 0;
}

/* What becomes of an edge: true = it is a link to the next member, for which the list's head stands
 * in; false = it stays, as weak as it is worth. Between two blocks of such kinds a pointer in the
 * place of links is one also where it was left over. */
static bool weaken(const struct lists *l, struct wh_heap_edge *e) {
    struct member to = target(e), from = {e->from, e->from_offset >= LATE_BYTES};
    if (to.block == NO_BLOCK)
        return false;
    if (e->from & WH_FROM_ROOT) {
        if (l->head[to.block] == NO_HEAD || l->is_late[to.block] != to.is_late)
            return false;
    } else if (e->from_offset % LATE_BYTES > sizeof(uint64_t) || e->from_offset >= 2 * LATE_BYTES ||
               !has_links_at(l, from.block, from.is_late) || !has_links_at(l, to.block, to.is_late))
        return false;
    bool is_member = !(e->from & WH_FROM_ROOT) && l->head[e->from] != NO_HEAD;
    bool is_second = is_member && e->from_offset % LATE_BYTES;
    bool is_back = is_second && is_same(after(l, to), from);
    e->edge_class = is_back ? WH_EDGE_SUSPECT : WH_EDGE_TAGGED;
    e->evidence = WH_EVIDENCE_REGISTRY;
    return is_member && !is_second && l->head[e->from] != HEADLESS && is_same(after(l, from), to);
}

/* A root's own reference to the block as a member. */
static void note_root_edges(const struct lists *l, uint8_t *has_one) {
    struct wh_edge_walk w = {.edges = &l->heap->edges, .next = wh_edges_of_roots(&l->heap->edges)};
    while (wh_edge_next(&w)) {
        struct member m = target(&w.edge);
        if (m.block != NO_BLOCK && l->head[m.block] != NO_HEAD && l->is_late[m.block] == m.is_late)
            has_one[m.block] = 1;
    }
}

/* Bits of the links that go, and of those that become suspect; others are changed at once. Links
 * that are suspect link no more, so this waits until all are found. */
static void note_links(const struct lists *l, struct wh_edges *edges, uint64_t *links,
                       uint64_t *suspect) {
    struct wh_edge_walk w = {.edges = edges};
    while (wh_edge_next(&w)) {
        uint64_t bit = 1ull << w.index % 64;
        unsigned edge_class = w.edge.edge_class, evidence = w.edge.evidence;
        if (weaken(l, &w.edge))
            links[w.index / 64] |= bit;
        else if (w.edge.edge_class == WH_EDGE_SUSPECT && edge_class != WH_EDGE_SUSPECT)
            suspect[w.index / 64] |= bit;
        else if (w.edge.edge_class != edge_class || w.edge.evidence != evidence)
            wh_edges_change(edges, w.index, w.edge.edge_class, w.edge.evidence);
    }
    for (uint64_t i = 0; i < edges->count; i++)
        if (suspect[i / 64] >> i % 64 & 1)
            wh_edges_change(edges, i, WH_EDGE_SUSPECT, WH_EVIDENCE_REGISTRY);
}

/* A registry's members are its head's, each for itself: through its neighbours in the list a member
 * would seem to be kept by whoever keeps one of them. A list of n has n - 1 links; the member that
 * the root refers to needs none. */
static int weaken_all(const struct lists *l, struct wh_heap *heap, struct wh_error *error) {
    struct wh_edges *edges = &heap->edges;
    uint64_t words = edges->count / 64 + 1, roots = wh_edges_of_roots(edges);
    uint64_t *links = calloc(words, sizeof *links), *suspect = calloc(words, sizeof *suspect);
    uint8_t *has_one = calloc(heap->node_count, 1);
    int status = 0;
    if (!has_one || !links || !suspect)
        status = wh_fail(error, WH_ESYSTEM, "no memory for %u blocks", heap->node_count);
    if (status == 0) {
        note_root_edges(l, has_one);
        note_links(l, edges, links, suspect);
        wh_edges_drop(edges, links);
    }
    uint64_t fewer = roots - wh_edges_of_roots(edges); /* all of them in front of the roots' */
    for (uint32_t b = 0; b < heap->node_count && status == 0; b++) {
        if (l->head[b] >= HEADLESS || has_one[b])
            continue;
        struct wh_heap_edge own = wh_edges_get(edges, l->head[b] - fewer);
        own.to = b;
        own.to_offset = l->is_late[b] ? LATE_BYTES : 0;
        own.edge_class = WH_EDGE_TAGGED;
        own.evidence = WH_EVIDENCE_REGISTRY;
        status = wh_edges_add(edges, &own, error);
    }
    free(links);
    free(suspect);
    free(has_one);
    wh_edges_finish(edges);
    return status;
}

int wh_registry_weaken(struct wh_heap *heap, const struct wh_frames *frames,
                       struct wh_error *error) {
    struct lists l = {.heap = heap, .frames = frames};
    int status = heap->node_count ? mark_members(&l, is_mixed, error) : 0;
    if (status == 0)
        status = mark_headless(&l, true, error);
    if (status == 0 && l.head)
        status = mark_members(&l, is_of_known_kinds, error);
    if (status == 0 && l.head)
        status = mark_headless(&l, false, error);
    if (status == 0 && l.head)
        status = weaken_all(&l, heap, error);
    free(l.head);
    free(l.is_late);
    free(l.kind);
    return status;
}
