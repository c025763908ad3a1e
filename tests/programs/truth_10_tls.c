/* A block that a thread-local variable of a living thread holds. */
#include "truth.h"

__thread void *tls_slot;

CREATOR void *make_block(void) {
    return calloc(1, 2000);
}

static void *body(void *unused) {
    tls_slot = make_block();
    stay();
    return unused;
}

int main(void) {
    start_staying(body);
    return 0;
}
