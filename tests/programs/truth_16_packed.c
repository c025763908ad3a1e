/* A pointer at an odd address. */
#include "truth.h"

struct {
    char kind;
    void *p;
} __attribute__((packed)) packed_record;

CREATOR void *make_block(void) {
    return calloc(1, 600);
}

int main(void) {
    packed_record.p = make_block();
    return 0;
}
