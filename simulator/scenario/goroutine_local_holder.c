/* Model goroutine-local-holder: what one thread creates, a local variable of another one holds.
 *
 * `creator` builds requests and sends them through a channel; the receiving goroutine appends each
 * to its local slice `cached` and never returns. No global is involved: the root is a thread's
 * stack. Fixed: the receiver looks at each request and lets it go. */
#include <pthread.h>
#include <string.h>

#include "runtime/runtime.h"
#include "scenario/models.h"
#include "scenario/world.h"

const char *const goroutine_local_holder_parameters[] = {"requests", "strings", "string_bytes",
                                                         "keeps", NULL};

struct request {
    int64_t id;
    struct slice_string fields;
};
GO_SLICE(slice_request, struct request *);
GO_TYPE(type_request, struct request, offsetof(struct request, fields.ptr));
GO_TYPE(type_slice_request, struct slice_request, offsetof(struct slice_request, ptr));

/* A channel of one element, and how the receiver stands. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct request *element;
    bool keeps, is_receiving;
} channel = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void channel_send(struct request *element) {
    pthread_mutex_lock(&channel.lock);
    while (channel.element || !channel.is_receiving)
        pthread_cond_wait(&channel.changed, &channel.lock);
    channel.element = element;
    pthread_cond_broadcast(&channel.changed);
    pthread_mutex_unlock(&channel.lock);
}

/* Returns when the receiver has taken the last element and waits for another. */
static void channel_settle(void) {
    pthread_mutex_lock(&channel.lock);
    while (channel.element)
        pthread_cond_wait(&channel.changed, &channel.lock);
    pthread_mutex_unlock(&channel.lock);
}

static void *holder_ReceiveChan_func1(void *arg) {
    (void)arg;
    struct slice_request cached = {NULL, 0, 0};
    runtime_addroot(&cached, &type_slice_request);
    pthread_mutex_lock(&channel.lock);
    channel.is_receiving = true;
    for (;;) {
        pthread_cond_broadcast(&channel.changed);
        while (!channel.element)
            pthread_cond_wait(&channel.changed, &channel.lock);
        if (channel.keeps) {
            runtime_growslice(&cached, &type_pointer);
            cached.ptr[cached.len++] = channel.element;
        }
        channel.element = NULL;
    }
    return NULL;
}

static struct request *creator_NewRequest(int64_t id, int64_t strings, int64_t bytes) {
    struct request *r = runtime_newobject(&type_request);
    r->id = id;
    r->fields.ptr = runtime_makeslice(&type_string, strings);
    r->fields.len = r->fields.cap = strings;
    for (int64_t i = 0; i < strings; i++) {
        r->fields.ptr[i].ptr = runtime_makeslice(&type_byte, bytes);
        r->fields.ptr[i].len = bytes;
        memset(r->fields.ptr[i].ptr, 'f', (size_t)bytes);
    }
    return r;
}

static void creator_CreateRequests(int64_t count, int64_t strings, int64_t bytes) {
    for (int64_t i = 0; i < count; i++)
        channel_send(creator_NewRequest(i, strings, bytes));
    channel_settle();
}

void model_goroutine_local_holder(const struct scenario *s) {
    world_pools();
    channel.keeps = scenario_get(s, "keeps") != 0;
    pthread_t receiver;
    if (pthread_create(&receiver, NULL, holder_ReceiveChan_func1, NULL))
        runtime_throw("cannot start a thread");
    pthread_detach(receiver);
    creator_CreateRequests(scenario_get(s, "requests"), scenario_get(s, "strings"),
                           scenario_get(s, "string_bytes"));
    world_phase("sent");
    world_gc("gc1");
    world_gc("gc2");
}
