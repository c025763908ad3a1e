/* A pointer stored XORed: no method can know its holder, and none may call the block a leak. */
#include "truth.h"

uintptr_t hidden;

CREATOR void *make_block(void) {
    return calloc(1, 700);
}

int main(void) {
    hidden = (uintptr_t)make_block() ^ 0x5a5a5a5a5a5a5a5aull;
    return 0;
}
