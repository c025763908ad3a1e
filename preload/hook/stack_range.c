/* How far the stack under a stack pointer may be read. A thread's own stack is looked up once in
 * /proc/self/maps (pthread_getattr_np allocates and locks). Any other stack (coroutine,
 * sigaltstack) may be unmapped while we are not looking, so each walk on one asks the kernel again
 * whether the window it is going to read is still there. */
#include <fcntl.h>

#include "state.h"

enum { WINDOW = 256 * 1024, PAGE = 4096 };

/* Parses hexadecimal digits. */
static uint64_t hexadecimal(const char **p) {
    uint64_t value = 0;
    for (;; (*p)++) {
        char c = **p;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return value;
    }
}

/* One line of maps: grows *found while lines are adjacent. Returns 1 when the search is over. */
static int consider(const char *line, uint64_t sp, struct wh_range *found) {
    uint64_t low = hexadecimal(&line);
    line++;
    uint64_t high = hexadecimal(&line);
    int usable = line[1] == 'r' && line[2] == 'w';
    if (found->high)
        if (low == found->high && usable)
            found->high = high;
        else
            return 1;
    else if (sp >= low && sp < high) {
        if (!usable)
            return 1;
        *found = (struct wh_range){low, high};
    }
    return low > sp;
}

/* The readable and writable mapping around sp; {0, 0} when there is none. */
static struct wh_range probe(uint64_t sp) {
    struct wh_range found = {0, 0};
    char buffer[4096 + 1];
    size_t kept = 0;
    long fd = wh_sys4(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    int over = fd < 0;
    while (!over) {
        long n = wh_sys3(SYS_read, fd, buffer + kept, sizeof buffer - 1 - kept);
        if (n <= 0)
            break;
        size_t bytes = kept + (size_t)n, line = 0;
        for (size_t i = 0; i < bytes && !over; i++)
            if (buffer[i] == '\n') {
                buffer[i] = 0;
                over = consider(buffer + line, sp, &found);
                line = i + 1;
            }
        kept =
            line || bytes < sizeof buffer - 1 ? bytes - line : 0; /* an overlong line is skipped */
        for (size_t i = 0; i < kept; i++)
            buffer[i] = buffer[line + i];
    }
    if (fd >= 0)
        wh_sys1(SYS_close, fd);
    if (fd < 0) /* no /proc: the rest of the page is certain */
        found = (struct wh_range){sp & ~(uint64_t)(PAGE - 1), (sp | (PAGE - 1)) + 1};
    return found;
}

static int inside(const struct wh_range *range, uint64_t address) {
    return address - range->low < range->high - range->low;
}

/* Is [from, to) still mapped, page by page? */
static int still_mapped(uint64_t from, uint64_t to) {
    unsigned char resident[WINDOW / PAGE + 1];
    from &= ~(uint64_t)(PAGE - 1);
    return wh_sys3(SYS_mincore, from, to - from, resident) == 0;
}

static int is_own(const struct wh_range *range, uint64_t sp) {
    if (wh_process.main_stack_end && inside(range, wh_process.main_stack_end - 1))
        return 1;
    (void)sp;
    return inside(range, (uint64_t)(uintptr_t)__builtin_thread_pointer());
}

struct wh_range wh_stack_range(struct wh_thread *t, uint64_t sp) {
    if (WH_LIKELY(inside(&t->own_stack, sp)))
        return t->own_stack;
    struct wh_range range = t->foreign_stack;
    if (!inside(&range, sp) ||
        !still_mapped(sp, range.high - sp > WINDOW ? sp + WINDOW : range.high)) {
        range = probe(sp);
        if (range.high && is_own(&range, sp)) { /* first use, or the main stack has grown */
            t->own_stack = range;
            return range;
        }
        t->foreign_stack = range;
    }
    if (range.high - sp > WINDOW)
        range.high = sp + WINDOW;
    return range;
}
