/* The recorder's life: set up, poll, finish.
 *
 * It belongs to no terminal and to no process group of the user, holds none of the user's
 * descriptors, and polls: events never wake it. What is hard is ending: the last image may just
 * have started its successor, so the recorder looks for heirs before it closes the session. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "record/recorder.h"
#include "wire/sys.h"

#define CALIBRATE_NS  5000000u
#define COMMIT_NS     1000000000u
#define RSS_NS        100000000u
#define STATUS_NS     500000000u
#define LINGER_NS     25000000u /* after the last image, where its heirs cannot be told */
#define FIRST_WAIT_NS 5000000000u
#define POLL_MS       10
#define HASTY_POLLS                                                                                \
    8 /* without a rest, when somebody waits for what two or three polls will do                   \
       */

#define EVENT_MESSAGE UINT32_MAX /* epoll: the launcher; else a process's uid, 0 = the bell */

/* --- time
 * ------------------------------------------------------------------------------------------ */

uint64_t wh_recorder_now(const struct wh_recorder *r) {
    wh_ticks_fence();
    return wh_session_clock(r->session->clock) >> r->session->tick_shift;
}

/* How long a tick is: measured over the whole time since the recorder began, at the moment when it
 * is first needed. */
void wh_recorder_need_clock(struct wh_recorder *r) {
    if (r->clock_known)
        return;
    r->clock = (struct wh_clock_map){
        .start_ticks = r->session->start_ticks,
        .ns_q32 = (uint64_t)1 << 32,
        .shift = r->session->tick_shift,
    };
    if (r->session->clock == WH_CLOCK_TSC) {
        uint64_t passed;
        while ((passed = wh_monotonic_ns() - r->calibrate_ns) < CALIBRATE_NS) {
            struct timespec rest = {.tv_nsec = (long)(CALIBRATE_NS - passed)};
            nanosleep(&rest, NULL);
        }
        uint64_t ticks = wh_session_clock(WH_CLOCK_TSC) - r->calibrate_ticks;
        r->clock.ns_q32 = (uint64_t)(((unsigned __int128)passed << 32) / (ticks ? ticks : 1));
    }
    r->clock_known = true;
    wh_derive_clock(r->derive, &r->clock);
    struct wh_store *store = wh_content_store(r->content);
    if (!store)
        return;
    (void)wh_store_set_int(store, "clock_start_ticks", (int64_t)r->clock.start_ticks, NULL);
    (void)wh_store_set_int(store, "clock_ns_q32", (int64_t)r->clock.ns_q32, NULL);
    (void)wh_store_set_int(store, "clock_shift", r->clock.shift, NULL);
}

static uint64_t ticks_per_ms(const struct wh_session *s) {
    uint64_t ticks = 1000000;
    if (s->clock == WH_CLOCK_TSC) {
#if defined(__aarch64__)
        __asm__("mrs %0, cntfrq_el0" : "=r"(ticks));
        ticks /= 1000;
#else
        ticks = 2500000;
#endif
    }
    return (ticks >> s->tick_shift) + 1;
}

/* --- setting up
 * ------------------------------------------------------------------------------------ */

static void close_between(int low, int high) {
    if (high - low < 2 || close_range((unsigned)low + 1, (unsigned)high - 1, 0) == 0)
        return;
    for (int fd = low + 1; fd < high && fd < 1024; fd++) /* before Linux 5.9 */
        close(fd);
}

/* Large blocks are given back to the system one by one: what a recording needs for a while only
 * (lifetimes, tables that grow) would stay below what came later. */
#define LARGE_BLOCK_BYTES (256 * 1024)

