/* A suspended coroutine's stack lies in a heap block; what its frames hold is held by it. */
#include <ucontext.h>

#include "truth.h"

struct coroutine {
    ucontext_t context, back; /* saved registers of the caller refer to us, too */
    char *stack;
} * coroutine;

CREATOR void *make_object(void) {
    return calloc(1, 1500);
}
CREATOR char *make_stack(void) {
    return calloc(1, 65536);
}
CREATOR struct coroutine *make_coroutine(void) {
    return calloc(1, sizeof *coroutine);
}

static void run(void) {
    void *volatile local = make_object();
    swapcontext(&coroutine->context, &coroutine->back);
    free(local);
}

int main(void) {
    coroutine = make_coroutine();
    coroutine->stack = make_stack();
    getcontext(&coroutine->context);
    coroutine->context.uc_stack.ss_sp = coroutine->stack;
    coroutine->context.uc_stack.ss_size = 65536;
    makecontext(&coroutine->context, run, 0);
    swapcontext(&coroutine->back, &coroutine->context);
    return 0;
}
