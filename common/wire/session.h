/* The memory that the traced processes and the recorder share: one file, mapped by all of them.
 *
 *   +---------------------+ 0
 *   | struct wh_session   | options, clock, recorder's heartbeat, counters
 *   +---------------------+
 *   | wh_process_slot []  | one per process image being recorded; claimed by the library in the
 *   |                     | target, given back by the recorder once drained
 *   +---------------------+
 *   | wh_block_entry []   | who owns which block
 *   +---------------------+ WH_ARENA_OFFSET
 *   | blocks of 64 KiB    | the first session.blocks_ready of them are backed by real pages
 *   +---------------------+   (fallocate by the recorder: no SIGBUS), up to session.blocks_limit
 *
 * Ownership. A slot is written by its process until the process is gone, then by the recorder. A
 * block belongs to one thread from wh_block_take() until it seals it (or its process dies); then to
 * the recorder, which reads committed bytes at any time and gives the block back when sealed and
 * drained. Nothing here is ever locked, so a target that dies at any instruction leaves a readable
 * session.
 *
 * Hostile memory: a buggy target can scribble on all of this. The recorder copies before it checks,
 * bounds every loop and never trusts a length. */
#ifndef WH_WIRE_SESSION_H
#define WH_WIRE_SESSION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define WH_SESSION_MAGIC   0x31736c6f68656877ull /* "wheholds1"-ish, little endian */
#define WH_SESSION_VERSION 1u
#define WH_BLOCK_BYTES     65536u
#define WH_BLOCK_MAX       8192u /* 512 MiB of address space; session.blocks_limit bounds the memory */
#define WH_PROCESS_MAX     4096u

/* Environment: how a new image finds its session, and what a bare preload asks for. */
#define WH_ENV_SESSION "WHOHOLDS_SESSION" /* path of the session file */
#define WH_ENV_SEED    "WHOHOLDS_SEED" /* a number: the sampled mode draws the same samples again */
#define WH_ENV_OUTPUT  "WHOHOLDS_OUTPUT" /* bare preload: trace file; %e program, %p pid, %% */

enum wh_overflow { WH_OVERFLOW_WAIT = 0, WH_OVERFLOW_DROP = 1 };
enum wh_clock {
    WH_CLOCK_TSC = 0,       /* rdtsc, or aarch64's generic timer: the recorder calibrates it */
    WH_CLOCK_MONOTONIC = 1, /* nanoseconds of CLOCK_MONOTONIC */
    WH_CLOCK_BEST = 2,      /* in options only: TSC where the kernel trusts it, else MONOTONIC */
};

enum wh_session_flag {
    WH_SESSION_FREE_STACKS = 1u << 0,
    WH_SESSION_NO_CHILDREN = 1u << 1, /* record the first image only (exec in place still counts) */
    WH_SESSION_SNAPSHOT_EXIT = 1u << 2, /* a process that ends asks; the recorder may decline */
    WH_SESSION_VERIFY_UNWIND = 1u << 3,
    WH_SESSION_GO_SCALING = 1u << 4, /* estimates are to be made by Go's formula */
};

/* Written by the creator before any target maps it (under a bare preload the recorder sets the
 * options before it is up); constant afterwards except the atomics. */
struct wh_session {
    uint64_t magic;
    uint32_t version;
    uint32_t bytes_header; /* sizeof of this struct, a cheap layout check */
    uint32_t flags;        /* enum wh_session_flag */
    uint32_t overflow;     /* enum wh_overflow */
    uint32_t depth_max;    /* frames kept per stack */
    uint32_t clock;        /* enum wh_clock */
    uint32_t tick_shift;   /* events carry ticks >> tick_shift */
    uint32_t wait_ms_max;  /* WH_OVERFLOW_WAIT: longest wait for a free block, then counted drops */
    uint64_t mmap_bytes_min; /* anonymous mappings from this size on are blocks; 0 = none */
    uint64_t sample_bytes;   /* mean bytes between samples; 0 = every allocation */
    uint64_t start_ticks;    /* clock at creation, unshifted: time 0 of the trace */
    uint64_t start_realtime_ns;

