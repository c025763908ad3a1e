/* A block in use by a session is in a cache, too: both hold it. */
#include "truth.h"

struct {
    void *slots[8];
} cache;
struct {
    void *document;
} session;

CREATOR void *make_document(void) {
    return calloc(1, 5000);
}

int main(void) {
    session.document = cache.slots[5] = make_document();
    return 0;
}
