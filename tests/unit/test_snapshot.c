/* Freezing leaves no trace: calls go on, signals arrive once, no child is seen, a stopped process
 * stays stopped. The target is a forked child whose threads report what happened to them. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/snapshot/frozen.h"

enum { THREADS = 512 };

struct board {
    _Atomic int threads_up, signals, sigchlds, done;
    int read_result, read_errno, epoll_result, epoll_errno;
    int wait_errno, wait_all_errno;
    int read_pipe[2], epoll_pipe[2];
};
static struct board *board;
static pid_t target;
static volatile uint64_t private_mark; /* the target sets it when its calls have returned */

static void count_signal(int number) {
    board->signals += number == SIGUSR1;
    board->sigchlds += number == SIGCHLD;
}

static void *wait_in_epoll(void *unused) {
    (void)unused;
    struct epoll_event event = {.events = EPOLLIN};
    int fd = epoll_create1(0);
    (void)epoll_ctl(fd, EPOLL_CTL_ADD, board->epoll_pipe[0], &event);
    board->threads_up++;
    board->epoll_result = epoll_wait(fd, &event, 1, -1);
    board->epoll_errno = errno;
    return NULL;
}

static void *wait_in_pause(void *unused) {
    (void)unused;
    board->threads_up++;
    for (;;)
        pause();
    return NULL;
}

/* Blocks in epoll_wait and read; what they return is on the board when `done` is set. */
static void run_target(int threads) {
    pthread_t id, epoll_thread;
    sigset_t mask;
    (void)signal(SIGCHLD, count_signal);
    (void)signal(SIGUSR1, count_signal);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1); /* threads but the main one do not take it */
    (void)pthread_sigmask(SIG_BLOCK, &mask, NULL);
    (void)pthread_create(&epoll_thread, NULL, wait_in_epoll, NULL);
    for (int i = 1; i < threads; i++)
        (void)pthread_create(&id, NULL, wait_in_pause, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
    char byte;
    board->threads_up++;
    board->read_result = (int)read(board->read_pipe[0], &byte, 1);
    board->read_errno = errno;
    (void)pthread_join(epoll_thread, NULL);
    board->wait_errno = waitpid(-1, NULL, WNOHANG) == -1 ? errno : 0;
    board->wait_all_errno = waitpid(-1, NULL, WNOHANG | __WALL) == -1 ? errno : 0;
    private_mark = 7;
    board->done = 1;
    for (;;)
        pause();
}

/* State letter of a thread, from its stat line. */
static char state_of(pid_t pid, long tid) {
    char path[64], text[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/task/%ld/stat", (int)pid, tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    const char *end = strrchr(text, ')');
    return end ? end[2] : 0;
}

static void await_state(pid_t pid, char state) {
    for (int i = 0; i < 5000 && state_of(pid, pid) != state; i++)
        usleep(1000);
    assert_int_equal(state_of(pid, pid), state);
}

static int start_target(void **state) {
    int threads = state && *state ? *(int *)*state : 1;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pipe(board->read_pipe) != 0 || pipe(board->epoll_pipe) != 0)
        return -1;
    target = fork();
    if (target == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_target(threads);
    }
    while (board->threads_up < threads + 1)
        usleep(1000);
    await_state(target, 'S');
    return 0;
}

static int end_target(void **state) {
    (void)state;
    kill(target, SIGKILL);
    waitpid(target, NULL, 0);
    for (int i = 0; i < 2; i++) {
        close(board->read_pipe[i]);
        close(board->epoll_pipe[i]);
    }
    munmap(board, sizeof *board);
    return 0;
}

static struct wh_frozen *freeze(struct wh_snapshot_figures *figures, void (*frozen)(void *)) {
    struct wh_snapshot_job job = {.pid = target, .frozen = frozen};
    struct wh_frozen *f = NULL;
    struct wh_error error = {0};
    if (wh_snapshot_freeze(&job, &f, figures, &error) != WH_OK)
        fail_msg("%s", error.text);
    return f;
}

static void let_calls_return(void) {
    assert_int_equal(write(board->read_pipe[1], "x", 1), 1);
    assert_int_equal(write(board->epoll_pipe[1], "x", 1), 1);
    for (int i = 0; i < 5000 && !board->done; i++)
        usleep(1000);
    assert_int_equal(board->done, 1);
}

static void blocked_calls_go_on_and_no_child_is_seen(void **state) {
    (void)state;
    struct wh_snapshot_figures figures;
    for (int i = 0; i < 5; i++) {
        struct wh_frozen *f = freeze(&figures, NULL);
        assert_string_equal(figures.mode, "fork");
        assert_string_equal(figures.caveats, "");
        wh_snapshot_abandon(f);
    }
    let_calls_return();
    assert_int_equal(board->read_result, 1);
    assert_int_equal(board->epoll_result, 1);
    assert_int_equal(board->wait_errno, ECHILD);
    assert_int_equal(board->wait_all_errno, ECHILD);
    assert_int_equal(board->sigchlds, 0);
}

