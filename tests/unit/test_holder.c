/* Holders on objects made by hand: conservation, names, keepers, shares, pins, lost blocks. */
#include "analyzer/holder/card.h"
#include "analyzer/holder/diff.h"
#include "analyzer/holder/holder.h"
#include "analyzer/holder/suppress.h"
#include "analyzer/holder/whatif.h"
#include "hand_heap.h"

struct message {
    uint64_t id;
    char *text;
    uint64_t length;
};

struct node {
    struct node *next;
    struct message *msg;
};

static struct {
    struct node *buckets[16];
    uint64_t count;
} cache;
static struct node *other_list;
static struct node *weak_list;

#define CACHE_FILE "cache.c"

/* Two requests' texts kept by a cache: the texts are created by the codec, the nodes by the cache.
 */
static struct hand *make_cache(unsigned messages) {
    struct hand *h = calloc(1, sizeof(*h));
    uint32_t put = hand_stack(h, "cache_put;handler;main", __FILE__);
    uint32_t codec = hand_stack(h, "read_binary;decode;handler;main", "codec.c");
    memset(&cache, 0, sizeof(cache));
    other_list = weak_list = NULL;
    for (unsigned i = 0; i < messages; i++) {
        struct node *n = hand_new(h, sizeof(*n), put);
        n->msg = hand_new(h, sizeof(*n->msg), codec);
        n->msg->text = hand_new(h, 1000, codec);
        n->next = cache.buckets[i % 4];
        cache.buckets[i % 4] = n;
    }
    hand_root(h, &cache, sizeof(cache), WH_ROOT_GLOBAL);
    hand_root(h, &other_list, sizeof(other_list), WH_ROOT_GLOBAL);
    hand_root(h, &weak_list, sizeof(weak_list), WH_ROOT_GLOBAL);
    return h;
}

static void every_byte_is_held_shared_or_lost(void **state) {
    (void)state;
    struct hand *h = make_cache(10);
    uint32_t f = hand_stack(h, "f;main", "f.c");
    other_list = cache.buckets[1]; /* shared with the cache */
    hand_new(h, 77, f);            /* lost */
    struct wh_store *s = hand_save(h);
    assert_int_equal(
        hand_number(s,
                    "SELECT live_bytes - held_bytes - lost_bytes - untracked_bytes FROM snapshot"),
        0);
    assert_int_equal(hand_number(s, "SELECT lost_bytes FROM snapshot"), 77);
    assert_int_equal(
        hand_number(s, "SELECT (SELECT sum(bytes) FROM gap) - live_bytes FROM snapshot"), 0);
    assert_int_equal(
        hand_number(s, "SELECT (SELECT sum(bytes) FROM share_group) < shared_bytes FROM snapshot"),
        0);
    assert_int_equal(hand_number(s, "SELECT shared_bytes FROM snapshot"), sizeof(struct node));
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE state = 'lost'"), 1);
    hand_close(s);
    hand_free(h);
}

static void the_holder_is_a_typed_path(void **state) {
    (void)state;
    struct hand *h = make_cache(10);
    struct wh_store *s = hand_save(h);
    assert_string_equal(hand_text(s, "SELECT holder FROM gap ORDER BY bytes DESC"),
                        "cache.buckets[*]->next*->msg->text");
    assert_int_equal(hand_number(s, "SELECT objects FROM gap ORDER BY bytes DESC"), 10);
    assert_string_equal(hand_text(s, "SELECT creator FROM gap ORDER BY bytes DESC"), "read_binary");
    assert_string_equal(hand_text(s, "SELECT holder FROM gap WHERE creator = 'cache_put'"),
                        "cache.buckets[*]->next*");
    hand_close(s);
    hand_free(h);
}

static void *opaque;

