/* Images: found by their slots, watched by their pids, finished when all they wrote is paired.
 *
 * The hard thing is the end. A pid may go on as another image (exec), may be reused, may be reaped
 * by a parent that we are not; its exit status is asked from the kernel in the few ways that work
 * for a process that is not our child. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/recorder.h"

#define STATUS_WAIT_NS 20000000u /* how long a status may take to become known */
#define PARENT_WAIT_NS 500000000u
#define PARENT_POLLS   20 /* and so often asked: the recorder itself may have been held up */

/* Linux 6.13 and 6.15; not in the headers of older distributions. */
struct pidfd_exit_info {
    uint64_t mask, cgroup;
    uint32_t ids[11];
    int32_t exit_code;
};
#define PIDFD_EXIT_INFO_MASK (1u << 3)
#define PIDFD_EXIT_INFO      _IOWR(0xFF, 11, struct pidfd_exit_info)

/* --- the table
 * ------------------------------------------------------------------------------------- */

struct wh_process *wh_recorder_process(const struct wh_recorder *r, uint32_t uid) {
    struct wh_process *p = r->processes[uid % WH_UID_BUCKETS];
    while (p && p->image.id != uid)
        p = p->next;
    return p;
}

struct wh_process *wh_recorder_next(const struct wh_recorder *r, const struct wh_process *after) {
    if (after && after->next)
        return after->next;
    for (unsigned b = after ? after->image.id % WH_UID_BUCKETS + 1 : 0; b < WH_UID_BUCKETS; b++)
        if (r->processes[b])
            return r->processes[b];
    return NULL;
}

static void free_process(struct wh_process *p) {
    wh_image_release(&p->image);
    for (size_t i = 0; i < p->module_count; i++) {
        free(p->modules[i].path);
        free(p->modules[i].build_id);
    }
    free(p->modules);
    free(p->exe);
    free(p->command_line);
    free(p->allocator);
    free(p->disabled);
    if (p->pidfd >= 0)
        close(p->pidfd);
    free(p);
}

void wh_recorder_release_processes(struct wh_recorder *r) {
    for (unsigned b = 0; b < WH_UID_BUCKETS; b++)
        for (struct wh_process *p = r->processes[b], *next; p; p = next) {
            next = p->next;
            free_process(p);
        }
    memset(r->processes, 0, sizeof r->processes);
}

static struct wh_image *find_image(void *recorder, uint32_t id) {
    struct wh_process *p = wh_recorder_process(recorder, id);
    return p ? &p->image : NULL;
}

/* --- the kernel's view
 * ----------------------------------------------------------------------------- */

/* The start of /proc/PID/NAME as text. false: no such process. */
static bool read_proc(uint32_t pid, const char *name, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* State, start time and, for a zombie, exit code of a pid. false: no such process. */
static bool read_stat(uint32_t pid, char *ret_state, uint64_t *ret_start, int *ret_code) {
    char text[1024];
    if (!read_proc(pid, "stat", text, sizeof text))
        return false;
    char *at = strrchr(text, ')'), *save = NULL;
    if (!at)
        return false;
    unsigned field = 3;
    for (char *word = strtok_r(at + 1, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (field == 3)
            *ret_state = *word;
        else if (field == 22)
            *ret_start = strtoull(word, NULL, 10);
        else if (field == 52)
            *ret_code = (int)strtol(word, NULL, 10);
        field++;
    }
    return field > 22;
}

/* Is the process gone, or a zombie? */
static bool is_gone(struct wh_process *p) {
    char state = 0;
    uint64_t start = 0;
    int code = 0;
    if (!read_stat(p->pid, &state, &start, &code))
        return errno == ENOENT || errno == ESRCH || kill((pid_t)p->pid, 0) != 0;
    return state == 'Z' || state == 'X' || (p->pid_start && start != p->pid_start);
}

/* The status of a dead process, as from waitpid. */
static bool read_status(struct wh_recorder *r, struct wh_process *p) {
    char state = 0;
    uint64_t start = 0;
    int code = 0;
    if (r->main_ended && r->main_pid == p->pid) {
        p->status = r->main_status;
        return true;
    }
    struct pidfd_exit_info info = {.mask = PIDFD_EXIT_INFO_MASK};
    if (p->pidfd >= 0 && ioctl(p->pidfd, PIDFD_EXIT_INFO, &info) == 0 &&
        (info.mask & PIDFD_EXIT_INFO_MASK)) {
        p->status = info.exit_code;
        return true;
    }
    /* Without the right to look, the kernel shows 0 here. */
    if (read_stat(p->pid, &state, &start, &code) && state == 'Z' &&
        (!p->pid_start || p->pid_start == start) && (code || geteuid() == 0)) {
        p->status = code;
        return true;
    }
    return false;
}

/* --- beginning
 * ------------------------------------------------------------------------------------- */

static void watch(struct wh_recorder *r, struct wh_process *p) {
    char state;
    int code;
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    (void)read_stat(p->pid, &state, &p->pid_start, &code);
    if (p->pidfd < 0)
        return;
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = p->image.id};
    (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, p->pidfd, &event);
}

static void mark_dead(struct wh_process *p, uint64_t now_ticks) {
    p->phase = WH_PHASE_DEAD;
    p->death_ns = wh_monotonic_ns();
    p->end_ticks = now_ticks;
}

/* The image before (or after) this one under its pid that is not written yet; NULL = none. */
static struct wh_process *neighbour(const struct wh_recorder *r, const struct wh_process *of,
                                    bool after) {
    struct wh_process *best = NULL;
    for (struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p)) {
        if (p == of || p->pid != of->pid || p->phase == WH_PHASE_DONE ||
            (p->image.id > of->image.id) != after)
            continue;
        if (!best || (p->image.id < best->image.id) == after)
            best = p;
    }
    return best;
}

