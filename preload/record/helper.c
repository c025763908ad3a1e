/* The queue of jobs: a ring under one lock. */
#include "record/helper.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Waking a thread costs as much as a small job: one that waits is not worth it. */
#define WAKE_JOBS (WH_HELPER_JOBS / 2)

static void *work(void *helper) {
    struct wh_helper *h = helper;
    atomic_store(&h->tid, (pid_t)syscall(SYS_gettid));
    pthread_mutex_lock(&h->lock);
    for (;;) {
        while (!h->count && !h->is_closing)
            pthread_cond_wait(&h->given, &h->lock);
        if (!h->count)
            break;
        struct wh_job job = h->jobs[h->first];
        pthread_mutex_unlock(&h->lock);
        job.run(job.arg);
        pthread_mutex_lock(&h->lock);
        h->first = (h->first + 1) % WH_HELPER_JOBS;
        h->count--;
        pthread_cond_signal(&h->done);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

void wh_helper_start(struct wh_helper *h) {
    sigset_t all, before;
    if (h->has_thread || h->is_refused)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    h->has_thread = pthread_create(&h->thread, NULL, work, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    h->is_refused = !h->has_thread;
}

void wh_helper_give(struct wh_helper *h, void (*run)(void *arg), void *arg) {
    if (!h->has_thread) {
        run(arg);
        return;
    }
    pthread_mutex_lock(&h->lock);
    while (h->count == WH_HELPER_JOBS)
        pthread_cond_wait(&h->done, &h->lock);
    h->jobs[(h->first + h->count++) % WH_HELPER_JOBS] = (struct wh_job){run, arg};
    if (h->count >= WAKE_JOBS)
        pthread_cond_signal(&h->given);
    pthread_mutex_unlock(&h->lock);
}

void wh_helper_wait(struct wh_helper *h) {
    if (!h->has_thread)
        return;
    pthread_mutex_lock(&h->lock);
    if (h->count)
        pthread_cond_signal(&h->given);
    while (h->count)
        pthread_cond_wait(&h->done, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

void wh_helper_stop(struct wh_helper *h) {
    if (!h->has_thread)
        return;
    pthread_mutex_lock(&h->lock);
    h->is_closing = true;
    pthread_cond_signal(&h->given);
    pthread_mutex_unlock(&h->lock);
    (void)pthread_join(h->thread, NULL);
    atomic_store(&h->tid, 0);
    h->has_thread = h->is_closing = false;
}