/* Of steps without types a holder's name has the last; the path's text has all. */
static void a_long_untyped_chain_has_a_short_name(void **state) {
    (void)state;
    struct hand *h = calloc(1, sizeof(*h));
    static const char *const makers[] = {"make_a;main", "make_b;main", "make_c;main",
                                         "make_d;main"};
    void **slot = &opaque;
    for (unsigned i = 0; i < 4; i++) {
        *slot = hand_new(h, 1000 + 8 * i, hand_stack(h, makers[i], "chain.c"));
        slot = (void **)*slot + 2;
    }
    hand_root(h, &opaque, sizeof(opaque), WH_ROOT_GLOBAL);
    struct wh_store *s = hand_save(h);
    assert_string_equal(hand_text(s, "SELECT holder FROM gap WHERE creator = 'make_b'"),
                        "opaque → [created by make_a]+0x10");
    assert_string_equal(hand_text(s, "SELECT holder FROM gap WHERE creator = 'make_d'"),
                        "opaque → … → [created by make_c]+0x10");
    assert_string_equal(hand_text(s, "SELECT text FROM path ORDER BY length DESC"),
                        "opaque → [created by make_a]+0x10 → [created by make_b]+0x10 → "
                        "[created by make_c]+0x10");
    hand_close(s);
    hand_free(h);
}

/* The texts' creator stack knows nothing of the cache: hidden. The cache's own nodes are explained
 * by the source file that defines the cache. */
static void a_container_the_creator_does_not_explain_is_the_keeper(void **state) {
    (void)state;
    struct hand *h = make_cache(10);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT hidden FROM gap WHERE creator = 'cache_put'"), 0);
    assert_int_equal(hand_number(s, "SELECT min(hidden) FROM gap WHERE creator = 'read_binary'"),
                     1);
    assert_string_equal(hand_text(s, "SELECT keeper FROM path WHERE text LIKE '%text'"),
                        "cache.buckets[*]->next* [created by cache_put]");
    assert_int_equal(hand_number(s, "SELECT gap_bytes FROM snapshot"), 10 * 1024);
    hand_close(s);
    hand_free(h);
}

static void shared_blocks_are_credited_to_nobody(void **state) {
    (void)state;
    struct hand *h = make_cache(4);
    other_list = cache.buckets[1];
    struct wh_store *s = hand_save(h);
    assert_string_equal(
        hand_text(s, "SELECT holder FROM gap WHERE holder LIKE 'shared%' ORDER BY bytes DESC"),
        "shared: cache + other_list");
    assert_int_equal(hand_number(s, "SELECT holders FROM held ORDER BY holders DESC"), 2);
    /* What hangs below it is named by one of the two ways, and that is said. */
    assert_int_equal(hand_number(s, "SELECT count(*) > 0 AND min(ways) = 1 AND max(ways) = 2 "
                                    "FROM gap WHERE holder LIKE 'cache%' OR holder LIKE 'other%'"),
                     1);
    assert_int_equal(hand_number(s, "SELECT max(ways) FROM gap WHERE holder LIKE 'shared%'"), 1);
    assert_int_equal(hand_number(s, "SELECT exclusive_bytes FROM root WHERE name = 'other_list'"),
                     0);
    assert_int_equal(hand_number(s, "SELECT reachable_bytes FROM root WHERE name = 'other_list'"),
                     1040);
    assert_int_equal(hand_number(s, "SELECT effective_bytes FROM root WHERE name = 'other_list'"),
                     520);
    hand_close(s);
    hand_free(h);
}

/* What a collector puts before each object: links first, so that they point to blocks' starts,
 * while the program's own references point behind them. */
struct collected {
    struct collected *next, *previous;
    void *object;
};

static struct collected watched;
static void *owner;

/* members blocks of the given number of creators in one doubly linked list; the odd ones are
 * referred to by their predecessors' objects too, and the first object by `owner`. Every
 * `late`th has two words in front of its links, 0 = none. */
static struct hand *make_watched(unsigned members, unsigned creators, unsigned late) {
    static char names[10][32];
    uint32_t stacks[10];
    struct hand *h = calloc(1, sizeof(*h));
    struct collected *last = &watched, *first = NULL;
    for (unsigned i = 0; i < creators; i++) {
        snprintf(names[i], sizeof(names[i]), "make_%u;main", i);
        stacks[i] = hand_stack(h, names[i], "objects.c");
    }
    for (unsigned i = 0; i < members; i++) {
        unsigned before = late && i % late == late - 1 ? 16 : 0;
        char *block = hand_new(h, before + sizeof(struct collected), stacks[i % creators]);
        struct collected *c = (struct collected *)(void *)(block + before);
        if (first && i % 2)
            last->object = &c->object;
        else if (!first)
            first = c;
        c->previous = last;
        last->next = c;
        last = c;
    }
    last->next = &watched;
    watched.previous = last;
    owner = &first->object;
    hand_root(h, &watched, sizeof(watched), WH_ROOT_GLOBAL);
    hand_root(h, &owner, sizeof(owner), WH_ROOT_GLOBAL);
    return h;
}