/* Nothing of the user's stays open here: a pipe that we held would never end for its reader. */
static void detach(struct wh_recorder *r) {
    static const int ignored[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGXFSZ,
                                  SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU};
    (void)setsid();
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        (void)signal(ignored[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        (void)dup2(null, fd);
    int low = r->message_fd < r->control_fd ? r->message_fd : r->control_fd;
    int high = r->message_fd < r->control_fd ? r->control_fd : r->message_fd;
    close_between(2, low > 2 ? low : 2);
    close_between(low > 2 ? low : 2, high > 2 ? high : 2);
    close_between(high > 2 ? high : 2, INT_MAX);
}

/* Nobody records yet: the first process waits until we are up. */
static void set_options(struct wh_session *s, const struct wh_session_options *o) {
    s->flags = o->flags;
    s->overflow = o->overflow;
    s->depth_max = o->depth_max;
    s->mmap_bytes_min = o->mmap_bytes_min;
    s->sample_bytes = o->sample_bytes;
    atomic_store(&s->blocks_limit, o->blocks_limit);
}

static void refuse(struct wh_session *s, const char *why) {
    memcpy(s->failure, why, strnlen(why, sizeof s->failure - 1));
    atomic_store(&s->stop, 1);
}

void wh_serve_refuse(const char *session, const char *why) {
    struct wh_session *s;
    if (wh_session_map(session, &s))
        return;
    refuse(s, why);
    munmap(s, WH_SESSION_BYTES);
}

static int map_session(struct wh_recorder *r, struct wh_error *error) {
    int rc = wh_session_map(r->options->session, &r->session);
    if (rc)
        return wh_fail(error, WH_ESYSTEM, "cannot open the shared memory '%s': %s",
                       r->options->session, strerror(-rc));
    r->file_fd_session = open(r->options->session, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (r->file_fd_session >= 0)
        (void)flock(r->file_fd_session, LOCK_EX | LOCK_NB); /* alive: stale.c */
    r->views = calloc(WH_MOVED_FIRST + WH_MOVED_MAX, sizeof *r->views);
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!r->views || r->epoll_fd < 0)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    if (r->options->session_options)
        set_options(r->session, r->options->session_options);
    r->ms_ticks = ticks_per_ms(r->session);
    r->calibrate_ns = wh_monotonic_ns();
    r->calibrate_ticks = wh_session_clock(r->session->clock);
    r->previous_ticks = wh_recorder_now(r);
    if (r->control_fd >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = EVENT_MESSAGE};
        (void)fcntl(r->control_fd, F_SETFL, O_NONBLOCK);
        (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->control_fd, &event);
    }
    if (r->message_fd >= 0)
        (void)fcntl(r->message_fd, F_SETFL, O_NONBLOCK);
    return 0;
}

static int write_facts(struct wh_recorder *r, struct wh_error *error) {
    struct utsname host;
    char options[256];
    wh_recorder_describe(r, options, sizeof options);
    if (uname(&host))
        memset(&host, 0, sizeof host);
    const struct {
        const char *key, *text;
        int64_t number;
    } facts[] = {
        {"version", WH_VERSION, 0},
        {"host", host.nodename, 0},
        {"kernel", host.release, 0},
        {"machine", host.machine, 0},
        {"clock", r->session->clock == WH_CLOCK_TSC ? "tsc" : "monotonic", 0},
        {"start_ns", NULL, (int64_t)r->session->start_realtime_ns},
        {"options", options, 0},
        {"recorder_pid", NULL, getpid()},
        {"sample_bytes", NULL, (int64_t)r->session->sample_bytes},
        {"go_scaling", NULL, (r->session->flags & WH_SESSION_GO_SCALING) != 0},
        {"free_stacks", NULL, (r->session->flags & WH_SESSION_FREE_STACKS) != 0},
        {"complete", NULL, 0},
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        int rc = facts[i].text ? wh_store_set_text(r->store, facts[i].key, facts[i].text, error)
                               : wh_store_set_int(r->store, facts[i].key, facts[i].number, error);
        if (rc)
            return rc;
    }
    return 0;
}

static int open_trace(struct wh_recorder *r, struct wh_error *error) {
    int rc = wh_store_create(r->options->output, r->options->force ? WH_STORE_FORCE : 0, &r->store,
                             error);
    if (rc)
        return rc;
    rc = wh_store_begin(r->store, error);
    if (!rc)
        rc = wh_store_run_file(r->store, "derived.sql", error);
    if (!rc)
        rc = write_facts(r, error);
    if (!rc)
        rc = wh_content_open(r->store, &r->content, error);
    if (!rc)
        rc = wh_store_commit(r->store, error);
    if (!rc)
        rc = wh_derive_open(r->store, r->options->materialize, &r->helper, &r->derive, error);
    if (!rc && r->options->obstacle)
        wh_content_note(r->content, 0, 0, "exec_static", r->options->obstacle,
                        strlen(r->options->obstacle));
    if (rc)
        (void)unlink(r->options->output);
    return rc;
}

/* --- polling
 * --------------------------------------------------------------------------------------- */

static void stop_recording(struct wh_recorder *r) {
    const struct wh_error *failure = wh_content_failure(r->content);
    if (!failure || r->stopped)
        return;
    atomic_store(&r->session->stop, 1);
    r->stopped = true;
    wh_recorder_warn(r, "recording ended early: %s", failure->text);
}

static void wait_for_events(struct wh_recorder *r, int timeout_ms) {
    struct epoll_event events[32];
    int n = epoll_wait(r->epoll_fd, events, 32, timeout_ms);
    for (int i = 0; i < n; i++) {
        if (events[i].data.u32 == 0) {
            wh_pace_heard(r);
            continue;
        }
        if (events[i].data.u32 == EVENT_MESSAGE) {
            wh_recorder_listen(r);
            continue;
        }
        struct wh_process *p = wh_recorder_process(r, events[i].data.u32);
        if (p && p->phase == WH_PHASE_RUNNING) {
            p->phase = WH_PHASE_DEAD;
            p->death_ns = wh_monotonic_ns();
            p->end_ticks = wh_recorder_now(r);
        }
    }
}

void wh_recorder_flush(struct wh_recorder *r) {
    struct wh_error error;
    wh_recorder_need_clock(r);
    if (wh_derive_is_full(r->derive) && wh_content_store(r->content) &&
        wh_derive_flush(r->derive, &error))
        wh_content_fail(r->content, &error);
}

static void commit(struct wh_recorder *r, uint64_t now_ns) {
    for (struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p)) {
        if (p->phase != WH_PHASE_RUNNING)
            continue;
        wh_recorder_chunks(r, p, true);
        for (struct wh_image_thread *t = wh_image_next_thread(&p->image, NULL); t;
             t = wh_image_next_thread(&p->image, t))
            if (t->dirty)
                wh_recorder_write_thread(r, p, t);
    }
    wh_recorder_flush(r);
    wh_content_commit(r->content);
    r->last_commit_ns = now_ns;
}