static void send_while_stopped(void *unused) {
    (void)unused;
    assert_int_equal(state_of(target, target), 't');
    kill(target, SIGUSR1);
}

static void signal_in_the_pause_arrives_once(void **state) {
    (void)state;
    struct wh_snapshot_figures figures;
    wh_snapshot_abandon(freeze(&figures, send_while_stopped));
    let_calls_return();
    assert_int_equal(board->signals, 1);
    assert_int_equal(board->read_result, 1);
}

static void stopped_process_stays_stopped(void **state) {
    (void)state;
    struct wh_snapshot_figures figures;
    kill(target, SIGSTOP);
    await_state(target, 'T');
    wh_snapshot_abandon(freeze(&figures, NULL));
    assert_string_equal(figures.mode, "fork");
    await_state(target, 'T');
    kill(target, SIGCONT);
    let_calls_return();
    assert_int_equal(board->read_result, 1);
}

static int threads_wanted = THREADS;
static void every_thread_is_seen_with_registers(void **state) {
    (void)state;
    struct wh_snapshot_figures figures;
    struct wh_frozen *f = freeze(&figures, NULL);
    assert_int_equal(f->thread_count, THREADS + 1);
    for (uint32_t i = 0; i < f->thread_count; i++) {
        assert_true(f->threads[i].has_registers);
        assert_non_null(wh_maps_find(f, f->threads[i].registers[WH_REG_RSP]));
        assert_int_equal(wh_image_word(f, f->threads[i].thread_pointer),
                         f->threads[i].thread_pointer);
    }
    wh_snapshot_abandon(f);
}

static void copy_holds_no_descriptor_and_dies_with_the_scan(void **state) {
    (void)state;
    struct wh_snapshot_figures figures;
    struct wh_frozen *f = freeze(&figures, NULL);
    pid_t copy = f->image;
    assert_int_not_equal(copy, target);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)copy, board->read_pipe[0]);
    assert_int_equal(access(path, F_OK), -1);
    struct wh_heap heap;
    assert_int_equal(wh_snapshot_scan(f, NULL, 0, &heap, &figures, NULL), WH_OK);
    assert_int_equal(heap.node_count, 0);
    assert_int_equal(heap.edges.count, 0);
    assert_true(heap.root_count > 0);
    wh_heap_release(&heap);
    char left = state_of(copy, copy);
    assert_true(left == 0 || left == 'Z'); /* init collects it */
}

static void changes_after_the_stop_are_not_in_the_copy(void **state) {
    (void)state;
    struct wh_snapshot_figures figures;
    struct wh_frozen *f = freeze(&figures, NULL);
    let_calls_return(); /* the target runs while the copy stands still */
    assert_int_equal(wh_image_word(f, (uintptr_t)&private_mark), 0);
    wh_snapshot_abandon(f);
    f = freeze(&figures, NULL);
    assert_int_equal(wh_image_word(f, (uintptr_t)&private_mark), 7);
    wh_snapshot_abandon(f);
}

static void process_under_seccomp_is_scanned_stopped(void **state) {
    (void)state;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    target = fork();
    if (target == 0) {
        struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        struct sock_fprog program = {1, &allow};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
            _exit(1);
        board->done = 1;
        for (;;)
            pause();
    }
    while (!board->done)
        usleep(1000);
    struct wh_snapshot_figures figures;
    struct wh_frozen *f = freeze(&figures, NULL);
    assert_string_equal(figures.mode, "stop");
    assert_non_null(strstr(figures.caveats, "seccomp"));
    await_state(target, 't');
    wh_snapshot_abandon(f);
    await_state(target, 'S');
    assert_true(figures.pause_ns > 0);
    kill(target, SIGKILL);
    waitpid(target, NULL, 0);
    munmap(board, sizeof *board);
}

static void process_that_is_gone_is_an_error(void **state) {
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    struct wh_snapshot_job job = {.pid = pid};
    struct wh_snapshot_figures figures;
    struct wh_frozen *f = NULL;
    struct wh_error error = {0};
    assert_int_equal(wh_snapshot_freeze(&job, &f, &figures, &error), WH_ESYSTEM);
    assert_true(error.text[0]);
    assert_null(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocked_calls_go_on_and_no_child_is_seen, start_target,
                                        end_target),
        cmocka_unit_test_setup_teardown(signal_in_the_pause_arrives_once, start_target, end_target),
        cmocka_unit_test_setup_teardown(stopped_process_stays_stopped, start_target, end_target),
        cmocka_unit_test_prestate_setup_teardown(every_thread_is_seen_with_registers, start_target,
                                                 end_target, &threads_wanted),
        cmocka_unit_test_setup_teardown(copy_holds_no_descriptor_and_dies_with_the_scan,
                                        start_target, end_target),
        cmocka_unit_test_setup_teardown(changes_after_the_stop_are_not_in_the_copy, start_target,
                                        end_target),
        cmocka_unit_test(process_under_seccomp_is_scanned_stopped),
        cmocka_unit_test(process_that_is_gone_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
