/* The recorder's second thread: jobs are done in order, all of them, and seen by who waited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/helper.h"

#define JOBS 1000u

struct job {
    unsigned number;
    pid_t tid; /* of who did it */
};
static struct job jobs[JOBS];
static unsigned done; /* plain: only jobs touch it, and who waited for them */
static unsigned out_of_order;

static void run(void *arg) {
    struct job *job = arg;
    job->tid = gettid();
    if (job->number % 97 == 0)
        usleep(500); /* the giver overtakes */
    out_of_order += job->number != done;
    done++;
}

static void give(struct wh_helper *h) {
    done = out_of_order = 0;
    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i].number = i;
        wh_helper_give(h, run, &jobs[i]);
    }
}

static void check(pid_t by_whom) {
    assert_int_equal(done, JOBS);
    assert_int_equal(out_of_order, 0);
    for (unsigned i = 0; i < JOBS; i++)
        assert_true((jobs[i].tid == gettid()) == (by_whom == gettid()));
}

static void without_a_thread_jobs_are_done_at_once(void **state) {
    struct wh_helper h = WH_HELPER_INIT;
    (void)state;
    give(&h);
    check(gettid());
    wh_helper_wait(&h);
    wh_helper_stop(&h);
}

static void the_thread_does_them_in_order(void **state) {
    struct wh_helper h = WH_HELPER_INIT;
    (void)state;
    wh_helper_start(&h);
    wh_helper_start(&h);
    for (int round = 0; round < 20; round++) {
        give(&h);
        wh_helper_wait(&h);
        check(0);
        assert_true(atomic_load(&h.tid) == jobs[0].tid);
    }
    wh_helper_stop(&h);
}

/* One job alone is not worth waking anybody, but who waits for it must get it. */
static void a_single_job_is_done_when_waited_for(void **state) {
    struct wh_helper h = WH_HELPER_INIT;
    (void)state;
    wh_helper_start(&h);
    done = out_of_order = 0;
    jobs[0].number = 0;
    wh_helper_give(&h, run, &jobs[0]);
    wh_helper_wait(&h);
    assert_int_equal(done, 1);
    wh_helper_stop(&h);
}

static void stopping_does_what_waits(void **state) {
    struct wh_helper h = WH_HELPER_INIT;
    (void)state;
    wh_helper_start(&h);
    give(&h);
    wh_helper_stop(&h);
    check(0);
    give(&h);
    check(gettid());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_thread_jobs_are_done_at_once),
        cmocka_unit_test(the_thread_does_them_in_order),
        cmocka_unit_test(a_single_job_is_done_when_waited_for),
        cmocka_unit_test(stopping_does_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
