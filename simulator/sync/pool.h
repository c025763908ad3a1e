/* sync.Pool of Go 1.19: a private slot and a shared chain per P, and the previous generation
 * (victim).
 *
 *   Get:  private ─► own shared head ─► other P's shared tail ─► victim ─► New()
 *   Put:  private if it is empty, else own shared head
 *   GC:   victim dropped, primary becomes victim: an idle object survives one collection, not two
 *
 * No limit on size or count, which is the point of the handbook's `oversized requests`.
 * Context: one thread; the P it runs on is set with sync_runtime_procPin(). */
#ifndef WH_SIM_SYNC_POOL_H
#define WH_SIM_SYNC_POOL_H

#include <stdbool.h>

#include "runtime/gotypes.h"

struct poolDequeue {
    uint64_t headTail; /* head << 32 | tail, counting up */
    struct slice_eface vals;
};

struct poolChainElt { /* a ring; rings double from 8 slots */
    struct poolDequeue dequeue;
    struct poolChainElt *next, *prev; /* next towards the head */
};

struct poolChain {
    struct poolChainElt *head, *tail;
};

struct poolLocal { /* 128 bytes, so that two P never share a cache line */
    struct go_eface private;
    struct poolChain shared;
    char pad[96];
};

struct sync_Pool {
    struct poolLocal *local; /* one per P; NULL until first used after a collection */
    uint64_t localSize;
    struct poolLocal *victim;
    uint64_t victimSize;
    void *(*New)(struct sync_Pool *pool);
    const struct go_type *type; /* of what New returns */
    const char *name; /* for the annotations; NULL: the user of the pool annotates, or nobody */
};

extern const struct go_type type_sync_Pool;

void *sync_Pool_Get(struct sync_Pool *pool);
void sync_Pool_Put(struct sync_Pool *pool, void *object);
/* Registers pools that are global variables: they are roots and age with collections. */
void sync_Pool_register(struct sync_Pool *pools, int count);
/* Objects at rest in the pool, victims included. */
int64_t sync_Pool_idle(const struct sync_Pool *pool);

void sync_runtime_init(int procs); /* GOMAXPROCS */
void sync_runtime_procPin(int p);
void sync_annotate(bool is_on); /* whoholds_acquire and whoholds_release; on by default */
bool sync_is_annotating(void);

#endif
