/* The watch: a small thread beside the recorder's main one that sees to it that the target never
 * waits for it in vain.
 *
 * The recorder's work can wait as long as there is room for events, the target's cannot: while the
 * target runs, the main thread has the kernel's idle class and takes only what the target leaves of
 * the processors. The watch itself sleeps nearly always and keeps the ordinary priority. It makes
 * room ahead of the target (when the memory bound comes near, by moving blocks to a file), wakes
 * the main thread when the bell is rung (session.h), and gives it its priority back for as long as
 * somebody waits: for a snapshot, for the end, for room, or a planned snapshot is due. It is the
 * only one who changes that priority, so the main thread cannot be left idle by a race.
 *
 * Where the system would not let us take the priority back (RLIMIT_NICE), it is never given up. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "record/limit.h"
#include "record/recorder.h"
#include "wire/sys.h"

#define GROW_BLOCKS 64u
#define TICK_NS     10000000u /* the watch looks at the room so often */
#define REST_NS     100000u
#define EARLY_NS    30000000u /* before that it is not worth it */

/* --- room
 * ------------------------------------------------------------------------------------------- */

static uint32_t limit_of(const struct wh_session *s) {
    uint32_t limit = atomic_load_explicit(&s->blocks_limit, memory_order_relaxed);
    return limit < WH_BLOCK_MAX ? limit : WH_BLOCK_MAX;
}

static uint32_t blocks_free(const struct wh_session *s, uint32_t ready) {
    uint32_t free = 0;
    for (uint32_t w = 0; w < (ready + 63) / 64; w++)
        free += (uint32_t)__builtin_popcountll(
            atomic_load_explicit(&s->free_map[w], memory_order_relaxed));
    return free;
}

static int allocate_pages(struct wh_recorder *r, uint64_t offset, uint64_t bytes) {
    struct wh_file_limit limit = wh_file_limit_raise();
    int rc = fallocate(r->file_fd_session, 0, (off_t)offset, (off_t)bytes);
    int saved = errno;
    wh_file_limit_restore(&limit);
    errno = saved;
    return rc;
}

/* Makes more blocks usable when few are left. Returns how many are in use. */
static uint32_t make_room(struct wh_recorder *r) {
    struct wh_session *s = r->session;
    uint32_t ready = atomic_load_explicit(&s->blocks_ready, memory_order_relaxed);
    uint32_t free = blocks_free(s, ready), limit = limit_of(s);
    if (ready < limit && r->file_fd_session >= 0 && (free < 16 || free < ready / 4)) {
        uint32_t count = limit - ready < GROW_BLOCKS ? limit - ready : GROW_BLOCKS;
        uint64_t offset = WH_ARENA_OFFSET + (uint64_t)ready * WH_BLOCK_BYTES;
        if (allocate_pages(r, offset, (uint64_t)count * WH_BLOCK_BYTES) == 0)
            wh_block_grow(s, count);
        else if (errno != EINTR)
            atomic_store(&s->blocks_limit, ready);
    }
    return ready - free;
}

/* --- priority
 * --------------------------------------------------------------------------------------- */

static int set_class(pid_t thread, int policy) {
    const struct sched_param none = {0};
    return sched_setscheduler(thread, policy, &none);
}

static void *try_return(void *result) {
    *(bool *)result = set_class(0, SCHED_IDLE) == 0 && set_class(0, SCHED_OTHER) == 0;
    return NULL;
}

/* Found out by a thread that has nothing to lose. */
static bool may_return(void) {
    pthread_t thread;
    bool result = false;
    if (sched_getscheduler(0) != SCHED_OTHER ||
        pthread_create(&thread, NULL, try_return, &result) != 0)
        return false;
    (void)pthread_join(thread, NULL);
    return result;
}

static bool is_urgent(const struct wh_recorder *r, uint32_t used, bool is_idle) {
    const struct wh_pace *p = &r->pace;
    uint32_t limit = limit_of(r->session);
    uint64_t due_ns = atomic_load(&p->due_ns);
    return atomic_load(&p->bell_answered) != atomic_load(&r->session->bell) ||
           !atomic_load(&p->is_leisurely) || (due_ns && wh_monotonic_ns() >= due_ns) ||
           used > (is_idle ? limit / 2 : limit / 8);
}

/* The helper does what the main thread waits for. It may start at any time. */
static void set_helper_class(struct wh_recorder *r, int policy) {
    pid_t thread = atomic_load(&r->helper.tid);
    if (thread && r->pace.helper_class != policy && set_class(thread, policy) == 0)
        r->pace.helper_class = policy;
}

static void *watch(void *recorder) {
    struct wh_recorder *r = recorder;
    struct wh_pace *p = &r->pace;
    const struct timespec tick = {.tv_nsec = TICK_NS};
    const uint64_t start_ns = wh_monotonic_ns();
    bool is_idle = false, never = false;
    uint32_t seen = 0;
    while (!atomic_load(&p->is_closing)) {
        uint32_t bell = atomic_load(&r->session->bell);
        if (bell != seen && write(p->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
            errno = 0; /* it is awake already */
        seen = bell;
        uint32_t used = make_room(r), limit = limit_of(r->session);
        if (used > limit - limit / 4)
            wh_spill_blocks(r, used, limit / 2);
        bool urgent = is_urgent(r, used + atomic_load(&r->spill.waiting), is_idle);
        if (!urgent && !is_idle && !never && wh_monotonic_ns() - start_ns > EARLY_NS) {
            never = !may_return();
            is_idle = !never && set_class(p->main, SCHED_IDLE) == 0;
        } else if (urgent && is_idle) {
            is_idle = set_class(p->main, SCHED_OTHER) != 0;
        }
        set_helper_class(r, is_idle ? SCHED_IDLE : SCHED_OTHER);
        wh_sys4(SYS_futex, &r->session->bell, FUTEX_WAIT, seen, &tick);
    }
    if (is_idle)
        (void)set_class(p->main, SCHED_OTHER);
    set_helper_class(r, SCHED_OTHER);
    return NULL;
}

/* --- the main thread's side
 * ------------------------------------------------------------------------- */

int wh_pace_start(struct wh_recorder *r) {
    struct wh_pace *p = &r->pace;
    sigset_t all, before;
    p->main = (pid_t)syscall(SYS_gettid);
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 0};
    if (p->wake_fd < 0 || epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &event) != 0)
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    p->has_thread = pthread_create(&p->thread, NULL, watch, r) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p->has_thread ? 0 : -1;
}

void wh_pace_heard(struct wh_recorder *r) {
    uint64_t count;
    if (read(r->pace.wake_fd, &count, sizeof count) < 0)
        errno = 0; /* nothing rang */
}

/* The idle class takes only what others leave, but it takes that for as long as its work lasts: who
 * wakes up meanwhile may be put behind somebody else, on another processor. A server answered every
 * hundredth request half a millisecond later for that. */
void wh_pace_rest(void *recorder) {
    const struct wh_recorder *r = recorder;
    const struct timespec rest = {.tv_nsec = REST_NS};
    if (atomic_load(&r->pace.is_calm) &&
        atomic_load(&r->session->bell) == atomic_load(&r->pace.bell_answered))
        nanosleep(&rest, NULL);
}

void wh_pace_stop(struct wh_recorder *r) {
    struct wh_pace *p = &r->pace;
    if (p->has_thread) {
        atomic_store(&p->is_closing, true);
        wh_session_ring(r->session);
        (void)pthread_join(p->thread, NULL);
    }
    p->has_thread = false;
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    p->wake_fd = -1;
}
