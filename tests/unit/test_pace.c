/* Between parts of its work the recorder sleeps a little, but only where nobody waits for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/recorder.h"

#define RESTS 20

/* Times that this thread slept in so many rests. */
static long slept(struct wh_recorder *r) {
    struct rusage before, after;
    assert_int_equal(getrusage(RUSAGE_THREAD, &before), 0);
    for (int i = 0; i < RESTS; i++)
        wh_pace_rest(r);
    assert_int_equal(getrusage(RUSAGE_THREAD, &after), 0);
    return after.ru_nvcsw - before.ru_nvcsw;
}

static void it_rests_only_while_nobody_waits(void **state) {
    struct wh_recorder *r = calloc(1, sizeof *r);
    struct wh_session_options options = wh_session_options_default();
    char path[256];
    (void)state;
    assert_non_null(r);
    assert_int_equal(wh_session_create(&options, path, sizeof path, &r->session), 0);
    unlink(path);
    assert_int_equal(slept(r), 0);
    atomic_store(&r->pace.is_calm, true);
    assert_true(slept(r) >= RESTS);
    wh_session_ring(r->session);
    assert_int_equal(slept(r), 0);
    atomic_store(&r->pace.bell_answered, atomic_load(&r->session->bell));
    assert_true(slept(r) >= RESTS);
    munmap(r->session, WH_SESSION_BYTES);
    free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_rests_only_while_nobody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