/* A list through objects of many kinds holds only what nothing else refers to. */
static void a_collectors_list_holds_nothing_that_others_do(void **state) {
    (void)state;
    struct hand *h = make_watched(80, 9, 0);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE root = 'owner'"), 2);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE root = 'watched'"), 78);
    assert_int_equal(hand_number(s, "SELECT max(class) FROM reference WHERE evidence = "
                                    "'registry link'"),
                     WH_EDGE_TAGGED);
    hand_close(s);
    hand_free(h);
}

/* Also where some objects have more in front of them: their links lie further in. */
static void a_collectors_list_goes_through_objects_of_all_layouts(void **state) {
    (void)state;
    struct hand *h = make_watched(80, 9, 10);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE root = 'owner'"), 2);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE root = 'watched'"), 78);
    hand_close(s);
    hand_free(h);
}

/* Where the list's head is not seen, its links are as weak, and still keep what nothing else does.
 */
static void a_collectors_list_without_a_head_is_as_weak(void **state) {
    (void)state;
    struct hand *h = make_watched(80, 9, 10);
    h->root[0] = h->root[1];
    h->root_memory[0] = h->root_memory[1];
    h->roots = 1;
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM reference WHERE evidence = "
                                    "'registry link' AND class = 1"),
                     79);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE state = 'held'"), 80);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE strength > 1"), 2);
    hand_close(s);
    hand_free(h);
}

static struct collected young;

/* A short list of kinds that were met in the long one is the collector's, too, whatever its one
 * member of another kind. */
static void a_collectors_young_objects_are_as_weak(void **state) {
    (void)state;
    struct hand *h = make_watched(80, 9, 0);
    uint32_t fresh = hand_stack(h, "make_fresh;main", "objects.c");
    struct collected *last = &young;
    for (unsigned i = 0; i < 10; i++) {
        struct collected *c = hand_new(h, sizeof(*c), i == 4 ? fresh : i % 9 + 1);
        c->previous = last;
        last->next = c;
        last = c;
    }
    last->next = &young;
    young.previous = last;
    hand_root(h, &young, sizeof(young), WH_ROOT_GLOBAL);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE strength > 1"), 2);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE root = 'young'"), 10);
    hand_close(s);
    hand_free(h);
}

/* The same list with members of three kinds is the program's, and as strong as it looks. */
static void a_programs_own_list_holds_its_members(void **state) {
    (void)state;
    struct hand *h = make_watched(80, 3, 0);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE root = 'watched'"), 80);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM reference WHERE evidence = "
                                    "'registry link'"),
                     0);
    hand_close(s);
    hand_free(h);
}

static struct {
    struct node *free_list[4];
    int free_count;
    struct {
        struct node *items[2];
    } freelists;
} recycler;

/* A slot of a free list that was not cleared when its block was taken again. */
static void a_free_list_holds_only_what_is_free(void **state) {
    (void)state;
    struct hand *h = calloc(1, sizeof(*h));
    uint32_t f = hand_stack(h, "f;main", "f.c");
    recycler.free_list[0] = hand_new(h, 100, f);
    recycler.free_list[1] = other_list = hand_new(h, 1000, f);
    recycler.freelists.items[1] = other_list;
    hand_root(h, &recycler, sizeof(recycler), WH_ROOT_GLOBAL);
    hand_root(h, &other_list, sizeof(other_list), WH_ROOT_GLOBAL);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT bytes FROM gap WHERE root = 'other_list'"), 1000);
    assert_int_equal(hand_number(s, "SELECT bytes FROM gap WHERE root = 'recycler'"), 100);
    hand_close(s);
    hand_free(h);
}

/* The same where a variable points to what has the list. */
static struct recycler_state {
    struct node *in_use;
    struct {
        struct node *free_list[4];
    } nodes;
} * recycler_state;

