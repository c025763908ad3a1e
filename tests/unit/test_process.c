/* Images as the recorder finds them: slots are reused, so the order in which images of one pid are
 * found says nothing; their uids do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/recorder.h"

static struct wh_recorder *recorder_new(void) {
    struct wh_recorder *r = calloc(1, sizeof *r);
    struct wh_session_options options = wh_session_options_default();
    char path[256];
    struct wh_error error;
    assert_non_null(r);
    assert_int_equal(wh_session_create(&options, path, sizeof path, &r->session), 0);
    unlink(path);
    assert_int_equal(wh_derive_open(NULL, WH_MATERIALIZE_NONE, NULL, &r->derive, &error), 0);
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    r->ms_ticks = 1000;
    return r;
}

static void recorder_free(struct wh_recorder *r) {
    wh_recorder_release_processes(r);
    wh_derive_close(r->derive);
    munmap(r->session, WH_SESSION_BYTES);
    close(r->epoll_fd);
    free(r);
}

/* What an image of this very process would put into a slot. */
static void appear(struct wh_recorder *r, uint32_t slot, uint32_t uid) {
    struct wh_process_slot *s = wh_session_slot(r->session, slot);
    atomic_store(&s->uid, uid);
    atomic_store(&s->pid, (uint32_t)getpid());
    atomic_store(&s->start_ticks, (uint64_t)uid * 1000 << r->session->tick_shift);
    if (atomic_load(&r->session->processes_used) < slot + 1)
        atomic_store(&r->session->processes_used, slot + 1);
    atomic_store(&s->state, WH_SLOT_LIVE);
}

static void check(struct wh_recorder *r, uint32_t uid, bool replaced, bool is_exec, uint64_t end) {
    const struct wh_process *p = wh_recorder_process(r, uid);
    assert_non_null(p);
    assert_int_equal(p->phase, replaced ? WH_PHASE_DEAD : WH_PHASE_RUNNING);
    assert_int_equal(p->is_replaced, replaced);
    assert_int_equal(p->is_exec, is_exec);
    assert_int_equal(p->end_ticks, end);
}

/* Every order of discovery of three images of one pid; the last one by uid runs on. */
static void an_image_is_replaced_by_a_later_one_only(void **state) {
    (void)state;
    static const uint32_t orders[][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3},
                                         {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
    for (unsigned at_once = 0; at_once < 2; at_once++)
        for (unsigned o = 0; o < sizeof orders / sizeof *orders; o++) {
            struct wh_recorder *r = recorder_new();
            for (uint32_t i = 0; i < 3; i++) {
                appear(r, i, orders[o][i]);
                if (!at_once)
                    wh_recorder_discover(r);
            }
            wh_recorder_discover(r);
            check(r, 1, true, false, 2000);
            check(r, 2, true, true, 3000);
            check(r, 3, false, true, 0);
            recorder_free(r);
        }
}

/* The same pid, another start time: nothing was replaced, the older one is gone. */
static void a_reused_pid_is_no_exec(void **state) {
    (void)state;
    struct wh_recorder *r = recorder_new();
    appear(r, 0, 1);
    wh_recorder_discover(r);
    wh_recorder_process(r, 1)->pid_start = 1;
    appear(r, 1, 2);
    wh_recorder_discover(r);
    assert_int_equal(wh_recorder_process(r, 1)->phase, WH_PHASE_DEAD);
    assert_false(wh_recorder_process(r, 1)->is_replaced);
    check(r, 2, false, false, 0);
    recorder_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_replaced_by_a_later_one_only),
        cmocka_unit_test(a_reused_pid_is_no_exec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
