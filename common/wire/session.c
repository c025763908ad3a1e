/* Making a session file: used by the launcher and, under a bare preload, inside the target, hence
 * raw system calls only. The hard thing is where: the file must be memory, not disk, and survive
 * nobody knowing its name, so /dev/shm comes first and a directory for temporary files second. */
#include "wire/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "wire/sys.h"

uint64_t wh_session_clock(uint32_t clock) {
    if (clock == WH_CLOCK_TSC)
        return wh_ticks_raw();
    struct timespec now = {0};
    wh_sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The kernel has judged the time stamp counter: it is its clock source only when it is synchronous
 * and constant on all processors. */
static uint32_t best_clock(void) {
#if defined(__x86_64__)
    char name[16] = {0};
    long fd = wh_sys4(SYS_openat, AT_FDCWD,
                      "/sys/devices/system/clocksource/clocksource0/current_clocksource",
                      O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return WH_CLOCK_MONOTONIC;
    wh_sys3(SYS_read, fd, name, sizeof name - 1);
    wh_sys1(SYS_close, fd);
    return name[0] == 't' && name[1] == 's' && name[2] == 'c' ? WH_CLOCK_TSC : WH_CLOCK_MONOTONIC;
#else
    return WH_CLOCK_TSC;
#endif
}

static char *put_string(char *p, const char *end, const char *text) {
    while (*text && p < end)
        *p++ = *text++;
    return p;
}

static char *put_number(char *p, const char *end, uint64_t value, unsigned base) {
    char digits[24];
    unsigned n = 0;
    do
        digits[n++] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    while (n && p < end)
        *p++ = digits[--n];
    return p;
}

/* Creates DIRECTORY/whoholds.PID.RANDOM; returns a descriptor or -errno. */
static long create_in(const char *directory, char *path, size_t path_size) {
    long result = -EEXIST;
    for (int attempt = 0; attempt < 16 && result == -EEXIST; attempt++) {
        uint64_t random = wh_session_clock(WH_CLOCK_MONOTONIC);
        wh_sys3(SYS_getrandom, &random, sizeof random, 1 /* GRND_NONBLOCK */);
        char *end = path + path_size - 1;
        char *p = put_string(path, end, directory);
        p = put_string(p, end, "/whoholds.");
        p = put_number(p, end, (uint64_t)wh_sys0(SYS_getpid), 10);
        p = put_string(p, end, ".");
        p = put_number(p, end, random, 16);
        if (p == end)
            return -ENAMETOOLONG;
        *p = 0;
        result = wh_sys4(SYS_openat, AT_FDCWD, path,
                         O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    return result;
}

/* Backs the header and the first blocks with pages, so that no store can ever raise SIGBUS. */
static long reserve(long fd, uint32_t blocks) {
    long bad = wh_sys2(SYS_ftruncate, fd, (long)WH_SESSION_BYTES);
    if (bad)
        return bad;
    bad = wh_sys4(SYS_fallocate, fd, 0, 0, (long)WH_ARENA_OFFSET + (long)blocks * WH_BLOCK_BYTES);
    return bad;
}

static long create_file(const struct wh_session_options *o, char *path, size_t path_size) {
    const char *directories[] = {"/dev/shm", o->directory, "/tmp"};
    long fd = -ENOENT;
    for (unsigned i = 0; i < 3; i++) {
        if (!directories[i])
            continue;
        fd = create_in(directories[i], path, path_size);
        if (fd < 0)
            continue;
        long bad = reserve(fd, o->blocks_first);
        if (!bad)
            return fd;
        wh_sys3(SYS_unlinkat, AT_FDCWD, path, 0);
        wh_sys1(SYS_close, fd);
        fd = bad;
    }
    return fd;
}

static void fill(struct wh_session *s, const struct wh_session_options *o) {
    struct timespec real = {0};
    s->version = WH_SESSION_VERSION;
    s->bytes_header = sizeof *s;
    s->flags = o->flags;
    s->overflow = o->overflow;
    s->depth_max = o->depth_max;
    s->clock = o->clock == WH_CLOCK_BEST ? best_clock() : o->clock;
    s->tick_shift = s->clock == WH_CLOCK_TSC ? o->tick_shift : 0;
    s->wait_ms_max = o->wait_ms_max;
    s->mmap_bytes_min = o->mmap_bytes_min;
    s->sample_bytes = o->sample_bytes;
    wh_sys2(SYS_clock_gettime, CLOCK_REALTIME, &real);
    s->start_realtime_ns = (uint64_t)real.tv_sec * 1000000000u + (uint64_t)real.tv_nsec;
    s->start_ticks = wh_session_clock(s->clock);
    atomic_store(&s->next_process_uid, 1);
    atomic_store(&s->blocks_limit, o->blocks_limit > WH_BLOCK_MAX ? WH_BLOCK_MAX : o->blocks_limit);
    wh_block_grow(s, o->blocks_first);
    atomic_thread_fence(memory_order_release);
    s->magic = WH_SESSION_MAGIC;
}

struct wh_session_options wh_session_options_default(void) {
    return (struct wh_session_options){
        .flags = WH_SESSION_SNAPSHOT_EXIT,
        .overflow = WH_OVERFLOW_WAIT,
        .depth_max = 128,
        .clock = WH_CLOCK_BEST,
        .tick_shift = 4,
        .wait_ms_max = 600000,
        .mmap_bytes_min = 65536,
        .blocks_first = 32,
        .blocks_limit = 4096,
    };
}

int wh_session_create(const struct wh_session_options *o, char *path, size_t path_size,
                      struct wh_session **ret_session) {
    long fd = create_file(o, path, path_size);
    if (fd < 0)
        return (int)fd;
    long map = wh_sys6(SYS_mmap, 0, (long)WH_SESSION_BYTES, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_NORESERVE, fd, 0);
    wh_sys1(SYS_close, fd);
    if (map < 0 && map > -4096) {
        wh_sys3(SYS_unlinkat, AT_FDCWD, path, 0);
        return (int)map;
    }
    *ret_session = (struct wh_session *)map;
    fill(*ret_session, o);
    return 0;
}

void wh_session_ring(struct wh_session *s) {
    atomic_fetch_add(&s->bell, 1);
    wh_sys3(SYS_futex, &s->bell, FUTEX_WAKE, 1);
}

/* An image that cannot take part is counted, if only the first page can be had for that. */
static void count_untraced(long fd) {
    long map =
        wh_sys6(SYS_mmap, 0, (long)WH_SLOTS_OFFSET, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map < 0 && map > -4096)
        return;
    struct wh_session *s = (struct wh_session *)map;
    if (s->magic == WH_SESSION_MAGIC && s->version == WH_SESSION_VERSION)
        atomic_fetch_add(&s->untraced_images, 1);
    wh_sys2(SYS_munmap, map, (long)WH_SLOTS_OFFSET);
}

int wh_session_map(const char *path, struct wh_session **ret_session) {
    long fd = wh_sys4(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0)
        return (int)fd;
    long size = wh_sys3(SYS_lseek, fd, 0, 2 /* SEEK_END */);
    long map = size != (long)WH_SESSION_BYTES
                   ? -EINVAL
                   : wh_sys6(SYS_mmap, 0, (long)WH_SESSION_BYTES, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (map == -ENOMEM)
        count_untraced(fd); /* RLIMIT_AS */
    wh_sys1(SYS_close, fd);
    if (map < 0 && map > -4096)
        return (int)map;
    struct wh_session *s = (struct wh_session *)map;
    if (s->magic != WH_SESSION_MAGIC || s->version != WH_SESSION_VERSION ||
        s->bytes_header != sizeof *s || atomic_load(&s->stop)) {
        if (s->magic == WH_SESSION_MAGIC && s->version == WH_SESSION_VERSION)
            atomic_fetch_add(&s->untraced_images, 1);
        wh_sys2(SYS_munmap, map, (long)WH_SESSION_BYTES);
        return -EPROTO;
    }
    *ret_session = s;
    return 0;
}
