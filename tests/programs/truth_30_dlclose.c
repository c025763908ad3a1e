/* One library stays, its global holds; another is unloaded, and what it held is lost. */
#include <dlfcn.h>

#include "truth.h"

CREATOR void *make_kept(void) {
    return calloc(1, 3100);
}
CREATOR void *make_gone(void) {
    return calloc(1, 3200);
}

static void *load(const char *name, void *block) {
    void *library = dlopen(beside(name), RTLD_NOW);
    void (*hold)(void *) = library ? (void (*)(void *))dlsym(library, "hold_in_plugin") : NULL;
    if (hold)
        hold(block);
    return library;
}

int main(void) {
    (void)load("libtruth_30_kept.so", make_kept());
    void *library = load("libtruth_30_gone.so", make_gone());
    if (library)
        dlclose(library);
    scrub_stack();
    return 0;
}
