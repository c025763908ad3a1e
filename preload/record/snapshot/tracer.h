/* Between tracer.c (stopping) and inject.c (copying): the threads that one tracer holds. */
#ifndef WH_SNAPSHOT_TRACER_H
#define WH_SNAPSHOT_TRACER_H

#include "record/snapshot/frozen.h"

enum wh_tracee_state {
    WH_TRACEE_RUNNING, /* seized and interrupted, not seen stopping yet */
    WH_TRACEE_STOPPED, /* in PTRACE_EVENT_STOP */
    WH_TRACEE_LATE,    /* did not stop in time: still seized */
    WH_TRACEE_GONE,    /* ended, or detached */
};

struct wh_tracee {
    pid_t tid;
    enum wh_tracee_state state;
    bool has_registers;
    struct user_regs_struct registers;
};

struct wh_tracer {
    struct wh_frozen *frozen;
    struct wh_process_slot *slot; /* NULL = the target has no libwhoholds */
    struct wh_tracee *tracees;
    uint32_t count, room, late;
    pid_t copy; /* 0 = none */
    uint64_t begin_ns;
};

enum wh_stop { WH_STOP_OK, WH_STOP_GONE, WH_STOP_LATE };

/* Waits for the next stop of a tracee; *ret_status = signal | event << 8. Never consumes a death.
 * deadline_ns: monotonic, 0 = none. */
enum wh_stop wh_tracee_wait(pid_t tid, uint64_t deadline_ns, int *ret_status);

/* Makes the copy-on-write copy, t->copy, stopped at birth. NULL, or why not; then the target is as
 * it was. */
const char *wh_tracer_copy(struct wh_tracer *t);

/* The gate of the hooks: closes it and waits a little until nobody is inside the allocator. slot
 * may be NULL. */
void wh_gate_close(struct wh_session *session, struct wh_process_slot *slot);
void wh_gate_open(struct wh_process_slot *slot);

/* Takes a thread's registers from gregs (ucontext.h) at an address of the process. */
bool wh_registers_behind(pid_t pid, uint64_t address, struct wh_frozen_thread *thread);

#endif
