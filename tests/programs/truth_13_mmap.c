/* A table in anonymous memory holds a block; the mapping itself is held by a global. */
#include <sys/mman.h>

#include "truth.h"

void **table;

CREATOR void **make_table(void) {
    return mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
CREATOR void *make_block(void) {
    return calloc(1, 900);
}

int main(void) {
    table = make_table();
    table[300000] = make_block();
    return 0;
}
