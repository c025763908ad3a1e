/* The simulator's memory works like Go's: size classes, reachability, pool generations; and the
 * models leave behind exactly what the formulas of their scenario files say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "simulator/mcache/mcache.h"
#include "simulator/runtime/map.h"
#include "simulator/runtime/runtime.h"
#include "simulator/scenario/expression.h"
#include "simulator/scenario/model.h"
#include "simulator/scenario/nearest.h"
#include "simulator/scenario/scenario.h"
#include "simulator/scenario/world.h"
#include "simulator/sync/map.h"

static void *root;

static int clean(void **state) {
    (void)state;
    runtime_reset();
    runtime_rounding(true);
    root = NULL;
    return 0;
}

static void sizes_are_rounded_as_go_rounds_them(void **state) {
    (void)state;
    static const size_t pairs[][2] = {
        {1, 8},         {24, 24},       {1600, 1792},     {72, 80},           {272, 288},
        {32768, 32768}, {32769, 40960}, {100000, 106496}, {1000000, 1007616}, {65536, 65536}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
        assert_int_equal(runtime_roundupsize(pairs[i][0]), pairs[i][1]);
    runtime_rounding(false);
    assert_int_equal(runtime_roundupsize(100000), 100000);
}

static void an_object_lives_while_a_root_reaches_it(void **state) {
    (void)state;
    runtime_addroot(&root, &type_pointer);
    void **outer = runtime_newobject(&type_pointer);
    *outer = runtime_makeslice(&type_byte, 100);
    root = outer;
    runtime_mallocgc(50, &type_byte);
    runtime_GC();
    assert_int_equal(runtime_stats().live_objects, 2);
    root = NULL;
    runtime_GC();
    assert_int_equal(runtime_stats().live_objects, 0);
}

static void a_pointer_into_the_middle_keeps_the_whole_object(void **state) {
    (void)state;
    runtime_addroot(&root, &type_pointer);
    root = (char *)runtime_makeslice(&type_byte, 100000) + 99999;
    runtime_GC();
    assert_int_equal(runtime_stats().live_bytes, 106496);
    root = (char *)root + 106496; /* beyond its end */
    runtime_GC();
    assert_int_equal(runtime_stats().live_bytes, 0);
}

static void bytes_that_look_like_a_pointer_hold_nothing(void **state) {
    (void)state;
    runtime_addroot(&root, &type_pointer);
    void *victim = runtime_makeslice(&type_byte, 64);
    root = runtime_makeslice(&type_byte, sizeof(victim)); /* noscan */
    memcpy(root, &victim, sizeof(victim));
    runtime_GC();
    assert_int_equal(runtime_stats().live_objects, 1);
}

static void *new_byte(struct sync_Pool *pool) {
    (void)pool;
    return runtime_makeslice(&type_byte, 4096);
}

static struct sync_Pool pool = {.New = new_byte, .type = &type_byte};

static void start_pool(int procs) {
    sync_runtime_init(procs);
    sync_Pool_register(&pool, 1);
}

static void an_idle_pooled_object_survives_one_collection_and_dies_at_the_second(void **state) {
    (void)state;
    start_pool(1);
    void *objects[64];
    for (int i = 0; i < 64; i++)
        objects[i] = sync_Pool_Get(&pool);
    for (int i = 0; i < 64; i++)
        sync_Pool_Put(&pool, objects[i]);
    assert_int_equal(sync_Pool_idle(&pool), 64);
    runtime_GC();
    assert_int_equal(sync_Pool_idle(&pool), 64);
    runtime_GC();
    assert_int_equal(sync_Pool_idle(&pool), 0);
    assert_int_equal(runtime_stats().live_objects, 0);
}

static void an_object_taken_from_the_victims_and_put_back_lives_longer(void **state) {
    (void)state;
    start_pool(1);
    void *first = sync_Pool_Get(&pool);
    sync_Pool_Put(&pool, first);
    runtime_GC();
    assert_ptr_equal(sync_Pool_Get(&pool), first);
    sync_Pool_Put(&pool, first);
    runtime_GC();
    assert_int_equal(sync_Pool_idle(&pool), 1);
    runtime_GC();
    assert_int_equal(sync_Pool_idle(&pool), 0);
}

static void another_processor_steals_the_oldest(void **state) {
    (void)state;
    start_pool(2);
    void *a = sync_Pool_Get(&pool), *b = sync_Pool_Get(&pool), *c = sync_Pool_Get(&pool);
    sync_Pool_Put(&pool, a); /* private: nobody else gets it */
    sync_Pool_Put(&pool, b);
    sync_Pool_Put(&pool, c);
    sync_runtime_procPin(1);
    assert_ptr_equal(sync_Pool_Get(&pool), b);
    assert_ptr_equal(sync_Pool_Get(&pool), c);
    assert_ptr_not_equal(sync_Pool_Get(&pool), a);
    sync_runtime_procPin(0);
    assert_ptr_equal(sync_Pool_Get(&pool), a);
}

