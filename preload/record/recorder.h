/* The recorder's own state, shared by its files: serve.c (life), pace.c (room and priority),
 * drain.c (blocks), spill.c (blocks that moved to a file), chunks.c (raw events into the trace),
 * process.c (images and their ends),
 * heirs.c (images that are still to come), history.c (what events say beside lifetimes), talk.c
 * (messages). */
#ifndef WH_RECORD_RECORDER_H
#define WH_RECORD_RECORDER_H

#include <pthread.h>
#include <sys/types.h>

#include "record/content.h"
#include "record/derive.h"
#include "record/helper.h"
#include "record/record.h"
#include "trace/clock.h"
#include "trace/image.h"

#define WH_UID_BUCKETS 1024u
#define WH_BUSY_BYTES  (8u * WH_BLOCK_BYTES) /* copied in one poll: there is more already */

struct wh_snap; /* a snapshot from its moment to its rows: moment.h */

/* A module as long as it is mapped, and after: children inherit the mapped ones. */
struct wh_mapped {
    uint32_t id;
    bool is_mapped;
    uint64_t start, end, load_bias, load_ticks;
    unsigned char *build_id;
    uint32_t build_id_bytes;
    char *path;
};

enum wh_process_phase {
    WH_PHASE_RUNNING,
    WH_PHASE_DEAD, /* gone: its last bytes are being drained */
    WH_PHASE_DONE, /* finished and written; kept for its children's sake */
};

struct wh_process {
    struct wh_process *next; /* in its bucket */
    struct wh_image image;   /* image.id = process.id = the slot's uid */
    enum wh_process_phase phase;
    uint32_t slot;
    uint32_t pid;
    uint32_t parent_id;
    int pidfd;          /* -1 = could not be opened */
    uint64_t pid_start; /* the kernel's start time of pid, against reuse */
    char *exe, *command_line, *allocator, *disabled;
    uint64_t start_ticks, end_ticks;
    bool has_exit_event, has_status, is_exec, is_replaced, has_inuse, is_written;
    int exit_event; /* code of exit() */
    int status;     /* as from waitpid */
    uint64_t inuse_bytes, peak_rss_bytes;
    uint64_t death_ns; /* CLOCK_MONOTONIC when it was seen dead */
    uint64_t malformed_events;
    struct wh_mapped *modules;
    size_t module_count, module_room;
    uint64_t snapshot_ns;   /* CLOCK_MONOTONIC of its last snapshot, or when it was first seen */
    uint64_t peak_ns;       /* of its last snapshot at a peak was taken; 0 = none */
    uint64_t peak_bytes;    /* live at the highest of them */
    uint64_t peak_rest_ns;  /* the next one not before that; UINT64_MAX = one is being read */
    uint32_t parent_waits;  /* polls, once dead, that its parent was not at the fork yet */
    struct wh_snap *behind; /* whose moments are not reached yet, in their order */
    uint64_t request_ns;    /* CLOCK_MONOTONIC when the request that waits was seen; 0 = none */
};

/* What the recorder knows of a block: of the arena, or moved to the file behind it (spill.c). */
struct wh_block_view {
    struct wh_process *process;
    struct wh_image_thread *thread;
    struct wh_segment *segment; /* NULL = not looked at since it was given out */
    uint32_t consumed;
    uint32_t left_bytes; /* payload, once its thread has left the block; 0 = not looked at since */
    bool is_final;       /* its process is gone: nothing will be added */
    bool is_mapped;      /* the kernel has its pages mapped here, in part at least */
    uint32_t moved_uid;  /* moved: process.id that it is of; 0 = this place is free */
    uint32_t generation; /* counts the times that the block was given back */
};

/* Blocks numbered from here on are in the file. */
#define WH_MOVED_FIRST WH_BLOCK_MAX
#define WH_MOVED_MAX   65536u /* 4 GiB */

/* Events beyond the memory bound: spill.c. */
struct wh_spill {
    pthread_mutex_t lock;     /* which block is where: views, and the sources of their segments */
    int fd;                   /* -1 = no block had to be moved yet */
    bool is_refused;          /* the system does not let us write there, or no more */
    _Atomic uint32_t used;    /* highest place taken so far + 1, counted from WH_MOVED_FIRST */
    _Atomic uint32_t waiting; /* blocks in it now */
    uint32_t most;            /* that waited in it at once */
    uint32_t cursor;
};

