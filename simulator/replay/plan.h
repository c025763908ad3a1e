/* The plan of a replay: a recorded process's allocations as a flat list of steps, in order of time.
 *
 * Made in one process and carried out in another, through a memory file, so that what SQLite
 * allocates is not in the heap that is measured. Steps of all threads are merged: the replay has
 * one thread. Context: any. */
#ifndef WH_SIM_REPLAY_PLAN_H
#define WH_SIM_REPLAY_PLAN_H

#include <stdint.h>

#include "base/error.h"

enum plan_kind { PLAN_MALLOC, PLAN_CALLOC, PLAN_REALLOC, PLAN_FREE };

struct plan_step {
    uint32_t slot; /* which block; slots are used again */
    uint32_t kind; /* enum plan_kind */
    uint64_t size; /* FREE: 0 */
};

struct plan_head {
    uint64_t steps, slots;
    uint64_t skipped_mappings; /* mmap and munmap are not the allocator's */
    uint64_t unknown_frees;    /* of blocks the trace never saw made */
    char problem[400];         /* why there is no plan; empty = there is one */
    /* struct plan_step steps[] follow */
};

/* Writes the plan of one process of a trace into the file descriptor. Never fails silently: a
 * problem is in the head. */
void plan_make(const char *trace, int64_t process_id, int fd);

#endif
