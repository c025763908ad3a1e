/* A block is freed and comes back uninitialised: the 500 pointers that it still contains hold
 * nothing. */
#include "truth.h"

void *keep;

CREATOR void *make_table(void) {
    return malloc(4000);
}
CREATOR void *make_leak(void) {
    return calloc(1, 96);
}

CREATOR void fill_and_free(void) {
    void **table = make_table();
    for (int i = 0; i < 500; i++)
        table[i] = make_leak();
    free(table);
}

int main(void) {
    fill_and_free();
    keep = make_table();
    scrub_stack();
    return 0;
}