/* Between the main thread and the watch: pace.c. */
struct wh_pace {
    pthread_t thread;
    bool has_thread;
    pid_t main;  /* tid of the recorder's main thread */
    int wake_fd; /* readable when the bell was rung */
    _Atomic bool is_closing;
    _Atomic bool is_leisurely;      /* main: a target runs, and nobody waits for me */
    _Atomic bool is_calm;           /* main: leisurely, and not far behind */
    _Atomic uint64_t due_ns;        /* main: from then on a planned snapshot does; 0 = none */
    _Atomic uint32_t bell_answered; /* main: what rang up to here has been looked at */
    int helper_class;               /* watch: what it gave the helper; -1 = nothing yet */
};

/* A chunk on its way into the trace: chunks.c. */
#define WH_PARCELS 4u
struct wh_recorder;
struct wh_parcel {
    struct wh_recorder *recorder;
    struct wh_chunk chunk;
    struct wh_cut cut;   /* its events, once it is packed the packed bytes */
    size_t packed_bytes; /* 0 = no memory */
    _Atomic bool is_packed;
};

struct wh_recorder {
    const struct wh_serve_options *options;
    struct wh_session *session;
    struct wh_store *store;
    struct wh_content *content;
    struct wh_derive *derive;
    struct wh_clock_map clock;
    bool clock_known;
    uint64_t calibrate_ticks, calibrate_ns; /* when the recorder began */
    uint64_t ms_ticks;                      /* shifted ticks in a millisecond, about */
    struct wh_process *processes[WH_UID_BUCKETS];
    uint32_t running; /* processes not DONE */
    struct wh_block_view *views;
    uint64_t previous_ticks;              /* shifted, of the poll before this one: the watermark */
    uint64_t poll_bytes, last_poll_bytes; /* copied in this poll, in the one before */
    bool is_asked;                        /* a request for a snapshot could not be served yet */
    bool may_stop;                        /* pairing now: a part of what there is will do */
    bool is_cut, was_cut;                 /* this poll, the last one paired a part only */
    bool is_frozen;                       /* pairing now: a process stands still meanwhile */
    bool is_dying;                        /* an ended process could not be finished yet */
    struct wh_pace pace;
    struct wh_spill spill;
    struct wh_helper helper;
    struct wh_parcel parcels[WH_PARCELS]; /* a ring */
    unsigned parcel_first, parcel_count;
    struct wh_packer *packer; /* helper: */
    uint64_t bytes, events;
    struct wh_snap *snaps; /* being read, or about to be, in the order of their moments */
    uint32_t snap_count;   /* frozen images: those and the processes' `behind` */
    uint32_t last_snapshot_id;
    uint32_t last_thread_id, last_module_id, next_node_id;
    unsigned char *node_seen; /* bitmap by trace-wide node id */
    size_t node_seen_bytes;
    uint32_t main_pid; /* of the command; 0 = not told */
    int main_status;
    bool main_ended, told_running;
    bool stopped; /* writing failed: recording is over */
    uint64_t lost_processes, lost_blocks;
    int message_fd, control_fd, epoll_fd;
    uint64_t last_commit_ns, last_rss_ns, last_status_ns, idle_since_ns;
    int file_fd_session; /* for fallocate */
};

