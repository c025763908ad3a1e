/* begin, end, capacity: the end pointer must not hold the block behind. */
#include "truth.h"

struct {
    void **begin, **end, **capacity;
} vector;

CREATOR void **make_array(void) {
    return calloc(9, sizeof(void *));
}
CREATOR void *make_neighbour(void) {
    return calloc(1, 72);
}
CREATOR void *make_item(void) {
    return calloc(1, 40);
}

int main(void) {
    vector.begin = make_array();
    (void)make_neighbour();
    vector.end = vector.capacity = vector.begin + 9;
    for (int i = 0; i < 9; i++)
        vector.begin[i] = make_item();
    scrub_stack();
    return 0;
}
