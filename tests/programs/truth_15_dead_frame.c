/* Pointers that remain below the stack pointer hold nothing. */
#include "truth.h"

CREATOR void *make_block(void) {
    return calloc(1, 160);
}

CREATOR int descend(int depth) {
    void *volatile local = make_block();
    return (depth ? descend(depth - 1) : 0) + (local != NULL);
}

int main(void) {
    return descend(63) == 64 ? 0 : 1;
}