    _Atomic uint32_t recorder_pid; /* 0 = not up yet */
    _Atomic uint32_t stop; /* 1 = recorder is finishing or gone: do not write, run untraced */
    _Atomic uint64_t
        recorder_beat;             /* advances at every poll: a wait may end when it stands still */
    _Atomic uint32_t blocks_ready; /* blocks backed by pages */
    _Atomic uint32_t blocks_limit; /* may become ready, the memory bound */
    _Atomic uint32_t blocks_used;  /* highest block index taken so far + 1 */
    _Atomic uint32_t processes_used;
    _Atomic uint32_t next_process_uid; /* first image gets 1 */
    _Atomic uint32_t untraced_images;  /* no slot or no memory: counted and reported */
    _Atomic uint32_t first_pid;        /* of the first image, for WH_SESSION_NO_CHILDREN */
    char failure[256];                 /* before stop: why there will be no recording */
    _Atomic uint64_t free_map[WH_BLOCK_MAX / 64]; /* bit set = ready and free */
    _Atomic uint32_t bell;                        /* futex word, see wh_session_ring() */
};

enum wh_slot_state {
    WH_SLOT_FREE = 0,
    WH_SLOT_CLAIMED = 1, /* being filled in */
    WH_SLOT_LIVE = 2,    /* uid and pid are valid */
    WH_SLOT_GONE = 3,    /* set by the recorder: dead, being drained */
};

/* A snapshot asked for by a thread of the target (at exit, or through the C API). */
enum wh_request_state {
    WH_REQUEST_NONE = 0,
    WH_REQUEST_ASKED = 1,
    WH_REQUEST_DONE = 2,
    WH_REQUEST_COPY = 3,   /* recorder: I may not stop you, make the copy yourself */
    WH_REQUEST_COPIED = 4, /* request_copy is valid; the recorder goes on to DONE */
    WH_REQUEST_FAILED = 5, /* no snapshot; request_label says why */
};

struct wh_process_slot {
    _Atomic uint32_t state; /* enum wh_slot_state */
    _Atomic uint32_t uid;   /* process.id in the trace */
    _Atomic uint32_t pid;
    _Atomic uint32_t exited; /* 1 = in _exit(): nothing more will come; 2 = exec is being tried:
                                final once the pid shows another image or is gone */
    _Atomic uint64_t start_ticks;      /* unshifted */
    _Atomic uint64_t lost_events;      /* counted drops */
    _Atomic uint64_t stack_truncated;  /* stacks cut at depth_max */
    _Atomic uint64_t stack_unresolved; /* walks that stopped before the thread's first frame */
    _Atomic uint64_t unwind_slow;      /* frames that needed libunwind */
    _Atomic uint64_t unwind_mismatch;  /* verify mode: fast walk and libunwind disagreed */
    /* What the tracer's own work (loading libunwind) made and freed in the program's allocator. */
    _Atomic uint64_t own_objects, own_bytes, own_frees;
    _Atomic uint32_t disabled; /* tracing switched itself off; a NOTE says why if it could */
    _Atomic uint32_t gate;     /* recorder: 1 = threads wait before entering the allocator (at most
                                  50 ms; also a futex word). A thread that was inside already
                                  shows it by its open block's busy */
    _Atomic uint32_t request;  /* enum wh_request_state, also a futex word */
    _Atomic uint32_t request_tid;
    _Atomic uint32_t request_reason; /* enum wh_snapshot_reason */
    _Atomic uint64_t
        request_registers; /* address of the gregs (ucontext.h) that the asking thread's
                              code had, where that thread is in a signal handler; 0 */
    _Atomic uint64_t request_thread_pointer; /* COPIED: of the asking thread */
    _Atomic int32_t request_copy;            /* COPIED: pid of the copy, or -errno */
    char request_label[64];
    uint64_t agent_syscall; /* address of a `syscall; int3` in the library, for the recorder */
    uint64_t library_start, library_end;       /* our own mapping: never a root */
    uint64_t private_start[8], private_end[8]; /* our other private memory: never a root */
};

enum wh_snapshot_reason {
    WH_SNAP_EXIT = 1,
    WH_SNAP_API = 2,
    WH_SNAP_COMMAND = 3,
    WH_SNAP_PEAK = 4,
    WH_SNAP_INTERVAL = 5,
    WH_SNAP_SIGNAL = 6, /* SIGTERM, SIGINT or a crash ends the program */
};

enum wh_block_state {
    WH_BLOCK_FREE = 0,
    WH_BLOCK_OPEN = 1,   /* a thread writes it */
    WH_BLOCK_SEALED = 2, /* complete, recorder gives it back after reading */
};

struct wh_block_entry {
    _Atomic uint32_t state;       /* enum wh_block_state */
    _Atomic uint32_t process_uid; /* valid unless FREE */
};

