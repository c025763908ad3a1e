/* A table in shared memory holds a private block. */
#include <sys/mman.h>

#include "truth.h"

void **table;

CREATOR void **make_table(void) {
    return mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}
CREATOR void *make_block(void) {
    return calloc(1, 800);
}

int main(void) {
    table = make_table();
    table[100000] = make_block();
    return 0;
}
