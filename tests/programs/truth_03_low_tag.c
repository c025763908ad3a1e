/* A pointer with two tag bits set. */
#include "truth.h"

uintptr_t tagged;

CREATOR void *make_block(void) {
    return calloc(1, 500);
}

int main(void) {
    tagged = (uintptr_t)make_block() | 3;
    return 0;
}