static void replace(struct wh_process *older, struct wh_process *newer) {
    if (older->phase == WH_PHASE_DEAD && !older->is_replaced)
        return; /* it died, and the pid was reused */
    if (older->pid_start && newer->pid_start && older->pid_start != newer->pid_start) {
        mark_dead(older, newer->start_ticks); /* the same, not noticed before */
        return;
    }
    older->is_replaced = newer->is_exec = true;
    mark_dead(older, newer->start_ticks);
}

/* Images of one pid follow each other by exec in the order of their uids. They are found in any
 * order: a slot that was given back is taken again, and may lie before the one in use. */
static void end_replaced(const struct wh_recorder *r, struct wh_process *p) {
    struct wh_process *before = neighbour(r, p, false), *after = neighbour(r, p, true);
    if (before)
        replace(before, p);
    if (after)
        replace(p, after);
}

static void new_process(struct wh_recorder *r, uint32_t slot, uint32_t uid) {
    const struct wh_process_slot *s = wh_session_slot(r->session, slot);
    const struct wh_image_calls calls = {wh_recorder_event, find_image, wh_recorder_pulse, r};
    struct wh_process *p = calloc(1, sizeof *p);
    if (!p || wh_image_init(&p->image, uid, r->ms_ticks, &calls)) {
        free(p);
        r->lost_processes++;
        return;
    }
    p->slot = slot;
    p->pid = atomic_load(&s->pid);
    p->start_ticks = atomic_load(&s->start_ticks) >> r->session->tick_shift;
    p->image.pair.sink = wh_derive_sink(r->derive);
    p->image.pair.free_stacks = r->session->flags & WH_SESSION_FREE_STACKS;
    p->image.nodes.extend = wh_recorder_extend;
    p->image.nodes.arg = p;
    watch(r, p);
    end_replaced(r, p);
    p->next = r->processes[uid % WH_UID_BUCKETS];
    r->processes[uid % WH_UID_BUCKETS] = p;
    r->running++;
}

void wh_recorder_discover(struct wh_recorder *r) {
    /* How many are used is asked each time: a child found in a low slot may have a parent that has
     * just taken the next one. */
    for (uint32_t i = 0; i < WH_PROCESS_MAX && i < atomic_load_explicit(&r->session->processes_used,
                                                                        memory_order_acquire);
         i++) {
        struct wh_process_slot *s = wh_session_slot(r->session, i);
        if (atomic_load_explicit(&s->state, memory_order_acquire) != WH_SLOT_LIVE)
            continue;
        uint32_t uid = atomic_load(&s->uid);
        if (uid && !wh_recorder_process(r, uid))
            new_process(r, i, uid);
    }
}

uint32_t wh_recorder_unseen(const struct wh_recorder *r) {
    uint32_t used = atomic_load(&r->session->processes_used), count = 0;
    for (uint32_t i = 0; i < used && i < WH_PROCESS_MAX; i++) {
        struct wh_process_slot *s = wh_session_slot(r->session, i);
        uint32_t uid = atomic_load(&s->uid);
        count += atomic_load(&s->state) == WH_SLOT_LIVE && uid && !wh_recorder_process(r, uid);
    }
    return count;
}

