/* A thread's state and its open block, from its first event to after its end.
 *
 * The end is announced by a pthread key whose destructor re-arms itself so as to run after the
 * program's own. Destructors that run even later still free: such an event borrows a state, writes
 * one block and seals it at once, under the thread's old number. States are re-used and never
 * unmapped. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <time.h>

#include "state.h"

__thread struct wh_tls wh_tls __attribute__((tls_model("initial-exec")));

static _Atomic(struct wh_thread *) all_threads;
static pthread_key_t key;
static int has_key;
/* The recorder's beat + 1 when a wait for a block ran out: no further wait until it moves. */
static _Atomic uint64_t stalled_beat;

static struct wh_thread *claim(void) {
    struct wh_thread *t = atomic_load_explicit(&all_threads, memory_order_acquire);
    for (; t; t = t->next) {
        uint32_t expected = 0;
        if (!atomic_load_explicit(&t->used, memory_order_relaxed) &&
            atomic_compare_exchange_strong(&t->used, &expected, 1))
            return t;
    }
    t = wh_memory_take(sizeof *t);
    if (!t)
        return NULL;
    atomic_store(&t->used, 1);
    struct wh_thread *first = atomic_load(&all_threads);
    do
        t->next = first;
    while (!atomic_compare_exchange_weak(&all_threads, &first, t));
    return t;
}

static void release(struct wh_thread *t) {
    atomic_store_explicit(&t->used, 0, memory_order_release);
}

static void reset(struct wh_thread *t) {
    t->writer = (struct wh_writer){0};
    t->block = NULL;
    t->image = wh_process.image;
    t->sequence = 0;
    t->ended = t->rearmed = 0;
    t->lost_unsaid = 0;
    t->fork_token = 0;
    t->own_stack = t->foreign_stack = (struct wh_range){0, 0};
    t->name[0] = 0;
    t->nested = t->outer = NULL;
    t->tail.count = t->tail.gap = t->tail.unresolved = 0;
    t->tail.limit = WH_TAIL_MAX;
    t->tail.known = 0;
    if (!t->segments) {
        wh_segments_forget(t);
        wh_excursion_forget(t);
    }
    t->tid = (uint32_t)wh_sys0(SYS_gettid);
}

struct wh_thread *wh_thread_claim(void) {
    struct wh_thread *t = claim();
    if (!t)
        return NULL;
    reset(t);
    if (wh_tls.late_serial) {
        t->serial = wh_tls.late_serial;
        t->sequence = wh_tls.late_sequence;
        t->ended = 1;
        return t;
    }
    t->serial = atomic_fetch_add(&wh_process.next_serial, 1);
    if (has_key)
        pthread_setspecific(key, t);
    return t;
}

struct wh_thread *wh_thread_nested(struct wh_thread *t) {
    struct wh_thread *nested = t->nested;
    if (!nested) {
        nested = claim();
        if (!nested)
            return NULL;
        reset(nested);
        nested->serial = atomic_fetch_add(&wh_process.next_serial, 1);
        nested->outer = t;
        wh_append(nested->name, nested->name + sizeof nested->name, t->name);
        t->nested = nested;
    }
    return nested;
}

void wh_thread_rename(struct wh_thread *t) {
    char name[16 + 1] = {0};
    t->namings = atomic_load(&wh_process.namings);
    if (wh_sys2(SYS_prctl, PR_GET_NAME, name) || (t->name[0] && wh_same(name, t->name)))
        return;
    struct wh_event e = {.kind = WH_EV_THREAD,
                         .number = t->tid,
                         .text = name,
                         .text_bytes = (uint32_t)wh_length(name)};
    if (wh_record_event(t, &e))
        wh_append(t->name, t->name + sizeof t->name, name);
}

/* Somebody else may have named us meanwhile. */
static void rename_if_named(struct wh_thread *t) {
    if (t->namings != atomic_load_explicit(&wh_process.namings, memory_order_relaxed))
        wh_thread_rename(t);
}

struct wh_thread *wh_thread_start(void) {
    struct wh_thread *t = wh_thread_claim();
    if (t) {
        wh_tls.thread = t;
        if (!t->ended)
            wh_thread_rename(t);
    }
    return t;
}

/* The key's destructor. Other destructors of the same round may come after us, so wait for the
 * last. */
static void on_end(void *state) {
    struct wh_thread *t = state;
    struct wh_tls *tls = &wh_tls;
    if (t->image != wh_process.image || tls->thread != t)
        return;
    if (t->rearmed++ < PTHREAD_DESTRUCTOR_ITERATIONS - 1) {
        pthread_setspecific(key, t);
        return;
    }
    uintptr_t outer = tls->guard;
    tls->guard = WH_FRAME | WH_GUARD_ENCODE;
    rename_if_named(t);
    struct wh_event e = {.kind = WH_EV_THREAD, .detail = 1, .number = t->tid};
    wh_record_event(t, &e);
    wh_block_seal(t);
    for (struct wh_thread *n = t->nested; n; n = n->nested) {
        wh_block_seal(n);
        release(n);
    }
    tls->late_serial = t->serial;
    tls->late_sequence = t->sequence;
    tls->thread = NULL;
    release(t);
    tls->guard = outer;
}

