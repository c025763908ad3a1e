/* Beyond the memory bound: the watch moves blocks that are complete from the shared arena to a file
 * beside the trace, so that the target finds a free block where it would have to wait.
 *
 * Writing 64 KiB takes a hundredth of the time that pairing what is in them takes, so the watch
 * keeps ahead of a burst on all cores. The file has no name: it goes with the recorder. A moved
 * block is one with a number behind the arena's; the merge gets to it in the order of its thread as
 * to any other. What is hard is the main thread, which reads blocks meanwhile: only a sealed block
 * that it has not begun is moved, it is copied without the lock and moved under it, and only if
 * nobody gave it back in between. (Without the lock the main thread asks only whether a segment has
 * a source, and moving changes nothing about that.) Context: watch; wh_spill_read and
 * wh_spill_free: main thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/recorder.h"

static int open_file(const struct wh_recorder *r) {
    char *name;
    if (asprintf(&name, "%s-waiting", r->options->output) < 0)
        return -1;
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        (void)unlink(name);
    free(name);
    return fd;
}

static off_t place_of(uint32_t moved) {
    return (off_t)(moved - WH_MOVED_FIRST) * WH_BLOCK_BYTES;
}

/* Counts as waiting from now on, so that the file is not cut meanwhile. UINT32_MAX: it is full. */
static uint32_t reserve_place(struct wh_recorder *r) {
    struct wh_spill *s = &r->spill;
    if (atomic_load(&s->waiting) == WH_MOVED_MAX)
        return UINT32_MAX;
    while (r->views[WH_MOVED_FIRST + s->cursor].moved_uid)
        s->cursor = (s->cursor + 1) % WH_MOVED_MAX;
    atomic_fetch_add(&s->waiting, 1);
    return WH_MOVED_FIRST + s->cursor;
}

static bool may_move(struct wh_recorder *r, uint32_t index) {
    return !r->views[index].consumed &&
           atomic_load_explicit(&wh_session_entry(r->session, index)->state,
                                memory_order_acquire) == WH_BLOCK_SEALED;
}

/* The copy is made: from now on the block is there. */
static void move(struct wh_recorder *r, uint32_t index, uint32_t moved) {
    struct wh_spill *s = &r->spill;
    struct wh_block_view *from = &r->views[index], *to = &r->views[moved];
    uint32_t generation = from->generation + 1;
    *to = *from;
    to->is_mapped = false;
    to->moved_uid = atomic_load(&wh_session_entry(r->session, index)->process_uid);
    if (to->segment)
        to->segment->source = moved;
    *from = (struct wh_block_view){.generation = generation};
    wh_block_give(r->session, index);
    if (atomic_load(&s->waiting) > s->most)
        s->most = atomic_load(&s->waiting);
    if (atomic_load(&s->used) < moved - WH_MOVED_FIRST + 1)
        atomic_store(&s->used, moved - WH_MOVED_FIRST + 1);
}

static bool copy_block(const struct wh_recorder *r, uint32_t index, uint32_t moved,
                       unsigned char *copy) {
    off_t offset = (off_t)(WH_ARENA_OFFSET + (size_t)index * WH_BLOCK_BYTES);
    const ssize_t all = WH_BLOCK_BYTES;
    return pread(r->file_fd_session, copy, WH_BLOCK_BYTES, offset) == all &&
           pwrite(r->spill.fd, copy, WH_BLOCK_BYTES, place_of(moved)) == all;
}

/* 1 = moved, 0 = not now, < 0: nothing more can be moved. */
static int try_move(struct wh_recorder *r, uint32_t index, unsigned char *copy) {
    struct wh_spill *s = &r->spill;
    pthread_mutex_lock(&s->lock);
    uint32_t generation = r->views[index].generation;
    bool is_ready = may_move(r, index);
    uint32_t moved = is_ready ? reserve_place(r) : UINT32_MAX;
    pthread_mutex_unlock(&s->lock);
    if (moved == UINT32_MAX)
        return is_ready ? -1 : 0;
    bool is_copied = copy_block(r, index, moved, copy);
    pthread_mutex_lock(&s->lock);
    bool is_moved = is_copied && r->views[index].generation == generation && may_move(r, index);
    if (is_moved)
        move(r, index, moved);
    else
        atomic_fetch_sub(&s->waiting, 1);
    pthread_mutex_unlock(&s->lock);
    s->is_refused = !is_copied; /* a full disk: the target waits for the recorder instead */
    return is_copied ? is_moved : -1;
}

void wh_spill_blocks(struct wh_recorder *r, uint32_t used, uint32_t target) {
    struct wh_spill *s = &r->spill;
    if (s->is_refused || r->file_fd_session < 0)
        return;
    if (s->fd < 0 && (s->fd = open_file(r)) < 0) {
        s->is_refused = true;
        return;
    }
    unsigned char *copy = malloc(WH_BLOCK_BYTES);
    uint32_t end = atomic_load_explicit(&r->session->blocks_used, memory_order_relaxed);
    for (uint32_t i = 0; copy && i < end && i < WH_BLOCK_MAX && used > target; i++) {
        int result = try_move(r, i, copy);
        if (result < 0)
            break;
        used -= (uint32_t)result;
    }
    free(copy);
}

bool wh_spill_read(const struct wh_recorder *r, uint32_t index, size_t offset, void *to,
                   size_t bytes) {
    return pread(r->spill.fd, to, bytes, place_of(index) + (off_t)offset) == (ssize_t)bytes;
}

void wh_spill_free(struct wh_recorder *r, uint32_t index) {
    struct wh_spill *s = &r->spill;
    if (r->views[index].moved_uid)
        atomic_fetch_sub(&s->waiting, 1);
    r->views[index] = (struct wh_block_view){0};
    if (atomic_load(&s->waiting))
        return;
    atomic_store(&s->used, 0);
    s->cursor = 0;
    (void)ftruncate(s->fd, 0); /* its room is needed again only with the next burst */
}

void wh_spill_close(struct wh_recorder *r) {
    if (r->spill.fd >= 0)
        close(r->spill.fd);
    r->spill.fd = -1;
}
