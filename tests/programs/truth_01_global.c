/* A block held by a plain global pointer. */
#include "truth.h"

void *g;

CREATOR void *make_block(void) {
    return calloc(1, 1000);
}

int main(void) {
    g = make_block();
    return 0;
}
