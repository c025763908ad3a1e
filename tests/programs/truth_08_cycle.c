/* Two blocks that hold each other and that nothing else holds: a leak. */
#include "truth.h"

struct pair {
    struct pair *other;
    char load[92];
};

CREATOR struct pair *make_pair(void) {
    return calloc(1, sizeof(struct pair));
}

CREATOR void make_cycle(void) {
    struct pair *a = make_pair(), *b = make_pair();
    a->other = b;
    b->other = a;
}

int main(void) {
    make_cycle();
    scrub_stack();
    return 0;
}