/* --- talk.c --- */
uint64_t wh_monotonic_ns(void);
void wh_recorder_say(struct wh_recorder *r, char kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A warning to the user: through the launcher, else on the first image's stderr. */
void wh_recorder_warn(struct wh_recorder *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void wh_recorder_listen(struct wh_recorder *r); /* the launcher's messages */

/* --- describe.c --- */
/* The options in force as one could type them. */
void wh_recorder_describe(const struct wh_recorder *r, char *text, size_t size);

/* --- drain.c --- */
/* Looks for new blocks and for threads that are busy. What is in the blocks is copied when the
 * merge gets there. */
void wh_recorder_drain(struct wh_recorder *r);
/* In the middle of pairing: shows life, stores chunks. true = enough for this poll. */
bool wh_recorder_pulse(void *recorder, struct wh_image *image);
/* Bytes that a process has published and nobody has read. */
uint64_t wh_recorder_backlog(struct wh_recorder *r, const struct wh_process *p);
/* Its process is dead: what is in its blocks is all there will be. */
void wh_recorder_reclaim(struct wh_recorder *r, struct wh_process *p);
/* Gives back what a finished process still owns. */
void wh_recorder_give_back(struct wh_recorder *r, const struct wh_process *p);

/* --- chunks.c --- */
/* Has chunks that are large enough packed and stores those that are; all = every one. */
void wh_recorder_chunks(struct wh_recorder *r, struct wh_process *p, bool all);
void wh_recorder_release_chunks(struct wh_recorder *r);

/* --- spill.c --- */
/* Watch: moves blocks that wait to the file until at most `target` are left in the arena, where
 * `used` are. */
void wh_spill_blocks(struct wh_recorder *r, uint32_t used, uint32_t target);
bool wh_spill_read(const struct wh_recorder *r, uint32_t index, size_t offset, void *to,
                   size_t bytes);
void wh_spill_free(struct wh_recorder *r, uint32_t index); /* the lock is held */
void wh_spill_close(struct wh_recorder *r);

/* --- pace.c --- */
int wh_pace_start(struct wh_recorder *r); /* -1 = the system refuses a thread or a descriptor */
void wh_pace_stop(struct wh_recorder *r);
void wh_pace_heard(struct wh_recorder *r); /* the main thread is awake */
/* Between two parts of the work: lets others have the processor where that costs nothing. */
void wh_pace_rest(void *recorder);

/* --- heirs.c --- */
enum wh_heirs { WH_HEIRS_NONE, WH_HEIRS_SOME, WH_HEIRS_PERHAPS };
/* Do processes of the recorded tree live that have not shown up yet? Precondition: those that have
 * are dead. */
enum wh_heirs wh_recorder_heirs(struct wh_recorder *r);

/* --- process.c --- */
struct wh_process *wh_recorder_process(const struct wh_recorder *r, uint32_t uid);
struct wh_process *wh_recorder_next(const struct wh_recorder *r, const struct wh_process *after);
void wh_recorder_discover(struct wh_recorder *r); /* new images, ended ones */
/* Images that came when the recording had just been closed. */
uint32_t wh_recorder_unseen(const struct wh_recorder *r);
void wh_recorder_pair(struct wh_recorder *r); /* runs the merges, finishes the dead */
void wh_recorder_rss(struct wh_recorder *r);  /* of every running one */
void wh_recorder_read_rss(struct wh_process *p);
void wh_recorder_release_processes(struct wh_recorder *r);
/* Are there processes of which we know that have not shown up yet? */
bool wh_recorder_expects_more(struct wh_recorder *r);

/* --- history.c --- */
int wh_recorder_event(void *recorder, struct wh_image *image, struct wh_image_thread *thread,
                      const struct wh_event *event);
uint32_t wh_recorder_extend(void *process, uint32_t extent);
void wh_recorder_write_process(struct wh_recorder *r, struct wh_process *p);
void wh_recorder_write_thread(struct wh_recorder *r, struct wh_process *p,
                              struct wh_image_thread *t);

/* --- snap.c --- */
void wh_recorder_snapshots(struct wh_recorder *r); /* serves requests, follows the plan */
/* Pairs up to the moments of the process's snapshots that were taken ahead of its events. 0 = there
 * is none left, and later events may be paired; else as wh_moment_follow(): 1 or 2. */
int wh_recorder_follow(struct wh_recorder *r, struct wh_process *p);
/* Stores what was read meanwhile; wait = all of it, to the end. */
void wh_recorder_collect(struct wh_recorder *r, bool wait);

/* --- serve.c --- */
/* Writes rows that wait, where there are many. */
void wh_recorder_flush(struct wh_recorder *r);
void wh_recorder_need_clock(struct wh_recorder *r);
uint64_t wh_recorder_now(const struct wh_recorder *r); /* shifted ticks */

#endif
