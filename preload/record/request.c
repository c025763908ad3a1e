/* The request goes through the session that the process has mapped: its path stands in the
 * process's maps. What is hard is not to answer for somebody else: the slot is taken only from
 * NONE. */
#include "record/request.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "wire/session.h"

#define ANSWER_MS 30000

/* The session's path out of the process's maps. */
static int find_session(pid_t pid, char path[PATH_MAX], struct wh_error *error) {
    char name[64], line[PATH_MAX + 128];
    snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(name, "re");
    if (!maps)
        return wh_fail_errno(error, "cannot look at process %d", (int)pid);
    int rc = wh_fail(error, WH_ENOTFOUND, "process %d is not recorded", (int)pid);
    while (fgets(line, sizeof line, maps)) {
        char *at = strchr(line, '/'), *base = at ? strrchr(at, '/') : NULL;
        if (!base || strncmp(base, "/whoholds.", 10) != 0 || !strstr(line, " rw-s "))
            continue;
        at[strcspn(at, "\n")] = 0;
        snprintf(path, PATH_MAX, "%s", at);
        rc = 0;
        break;
    }
    fclose(maps);
    return rc;
}

static struct wh_process_slot *find_slot(struct wh_session *s, pid_t pid) {
    uint32_t used = atomic_load(&s->processes_used);
    for (uint32_t i = 0; i < used && i < WH_PROCESS_MAX; i++) {
        struct wh_process_slot *slot = wh_session_slot(s, i);
        if (atomic_load(&slot->state) == WH_SLOT_LIVE && atomic_load(&slot->pid) == (uint32_t)pid)
            return slot;
    }
    return NULL;
}

/* Somebody else of the recording, its recorder or `whoholds record` for instance: who is meant? */
static int fail_unrecorded(struct wh_session *s, pid_t pid, struct wh_error *error) {
    char pids[128] = "";
    size_t length = 0;
    uint32_t used = atomic_load(&s->processes_used);
    for (uint32_t i = 0; i < used && i < WH_PROCESS_MAX && length + 16 < sizeof pids; i++) {
        const struct wh_process_slot *slot = wh_session_slot(s, i);
        if (atomic_load(&slot->state) == WH_SLOT_LIVE)
            length += (size_t)snprintf(pids + length, sizeof pids - length, "%s%u",
                                       length ? ", " : "", atomic_load(&slot->pid));
    }
    return wh_fail(error, WH_ENOTFOUND, "process %d is not recorded%s%s", (int)pid,
                   length ? "; its recording has " : "", pids);
}

static void rest(void) {
    const struct timespec ms = {.tv_nsec = 1000000};
    nanosleep(&ms, NULL);
}

/* A process that has ended answers nobody; the recorder may not be that far for seconds. */
static bool has_ended(const struct wh_process_slot *slot, pid_t pid) {
    return atomic_load(&slot->state) != WH_SLOT_LIVE || atomic_load(&slot->pid) != (uint32_t)pid ||
           (kill(pid, 0) != 0 && errno == ESRCH);
}

/* Waits for one of two states that others write. What the state was in the end. */
static uint32_t wait_for(const struct wh_process_slot *slot, pid_t pid, uint32_t this,
                         uint32_t that) {
    uint32_t state = atomic_load(&slot->request);
    for (int i = 0; state != this && state != that && i < ANSWER_MS && !has_ended(slot, pid); i++) {
        rest();
        state = atomic_load(&slot->request);
    }
    return state;
}

static int ask(struct wh_session *session, struct wh_process_slot *slot, pid_t pid,
               const char *label, struct wh_error *error) {
    if (wait_for(slot, pid, WH_REQUEST_NONE, WH_REQUEST_NONE) != WH_REQUEST_NONE)
        return has_ended(slot, pid)
                   ? wh_fail(error, WH_ESYSTEM, "no snapshot: process %d has ended", (int)pid)
                   : wh_fail(error, WH_ESYSTEM, "another snapshot of process %d does not end",
                             (int)pid);
    memset(slot->request_label, 0, sizeof slot->request_label);
    memcpy(slot->request_label, label, strnlen(label, sizeof slot->request_label - 1));
    atomic_store(&slot->request_reason, WH_SNAP_COMMAND);
    atomic_store(&slot->request_tid, 0);
    uint32_t none = WH_REQUEST_NONE;
    if (!atomic_compare_exchange_strong(&slot->request, &none, WH_REQUEST_ASKED))
        return wh_fail(error, WH_ESYSTEM, "process %d takes a snapshot itself just now", (int)pid);
    wh_session_ring(session);
    uint32_t state = wait_for(slot, pid, WH_REQUEST_DONE, WH_REQUEST_FAILED);
    char why[sizeof slot->request_label];
    memcpy(why, slot->request_label, sizeof why);
    why[sizeof why - 1] = 0;
    (void)atomic_compare_exchange_strong(&slot->request, &(uint32_t){state}, WH_REQUEST_NONE);
    if (state == WH_REQUEST_DONE)
        return 0;
    if (state == WH_REQUEST_FAILED)
        return wh_fail(error, WH_ESYSTEM, "no snapshot: %s", why);
    if (has_ended(slot, pid))
        return wh_fail(error, WH_ESYSTEM, "no snapshot: process %d has ended", (int)pid);
    return wh_fail(error, WH_ESYSTEM, "the recorder of process %d does not answer", (int)pid);
}

int wh_snapshot_request(pid_t pid, const char *label, struct wh_error *error) {
    char path[PATH_MAX];
    struct wh_session *session;
    int rc = find_session(pid, path, error);
    if (rc)
        return rc;
    rc = wh_session_map(path, &session);
    if (rc)
        return wh_fail(error, WH_ESYSTEM, "cannot open the recording of process %d: %s", (int)pid,
                       strerror(-rc));
    struct wh_process_slot *slot = find_slot(session, pid);
    rc = slot ? ask(session, slot, pid, label ? label : "", error)
              : fail_unrecorded(session, pid, error);
    munmap(session, WH_SESSION_BYTES);
    return rc;
}
