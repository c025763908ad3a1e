/* pthread_specific: a key of the first level and one of the second. */
#include "truth.h"

CREATOR void free_connection(void *p) {
    free(p);
}

CREATOR void *make_near(void) {
    return calloc(1, 1100);
}
CREATOR void *make_far(void) {
    return calloc(1, 1200);
}

static void *body(void *unused) {
    pthread_key_t keys[61];
    for (int i = 0; i < 61; i++)
        pthread_key_create(&keys[i], free_connection);
    pthread_setspecific(keys[3], make_near());
    pthread_setspecific(keys[60], make_far());
    stay();
    return unused;
}

int main(void) {
    start_staying(body);
    return 0;
}
