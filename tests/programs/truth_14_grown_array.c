/* An array was filled with 40 entries, then its length was set to 2: the other 38 stay held by
 * slots that nobody looks at any more. */
#include "truth.h"

struct {
    void **v;
    size_t length, capacity;
} a;

CREATOR void *make_entry(void) {
    return calloc(1, 128);
}
CREATOR void **make_array(size_t capacity) {
    return calloc(capacity, sizeof(void *));
}

int main(void) {
    a.capacity = 64;
    a.v = make_array(a.capacity);
    while (a.length < 40)
        a.v[a.length++] = make_entry();
    a.length = 2;
    return 0;
}