static void mcache_keeps_powers_of_two_of_any_size(void **state) {
    (void)state;
    sync_runtime_init(1);
    mcache_init();
    assert_int_equal(mcache_class(0), 0);
    assert_int_equal(mcache_class(4096), 12);
    assert_int_equal(mcache_class(4097), 13);
    struct slice_byte big = mcache_Malloc(20 << 20, 0);
    assert_int_equal(big.cap, 32 << 20);
    mcache_Free(big);
    assert_int_equal(sync_Pool_idle(&caches[25]), 1);
    struct slice_byte odd = {runtime_makeslice(&type_byte, 100), 100, 100};
    mcache_Free(odd);
    assert_int_equal(sync_Pool_idle(&caches[7]), 0);
}

static void maps_keep_what_was_stored(void **state) {
    (void)state;
    static struct sync_Map map;
    map.dirty = NULL;
    runtime_addroot(&map, &type_sync_Map);
    for (int64_t i = 0; i < 1000; i++)
        sync_Map_Store(&map, runtime_convT64(i), runtime_convT64(i * 7));
    for (int64_t i = 0; i < 1000; i += 2)
        sync_Map_Delete(&map, runtime_convT64(i));
    runtime_GC();
    assert_int_equal(sync_Map_Len(&map), 500);
    struct go_eface value;
    for (int64_t i = 0; i < 1000; i++) {
        assert_int_equal(sync_Map_Load(&map, runtime_convT64(i), &value), i % 2);
        if (i % 2)
            assert_int_equal(*(int64_t *)value.data, i * 7);
    }
}

/* --- the models against their formulas --- */

static struct scenario s;

static void run(const char *name, bool is_fixed, const char *sets) {
    struct wh_error error = {0};
    char copy[200], *rest = copy;
    assert_int_equal(scenario_open(name, &s, &error), 0);
    if (is_fixed)
        scenario_use_fixed(&s);
    strcpy(copy, sets);
    for (char *set = strtok_r(copy, " ", &rest); set; set = strtok_r(NULL, " ", &rest))
        assert_int_equal(scenario_set(&s, set, &error), 0);
    struct world_options options = {
        .io = PEER_IO_MEMORY, .is_rounding = true, .is_quiet = true, .procs = 2};
    world_start(&options, &s);
    model_find(s.model)->run(&s);
    world_end();
}

static int64_t live(const char *phase) {
    int count;
    const struct world_phase *phases = world_phases(&count);
    for (int i = count - 1; i >= 0; i--)
        if (strcmp(phases[i].label, phase) == 0)
            return (int64_t)phases[i].live_bytes;
    fail_msg("no phase %s", phase);
    return 0;
}

/* What the leak adds: the same run, repaired, as the zero. */
static int64_t difference(const char *name, const char *sets, const char *phase) {
    run(name, false, sets);
    int64_t leaking = live(phase);
    runtime_reset();
    run(name, true, sets);
    return leaking - live(phase);
}

static void stale_slots_hold_one_buffer_each(void **state) {
    (void)state;
    assert_int_equal(difference("barrier-request", "connections=1000 size=65536", "gc4"), 65536000);
}

static void the_handbooks_ten_megabytes_need_nodes_of_one_kib(void **state) {
    (void)state;
    assert_int_equal(
        difference("barrier-request", "connections=10000 size=1024 node_min=1024", "gc4"),
        10240000);
    runtime_reset();
    assert_int_equal(difference("barrier-request", "connections=10000 size=1024", "gc4"),
                     10000 * 8192);
}

static void oversized_buffers_fall_at_the_second_collection(void **state) {
    (void)state;
    run("oversized-request", false, "size=4194304");
    int64_t pooled = 20 * (int64_t)4194304;
    assert_in_range(live("gc1"), pooled, pooled + pooled / 10);
    assert_in_range(live("gc2"), 0, pooled / 100);
    assert_in_range(live("gc5"), pooled, pooled + pooled / 100);
}

static void an_unannounced_response_stays_in_the_output_barrier(void **state) {
    (void)state;
    assert_int_equal(difference("barrier-response-nocopy", "connections=100", "gc2"), 6553600);
    runtime_reset();
    run("barrier-response-nocopy", false, "connections=100 closes=1");
    assert_in_range(live("gc4"), 0, 1100000); /* the arrays, and input buffers of 8 KiB */
}

static void tails_pin_whole_buffers(void **state) {
    (void)state;
    /* 18 payload buffers; besides, 182 slots keep input buffers of 8 KiB */
    int64_t found = difference("barrier-response-copy", "size=1048576", "gc4");
    assert_in_range(found, 18 * 1048576, 18 * 1048576 + 200 * 8192);
}

static void a_byte_keeps_its_field(void **state) {
    (void)state;
    assert_int_equal(difference("retained-request-field", "keys=50", "gc2"), 50 * (106496 - 8));
    runtime_reset();
    assert_int_equal(difference("retained-request-field", "keys=50 offset=999", "gc2"),
                     50 * (106496 - 8));
    runtime_reset();
    assert_int_equal(difference("retained-response-field", "keys=50", "gc2"), 50 * (106496 - 8));
}

