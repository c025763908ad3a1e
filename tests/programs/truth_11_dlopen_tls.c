/* A block held by a thread-local variable of a library that dlopen loaded. */
#include <dlfcn.h>

#include "truth.h"

CREATOR void *make_block(void) {
    return calloc(1, 2500);
}

static void *body(void *unused) {
    void *library = dlopen(beside("libtruth_11_tls.so"), RTLD_NOW);
    void (*hold)(void *) = library ? (void (*)(void *))dlsym(library, "hold_in_tls") : NULL;
    if (hold)
        hold(make_block());
    stay();
    return unused;
}

int main(void) {
    start_staying(body);
    return 0;
}
