/* One byte of a megabyte: an interior pointer with its length keeps the whole buffer. */
#include "truth.h"

struct {
    const char *p;
    size_t length;
} slice;

CREATOR char *receive(void) {
    return calloc(1, 1 << 20);
}

int main(void) {
    slice.p = receive() + 4711;
    slice.length = 1;
    return 0;
}