static void a_free_list_behind_a_pointer_is_one_too(void **state) {
    (void)state;
    struct hand *h = calloc(1, sizeof(*h));
    uint32_t f = hand_stack(h, "f;main", "f.c");
    recycler_state = hand_new(h, sizeof(*recycler_state), hand_stack(h, "open;main", "f.c"));
    recycler_state->in_use = hand_new(h, 10, f);
    recycler_state->nodes.free_list[0] = hand_new(h, 100, f);
    recycler_state->nodes.free_list[1] = other_list = hand_new(h, 1000, f);
    hand_root(h, &recycler_state, sizeof(void *), WH_ROOT_GLOBAL);
    hand_root(h, &other_list, sizeof(other_list), WH_ROOT_GLOBAL);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT bytes FROM gap WHERE root = 'other_list'"), 1000);
    assert_int_equal(hand_number(s, "SELECT sum(bytes) FROM gap WHERE root = 'recycler_state' AND "
                                    "creator = 'f'"),
                     110);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE strength = 1"), 1);
    hand_close(s);
    hand_free(h);
}

static void a_suspect_word_holds_nothing(void **state) {
    (void)state;
    struct hand *h = make_cache(4);
    uint32_t f = hand_stack(h, "f;main", "f.c");
    weak_list = hand_new(h, 64, f);
    hand_weak(h, &weak_list);
    other_list = cache.buckets[1]; /* a suspect word on a held block does not share it */
    hand_weak(h, &other_list);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT lost_bytes FROM snapshot"), 64);
    assert_int_equal(hand_number(s, "SELECT shared_bytes FROM snapshot"), 0);
    assert_int_equal(
        hand_number(s, "SELECT count(*) FROM reference WHERE class = 0 AND is_kept = 0"), 2);
    hand_close(s);
    hand_free(h);
}

/* One byte of a megabyte: interior, with its length beside it. */
static void a_small_slice_pins_the_whole_block(void **state) {
    (void)state;
    static struct {
        char *data;
        uint64_t length;
    } slice;
    struct hand *h = calloc(1, sizeof(*h));
    uint32_t receive = hand_stack(h, "receive;main", "net.c");
    char *buffer = hand_new(h, 1 << 20, receive);
    slice.data = buffer + 100;
    slice.length = 1;
    hand_slice(h, &slice.data, 1);
    hand_root(h, &slice, sizeof(slice), WH_ROOT_GLOBAL);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT visible_bytes FROM held"), 1);
    assert_int_equal(hand_number(s, "SELECT amplification FROM gap"), 1 << 20);
    assert_int_equal(hand_number(s, "SELECT strength FROM held"), WH_EDGE_REASONED);
    hand_close(s);
    hand_free(h);
}

static void lost_cycles_and_what_hangs_below_are_told_apart(void **state) {
    (void)state;
    struct hand *h = calloc(1, sizeof(*h));
    uint32_t f = hand_stack(h, "f;main", "f.c");
    struct node *a = hand_new(h, sizeof(*a), f), *b = hand_new(h, sizeof(*b), f);
    a->next = b;
    b->next = a;
    a->msg = hand_new(h, sizeof(*a->msg), f);
    struct node *alone = hand_new(h, sizeof(*alone), f);
    alone->msg = hand_new(h, sizeof(*alone->msg), f);
    struct wh_store *s = hand_save(h);
    assert_int_equal(
        hand_number(s, "SELECT count(*) FROM held WHERE state = 'lost' AND cycle_objects = 2"), 2);
    assert_int_equal(
        hand_number(s, "SELECT count(*) FROM held WHERE state = 'lost' AND cycle_objects = 0"), 1);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE state = 'lost_indirect'"), 2);
    assert_int_equal(hand_number(s, "SELECT hidden FROM gap WHERE holder = 'lost'"), 0);
    hand_close(s);
    hand_free(h);
}