static void report_status(struct wh_recorder *r, uint64_t now_ns) {
    uint64_t events = r->events, live = 0;
    for (struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p)) {
        if (p->phase == WH_PHASE_DONE)
            continue;
        events += p->image.pair.events;
        live += p->image.pair.ledger.live_bytes;
    }
    wh_recorder_say(r, WH_MESSAGE_STATUS, "%llu events, %u processes, %llu KiB live",
                    (unsigned long long)events, r->running, (unsigned long long)(live / 1024));
    r->last_status_ns = now_ns;
}

static void judge_pace(struct wh_recorder *r) {
    atomic_store(&r->pace.is_leisurely,
                 r->running && !r->is_dying && !r->is_asked && !r->snap_count && !r->stopped);
}

/* A snapshot's moment is none to rest in: only here. */
static void pair_calmly(struct wh_recorder *r) {
    atomic_store(&r->pace.is_calm,
                 atomic_load(&r->pace.is_leisurely) && r->last_poll_bytes <= WH_BUSY_BYTES);
    wh_recorder_pair(r);
    atomic_store(&r->pace.is_calm, false);
}

static void poll_once(struct wh_recorder *r) {
    uint64_t now_ticks = wh_recorder_now(r), now_ns = wh_monotonic_ns();
    uint32_t bell = atomic_load(&r->session->bell);
    r->last_poll_bytes = r->poll_bytes;
    r->poll_bytes = 0;
    r->was_cut = r->is_cut;
    r->is_cut = false;
    atomic_fetch_add_explicit(&r->session->recorder_beat, 1, memory_order_relaxed);
    wh_recorder_discover(r);
    judge_pace(r); /* a burst right at the start may keep pairing busy for long */
    wh_recorder_drain(r);
    pair_calmly(r);
    wh_recorder_snapshots(r);
    wh_recorder_collect(r, false);
    r->previous_ticks = now_ticks;
    r->bytes += r->poll_bytes;
    if (now_ns - r->last_rss_ns >= RSS_NS) {
        wh_recorder_rss(r);
        r->last_rss_ns = now_ns;
    }
    if (now_ns - r->last_status_ns >= STATUS_NS)
        report_status(r, now_ns);
    if (now_ns - r->last_commit_ns >= COMMIT_NS)
        commit(r, now_ns);
    else if (wh_content_is_open(
                 r->content)) /* short: a reader sees no half-written file if we die */
        wh_content_commit(r->content);
    stop_recording(r);
    judge_pace(r);
    atomic_store(&r->pace.bell_answered, bell);
}

