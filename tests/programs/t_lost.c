/* t_lost: leaks for suppressions to tell apart. alpha_make's blocks keep those of alpha_child,
 * beta_make's stand alone, gamma_make's are made in liblost.so. A thread makes them: nothing of it
 * is left at the end. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) static void *alpha_child(void) {
    return memset(malloc(200), 1, 200);
}

__attribute__((noinline)) static void *alpha_make(void) {
    void **p = calloc(1, 100);
    p[0] = alpha_child();
    return p;
}

__attribute__((noinline)) static void *beta_make(void) {
    return memset(malloc(50), 1, 50);
}

static void *(*lib_lost)(void);
__attribute__((noinline)) static void *gamma_make(void) {
    void *p = lib_lost();
    return memset(p, 2, 300);
}

static void *make(void *unused) {
    for (int i = 0; i < 10; i++) {
        (void)alpha_make();
        (void)beta_make();
        (void)gamma_make();
    }
    return unused;
}

int main(int argc, char **argv) {
    void *library = dlopen(argc > 1 ? argv[1] : "liblost.so", RTLD_NOW);
    if (!library)
        return 1;
    lib_lost = (void *(*)(void))dlsym(library, "lib_lost");
    pthread_t thread;
    if (pthread_create(&thread, NULL, make, NULL))
        return 1;
    return pthread_join(thread, NULL);
}
