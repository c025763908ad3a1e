/* A second thread for what need not be done at once: packing chunks, deciding about lifetimes.
 *
 * Jobs are done one after another in the order in which they were given, so that what only jobs
 * touch needs no lock, and after wh_helper_wait() the giver may touch it too. Until the thread is
 * started, and where the system refuses one, jobs are done as they are given: short recordings do
 * without. Context: recorder, its main thread gives. */
#ifndef WH_RECORD_HELPER_H
#define WH_RECORD_HELPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#define WH_HELPER_JOBS 8u /* that wait at most; their giver waits then */

struct wh_job {
    void (*run)(void *arg);
    void *arg;
};

struct wh_helper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t given, done;
    struct wh_job jobs[WH_HELPER_JOBS];
    unsigned first, count; /* a job that is being done counts */
    bool has_thread, is_refused, is_closing;
    _Atomic pid_t tid; /* 0 = it did not start yet */
};

#define WH_HELPER_INIT                                                                             \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .given = PTHREAD_COND_INITIALIZER,                      \
        .done = PTHREAD_COND_INITIALIZER                                                           \
    }

void wh_helper_start(struct wh_helper *helper); /* once is enough; it may fail */
void wh_helper_give(struct wh_helper *helper, void (*run)(void *arg), void *arg);
void wh_helper_wait(struct wh_helper *helper); /* until all jobs are done */
void wh_helper_stop(
    struct wh_helper *helper); /* does them; later ones are done as they are given */

#endif
