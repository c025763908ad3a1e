/* Processes that are still to come: who has our session in its environment but has not shown up in
 * the session itself, because it is between its birth and its first hook.
 *
 * The kernel gives out pids in order, so everybody who was born since the recording began is among
 * the pids since the first image's; when none of these lives and names our session, nobody is left
 * who could still come. Where that cannot be told (no /proc, pids wrapped, too many, somebody
 * else's process), the answer is "perhaps". Context: recorder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/recorder.h"

#define PIDS_MAX 4096u

/* The pid given out last; 0 = not known. */
static uint32_t last_pid(void) {
    char text[128];
    int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    const char *last = strrchr(text, ' ');
    return last ? (uint32_t)strtoul(last, NULL, 10) : 0;
}

/* Does the process name our session? */
static enum wh_heirs look_at(uint32_t pid, const char *entry, size_t entry_bytes) {
    char path[64], text[16384];
    size_t kept = 0;
    ssize_t n;
    enum wh_heirs result = WH_HEIRS_NONE;
    snprintf(path, sizeof path, "/proc/%u/environ", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ESRCH ? WH_HEIRS_NONE : WH_HEIRS_PERHAPS;
    while ((n = read(fd, text + kept, sizeof text - kept)) > 0) {
        kept += (size_t)n;
        if (memmem(text, kept, entry, entry_bytes)) {
            result = WH_HEIRS_SOME;
            break;
        }
        size_t tail = kept < entry_bytes ? kept : entry_bytes;
        memmove(text, text + kept - tail, tail);
        kept = tail;
    }
    if (n < 0 && errno != ESRCH)
        result = WH_HEIRS_PERHAPS;
    close(fd);
    return result;
}

enum wh_heirs wh_recorder_heirs(struct wh_recorder *r) {
    char entry[600];
    uint32_t first = atomic_load(&r->session->first_pid), last = last_pid(), looked = 0;
    enum wh_heirs result = WH_HEIRS_NONE;
    if (!first)
        first = r->main_pid;
    int bytes = snprintf(entry, sizeof entry, WH_ENV_SESSION "=%s", r->options->session);
    if (!first || !last || bytes <= 0 || (size_t)bytes >= sizeof entry)
        return WH_HEIRS_PERHAPS;
    /* Who is born meanwhile has a higher pid than the parent we looked at or are about to. */
    for (uint32_t pid = first; result == WH_HEIRS_NONE; pid++) {
        if (pid > last && (last = last_pid()) < pid)
            break;
        if (last < first || looked++ > PIDS_MAX)
            return WH_HEIRS_PERHAPS;
        result = look_at(pid, entry, (size_t)bytes + 1); /* with its NUL */
    }
    return result;
}
