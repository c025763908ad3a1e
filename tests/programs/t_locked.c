/* Stands still, or does not, in the ways that a snapshot from outside must cope with: t_locked HOW.
 * HOW: read (blocked in a read), idle (a pause in every thread), loader (a thread in dlopen, inside
 * a constructor, holds the loader's lock), malloc (four threads allocate without end), vfork (waits
 * for a vfork child). Writes its process id when it is there; the end of its standard input ends
 * it. A global holds 1000 blocks of 100 bytes. */
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *volatile held[1000];

static void *load(void *library) {
    if (!dlopen(library, RTLD_NOW))
        fprintf(stderr, "%s\n", dlerror());
    return NULL;
}
static void *allocate(void *unused) {
    for (size_t size = 1;; size = size % 5000 + 1) {
        void *volatile block = malloc(size);
        free(block);
    }
    return unused;
}
static void *rest(void *unused) {
    for (;;)
        pause();
    return unused;
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    char byte;
    pthread_t thread;
    for (int i = 0; i < 1000; i++)
        held[i] = malloc(100);
    printf("%d\n", (int)getpid());
    setenv("SLOW_START", "0", 1);
    if (!strcmp(how, "loader"))
        pthread_create(&thread, NULL, load, argv[2]);
    for (int i = 0; i < 4 && (!strcmp(how, "malloc") || !strcmp(how, "idle")); i++)
        pthread_create(&thread, NULL, *how == 'm' ? allocate : rest, NULL);
    fflush(stdout);
    if (!strcmp(how, "vfork") && vfork() == 0) {
        (void)!read(0, &byte, 1);
        _exit(0);
    }
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (!strcmp(how, "read"))
        (void)!read(0, &byte, 1);
    else
        poll(&input, 1, -1);
    printf("end\n");
    fflush(stdout);
    _exit(3);
}