struct wh_block {
    _Atomic uint32_t committed; /* payload bytes published (release) */
    _Atomic uint32_t busy; /* 1 from before a stamp is taken until its record is published (realloc:
                              across the real call). The store may linger in the store buffer, so a
                              watermark is the time of an *earlier* poll, not of this one */
    uint32_t process_uid;
    uint32_t thread_serial; /* 1.. within the process */
    uint32_t tid;
    uint32_t sequence;   /* 0.. within the thread: blocks of a thread in order */
    uint64_t base_ticks; /* shifted ticks; dt of the first record counts from here */
    uint64_t base_ip;
    uint32_t base_stack;
    uint32_t reserved0;
    uint64_t base_address; /* 0 in the session; a stored rest of a cut block goes on from here */
    uint32_t reserved[2];
    uint8_t payload[];
};
#define WH_BLOCK_PAYLOAD (WH_BLOCK_BYTES - (uint32_t)sizeof(struct wh_block))

#define WH_SLOTS_OFFSET   8192u
#define WH_ENTRIES_OFFSET (WH_SLOTS_OFFSET + WH_PROCESS_MAX * 512u)
#define WH_ARENA_OFFSET   (WH_ENTRIES_OFFSET + WH_BLOCK_MAX * (uint32_t)sizeof(struct wh_block_entry))
#define WH_SESSION_BYTES  ((size_t)WH_ARENA_OFFSET + (size_t)WH_BLOCK_MAX * WH_BLOCK_BYTES)

_Static_assert(sizeof(struct wh_session) <= WH_SLOTS_OFFSET, "header fits");
_Static_assert(sizeof(struct wh_process_slot) <= 512, "slot fits its 512-byte stride");
_Static_assert(sizeof(struct wh_block) == 64, "block header is one cache line");
_Static_assert(WH_ARENA_OFFSET % 4096 == 0, "blocks start on a page");

static inline struct wh_process_slot *wh_session_slot(struct wh_session *s, uint32_t i) {
    return (struct wh_process_slot *)(void *)((char *)s + WH_SLOTS_OFFSET + (size_t)i * 512u);
}
static inline struct wh_block_entry *wh_session_entry(struct wh_session *s, uint32_t i) {
    return (struct wh_block_entry *)(void *)((char *)s + WH_ENTRIES_OFFSET) + i;
}
static inline struct wh_block *wh_session_block(struct wh_session *s, uint32_t i) {
    return (struct wh_block *)(void *)((char *)s + WH_ARENA_OFFSET + (size_t)i * WH_BLOCK_BYTES);
}

/* What the creator of a session decides. */
struct wh_session_options {
    uint32_t flags, overflow, depth_max, clock, tick_shift, wait_ms_max;
    uint32_t blocks_first, blocks_limit; /* backed at once; memory bound */
    uint64_t mmap_bytes_min, sample_bytes;
    const char *directory; /* second choice after /dev/shm (the user's TMPDIR); NULL = none */
};
struct wh_session_options wh_session_options_default(void);

/* Creates the session file (mode 0600, in /dev/shm, o->directory or /tmp), backs its header and
 * first blocks with pages and maps it. path receives its name; the caller unlinks it when all
 * images of the tree are gone. Returns 0 or -errno. Context: any, hook (raw system calls, no libc).
 */
int wh_session_create(const struct wh_session_options *o, char *path, size_t path_size,
                      struct wh_session **ret_session);

/* Maps an existing session. 0, -errno, -EPROTO: other layout, or stopped. Context: any, hook. */
int wh_session_map(const char *path, struct wh_session **ret_session);

/* The session's clock now, unshifted, without a fence. Context: any, hook. */
uint64_t wh_session_clock(uint32_t clock);

/* Wakes the recorder: somebody waits for it (a snapshot, a block), or has ended. It looks by itself
 * every few milliseconds anyway, so nothing depends on a ring but the waiting time. One system
 * call. Context: any, hook; never for an event. */
void wh_session_ring(struct wh_session *s);

/* Takes a free block for process_uid; the caller fills in the header (all but committed and busy)
 * and then stores entry->state = WH_BLOCK_OPEN with release: only from then on does the recorder
 * look at it. Lock-free, no system call. Returns its index, UINT32_MAX when none is free. Context:
 * hook. */
uint32_t wh_block_take(struct wh_session *s, uint32_t process_uid);

/* Marks the block free again. Recorder only, after it has drained it. */
void wh_block_give(struct wh_session *s, uint32_t index);

/* Makes the next `count` blocks usable: the caller has allocated their pages. Recorder only. */
void wh_block_grow(struct wh_session *s, uint32_t count);

#endif
