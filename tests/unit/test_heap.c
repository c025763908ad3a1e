/* Storage form of a frozen heap: whatever is packed comes back, and whatever is not a packed heap
 * is refused without harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/heap.h"

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A heap with every field in use, extremes included. */
static struct wh_heap make_heap(uint32_t nodes, uint32_t roots, uint32_t edges) {
    uint64_t seed = 88172645463325252ull;
    struct wh_heap h = {
        .nodes = calloc(nodes, sizeof *h.nodes),
        .roots = calloc(roots, sizeof *h.roots),
        .node_count = nodes,
        .root_count = roots,
        .texts = malloc(12),
        .texts_bytes = 12,
    };
    memcpy(h.texts, "\0/dev/zero\0", 12);
    for (uint32_t i = 0; i < nodes; i++)
        h.nodes[i] =
            (struct wh_heap_node){.address = (0x550000000000 + 4096ull * i) & WH_ADDRESS_MASK,
                                  .size = next_random(&seed) % 4096,
                                  .allocation_id = next_random(&seed),
                                  .stack_id = (uint32_t)next_random(&seed),
                                  .kind = (uint8_t)(i % 6),
                                  .flags = i & 1};
    for (uint32_t i = 0; i < roots; i++)
        h.roots[i] = (struct wh_heap_root){.start = UINT64_MAX - 4096,
                                           .end = UINT64_MAX - i,
                                           .pc = next_random(&seed),
                                           .load_bias = next_random(&seed),
                                           .tls_offset = i,
                                           .module = UINT32_MAX - i,
                                           .tid = i,
                                           .number = i,
                                           .text = i & 1,
                                           .kind = (uint8_t)(i % 7)};
    assert_int_equal(wh_edges_open(&h.edges, nodes, NULL, 0, NULL), WH_OK);
    for (uint32_t i = 0; i < edges; i++) {
        struct wh_heap_edge e = {.from = i < edges / 2 ? (uint32_t)((uint64_t)i * nodes / edges)
                                                       : WH_FROM_ROOT,
                                 .to = (uint32_t)(next_random(&seed) % nodes),
                                 .from_offset = 8ull * i,
                                 .to_offset = next_random(&seed) & WH_OFFSET_MASK,
                                 .visible = i % 3 ? 0 : WH_OFFSET_MASK,
                                 .edge_class = i % 6 & 7,
                                 .evidence = i % 12 & 31};
        if (i % 4 == 1) /* nothing but a slot and a target */
            e.to_offset = e.visible = 0;
        assert_int_equal(wh_edges_add(&h.edges, &e, NULL), WH_OK);
    }
    wh_edges_finish(&h.edges);
    return h;
}

/* In as much room as is promised to be enough, and no more. */
static unsigned char *pack(const struct wh_heap *heap, enum wh_heap_part part, uint64_t first,
                           uint64_t count, size_t *ret_bytes) {
    unsigned char *data = malloc(wh_heap_pack_room(part, count));
    assert_int_equal(wh_heap_pack(heap, part, first, count, data, ret_bytes, NULL), WH_OK);
    return data;
}

static void copy_part(const struct wh_heap *from, struct wh_heap *to, enum wh_heap_part part,
                      uint64_t count, uint64_t slice) {
    for (uint64_t first = 0; first < count; first += slice) {
        size_t bytes;
        uint64_t n = count - first < slice ? count - first : slice;
        unsigned char *data = pack(from, part, first, n, &bytes);
        assert_int_equal(wh_heap_unpack(to, part, n, data, bytes, NULL), WH_OK);
        free(data);
    }
}

static void assert_same(const struct wh_heap_edge *a, const struct wh_heap_edge *b) {
    assert_int_equal(a->from, b->from);
    assert_int_equal(a->to, b->to);
    assert_int_equal(a->from_offset, b->from_offset);
    assert_int_equal(a->to_offset, b->to_offset);
    assert_int_equal(a->visible, b->visible);
    assert_int_equal(a->edge_class, b->edge_class);
    assert_int_equal(a->evidence, b->evidence);
}

