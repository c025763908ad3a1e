/* Which of several equally strong ways to a block is named: the one where objects are owned. */
#include "hand_heap.h"

#define SHELVES 150

/* Every shelf has an object, and the object a text; some shelves' objects are in the cache, too. */
struct shelf {
    void *reserved, *object;
};

static struct { void *entry[SHELVES]; } front;
static void *store;

static struct hand *make_store(unsigned cached) {
    struct hand *h = calloc(1, sizeof(*h));
    uint32_t shelf_stack = hand_stack(h, "make_shelf;main", "store.c");
    uint32_t object_stack = hand_stack(h, "make_object;main", "object.c");
    uint32_t text_stack = hand_stack(h, "make_text;main", "text.c");
    memset(&front, 0, sizeof(front));
    void **shelves = hand_new(h, SHELVES * sizeof(void *), hand_stack(h, "open;main", "store.c"));
    for (unsigned i = 0; i < SHELVES; i++) {
        struct shelf *shelf = shelves[i] = hand_new(h, sizeof(*shelf), shelf_stack);
        void **object = shelf->object = hand_new(h, 24, object_stack);
        *object = hand_new(h, 100, text_stack);
        if (i < cached)
            front.entry[i] = object;
    }
    store = shelves;
    hand_root(h, &front, sizeof(front), WH_ROOT_GLOBAL);
    hand_root(h, &store, sizeof(store), WH_ROOT_GLOBAL);
    return h;
}

static void a_cache_in_front_is_not_the_holder(void **state) {
    (void)state;
    struct hand *h = make_store(100);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE creator = 'make_text' "
                                    "AND root = 'store'"),
                     SHELVES);
    /* Which both still keep, and that is said. */
    assert_int_equal(hand_number(s, "SELECT max(ways) FROM gap WHERE creator = 'make_text'"), 2);
    assert_string_equal(hand_text(s, "SELECT holder FROM gap WHERE creator = 'make_object' AND "
                                     "objects = 100"),
                        "shared: store + front");
    hand_close(s);
    hand_free(h);
}

/* What keeps its objects alone, however far away the others are, is their holder. */
static void an_array_that_keeps_objects_is_the_holder(void **state) {
    (void)state;
    struct hand *h = make_store(100);
    uint32_t object_stack = hand_stack(h, "make_object;main", "object.c");
    uint32_t text_stack = hand_stack(h, "make_text;main", "text.c");
    for (unsigned i = 100; i < 120; i++) {
        void **object = front.entry[i] = hand_new(h, 24, object_stack);
        *object = hand_new(h, 100, text_stack);
    }
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE creator = 'make_text' "
                                    "AND root = 'front'"),
                     120);
    hand_close(s);
    hand_free(h);
}

/* A few references say nothing: of two equally good ways the shorter one is named. */
static void a_few_references_decide_nothing(void **state) {
    (void)state;
    struct hand *h = make_store(20);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE creator = 'make_text' "
                                    "AND root = 'front'"),
                     20);
    hand_close(s);
    hand_free(h);
}

static void a_table_in_the_heap_that_keeps_nothing_is_not_the_holder(void **state) {
    (void)state;
    struct hand *h = make_store(0);
    void **index = hand_new(h, SHELVES * sizeof(void *), hand_stack(h, "index;main", "index.c"));
    for (unsigned i = 0; i < 100; i++)
        index[i] = ((struct shelf *)((void **)store)[i])->object;
    front.entry[0] = index;
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE creator = 'make_text' "
                                    "AND root = 'store'"),
                     SHELVES);
    hand_close(s);
    hand_free(h);
}

#define OBJECTS 40

static void *first_object;
static void *shortcut;

/* A list of objects behind headers, each from a stack of its own; every fourth has a longer one.
 */
static void objects_behind_a_header_are_as_strong_as_others(void **state) {
    (void)state;
    static char names[OBJECTS / 2][40];
    struct hand *h = calloc(1, sizeof(*h));
    void **slot = &first_object;
    uint32_t stacks[OBJECTS / 2];
    for (unsigned i = 0; i < OBJECTS / 2; i++) {
        snprintf(names[i], sizeof(names[i]), "new_object;caller_%u;main", i);
        stacks[i] = hand_stack(h, names[i], "object.c");
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        unsigned header = i % 4 ? 16 : 32;
        char *block = hand_new(h, 80, stacks[i / 2]);
        slot = *slot = block + header;
        slot = (void **)(void *)(block + header);
    }
    void *last = hand_new(h, 24, hand_stack(h, "make_last;main", "last.c"));
    *slot = last;
    shortcut = last;
    hand_root(h, &first_object, sizeof(first_object), WH_ROOT_GLOBAL);
    hand_root(h, &shortcut, sizeof(shortcut), WH_ROOT_GLOBAL);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE strength < 4"), 0);
    assert_string_equal(hand_text(s, "SELECT holder FROM gap WHERE creator = 'make_last'"),
                        "shared: first_object + shortcut");
    hand_close(s);
    hand_free(h);
}

/* A kind of few learns from the function that allocates for all kinds; what lies further in, as a
 * member does, is no other beginning. */