/* The command ended, descendants run on: the launcher need not wait for them. */
static void tell_running(struct wh_recorder *r) {
    if (!r->main_ended || r->told_running || !r->running)
        return;
    const struct wh_process *main_process = NULL, *other = NULL;
    for (struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p)) {
        if (p->phase == WH_PHASE_DONE)
            continue;
        if (p->pid == r->main_pid)
            main_process = p;
        else if (p->phase == WH_PHASE_RUNNING)
            other = p;
    }
    if (main_process || !other)
        return;
    wh_recorder_say(r, WH_MESSAGE_RUNNING, "%u %d", r->running, (int)getpid());
    r->told_running = true;
}

static bool is_over(struct wh_recorder *r, uint64_t now_ns) {
    if (r->stopped && !r->running)
        return true;
    if (r->running || r->poll_bytes) {
        r->idle_since_ns = now_ns;
        return false;
    }
    uint64_t idle = now_ns - r->idle_since_ns;
    bool had_any = atomic_load(&r->session->next_process_uid) > 1;
    /* Before the first image: as long as the launcher's command lives, but not for ever. */
    if (!had_any && !r->main_ended && r->control_fd >= 0)
        return false;
    if (!had_any && !r->main_ended)
        return idle > FIRST_WAIT_NS;
    if (wh_recorder_expects_more(r) && idle < 40 * (uint64_t)LINGER_NS)
        return false;
    /* A command that is replaced by one we cannot trace is alive and silent. */
    if (r->control_fd >= 0 && !r->main_ended)
        return false;
    if (idle > LINGER_NS)
        return true;
    if (wh_recorder_heirs(r) != WH_HEIRS_NONE)
        return false;
    wh_recorder_discover(r); /* one that came and died since we looked */
    return !r->running;
}

static void poll_loop(struct wh_recorder *r) {
    int timeout_ms, hasty = 0;
    r->idle_since_ns = r->last_commit_ns = r->last_rss_ns = r->last_status_ns = wh_monotonic_ns();
    for (;;) {
        poll_once(r);
        tell_running(r);
        if (is_over(r, wh_monotonic_ns()))
            return;
        if (r->poll_bytes > WH_BUSY_BYTES)
            timeout_ms = 0;
        else if (r->is_asked || r->is_dying || !r->running)
            timeout_ms = ++hasty < HASTY_POLLS ? 0 : 1;
        else
            timeout_ms = POLL_MS;
        if (timeout_ms == POLL_MS)
            hasty = 0;
        wait_for_events(r, timeout_ms);
    }
}

/* --- finishing
 * ------------------------------------------------------------------------------------- */