static void assert_edge(const struct wh_edges *edges, uint64_t i, const struct wh_heap_edge *e) {
    struct wh_heap_edge got = wh_edges_get(edges, i);
    assert_same(&got, e);
}

static void packed_heap_comes_back_equal(void **state) {
    (void)state;
    struct wh_heap a = make_heap(1000, 50, 3000), b = {0};
    assert_int_equal(wh_heap_reserve(&b, WH_HEAP_EDGES, 5000, NULL), WH_OK);
    copy_part(&a, &b, WH_HEAP_NODES, a.node_count, 300);
    copy_part(&a, &b, WH_HEAP_ROOTS, a.root_count, WH_HEAP_SLICE);
    copy_part(&a, &b, WH_HEAP_EDGES, a.edges.count, 1024);
    copy_part(&a, &b, WH_HEAP_TEXTS, a.texts_bytes, 5);
    wh_edges_finish(&b.edges);
    assert_int_equal(b.node_count, a.node_count);
    assert_int_equal(b.edges.count, a.edges.count);
    assert_memory_equal(a.nodes, b.nodes, a.node_count * sizeof *a.nodes);
    assert_memory_equal(a.roots, b.roots, a.root_count * sizeof *a.roots);
    for (uint64_t i = 0; i < a.edges.count; i++) {
        struct wh_heap_edge x = wh_edges_get(&a.edges, i);
        assert_edge(&b.edges, i, &x);
    }
    assert_memory_equal(a.texts, b.texts, a.texts_bytes);
    struct wh_error error;
    assert_int_equal(wh_heap_check(&b, &error), WH_OK);
    assert_string_equal(wh_heap_text(&b, 1), "/dev/zero");
    assert_string_equal(wh_heap_text(&b, 99), "");
    wh_heap_release(&a);
    wh_heap_release(&b);
}

/* Ids close together are ordered by a bitmap, others by sorting: the order is the same. */
static void births_are_in_the_order_of_the_ids(void **state) {
    (void)state;
    for (int spread = 0; spread < 2; spread++) {
        struct wh_heap a = make_heap(500, 1, 1);
        for (uint32_t i = 0; i < 500; i++) {
            uint64_t id = (uint64_t)(i * 7 % 500) + 1;
            a.nodes[i].allocation_id = spread ? id << 40 : id;
        }
        uint32_t order[500];
        wh_heap_order(&a, order);
        for (uint32_t i = 0; i < 500; i++)
            assert_int_equal(order[i * 7 % 500], i);
        wh_heap_release(&a);
    }
}

/* Values whose differences are zero take no room, wherever a run begins and ends. */
static void runs_of_equal_values_take_no_room(void **state) {
    (void)state;
    struct wh_heap a = make_heap(5000, 1, 1), b = {0};
    for (uint32_t i = 0; i < a.node_count; i++) {
        a.nodes[i].allocation_id = i < 2047 ? 5 : 6;
        a.nodes[i].stack_id = 0;
        a.nodes[i].size = i == 3000 ? 9 : 0;
        a.nodes[i].kind = a.nodes[i].flags = 0;
    }
    size_t bytes;
    unsigned char *data = pack(&a, WH_HEAP_NODES, 0, 5000, &bytes);
    assert_true(bytes < 5000 * 2 + 100); /* the addresses' steps take two bytes each */
    assert_int_equal(wh_heap_unpack(&b, WH_HEAP_NODES, 5000, data, bytes, NULL), WH_OK);
    assert_memory_equal(a.nodes, b.nodes, a.node_count * sizeof *a.nodes);
    free(data);
    wh_heap_release(&a);
    wh_heap_release(&b);
}

