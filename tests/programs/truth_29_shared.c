/* A block and what hangs on it, held by exactly two globals. */
#include "truth.h"

void **left, **right;

CREATOR void *make_shared(void) {
    return calloc(1, 400);
}
CREATOR void *make_child(void) {
    return calloc(1, 4000);
}

int main(void) {
    left = right = make_shared();
    left[3] = make_child();
    return 0;
}