static int write_totals(struct wh_recorder *r, struct wh_error *error) {
    const struct {
        const char *key, *sql;
    } sums[] = {
        {"events", "SELECT ifnull(sum(events), 0) FROM process"},
        {"lost_events", "SELECT ifnull(sum(lost_events), 0) FROM process"},
        {"command_line", "SELECT ifnull(min(command_line), '') FROM process WHERE id = 1"},
    };
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        struct wh_query *q;
        int rc = wh_query_open(r->store, sums[i].sql, &q, error);
        if (rc)
            return rc;
        if (wh_query_step(q, error) == 1)
            rc = wh_query_type(q, 0) == WH_CELL_INT
                     ? wh_store_set_int(r->store, sums[i].key, wh_query_int(q, 0), error)
                     : wh_store_set_text(r->store, sums[i].key, wh_query_text(q, 0), error);
        wh_query_close(q);
        if (rc)
            return rc;
    }
    int64_t lost = (int64_t)(r->lost_processes + wh_recorder_unseen(r) +
                             atomic_load(&r->session->untraced_images));
    int rc = wh_store_set_int(r->store, "lost_processes", lost, error);
    if (!rc && r->spill.most)
        rc = wh_store_set_int(r->store, "waiting_file_bytes",
                              (int64_t)r->spill.most * WH_BLOCK_BYTES, error);
    if (!rc && r->lost_blocks)
        rc = wh_store_set_int(r->store, "malformed_blocks", (int64_t)r->lost_blocks, error);
    return rc;
}

/* What only events needed: names and holders need the memory. */
static void let_go(struct wh_recorder *r) {
    wh_helper_stop(&r->helper);
    wh_recorder_release_chunks(r);
    wh_recorder_release_processes(r);
    wh_derive_close(r->derive);
    r->derive = NULL;
    wh_spill_close(r);
    free(r->views);
    free(r->node_seen);
    r->views = NULL;
    r->node_seen = NULL;
    (void)malloc_trim(0); /* small blocks, of which most are free now */
}

static int write_end(struct wh_recorder *r, struct wh_error *error) {
    wh_recorder_need_clock(r);
    struct wh_store *store = wh_content_store(r->content);
    int rc = store ? wh_derive_finish(r->derive, error) : 0; /* while the last snapshot is read */
    wh_recorder_collect(r, true);
    if (store) {
        if (!rc)
            rc = write_totals(r, error);
        if (!rc)
            rc = wh_store_exec(store, "DELETE FROM trace WHERE key = 'reserve'", error);
        if (rc)
            wh_content_fail(r->content, error);
        wh_content_commit(r->content);
    }
    if (wh_content_failure(r->content)) {
        *error = *wh_content_failure(r->content);
        return error->code;
    }
    let_go(r);
    if (r->options->resolve && r->options->resolve(r->store, error))
        wh_recorder_warn(r, "%s", error->text);
    return wh_store_set_int(r->store, "complete", 1, error);
}

static void release(struct wh_recorder *r) {
    let_go(r);
    wh_content_close(r->content);
    wh_store_close(r->store);
    if (r->session)
        munmap(r->session, WH_SESSION_BYTES);
    if (r->file_fd_session >= 0)
        close(r->file_fd_session);
    if (r->epoll_fd >= 0)
        close(r->epoll_fd);
}

int wh_serve(const struct wh_serve_options *options, struct wh_error *error) {
    struct wh_recorder r = {
        .options = options,
        .message_fd = options->message_fd,
        .control_fd = options->control_fd,
        .epoll_fd = -1,
        .file_fd_session = -1,
        .pace = {.wake_fd = -1, .helper_class = -1},
        .helper = WH_HELPER_INIT,
        .spill = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1},
        .next_node_id = WH_NODE_EXTENT,
    };
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
    detach(&r);
    int rc = map_session(&r, error);
    if (!rc)
        rc = open_trace(&r, error);
    if (rc) {
        wh_recorder_say(&r, WH_MESSAGE_ERROR, "%s", error->text);
        if (r.session)
            refuse(r.session, error->text);
        release(&r);
        (void)unlink(options->session);
        return rc;
    }
    if (wh_pace_start(&r))
        wh_recorder_warn(&r, "no thread for the watch: the program may have to wait for room");
    atomic_store(&r.session->recorder_pid, (uint32_t)getpid());
    wh_recorder_say(&r, WH_MESSAGE_UP, "%d", (int)getpid());
    poll_loop(&r);
    wh_pace_stop(&r);
    atomic_store(&r.session->stop, 1);
    (void)unlink(options->session);
    rc = write_end(&r, error);
    if (rc) {
        if (!r.stopped)
            wh_recorder_warn(&r, "recording ended early: %s", error->text);
        wh_content_give_up(r.content, error->text);
    }
    release(&r);
    return rc;
}
