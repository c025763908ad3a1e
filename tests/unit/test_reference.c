/* Table reference is complete up to five million edges of a snapshot; above, each block has the
 * strongest few as rows, and the chunks have all. */
#include "hand_heap.h"

#include "analyzer/holder/rows.h"

static char **table;

static void must(int status, const struct wh_error *error) {
    if (status < 0)
        fail_msg("%s", error->text);
}

/* A block of `words` words, each of which points at one other block: the first ten by a tagged
 * pointer, the rest by plain ones. */
static struct wh_store *save_table(struct hand *h, uint64_t words) {
    struct wh_error error = {0};
    struct wh_heap heap;
    uint32_t f = hand_stack(h, "f;main", "f.c");
    table = hand_new(h, words * 8, f);
    table[0] = hand_new(h, 48, f);
    hand_root(h, &table, sizeof(table), WH_ROOT_GLOBAL);
    struct wh_store *store = hand_save(h);
    must(wh_store_get_heap(store, 1, &heap, &error), &error);
    assert_int_equal(heap.edges.count, 2);
    struct wh_heap_edge inner = wh_edges_get(&heap.edges, 0), outer = wh_edges_get(&heap.edges, 1);
    wh_edges_release(&heap.edges);
    must(wh_edges_open(&heap.edges, heap.node_count, NULL, words + 1, &error), &error);
    for (uint64_t i = 0; i < words; i++) {
        inner.from_offset = i * 8 & WH_OFFSET_MASK;
        inner.edge_class = i < 10 ? WH_EDGE_TAGGED : WH_EDGE_START;
        must(wh_edges_add(&heap.edges, &inner, &error), &error);
    }
    must(wh_edges_add(&heap.edges, &outer, &error), &error);
    wh_edges_finish(&heap.edges);
    must(wh_store_exec(store, "DELETE FROM snapshot_chunk", &error), &error);
    must(wh_store_put_heap(store, 1, &heap, &error), &error);
    wh_heap_release(&heap);
    must(wh_holder_resolve_again(store, &error), &error);
    return store;
}

static void few_edges_are_all_rows(void **state) {
    (void)state;
    struct hand *h = calloc(1, sizeof(*h));
    struct wh_store *s = save_table(h, 1000);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM reference"), 1001);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM reference WHERE class = 1"), 10);
    assert_int_equal(hand_number(s, "SELECT sum(reference_count) FROM held"), 1001);
    hand_close(s);
    hand_free(h);
}

static void of_many_edges_the_strongest_into_each_block_are_rows(void **state) {
    (void)state;
    struct hand *h = calloc(1, sizeof(*h));
    struct wh_store *s = save_table(h, WH_REFERENCE_ROWS_MAX);
    const char *into = "FROM reference r JOIN allocation a ON a.id = to_allocation_id "
                       "WHERE a.size_bytes = 48";
    char sql[256];
    snprintf(sql, sizeof(sql), "SELECT count(*) %s", into);
    assert_int_equal(hand_number(s, sql), WH_REFERENCE_PER_BLOCK);
    snprintf(sql, sizeof(sql), "SELECT min(class) %s", into);
    assert_int_equal(hand_number(s, sql), WH_EDGE_START);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM reference"), WH_REFERENCE_PER_BLOCK + 1);
    assert_int_equal(hand_number(s, "SELECT max(reference_count) FROM held"),
                     WH_REFERENCE_ROWS_MAX);
    assert_int_equal(hand_number(s, "SELECT sum(count) FROM snapshot_chunk WHERE part = 2"),
                     WH_REFERENCE_ROWS_MAX + 1);
    hand_close(s);
    hand_free(h);
}

/* A heap that was kept is had without its chunks, once, and is the one that they hold. */
static void a_kept_heap_needs_no_unpacking(void **state) {
    (void)state;
    struct hand *h = calloc(1, sizeof(*h));
    struct wh_error error = {0};
    struct wh_heap stored, kept, again;
    struct wh_store *s = save_table(h, 1000);
    must(wh_store_get_heap(s, 1, &stored, &error), &error);
    must(wh_store_get_heap(s, 1, &kept, &error), &error);
    const struct wh_edge *edges = kept.edges.items;
    wh_store_keep_heap(s, 1, &kept);
    assert_null(kept.edges.items);
    must(wh_store_get_heap(s, 1, &again, &error), &error);
    assert_ptr_equal(again.edges.items, edges);
    assert_int_equal(again.edges.count, stored.edges.count);
    assert_memory_equal(again.edges.items, stored.edges.items, stored.edges.count * sizeof(*edges));
    assert_memory_equal(again.nodes, stored.nodes, stored.node_count * sizeof(*again.nodes));
    wh_store_keep_heap(s, 2, &again); /* another snapshot's does not serve for this one */
    must(wh_store_get_heap(s, 1, &again, &error), &error);
    assert_int_equal(again.edges.count, stored.edges.count);
    wh_heap_release(&again);
    wh_heap_release(&stored);
    hand_close(s);
    hand_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_heap_needs_no_unpacking),
        cmocka_unit_test(few_edges_are_all_rows),
        cmocka_unit_test(of_many_edges_the_strongest_into_each_block_are_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
