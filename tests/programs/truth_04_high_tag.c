/* A pointer with a tag in its top 16 bits. */
#include "truth.h"

uintptr_t tagged;

CREATOR void *make_block(void) {
    return calloc(1, 500);
}

int main(void) {
    tagged = (uintptr_t)make_block() | 0xabcdull << 48;
    return 0;
}
