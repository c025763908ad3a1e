/* Reading a frozen process: its maps and its memory through /proc/PID/mem.
 *
 * Never process_vm_readv: it pins pages, and a pinned page of a copy-on-write child is un-shared,
 * which would double the memory of the target. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "record/snapshot/frozen.h"

uint64_t wh_snapshot_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void wh_snapshot_caveat(struct wh_snapshot_figures *figures, const char *format, ...) {
    char sentence[256];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(sentence, sizeof sentence, format, ap);
    va_end(ap);
    size_t used = strlen(figures->caveats);
    if (n <= 0 || used + (size_t)n + 2 > sizeof figures->caveats)
        return;
    if (used)
        figures->caveats[used++] = '\n';
    memcpy(figures->caveats + used, sentence, strlen(sentence) + 1);
}

char *wh_maps_read(pid_t pid) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    size_t room = 64 * 1024, used = 0;
    char *text = malloc(room);
    while (text) {
        if (room - used < 8192) {
            char *more = realloc(text, room *= 2);
            if (!more) {
                free(text);
                text = NULL;
                break;
            }
            text = more;
        }
        ssize_t n = read(fd, text + used, room - used - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    close(fd);
    if (text)
        text[used] = 0;
    return text;
}

static bool parse_line(char *line, struct wh_mapping *m) {
    unsigned long long start, end, offset, inode;
    unsigned major, minor;
    char perms[5];
    int path_at = 0;
    if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end, perms, &offset, &major,
               &minor, &inode, &path_at) < 7 ||
        start >= end)
        return false;
    *m = (struct wh_mapping){
        .start = start,
        .end = end,
        .offset = offset,
        .device = ((uint64_t)major << 32) | minor,
        .inode = inode,
        .readable = perms[0] == 'r',
        .writable = perms[1] == 'w',
        .executable = perms[2] == 'x',
        .shared = perms[3] == 's',
        .path = path_at ? line + path_at : "",
    };
    return true;
}

int wh_maps_parse(char *text, struct wh_mapping **ret_maps, uint32_t *ret_count) {
    size_t lines = 1;
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    struct wh_mapping *maps = calloc(lines, sizeof *maps);
    if (!maps)
        return WH_ESYSTEM;
    uint32_t count = 0;
    for (char *line = text; line && *line;) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        if (parse_line(line, &maps[count]))
            count++;
        line = next;
    }
    *ret_maps = maps;
    *ret_count = count;
    return WH_OK;
}

const struct wh_mapping *wh_maps_find(const struct wh_frozen *f, uint64_t address) {
    uint32_t low = 0, high = f->map_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (f->maps[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->map_count && f->maps[low].start <= address ? &f->maps[low] : NULL;
}

size_t wh_image_read(const struct wh_frozen *f, uint64_t address, void *buffer, size_t bytes) {
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = pread(f->memory, (char *)buffer + done, bytes - done, (off_t)(address + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

uint64_t wh_image_word(const struct wh_frozen *f, uint64_t address) {
    uint64_t word;
    return wh_image_read(f, address, &word, sizeof word) == sizeof word ? word : 0;
}

static bool overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end) {
    return a < b_end && b < a_end;
}

bool wh_image_is_ours(const struct wh_frozen *f, uint64_t start, uint64_t end) {
    if (overlap(start, end, f->library_start, f->library_end))
        return true;
    for (unsigned i = 0; i < 8; i++)
        if (overlap(start, end, f->private_start[i], f->private_end[i]))
            return true;
    return false;
}
