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
        .edges = calloc(edges, sizeof *h.edges),
        .node_count = nodes,
        .root_count = roots,
        .edge_count = edges,
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
                                  .alloc_order = 0,
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
    for (uint32_t i = 0; i < edges; i++)
        h.edges[i] = (struct wh_heap_edge){.from = i < edges / 2 ? i % nodes : WH_FROM_ROOT,
                                           .to = (uint32_t)(next_random(&seed) % nodes),
                                           .from_offset = 8ull * i,
                                           .to_offset = next_random(&seed) & WH_OFFSET_MASK,
                                           .visible = i % 3 ? 0 : WH_OFFSET_MASK,
                                           .edge_class = i % 6 & 7,
                                           .evidence = i % 12 & 31};
    for (uint32_t i = 0; i < edges / 2; i++)
        h.edges[i].from = (uint32_t)((uint64_t)i * nodes / edges);
    assert_int_equal(wh_heap_number_births(&h, NULL), WH_OK);
    return h;
}

static void copy_part(const struct wh_heap *from, struct wh_heap *to, enum wh_heap_part part,
                      uint64_t count, uint64_t slice) {
    for (uint64_t first = 0; first < count; first += slice) {
        unsigned char *data;
        size_t bytes;
        uint64_t n = count - first < slice ? count - first : slice;
        assert_int_equal(wh_heap_pack(from, part, first, n, &data, &bytes, NULL), WH_OK);
        assert_int_equal(wh_heap_unpack(to, part, n, data, bytes, NULL), WH_OK);
        free(data);
    }
}

static void packed_heap_comes_back_equal(void **state) {
    (void)state;
    struct wh_heap a = make_heap(1000, 50, 3000), b = {0};
    assert_int_equal(wh_heap_reserve(&b, WH_HEAP_EDGES, 5000, NULL), WH_OK);
    copy_part(&a, &b, WH_HEAP_NODES, a.node_count, 300);
    copy_part(&a, &b, WH_HEAP_ROOTS, a.root_count, WH_HEAP_SLICE);
    copy_part(&a, &b, WH_HEAP_EDGES, a.edge_count, 1024);
    copy_part(&a, &b, WH_HEAP_TEXTS, a.texts_bytes, 5);
    assert_int_equal(wh_heap_number_births(&b, NULL), WH_OK);
    assert_int_equal(b.node_count, a.node_count);
    assert_int_equal(b.edge_count, a.edge_count);
    assert_memory_equal(a.nodes, b.nodes, a.node_count * sizeof *a.nodes);
    assert_memory_equal(a.roots, b.roots, a.root_count * sizeof *a.roots);
    assert_memory_equal(a.edges, b.edges, a.edge_count * sizeof *a.edges);
    assert_memory_equal(a.texts, b.texts, a.texts_bytes);
    struct wh_error error;
    assert_int_equal(wh_heap_check(&b, &error), WH_OK);
    assert_string_equal(wh_heap_text(&b, 1), "/dev/zero");
    assert_string_equal(wh_heap_text(&b, 99), "");
    wh_heap_release(&a);
    wh_heap_release(&b);
}

/* Ids close together are ranked by a bitmap, others by sorting: the ranks are the same. */
static void births_are_ranks_of_the_ids(void **state) {
    (void)state;
    for (int spread = 0; spread < 2; spread++) {
        struct wh_heap a = make_heap(500, 1, 1);
        for (uint32_t i = 0; i < 500; i++) {
            uint64_t id = (uint64_t)(i * 7 % 500) + 1;
            a.nodes[i].allocation_id = spread ? id << 40 : id;
        }
        assert_int_equal(wh_heap_number_births(&a, NULL), WH_OK);
        for (uint32_t i = 0; i < 500; i++)
            assert_int_equal(a.nodes[i].alloc_order, i * 7 % 500);
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
    unsigned char *data;
    size_t bytes;
    assert_int_equal(wh_heap_pack(&a, WH_HEAP_NODES, 0, 5000, &data, &bytes, NULL), WH_OK);
    assert_true(bytes < 5000 * 2 + 100); /* the addresses' steps take two bytes each */
    assert_int_equal(wh_heap_unpack(&b, WH_HEAP_NODES, 5000, data, bytes, NULL), WH_OK);
    assert_int_equal(wh_heap_number_births(&a, NULL), WH_OK);
    assert_int_equal(wh_heap_number_births(&b, NULL), WH_OK);
    assert_memory_equal(a.nodes, b.nodes, a.node_count * sizeof *a.nodes);
    free(data);
    wh_heap_release(&a);
    wh_heap_release(&b);
}

static void slice_outside_the_heap_is_refused(void **state) {
    (void)state;
    struct wh_heap a = make_heap(10, 1, 1);
    unsigned char *data;
    size_t bytes;
    assert_int_equal(wh_heap_pack(&a, WH_HEAP_NODES, 5, 6, &data, &bytes, NULL), WH_EUSAGE);
    assert_int_equal(wh_heap_pack(&a, WH_HEAP_NODES, UINT64_MAX, 2, &data, &bytes, NULL),
                     WH_EUSAGE);
    wh_heap_release(&a);
}

static void cut_or_changed_slices_never_do_harm(void **state) {
    (void)state;
    struct wh_heap a = make_heap(40, 8, 60);
    uint64_t seed = 7;
    for (unsigned part = WH_HEAP_NODES; part <= WH_HEAP_EDGES; part++) {
        uint64_t count = part == WH_HEAP_NODES   ? a.node_count
                         : part == WH_HEAP_ROOTS ? a.root_count
                                                 : 60;
        unsigned char *data;
        size_t bytes;
        assert_int_equal(wh_heap_pack(&a, part, 0, count, &data, &bytes, NULL), WH_OK);
        for (size_t cut = 0; cut < bytes; cut++) {
            struct wh_heap b = {0};
            unsigned char *exact = malloc(cut + 1); /* so that a read too far is seen by asan */
            memcpy(exact, data, cut);
            assert_int_equal(wh_heap_unpack(&b, part, count, exact, cut, NULL), WH_EINPUT);
            free(exact);
            wh_heap_release(&b);
        }
        for (int round = 0; round < 2000; round++) {
            struct wh_heap b = {0};
            data[next_random(&seed) % bytes] ^= (unsigned char)next_random(&seed);
            if (wh_heap_unpack(&b, part, count, data, bytes, NULL) == WH_OK)
                (void)wh_heap_check(&b, NULL);
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
    assert_null(b.edges);
    wh_heap_release(&b);
}

static void check_finds_dangling_references(void **state) {
    (void)state;
    struct wh_heap a = make_heap(20, 4, 10);
    assert_int_equal(wh_heap_check(&a, NULL), WH_OK);
    a.edges[3].to = a.node_count;
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    a.edges[3].to = 0;
    a.edges[9].from = WH_FROM_ROOT | a.root_count;
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    a.edges[9].from = WH_FROM_ROOT;
    a.roots[1].text = a.texts_bytes;
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    a.roots[1].text = 0;
    a.nodes[4].address = a.nodes[3].address;
    assert_int_equal(wh_heap_check(&a, NULL), WH_EINPUT);
    wh_heap_release(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_heap_comes_back_equal),
        cmocka_unit_test(births_are_ranks_of_the_ids),
        cmocka_unit_test(runs_of_equal_values_take_no_room),
        cmocka_unit_test(slice_outside_the_heap_is_refused),
        cmocka_unit_test(cut_or_changed_slices_never_do_harm),
        cmocka_unit_test(huge_counts_are_refused_before_allocation),
        cmocka_unit_test(check_finds_dangling_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
