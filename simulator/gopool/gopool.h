/* gopool: the goroutines that requests run on. Tasks queue up while a batch of events is handled
 * and run after it, so that all buffers of one batch are in use at the same time: the deterministic
 * form of what happens when handlers run beside the poller. Context: one thread. */
#ifndef WH_SIM_GOPOOL_H
#define WH_SIM_GOPOOL_H

#include <stdint.h>

typedef void gopool_fn(void *arg);

void gopool_init(void);
void gopool_CtxGo(gopool_fn *fn, void *arg);
/* Runs what is queued, and what that queues. */
void gopool_run(void);

#endif