static void a_rare_kinds_header_is_that_of_its_allocator(void **state) {
    (void)state;
    static char names[OBJECTS][40];
    struct hand *h = calloc(1, sizeof(*h));
    void **table = hand_new(h, 2 * OBJECTS * sizeof(void *), hand_stack(h, "open;main", "a.c"));
    for (unsigned i = 0; i < 20; i++) {
        snprintf(names[i], sizeof(names[i]), "malloc_object;new_kind_%u;main", i);
        char *block = hand_new(h, 80, hand_stack_by(h, names[i], "a.c", 1));
        table[i] = block + 16;
        table[OBJECTS + i] = i == 3 ? block + 72 : NULL;
    }
    store = table;
    hand_root(h, &store, sizeof(store), WH_ROOT_GLOBAL);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT count(DISTINCT creator) FROM gap"), 21);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE strength < 4"), 0);
    hand_close(s);
    hand_free(h);
}

/* Blocks that are referred to at many different places inside have no header. */
static void places_inside_are_no_header(void **state) {
    (void)state;
    struct hand *h = calloc(1, sizeof(*h));
    uint32_t stack = hand_stack(h, "read_line;main", "line.c");
    void **lines = hand_new(h, OBJECTS * sizeof(void *), hand_stack(h, "open;main", "line.c"));
    for (unsigned i = 0; i < OBJECTS; i++)
        lines[i] = (char *)hand_new(h, 100, stack) + 8 * (i % 8 + 1);
    store = lines;
    hand_root(h, &store, sizeof(store), WH_ROOT_GLOBAL);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE strength = 2"), OBJECTS);
    hand_close(s);
    hand_free(h);
}

static struct { void **begin, **end, **capacity; } list;
static void *now_here;

/* What a vector's capacity still has from before does not hold where something else does; what
 * nothing else refers to is still found there, as weakly as it is. */
static void the_unused_end_of_a_vector_holds_weakly(void **state) {
    (void)state;
    struct hand *h = calloc(1, sizeof(*h));
    uint32_t stack = hand_stack(h, "make_object;main", "a.c");
    list.begin = hand_new(h, 8 * sizeof(void *), hand_stack(h, "grow;main", "a.c"));
    for (unsigned i = 0; i < 6; i++)
        list.begin[i] = hand_new(h, 100, stack);
    list.end = list.begin + 3;
    list.capacity = list.begin + 8;
    now_here = list.begin[4];
    hand_root(h, &list, sizeof(list), WH_ROOT_GLOBAL);
    hand_root(h, &now_here, sizeof(now_here), WH_ROOT_GLOBAL);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE root = 'now_here'"), 1);
    assert_int_equal(hand_number(s, "SELECT sum(objects) FROM gap WHERE root = 'list'"), 6);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE strength = 1"), 2);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM reference WHERE class = 1 AND "
                                    "evidence = 'unused tail'"),
                     3);
    hand_close(s);
    hand_free(h);
}

/* Behind a string's text its memory has what was there before, a weak holder; unless somebody
 * refers to all of it, too. */
static void behind_a_text_references_are_weak(void **state) {
    (void)state;
    for (unsigned others = 0; others < 2; others++) {
        struct hand *h = calloc(1, sizeof(*h));
        uint32_t stack = hand_stack(h, "make_object;main", "a.c");
        void **text = store = hand_new(h, 8 * sizeof(void *), hand_stack(h, "append;main", "a.c"));
        text[1] = hand_new(h, 100, stack);
        text[6] = hand_new(h, 200, stack);
        now_here = others ? text : NULL;
        hand_root(h, &store, sizeof(store), WH_ROOT_GLOBAL);
        hand_root(h, &now_here, sizeof(now_here), WH_ROOT_GLOBAL);
        hand_text_slot(h, &store, 35);
        struct wh_store *s = hand_save(h);
        assert_int_equal(hand_number(s, "SELECT lost_bytes FROM snapshot"), 0);
        assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE strength = 1"), !others);
        hand_close(s);
        hand_free(h);
    }
}

/* A deque's (current, first, last) says nothing of what lies behind the current one. */
static void a_deque_holds_what_is_in_it(void **state) {
    (void)state;
    struct hand *h = calloc(1, sizeof(*h));
    list.begin = list.end = hand_new(h, 8 * sizeof(void *), hand_stack(h, "grow;main", "a.c"));
    list.capacity = list.begin + 8;
    list.begin[4] = hand_new(h, 100, hand_stack(h, "make_object;main", "a.c"));
    hand_root(h, &list, sizeof(list), WH_ROOT_GLOBAL);
    struct wh_store *s = hand_save(h);
    assert_int_equal(hand_number(s, "SELECT count(*) FROM held WHERE strength < 4"), 0);
    hand_close(s);
    hand_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cache_in_front_is_not_the_holder),
        cmocka_unit_test(an_array_that_keeps_objects_is_the_holder),
        cmocka_unit_test(a_few_references_decide_nothing),
        cmocka_unit_test(a_table_in_the_heap_that_keeps_nothing_is_not_the_holder),
        cmocka_unit_test(objects_behind_a_header_are_as_strong_as_others),
        cmocka_unit_test(a_rare_kinds_header_is_that_of_its_allocator),
        cmocka_unit_test(places_inside_are_no_header),
        cmocka_unit_test(the_unused_end_of_a_vector_holds_weakly),
        cmocka_unit_test(a_deque_holds_what_is_in_it),
        cmocka_unit_test(behind_a_text_references_are_weak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
