/* A buffer grows in one thread and is handed to another. */
#include "truth.h"

static void *handed;
char *final_owner;

CREATOR void *grow(void *p, size_t bytes) {
    return realloc(p, bytes);
}

static void *producer(void *unused) {
    char *p = NULL;
    for (size_t bytes = 16; bytes <= 65536; bytes *= 2)
        p = grow(p, bytes);
    memset(p, 0, 65536);
    handed = p;
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, producer, NULL);
    pthread_join(thread, NULL);
    final_owner = handed;
    handed = NULL;
    return 0;
}
