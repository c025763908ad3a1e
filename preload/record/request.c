/* The request goes through the session that the process has mapped: its path stands in the
 * process's maps. What is hard is not to answer for somebody else: the slot is taken only from
 * NONE. */
#include "record/request.h"

#include <limits.h>
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

/* Waits for a state that others write; false: it took too long. */
static int wait_for(struct wh_process_slot *slot, uint32_t state) {
    for (int i = 0; i < ANSWER_MS; i++) {
        if (atomic_load(&slot->request) == state)
            return 1;
        rest();
    }
    return 0;
}

/* Waits for the end of a request: DONE, FAILED, or what it was when it took too long. */
static uint32_t wait_for_answer(const struct wh_process_slot *slot) {
    uint32_t state = WH_REQUEST_ASKED;
    for (int i = 0; i < ANSWER_MS; i++) {
        state = atomic_load(&slot->request);
        if (state == WH_REQUEST_DONE || state == WH_REQUEST_FAILED)
            break;
        rest();
    }
    return state;
}

static int ask(struct wh_session *session, struct wh_process_slot *slot, pid_t pid,
               const char *label, struct wh_error *error) {
    if (!wait_for(slot, WH_REQUEST_NONE))
        return wh_fail(error, WH_ESYSTEM, "another snapshot of process %d does not end", (int)pid);
    memset(slot->request_label, 0, sizeof slot->request_label);
    memcpy(slot->request_label, label, strnlen(label, sizeof slot->request_label - 1));
    atomic_store(&slot->request_reason, WH_SNAP_COMMAND);
    atomic_store(&slot->request_tid, 0);
    uint32_t none = WH_REQUEST_NONE;
    if (!atomic_compare_exchange_strong(&slot->request, &none, WH_REQUEST_ASKED))
        return wh_fail(error, WH_ESYSTEM, "process %d takes a snapshot itself just now", (int)pid);
    wh_session_ring(session);
    uint32_t state = wait_for_answer(slot);
    char why[sizeof slot->request_label];
    memcpy(why, slot->request_label, sizeof why);
    why[sizeof why - 1] = 0;
    atomic_store(&slot->request, WH_REQUEST_NONE);
    if (state == WH_REQUEST_DONE)
        return 0;
    if (state == WH_REQUEST_FAILED)
        return wh_fail(error, WH_ESYSTEM, "no snapshot: %s", why);
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
