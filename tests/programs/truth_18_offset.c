/* Objects are known by 32-bit offsets from a base that was dropped: no method can know their
 * holder. */
#include "truth.h"

uint32_t handles[20];
uintptr_t base_hidden; /* inverted */

CREATOR void *make_object(void) {
    return calloc(1, 250);
}

int main(void) {
    uintptr_t base = (uintptr_t)make_object();
    for (int i = 0; i < 20; i++)
        handles[i] = (uint32_t)((uintptr_t)make_object() - base);
    base_hidden = ~base;
    scrub_stack();
    return 0;
}
