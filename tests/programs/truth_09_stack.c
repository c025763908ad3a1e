/* A block that only a local variable of a living thread holds. */
#include "truth.h"

CREATOR void *make_block(void) {
    return calloc(1, 3000);
}

CREATOR void *hold_here(void *unused) {
    void *volatile local = make_block();
    (void)unused;
    stay();
    return local;
}

int main(void) {
    start_staying(hold_here);
    return 0;
}
