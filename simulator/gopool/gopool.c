/* gopool, see gopool.h. Tasks come from a sync.Pool, as in bytedance/gopkg. */
#include "gopool/gopool.h"

#include "runtime/runtime.h"
#include "sync/pool.h"

struct task { /* 40 bytes */
    void *ctx;
    gopool_fn *f;
    void *arg;
    struct task *next;
    uint64_t pad;
};
GO_TYPE(type_task, struct task, offsetof(struct task, arg), offsetof(struct task, next));

struct gopool {
    struct task *taskHead, *taskTail;
};
static struct gopool defaultPool;
GO_TYPE(type_gopool, struct gopool, offsetof(struct gopool, taskHead),
        offsetof(struct gopool, taskTail));

static void *gopool_newTask(struct sync_Pool *pool) {
    return runtime_newobject(pool->type);
}

static struct sync_Pool taskPool = {.New = gopool_newTask, .type = &type_task, .name = "taskPool"};

void gopool_init(void) {
    sync_Pool_register(&taskPool, 1);
    defaultPool = (struct gopool){NULL, NULL};
    runtime_addroot(&defaultPool, &type_gopool);
}

void gopool_CtxGo(gopool_fn *fn, void *arg) {
    struct task *task = sync_Pool_Get(&taskPool);
    task->f = fn;
    task->arg = arg;
    if (defaultPool.taskTail)
        defaultPool.taskTail->next = task;
    else
        defaultPool.taskHead = task;
    defaultPool.taskTail = task;
}

static void gopool_worker_run_func1_1(struct task *task) {
    task->f(task->arg);
}

static void gopool_worker_run_func1(void) {
    while (defaultPool.taskHead) {
        struct task *task = defaultPool.taskHead;
        defaultPool.taskHead = task->next;
        if (!defaultPool.taskHead)
            defaultPool.taskTail = NULL;
        gopool_worker_run_func1_1(task);
        *task = (struct task){NULL, NULL, NULL, NULL, 0};
        sync_Pool_Put(&taskPool, task);
    }
}

void gopool_run(void) {
    gopool_worker_run_func1();
}