static void slice_outside_the_heap_is_refused(void **state) {
    (void)state;
    struct wh_heap a = make_heap(10, 1, 1);
    unsigned char data[1000];
    size_t bytes;
    assert_int_equal(wh_heap_pack(&a, WH_HEAP_NODES, 5, 6, data, &bytes, NULL), WH_EUSAGE);
    assert_int_equal(wh_heap_pack(&a, WH_HEAP_NODES, UINT64_MAX, 2, data, &bytes, NULL), WH_EUSAGE);
    wh_heap_release(&a);
}

/* The same nodes: edges are believed only where they begin and end in some. */
static struct wh_heap without_edges(const struct wh_heap *a) {
    struct wh_heap b = {0};
    copy_part(a, &b, WH_HEAP_NODES, a->node_count, WH_HEAP_SLICE);
    return b;
}

static void cut_or_changed_slices_never_do_harm(void **state) {
    (void)state;
    struct wh_heap a = make_heap(40, 8, 60);
    uint64_t seed = 7;
    for (unsigned part = WH_HEAP_NODES; part <= WH_HEAP_EDGES; part++) {
        uint64_t count = part == WH_HEAP_NODES   ? a.node_count
                         : part == WH_HEAP_ROOTS ? a.root_count
                                                 : 60;
        size_t bytes;
        unsigned char *data = pack(&a, part, 0, count, &bytes);
        for (size_t cut = 0; cut < bytes; cut++) {
            struct wh_heap b = part == WH_HEAP_EDGES ? without_edges(&a) : (struct wh_heap){0};
            unsigned char *exact = malloc(cut + 1); /* so that a read too far is seen by asan */
            memcpy(exact, data, cut);
            assert_int_equal(wh_heap_unpack(&b, part, count, exact, cut, NULL), WH_EINPUT);
            free(exact);
            wh_heap_release(&b);
        }
        for (int round = 0; round < 2000; round++) {
            struct wh_heap b = part == WH_HEAP_EDGES ? without_edges(&a) : (struct wh_heap){0};
            data[next_random(&seed) % bytes] ^= (unsigned char)next_random(&seed);
            if (wh_heap_unpack(&b, part, count, data, bytes, NULL) == WH_OK) {
                if (part == WH_HEAP_EDGES)
                    wh_edges_finish(&b.edges);
                (void)wh_heap_check(&b, NULL);
            }
            wh_heap_release(&b);
        }
        free(data);
    }
    wh_heap_release(&a);
}

static void huge_counts_are_refused_before_allocation(void **state) {
    (void)state;
    struct wh_heap b = {0};
    unsigned char few[8] = {0};
    assert_int_equal(wh_heap_unpack(&b, WH_HEAP_EDGES, UINT64_MAX / 2, few, 8, NULL), WH_EINPUT);
    assert_int_equal(wh_heap_unpack(&b, WH_HEAP_EDGES, WH_HEAP_SLICE, few, 8, NULL), WH_EINPUT);
    assert_int_equal(wh_heap_unpack(&b, WH_HEAP_TEXTS, 9, few, 8, NULL), WH_EINPUT);
    assert_int_equal(wh_heap_unpack(&b, (enum wh_heap_part)9, 1, few, 8, NULL), WH_EINPUT);
    assert_null(b.edges.items);
    wh_heap_release(&b);
}

static void check_finds_what_dangles_or_is_out_of_order(void **state) {
    (void)state;
    struct wh_heap a = make_heap(20, 4, 10);
    assert_int_equal(wh_heap_check(&a, NULL), WH_OK);
    a.edges.items[3].to = a.node_count;
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    a.edges.items[3].to = 0;
    a.edges.root[0] = a.root_count;
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    a.edges.root[0] = 1; /* before another one's of the root before it */
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    a.edges.root[0] = 0;
    a.edges.items[9].place = 0; /* a slot behind later ones */
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    a.edges.items[9].place = 9;
    assert_int_equal(wh_heap_check(&a, NULL), WH_OK);
    a.edges.begun--;
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    a.edges.begun++;
    a.roots[1].text = a.texts_bytes;
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    a.roots[1].text = 0;
    a.nodes[4].address = a.nodes[3].address;
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    wh_heap_release(&a);
}