void wh_thread_key(void) {
    has_key = pthread_key_create(&key, on_end) == 0;
}

void wh_thread_late(struct wh_thread *t) {
    wh_block_seal(t);
    wh_tls.late_sequence = t->sequence;
    wh_tls.thread = NULL;
    release(t);
}

void wh_thread_forked(void) {
    struct wh_thread *mine = wh_tls.thread;
    for (struct wh_thread *t = atomic_load(&all_threads); t; t = t->next)
        if (t != mine) {
            t->generation = 0; /* its owner was in the middle of anything */
            atomic_store(&t->used, 0);
        }
    wh_tls.late_serial = 0;
    atomic_store(&wh_process.next_serial, 1);
    if (!mine)
        return;
    struct wh_range own = mine->own_stack;
    uint32_t rearmed = mine->rearmed;
    struct wh_tail *tail = &mine->tail; /* same stack, same nodes: it still holds */
    uint32_t count = tail->count, gap = tail->gap, limit = tail->limit;
    uint32_t unresolved = tail->unresolved;
    reset(mine);
    mine->own_stack = own;
    mine->rearmed = rearmed;
    tail->count = count;
    tail->gap = gap;
    tail->limit = limit;
    tail->unresolved = unresolved;
    mine->serial = atomic_fetch_add(&wh_process.next_serial, 1);
}

#define RESIDENT_BLOCKS 16u

void wh_block_seal(struct wh_thread *t) {
    if (!t->block)
        return;
    atomic_store_explicit(&t->block->busy, 0, memory_order_release);
    atomic_store_explicit(&wh_session_entry(wh_process.session, t->block_index)->state,
                          WH_BLOCK_SEALED, memory_order_release);
    /* What a burst took beyond the first blocks waits for the recorder, not in our resident set. */
    if (t->block_index >= RESIDENT_BLOCKS &&
        !atomic_load_explicit(&wh_process.may_be_filtered, memory_order_relaxed))
        wh_sys3(SYS_madvise, wh_session_block(wh_process.session, t->block_index), WH_BLOCK_BYTES,
                4 /* MADV_DONTNEED */);
    t->block = NULL;
    t->writer.cursor = t->writer.end = NULL;
}

/* Half milliseconds without a sign of life: after the first it is asked whether the recorder
 * exists, after the second it counts as stopped for good. A loaded machine or a slow disk stops it
 * for seconds. */
enum { STILL_ASK = 1000, STILL_MAX = 120000 };

/* Waits for the recorder to give a block back. It is waited for as long as it shows life. */
static uint32_t wait_for_block(void) {
    struct wh_session *s = wh_process.session;
    const struct timespec pause = {0, 500000};
    uint64_t beat = atomic_load(&s->recorder_beat);
    uint32_t still = 0;
    if (s->overflow != WH_OVERFLOW_WAIT || !atomic_load(&s->recorder_pid) ||
        beat + 1 == atomic_load(&stalled_beat))
        return UINT32_MAX;
    wh_session_ring(s);
    for (uint32_t waited = 0; waited < 2 * s->wait_ms_max && still < STILL_MAX; waited++) {
        wh_sys2(SYS_nanosleep, &pause, NULL);
        uint32_t index = wh_block_take(s, wh_process.uid);
        if (index != UINT32_MAX)
            return index;
        if (atomic_load(&s->stop))
            break;
        uint64_t now = atomic_load(&s->recorder_beat);
        still = now == beat ? still + 1 : 0;
        beat = now;
        if (still && still % STILL_ASK == 0 &&
            wh_sys2(SYS_kill, atomic_load(&s->recorder_pid), 0) == -ESRCH)
            break;
    }
    atomic_store(&stalled_beat, beat + 1);
    return UINT32_MAX;
}

int wh_block_next(struct wh_thread *t) {
    struct wh_session *s = wh_process.session;
    struct wh_writer *w = &t->writer;
    wh_block_seal(t);
    if (WH_UNLIKELY(atomic_load(&s->stop))) {
        wh_disable(NULL);
        return 0;
    }
    uint32_t index = wh_block_take(s, wh_process.uid);
    if (index == UINT32_MAX)
        index = wait_for_block();
    if (index == UINT32_MAX)
        return 0;
    struct wh_block *b = wh_session_block(s, index);
    uint64_t now = wh_ticks();
    w->ticks = now > w->ticks ? now : w->ticks;
    w->address = 0;
    b->process_uid = wh_process.uid;
    b->thread_serial = t->serial;
    b->tid = t->tid;
    b->sequence = t->sequence++;
    b->base_ticks = w->ticks;
    b->base_ip = w->ip;
    b->base_stack = w->stack;
    w->cursor = b->payload;
    w->end = b->payload + WH_BLOCK_PAYLOAD;
    t->block = b;
    t->block_index = index;
    t->stamp_late = 1;
    atomic_store_explicit(&wh_session_entry(s, index)->state, WH_BLOCK_OPEN, memory_order_release);
    if (t->sequence > 1 && !t->ended)
        rename_if_named(t);
    return 1;
}
