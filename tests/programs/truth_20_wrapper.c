/* An allocation wrapper keeps a header and returns what lies behind it. */
#include "truth.h"

void *g;

CREATOR void *xmalloc(size_t bytes) {
    uint64_t *p = malloc(bytes + 8);
    memset(p, 0, bytes + 8);
    *p = bytes;
    return p + 1;
}
CREATOR void *make_record(void) {
    return xmalloc(504);
}

int main(void) {
    g = make_record();
    return 0;
}