static void whatif_frees_what_nothing_else_keeps(void **state) {
    (void)state;
    struct hand *h = make_cache(4);
    struct wh_holding *holding;
    struct wh_whatif w;
    struct wh_error error = {0};
    other_list = cache.buckets[1];
    struct wh_store *s = hand_save(h);
    const char *drop[] = {"cache"}, *path[] = {"cache.buckets[*]->msg->text"},
               *bad[] = {"no such thing"};
    assert_int_equal(wh_holding_open(s, 1, NULL, &holding, &error), 0);
    assert_int_equal(wh_whatif(holding, drop, 1, &w, &error), 0);
    assert_int_equal(w.freed_bytes, 3 * (16 + 24 + 1000));
    assert_int_equal(w.through_bytes, 4 * (16 + 24 + 1000));
    assert_int_equal(w.kept_count, 1);
    assert_string_equal(w.kept[0].name, "other_list");
    wh_whatif_release(&w);
    wh_holding_close(holding);
    assert_int_equal(wh_holding_open(s, 1, NULL, &holding, &error), 0);
    assert_int_equal(wh_whatif(holding, path, 1, &w, &error), 0);
    assert_int_equal(w.freed_bytes,
                     4 * 1000); /* the references themselves are gone, whoever leads to them */
    wh_whatif_release(&w);
    assert_int_equal(wh_whatif(holding, bad, 1, &w, &error), WH_ENOTFOUND);
    wh_holding_close(holding);
    hand_close(s);
    hand_free(h);
}

static void a_card_shows_concrete_steps(void **state) {
    (void)state;
    struct hand *h = make_cache(10);
    struct wh_holding *holding;
    struct wh_hop *hops;
    struct wh_graph_path paths[3] = {{0}};
    struct wh_error error = {0};
    uint32_t count;
    struct wh_store *s = hand_save(h);
    assert_int_equal(wh_holding_open(s, 1, NULL, &holding, &error), 0);
    uint32_t block = wh_card_find(holding, (uintptr_t)cache.buckets[1]->next->msg->text + 10);
    assert_int_not_equal(block, WH_GRAPH_NONE);
    assert_int_equal(wh_card_paths(holding, block, 3, paths, &count, &error), 0);
    assert_int_equal(count, 1);
    assert_int_equal(wh_card_hops(holding, paths[0].steps, paths[0].length, &hops, &error), 0);
    assert_int_equal(paths[0].length, 4);
    assert_string_equal(hops[0].text, "cache.buckets[1]");
    assert_string_equal(hops[3].text, "cache.buckets[1]->next->msg->text");
    assert_int_equal(hops[3].slot, (uintptr_t)&cache.buckets[1]->next->msg->text);
    assert_int_equal(hops[0].edge_class, WH_EDGE_TYPED);
    free(hops);
    wh_graph_path_release(&paths[0]);
    wh_holding_close(holding);
    hand_close(s);
    hand_free(h);
}

static void a_snapshot_does_not_differ_from_itself(void **state) {
    (void)state;
    struct hand *h = make_cache(6);
    struct wh_diff d;
    struct wh_error error = {0};
    struct wh_store *s = hand_save(h);
    assert_int_equal(wh_diff((struct wh_store *[]){s, s}, (int64_t[]){1, 1}, &d, &error), 0);
    assert_int_equal(d.bytes[0], 6 * 1040);
    for (uint32_t i = 0; i < d.count; i++)
        assert_int_equal(d.rows[i].bytes[0], d.rows[i].bytes[1]);
    wh_diff_release(&d);
    hand_close(s);
    hand_free(h);
}

