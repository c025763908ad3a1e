/* wh_snapshot_freeze and the life of struct wh_frozen: the caller's side of the tracer thread. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/snapshot/frozen.h"

static void free_modules(struct wh_frozen *f) {
    for (uint32_t i = 0; i < f->module_count; i++)
        free((void *)(uintptr_t)f->modules[i].path);
    free(f->modules);
    f->modules = NULL;
    f->module_count = 0;
}

void wh_frozen_put(struct wh_frozen *f) {
    if (atomic_fetch_sub(&f->users, 1) != 1)
        return;
    if (f->memory >= 0)
        close(f->memory);
    if (f->pagemap >= 0)
        close(f->pagemap);
    free_modules(f);
    for (uint32_t i = 0; i < f->thread_count; i++)
        free(f->threads[i].vectors);
    free(f->threads);
    free(f->maps);
    free(f->maps_text);
    sem_destroy(&f->stopped);
    sem_destroy(&f->go);
    sem_destroy(&f->done);
    sem_destroy(&f->end);
    sem_destroy(&f->ended);
    free(f);
}

static int open_proc(pid_t pid, const char *name) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* The file behind our own mapping of the session: the target's mappings of it are never roots. */
static void find_session_file(struct wh_frozen *f, const struct wh_session *session) {
    char *text = session ? wh_maps_read(getpid()) : NULL;
    struct wh_mapping *maps = NULL;
    uint32_t count = 0;
    if (text && wh_maps_parse(text, &maps, &count) == WH_OK)
        for (uint32_t i = 0; i < count; i++)
            if (maps[i].start <= (uintptr_t)session && (uintptr_t)session < maps[i].end) {
                f->session_device = maps[i].device;
                f->session_inode = maps[i].inode;
            }
    free(maps);
    free(text);
}

/* After frozen(): the last modules may have been heard of only then. */
static int copy_modules(struct wh_frozen *f, const struct wh_snapshot_module *modules,
                        uint32_t count) {
    free_modules(f);
    f->modules = calloc(count + 1, sizeof *f->modules);
    if (!f->modules)
        return WH_ESYSTEM;
    for (uint32_t i = 0; i < count; i++) {
        f->modules[i] = modules[i];
        f->modules[i].path = strdup(modules[i].path ? modules[i].path : "");
        f->module_count = i + 1;
        if (!f->modules[i].path)
            return WH_ESYSTEM;
    }
    return WH_OK;
}

int wh_snapshot_modules(struct wh_frozen *frozen, const struct wh_snapshot_module *modules,
                        uint32_t count, struct wh_error *error) {
    return copy_modules(frozen, modules, count) == WH_OK
               ? WH_OK
               : wh_fail(error, WH_ESYSTEM, "out of memory");
}

static void copy_job(struct wh_frozen *f, const struct wh_snapshot_job *job) {
    f->pid = job->pid;
    f->job = job;
    f->is_sampled = job->session && job->session->sample_bytes > 0;
    if (job->slot) {
        f->library_start = job->slot->library_start;
        f->library_end = job->slot->library_end;
        memcpy(f->private_start, job->slot->private_start, sizeof f->private_start);
        memcpy(f->private_end, job->slot->private_end, sizeof f->private_end);
    }
    find_session_file(f, job->session);
}

static void wait_for(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0)
        continue;
}

/* The tracer takes no signals: they are the caller's. */
static bool start_tracer(struct wh_frozen *f) {
    sigset_t all, before;
    pthread_t tracer;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&tracer, NULL, wh_tracer_main, f) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        (void)pthread_detach(tracer);
    return started;
}

/* After the tracer is done: what can be prepared while the threads run on. */
static int open_image(struct wh_frozen *f, struct wh_error *error) {
    f->memory = open_proc(f->image, "mem");
    f->pagemap = open_proc(f->image, "pagemap");
    if (f->memory < 0)
        return wh_fail_errno(error, "memory of process %d cannot be read", (int)f->image);
    if (wh_maps_parse(f->maps_text, &f->maps, &f->map_count) != WH_OK)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    return WH_OK;
}

int wh_snapshot_freeze(const struct wh_snapshot_job *job, struct wh_frozen **ret_frozen,
                       struct wh_snapshot_figures *figures, struct wh_error *error) {
    struct wh_frozen *f = calloc(1, sizeof *f);
    if (!f)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    *figures = (struct wh_snapshot_figures){.mode = "stop"};
    f->figures = figures;
    f->memory = f->pagemap = -1;
    atomic_store(&f->users, 2);
    sem_init(&f->stopped, 0, 0);
    sem_init(&f->go, 0, 0);
    sem_init(&f->done, 0, 0);
    sem_init(&f->end, 0, 0);
    sem_init(&f->ended, 0, 0);
    copy_job(f, job);
    if (!start_tracer(f)) {
        atomic_store(&f->users, 1);
        wh_frozen_put(f);
        return wh_fail(error, WH_ESYSTEM, "no tracer thread for process %d", (int)job->pid);
    }
    wait_for(&f->stopped);
    int status = f->status;
    if (status == WH_OK && job->frozen)
        job->frozen(job->arg);
    sem_post(&f->go);
    wait_for(&f->done);
    if (f->status != WH_OK && wh_can_cooperate(job))
        f->status = wh_cooperate(f, job);
    if (f->status != WH_OK) {
        status = f->status;
        if (error)
            *error = f->error;
    } else if (copy_modules(f, job->modules, job->module_count) != WH_OK) {
        status = wh_fail(error, WH_ESYSTEM, "out of memory");
    } else {
        status = open_image(f, error);
    }
    if (status != WH_OK) {
        wh_snapshot_abandon(f);
        return status;
    }
    *ret_frozen = f;
    return WH_OK;
}

void wh_frozen_thaw(struct wh_frozen *f) {
    sem_post(&f->end);
    wait_for(&f->ended);
}

void wh_snapshot_abandon(struct wh_frozen *f) {
    if (!f)
        return;
    wh_frozen_thaw(f);
    wh_frozen_put(f);
}