/* --- edges: 8 bytes each, and what that leaves out
 * ---------------------------------------------------- */

/* Slots and targets around the places where the short form ends. */
static void an_edge_comes_back_as_it_was_added(void **state) {
    (void)state;
    static const uint64_t offsets[] = {0,
                                       8,
                                       4,
                                       13,
                                       8ull * 0x7ff,
                                       8ull * 0x800,
                                       8ull * 0x3fffff,
                                       8ull * 0x400000,
                                       UINT32_MAX,
                                       1ull << 32,
                                       8ull * UINT32_MAX,
                                       (8ull << 32) + 5,
                                       WH_OFFSET_MASK};
    enum { N = sizeof offsets / sizeof *offsets };
    static struct wh_heap_edge all[2 * N * N];
    struct wh_edges edges;
    uint32_t count = 0;
    assert_int_equal(wh_edges_open(&edges, 2 * N, NULL, 3, NULL), WH_OK);
    for (uint32_t i = 0; i < 2 * N; i++)
        for (uint32_t k = 0; k < N; k++) {
            struct wh_heap_edge e = {.from = i < N ? 2 * i + 1 : WH_FROM_ROOT | (3 * N - i),
                                     .to = count,
                                     .from_offset = offsets[i % N] & WH_OFFSET_MASK,
                                     .to_offset = k % 3 == 0 ? 0 : offsets[k] & WH_OFFSET_MASK,
                                     .visible =
                                         k % 4 != 3 ? 0 : offsets[(i + k) % N] & WH_OFFSET_MASK,
                                     .edge_class = k % 6 & 7,
                                     .evidence = 31 - (i & 15)};
            assert_int_equal(wh_edges_add(&edges, &e, NULL), WH_OK);
            all[count++] = e;
        }
    wh_edges_finish(&edges);
    assert_int_equal(wh_edges_of_roots(&edges), count / 2);
    for (uint32_t i = 0; i < count; i++)
        assert_edge(&edges, i, &all[i]);
    for (uint32_t start = 0; start < count; start += 7) {
        struct wh_edge_walk w = {.edges = &edges, .next = start};
        for (uint32_t i = start; i < count; i++) {
            assert_true(wh_edge_next(&w));
            assert_same(&w.edge, &all[i]);
        }
        assert_false(wh_edge_next(&w));
    }
    wh_edges_drop_roots(&edges); /* and the other way round */
    for (uint32_t i = count; i-- > count / 2;)
        assert_int_equal(wh_edges_add(&edges, &all[i], NULL), WH_OK);
    for (uint32_t i = 0; i < count; i++)
        assert_edge(&edges, i, &all[i < count / 2 ? i : count + count / 2 - 1 - i]);
    wh_edges_release(&edges);
}

/* Over more than one page: which entries stay, and that they move to where they are found. */
static void a_forgotten_length_takes_no_room(void **state) {
    (void)state;
    const uint32_t n = 3 * WH_EDGE_PAGE + 5;
    struct wh_edges edges;
    assert_int_equal(wh_edges_open(&edges, n, NULL, 0, NULL), WH_OK);
    for (uint32_t i = 0; i < n; i++) {
        struct wh_heap_edge e = {
            .from = i, .from_offset = 8, .to_offset = i % 5 ? 0 : i, .visible = i % 2 ? 0 : i};
        assert_int_equal(wh_edges_add(&edges, &e, NULL), WH_OK);
    }
    wh_edges_finish(&edges);
    uint32_t before = edges.unit_count, after = 0;
    for (uint32_t i = 0; i < n; i++)
        if (i % 7)
            wh_edges_forget_length(&edges, i);
    wh_edges_finish(&edges);
    for (uint32_t i = 0; i < n; i++) {
        struct wh_heap_edge e = {.from = i,
                                 .from_offset = 8,
                                 .to_offset = i % 5 ? 0 : i,
                                 .visible = i % 2 || i % 7 ? 0 : i};
        assert_edge(&edges, i, &e);
        bool is_near = e.to_offset % 8 == 0 && e.to_offset / 8 <= WH_NEAR_MAX;
        after += e.visible ? 2 : e.to_offset && !is_near ? 1 : 0;
    }
    assert_true(after < before);
    assert_int_equal(edges.unit_count, after);
    wh_edges_release(&edges);
}

