/* Inside the snapshot folder: a process that stands still, or the copy of it that does.
 *
 * tracer.c stops and copies, image.c reads, roots*.c and scan.c extract. Everything here is in the
 * recorder's own memory; addresses of the target are plain uint64_t. */
#ifndef WH_SNAPSHOT_FROZEN_H
#define WH_SNAPSHOT_FROZEN_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "record/snapshot.h"

/* DWARF numbers of x86-64 registers: the slot of a register root is number * 8. */
enum {
    WH_REG_RBX = 3,
    WH_REG_RBP = 6,
    WH_REG_RSP = 7,
    WH_REG_R12 = 12,
    WH_REG_PC = 16,
    WH_REGS = 17
};

/* Behind them the vector registers: 32 of 64 bytes, as wide as the machine makes them. */
#define WH_VECTORS      32u
#define WH_VECTOR_WORDS 8u

struct wh_frozen_thread {
    pid_t tid;
    bool has_registers; /* false: only sp and pc, from /proc */
    bool in_syscall;
    uint64_t registers[WH_REGS];
    uint64_t (*vectors)[WH_VECTOR_WORDS]; /* WH_VECTORS of them; NULL = unknown, or all zero */
    uint64_t thread_pointer;              /* fs_base, 0 = unknown */
};

struct wh_mapping {
    uint64_t start, end, offset;
    uint64_t device, inode;
    bool readable, writable, executable, shared;
    const char *path; /* "" = anonymous; points into maps_text */
};

struct wh_frozen {
    pid_t pid; /* the target */
    pid_t
        image; /* process that is read: the copy, or the target itself when it is scanned stopped */
    int memory;  /* /proc/<image>/mem */
    int pagemap; /* /proc/<image>/pagemap, -1 = none */
    bool is_copy;
    bool is_sampled;     /* the live set is a sample */
    bool is_cooperative; /* the process copied itself: `threads` is the asking one only */
    pid_t own_copy;      /* that copy, ours to end; 0 = none */

    struct wh_frozen_thread *threads;
    uint32_t thread_count;
    char *maps_text; /* /proc/<pid>/maps at the stop, cut into strings */
    struct wh_mapping *maps;
    uint32_t map_count;
    struct wh_snapshot_module *modules; /* copied from the job, paths too */
    uint32_t module_count;
    uint64_t library_start, library_end; /* libwhoholds: never a root */
    uint64_t private_start[8], private_end[8];
    uint64_t session_device, session_inode; /* 0 = unknown */

    /* The tracer thread: everything that ptrace demands from one thread. */
    _Atomic uint32_t users; /* caller and tracer */
    sem_t stopped;          /* tracer -> caller: all threads stand still, or it failed */
    sem_t go;               /* caller -> tracer: frozen() returned */
    sem_t done;             /* tracer -> caller: the copy exists, threads run (or failed) */
    sem_t end;              /* caller -> tracer: end the copy, let go */
    sem_t ended;            /* tracer -> caller: copy gone, threads run */
    const struct wh_snapshot_job *job;   /* valid until done */
    struct wh_snapshot_figures *figures; /* the caller's; pause_ns is final after ended */
    struct wh_error error;
    int status;
};

/* Appends a sentence to the figures' caveats; what does not fit is dropped whole. */
void wh_snapshot_caveat(struct wh_snapshot_figures *figures, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

uint64_t wh_snapshot_now_ns(void);

/* --- freeze.c --- */
void wh_frozen_put(struct wh_frozen *f); /* the last of caller and tracer frees it */
/* Ends the copy (or lets the stopped threads go); returns when that is done. */
void wh_frozen_thaw(struct wh_frozen *f);

/* --- tracer.c --- */
void *wh_tracer_main(void *frozen);

/* --- vector.c --- */
/* Reads the vector registers of a stopped thread; malloc'ed, NULL as above. */
uint64_t (*wh_vectors_read(pid_t tid))[WH_VECTOR_WORDS];

/* --- cooperate.c --- */
bool wh_can_cooperate(const struct wh_snapshot_job *job);
/* After the tracer was refused: asks the process itself. Calls job->frozen(). */
int wh_cooperate(struct wh_frozen *f, const struct wh_snapshot_job *job);

/* --- image.c --- */

/* Reads the target's /proc/PID/maps text; malloc'ed, NULL on failure. */
char *wh_maps_read(pid_t pid);
/* Cuts maps_text into maps. Lines that cannot be parsed are skipped. */
int wh_maps_parse(char *text, struct wh_mapping **ret_maps, uint32_t *ret_count);
/* The mapping that contains address, NULL = none. */
const struct wh_mapping *wh_maps_find(const struct wh_frozen *f, uint64_t address);
/* Reads up to bytes; returns how many could be read from the start (0 = none). */
size_t wh_image_read(const struct wh_frozen *f, uint64_t address, void *buffer, size_t bytes);
/* Reads one word; 0 when unreadable. */
uint64_t wh_image_word(const struct wh_frozen *f, uint64_t address);
/* True when [start, end) overlaps memory of ours in the target. */
bool wh_image_is_ours(const struct wh_frozen *f, uint64_t start, uint64_t end);

#endif