static void an_idle_connection_costs_what_it_costs_in_go(void **state) {
    (void)state;
    run("idle-connections", false, "connections=2000");
    int64_t each = (live("gc2") - 171520) / 2000;
    assert_in_range(each, 12052 * 9 / 10, 12052 * 11 / 10);
}

static void a_client_costs_its_ring_and_two_hundred_events(void **state) {
    (void)state;
    run("many-clients", false, "clients=20");
    int64_t more = live("gc2");
    runtime_reset();
    run("many-clients", false, "clients=20 changes=0");
    assert_int_equal(more - live("gc2"), 20 * 200 * 888);
}

static void aliased_text_counts_once_and_escapes_do_not_pin(void **state) {
    (void)state;
    assert_int_equal(difference("string-alias", "objects=10", "gc2"), 10 * (1007616 - 20 * 48));
    runtime_reset();
    assert_int_equal(difference("string-alias", "objects=10 escaped=20", "gc2"), 0);
}

static void beyond_the_handbook(void **state) {
    (void)state;
    assert_int_equal(difference("stale-slice-tail", "connections=100", "gc2"),
                     98 * (65536 + 48 + 16));
    runtime_reset();
    run("span-cache", false, "requests=1280");
    assert_in_range(live("gc2"), 10 << 20, 11 << 20);
    runtime_reset();
    int64_t pieces = difference("peek-cache", "peeks=100", "gc2");
    assert_in_range(pieces, 99 * 16384, 99 * 16384 + 8192); /* and the array of caches */
}

/* --- scenario files --- */

static void every_scenario_file_is_right(void **state) {
    (void)state;
    struct wh_error error = {0};
    for (int i = 0; scenario_names()[i]; i++) {
        if (scenario_open(scenario_names()[i], &s, &error))
            fail_msg("%s", error.text);
        assert_true(*s.english.symptom && *s.english.pprof && *s.english.holder && *s.english.fix);
        assert_true(*s.chinese.symptom && *s.chinese.pprof && *s.chinese.holder && *s.chinese.fix);
        assert_true(s.expect_count > 0);
    }
}

static void wrong_words_get_the_nearest_valid_one(void **state) {
    (void)state;
    struct wh_error error = {0};
    assert_int_equal(scenario_open("barier", &s, &error), WH_EUSAGE);
    assert_non_null(strstr(error.text, "'barrier-request'"));
    assert_int_equal(scenario_open("pool-reuse", &s, &error), 0);
    assert_int_equal(scenario_set(&s, "sise=3", &error), WH_EUSAGE);
    assert_non_null(strstr(error.text, "'size'"));
    assert_int_equal(scenario_set(&s, "size=0", &error), WH_EUSAGE);
    assert_int_equal(scenario_set(&s, "size=12parsecs", &error), WH_EUSAGE);
    assert_int_equal(scenario_set(&s, "size=2 MiB", &error), 0);
    assert_int_equal(scenario_get(&s, "size"), 2 << 20);
}

static void formulas_are_computed(void **state) {
    (void)state;
    struct wh_error error = {0};
    int64_t value;
    assert_int_equal(scenario_open("pool-reuse", &s, &error), 0);
    assert_int_equal(expression_evaluate("2 + buffers * (3 - 1)", &s, &value, &error), 0);
    assert_int_equal(value, 202);
    assert_int_equal(expression_evaluate("if(buffers < 5, 1, class(4097)) / 2", &s, &value, &error),
                     0);
    assert_int_equal(value, 4096);
    assert_int_equal(expression_evaluate("slots(1000)", &s, &value, &error), 0);
    assert_int_equal(value, 1024);
    assert_int_equal(expression_evaluate("bufers", &s, &value, &error), WH_EUSAGE);
    assert_non_null(strstr(error.text, "'buffers'"));
    assert_int_equal(expression_evaluate("1 / 0", &s, &value, &error), WH_EUSAGE);
    assert_int_equal(expression_evaluate("1 1", &s, &value, &error), WH_EUSAGE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, clean, clean)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(sizes_are_rounded_as_go_rounds_them),
        T(an_object_lives_while_a_root_reaches_it),
        T(a_pointer_into_the_middle_keeps_the_whole_object),
        T(bytes_that_look_like_a_pointer_hold_nothing),
        T(an_idle_pooled_object_survives_one_collection_and_dies_at_the_second),
        T(an_object_taken_from_the_victims_and_put_back_lives_longer),
        T(another_processor_steals_the_oldest),
        T(mcache_keeps_powers_of_two_of_any_size),
        T(maps_keep_what_was_stored),
        T(stale_slots_hold_one_buffer_each),
        T(the_handbooks_ten_megabytes_need_nodes_of_one_kib),
        T(oversized_buffers_fall_at_the_second_collection),
        T(an_unannounced_response_stays_in_the_output_barrier),
        T(tails_pin_whole_buffers),
        T(a_byte_keeps_its_field),
        T(an_idle_connection_costs_what_it_costs_in_go),
        T(a_client_costs_its_ring_and_two_hundred_events),
        T(aliased_text_counts_once_and_escapes_do_not_pin),
        T(beyond_the_handbook),
        T(every_scenario_file_is_right),
        T(wrong_words_get_the_nearest_valid_one),
        T(formulas_are_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