/* --- the end
 * --------------------------------------------------------------------------------------- */

static void give_slot_back(struct wh_recorder *r, const struct wh_process *p) {
    struct wh_process_slot *s = wh_session_slot(r->session, p->slot);
    if (atomic_load(&s->uid) != p->image.id)
        return;
    atomic_store(&s->state, WH_SLOT_GONE);
    memset((char *)s + sizeof s->state, 0, 512 - sizeof s->state);
    atomic_store_explicit(&s->state, WH_SLOT_FREE, memory_order_release);
}

static void write_end(struct wh_recorder *r, struct wh_process *p) {
    const struct wh_process_slot *s = wh_session_slot(r->session, p->slot);
    const struct wh_pair *pair = &p->image.pair;
    const struct wh_ledger *sums = wh_pair_sums(&p->image.pair, p->is_replaced);
    bool exited = p->has_status ? WIFEXITED(p->status) : p->has_exit_event;
    struct wh_process_row row = {
        .id = p->image.id,
        .parent_id = p->parent_id,
        .pid = p->pid,
        .exe = p->exe,
        .command_line = p->command_line,
        .start_ns = wh_clock_ns(&r->clock, p->start_ticks),
        .end_ns = wh_clock_ns(&r->clock, p->end_ticks),
        .has_end = true,
        .has_exit_code = !p->is_replaced && exited,
        .has_signal = !p->is_replaced && p->has_status && WIFSIGNALED(p->status),
        .is_exec = p->is_exec,
        .is_replaced = p->is_replaced,
        .exit_code = p->has_status ? WEXITSTATUS(p->status) : p->exit_event,
        .signal = p->has_status ? WTERMSIG(p->status) : 0,
        .events = pair->events,
        .lost_events = atomic_load(&s->lost_events),
        .truncated_stacks = atomic_load(&s->stack_truncated),
        .unresolved_stacks = atomic_load(&s->stack_unresolved),
        .unwind_mismatches = atomic_load(&s->unwind_mismatch),
        .unknown_frees = pair->unknown_frees,
        .implied_frees = pair->implied_frees,
        .inherited_objects = p->is_replaced ? 0 : pair->inherited_objects,
        .inherited_bytes = p->is_replaced ? 0 : pair->inherited_bytes,
        .live_objects = sums->live_objects,
        .live_bytes = sums->live_bytes,
        .peak_bytes = sums->peak_bytes,
        .peak_ns = wh_clock_ns(&r->clock, sums->peak_ticks),
        .has_peak = sums->peak_serial != 0,
        .peak_rss_bytes = p->peak_rss_bytes,
        .allocator = p->allocator,
        .disabled = p->disabled                 ? p->disabled
                    : atomic_load(&s->disabled) ? "tracing switched itself off"
                                                : NULL,
        .inuse_bytes = p->inuse_bytes,
        .has_inuse = p->has_inuse,
        .tracer_objects = atomic_load(&s->own_objects),
        .tracer_bytes = atomic_load(&s->own_bytes),
        .tracer_frees = atomic_load(&s->own_frees),
    };
    wh_content_process(r->content, &row);
}

/* All its records are paired: writes everything about it and lets go of what is not needed. */
static void finish(struct wh_recorder *r, struct wh_process *p) {
    struct wh_pair *pair = &p->image.pair;
    struct wh_error error;
    wh_recorder_need_clock(r);
    if (pair->last_ticks > p->end_ticks)
        p->end_ticks = pair->last_ticks;
    wh_recorder_chunks(r, p, true);
    for (struct wh_image_thread *t = wh_image_next_thread(&p->image, NULL); t;
         t = wh_image_next_thread(&p->image, t))
        wh_recorder_write_thread(r, p, t);
    struct wh_store *store = wh_content_store(r->content);
    if (wh_pair_finish(pair, p->end_ticks, p->is_replaced) < 0) {
        wh_fail(&error, WH_ESYSTEM, "out of memory");
        wh_content_fail(r->content, &error);
    } else if (store && wh_derive_process(r->derive, pair, p->is_replaced, &error)) {
        wh_content_fail(r->content, &error);
    }
    write_end(r, p);
    r->events += pair->events;
    p->image.finished = true;
    p->phase = WH_PHASE_DONE;
    wh_recorder_give_back(r, p);
    wh_image_release_events(&p->image);
    give_slot_back(r, p);
    r->running--;
}