/* Three snapshots of one heap, the second asked for by label, with room for the rows of one. */
static void only_the_last_snapshot_is_sure_of_its_rows(void **state) {
    (void)state;
    struct hand *h = make_cache(6);
    struct wh_error error = {0};
    struct wh_store *s = hand_save(h);
    for (int id = 2; id <= 3; id++) {
        char text[500];
        snprintf(text, sizeof(text),
                 "INSERT INTO snapshot(id, process_id, at_ns, reason, mode, pause_ns, "
                 "live_objects, live_bytes) SELECT %d, 1, %d, 'exit', 'fork', 1, live_objects, "
                 "live_bytes FROM snapshot WHERE id = 1; "
                 "INSERT INTO snapshot_chunk SELECT %d, part, first, count, raw_bytes, data "
                 "FROM snapshot_chunk WHERE snapshot_id = 1",
                 id, id + 5, id);
        hand_exec(s, text);
    }
    hand_exec(s, "UPDATE snapshot SET reason = 'peak' WHERE id = 1; "
                 "UPDATE snapshot SET reason = 'api' WHERE id = 2; "
                 "DELETE FROM gap; DELETE FROM held; DELETE FROM reference; DELETE FROM path; "
                 "DELETE FROM root; UPDATE snapshot SET held_bytes = NULL; "
                 "INSERT INTO pooled VALUES(1, 2, 'buffers', NULL, 1, 1, 1)");
    uint64_t rows = (uint64_t)hand_number(
        s, "SELECT sum(count) FROM snapshot_chunk WHERE snapshot_id = 1 AND part IN (0, 2)");
    assert_int_equal(wh_holder_resolve_within(s, rows, &error), 0);
    assert_string_equal(hand_text(s, "SELECT group_concat(block_rows, ' ') FROM "
                                     "(SELECT block_rows FROM snapshot ORDER BY id)"),
                        "pooled all all");
    assert_int_equal(hand_number(s, "SELECT allocation_id FROM held WHERE snapshot_id = 1 "
                                    "GROUP BY snapshot_id HAVING count(*) = 1"),
                     2);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE snapshot_id = 2"), 18);
    assert_int_equal(hand_number(s, "SELECT count(DISTINCT bytes) FROM "
                                    "(SELECT sum(bytes) AS bytes FROM gap GROUP BY snapshot_id)"),
                     1);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM path WHERE snapshot_id = 1"), 18);
    assert_int_equal(wh_holder_complete(s, 1, &error), 0);
    assert_string_equal(hand_text(s, "SELECT block_rows FROM snapshot WHERE id = 1"), "all");
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE snapshot_id = 1"), 18);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM reference WHERE snapshot_id = 1"),
                     hand_number(s, "SELECT count(*) FROM reference WHERE snapshot_id = 2"));
    hand_close(s);
    hand_free(h);
}

static void suppressions_match_as_leak_sanitizers(void **state) {
    (void)state;
    assert_true(wh_suppression_matches("foo", "a_foo_b"));
    assert_false(wh_suppression_matches("^foo", "a_foo_b"));
    assert_true(wh_suppression_matches("^a_*_b$", "a_foo_b"));
    assert_true(wh_suppression_matches("foo$", "foofoo"));
    assert_false(wh_suppression_matches("foo$", "foo_b"));
    assert_true(wh_suppression_matches("*", ""));
    assert_false(wh_suppression_matches("x", NULL));
    assert_true(wh_suppression_matches("lib*.so", "/usr/lib/libx.so"));
    assert_false(wh_suppression_matches("^b*b$", "b"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_held_shared_or_lost),
        cmocka_unit_test(the_holder_is_a_typed_path),
        cmocka_unit_test(a_long_untyped_chain_has_a_short_name),
        cmocka_unit_test(a_container_the_creator_does_not_explain_is_the_keeper),
        cmocka_unit_test(shared_blocks_are_credited_to_nobody),
        cmocka_unit_test(a_collectors_list_holds_nothing_that_others_do),
        cmocka_unit_test(a_collectors_list_goes_through_objects_of_all_layouts),
        cmocka_unit_test(a_collectors_list_without_a_head_is_as_weak),
        cmocka_unit_test(a_collectors_young_objects_are_as_weak),
        cmocka_unit_test(a_programs_own_list_holds_its_members),
        cmocka_unit_test(a_free_list_holds_only_what_is_free),
        cmocka_unit_test(a_free_list_behind_a_pointer_is_one_too),
        cmocka_unit_test(a_suspect_word_holds_nothing),
        cmocka_unit_test(a_small_slice_pins_the_whole_block),
        cmocka_unit_test(lost_cycles_and_what_hangs_below_are_told_apart),
        cmocka_unit_test(whatif_frees_what_nothing_else_keeps),
        cmocka_unit_test(a_card_shows_concrete_steps),
        cmocka_unit_test(a_snapshot_does_not_differ_from_itself),
        cmocka_unit_test(only_the_last_snapshot_is_sure_of_its_rows),
        cmocka_unit_test(suppressions_match_as_leak_sanitizers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