/* Over several pages of units: none, some, nearly all and all of them dropped. */
static void dropped_edges_leave_the_others_as_they_were(void **state) {
    (void)state;
    uint64_t seed = 88172645463325252ull;
    for (unsigned of_8 = 0; of_8 <= 8; of_8 += of_8 == 1 ? 6 : 1) {
        struct wh_heap a = make_heap(1000, 50, 300000), b = make_heap(1000, 50, 300000);
        uint64_t *bits = calloc(b.edges.count / 64 + 1, sizeof *bits), kept = 0;
        for (uint64_t i = 0; i < b.edges.count; i++)
            bits[i / 64] |= (uint64_t)(next_random(&seed) % 8 < of_8) << i % 64;
        wh_edges_drop(&b.edges, bits);
        for (struct wh_edge_walk w = {.edges = &a.edges}; wh_edge_next(&w);)
            if (!(bits[w.index / 64] >> w.index % 64 & 1))
                assert_edge(&b.edges, kept++, &w.edge);
        assert_int_equal(b.edges.count, kept);
        struct wh_error error;
        assert_int_equal(wh_heap_check(&b, &error), WH_OK);
        struct wh_heap_edge more = wh_edges_get(&a.edges, a.edges.count - 1);
        assert_int_equal(wh_edges_add(&b.edges, &more, NULL), WH_OK);
        assert_edge(&b.edges, kept, &more);
        free(bits);
        wh_heap_release(&a);
        wh_heap_release(&b);
    }
}

static void edges_out_of_order_are_refused(void **state) {
    (void)state;
    struct wh_edges edges;
    struct wh_heap_edge e = {.from = 2};
    assert_int_equal(wh_edges_open(&edges, 3, NULL, 0, NULL), WH_OK);
    assert_int_equal(wh_edges_add(&edges, &e, NULL), WH_OK);
    assert_int_equal(wh_edges_add(&edges, &e, NULL), WH_OK);
    e.from = 1;
    assert_int_equal(wh_edges_add(&edges, &e, NULL), WH_EINPUT);
    e.from = 3;
    assert_int_equal(wh_edges_add(&edges, &e, NULL), WH_EINPUT);
    e.from = WH_FROM_ROOT;
    assert_int_equal(wh_edges_add(&edges, &e, NULL), WH_OK);
    e.from = 2;
    assert_int_equal(wh_edges_add(&edges, &e, NULL), WH_EINPUT);
    assert_int_equal(edges.count, 3);
    wh_edges_release(&edges);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_heap_comes_back_equal),
        cmocka_unit_test(births_are_in_the_order_of_the_ids),
        cmocka_unit_test(runs_of_equal_values_take_no_room),
        cmocka_unit_test(slice_outside_the_heap_is_refused),
        cmocka_unit_test(cut_or_changed_slices_never_do_harm),
        cmocka_unit_test(huge_counts_are_refused_before_allocation),
        cmocka_unit_test(check_finds_what_dangles_or_is_out_of_order),
        cmocka_unit_test(an_edge_comes_back_as_it_was_added),
        cmocka_unit_test(a_forgotten_length_takes_no_room),
        cmocka_unit_test(dropped_edges_leave_the_others_as_they_were),
        cmocka_unit_test(edges_out_of_order_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