/* Forgets what a done process kept for children that will never come. */
static void forget(struct wh_process *p) {
    if (p->pidfd >= 0)
        close(p->pidfd);
    p->pidfd = -1;
}

static void check_alive(struct wh_recorder *r, struct wh_process *p) {
    const struct wh_process_slot *s = wh_session_slot(r->session, p->slot);
    bool suspicious = p->pidfd < 0 || atomic_load_explicit(&s->exited, memory_order_relaxed);
    if (suspicious && is_gone(p))
        mark_dead(p, wh_recorder_now(r));
}

/* Pairs up to the watermark, first to the moments of snapshots that lie before; in parts: others
 * have their turn. 0 = done, or a part, 1 = its parent is not at the fork yet, 2 = a part, < 0 = no
 * memory. */
static int pair(struct wh_recorder *r, struct wh_process *p, uint64_t watermark) {
    r->may_stop = true;
    int rc = wh_recorder_follow(r, p);
    if (!rc)
        rc = wh_image_run(&p->image, watermark);
    r->may_stop = false;
    return rc;
}

/* All that an ended process left; 2 = there is more. */
static int pair_rest(struct wh_recorder *r, struct wh_process *p) {
    int rc = pair(r, p, UINT64_MAX);
    return !rc && p->image.merge.count ? 2 : rc;
}

/* One step of an ended process. */
static void step_dead(struct wh_recorder *r, struct wh_process *p) {
    uint64_t waited = wh_monotonic_ns() - p->death_ns;
    struct wh_error error;
    wh_recorder_reclaim(r, p);
    int rc = pair_rest(r, p);
    r->is_dying = true;
    if (rc == 2 ||
        (rc == 1 && (waited < PARENT_WAIT_NS || r->was_cut || p->parent_waits++ < PARENT_POLLS)))
        return; /* later */
    if (!p->has_status && !p->is_replaced)
        p->has_status = read_status(r, p);
    if (!p->has_status && !p->is_replaced && waited < STATUS_WAIT_NS)
        return;
    if (rc == 1) { /* it never will be: the child starts empty */
        p->image.is_orphan = true;
        if ((rc = pair_rest(r, p)) == 2)
            return;
    }
    if (rc < 0) {
        wh_fail(&error, WH_ESYSTEM, "out of memory");
        wh_content_fail(r->content, &error);
    }
    finish(r, p);
    forget(p);
}

static void step_running(struct wh_recorder *r, struct wh_process *p) {
    struct wh_error error;
    if (pair(r, p, r->previous_ticks) < 0) {
        wh_fail(&error, WH_ESYSTEM, "out of memory");
        wh_content_fail(r->content, &error);
    }
    wh_recorder_chunks(r, p, false);
}

void wh_recorder_pair(struct wh_recorder *r) {
    r->is_dying = false;
    for (struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p)) {
        if (p->phase == WH_PHASE_RUNNING)
            check_alive(r, p);
        if (p->phase == WH_PHASE_RUNNING)
            step_running(r, p);
        else if (p->phase == WH_PHASE_DEAD)
            step_dead(r, p);
    }
}

void wh_recorder_read_rss(struct wh_process *p) {
    char text[4096];
    const char *at;
    if (read_proc(p->pid, "status", text, sizeof text) && (at = strstr(text, "VmHWM:")) != NULL) {
        uint64_t peak = strtoull(at + 6, NULL, 10) * 1024;
        if (peak > p->peak_rss_bytes)
            p->peak_rss_bytes = peak;
    }
    if (read_proc(p->pid, "statm", text, sizeof text) && (at = strchr(text, ' ')) != NULL)
        p->image.pair.timeline.rss_bytes = strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void wh_recorder_rss(struct wh_recorder *r) {
    for (struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p))
        if (p->phase == WH_PHASE_RUNNING)
            wh_recorder_read_rss(p);
}

/* A fork that returned a child, but the child has not reported itself yet. */
bool wh_recorder_expects_more(struct wh_recorder *r) {
    for (struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p))
        for (const struct wh_fork *f = p->image.forks; f; f = f->next)
            if (f->child_pid && kill((pid_t)f->child_pid, 0) == 0)
                return true;
    return false;
}
