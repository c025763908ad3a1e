/* Ends in the way it is told, with 1000 blocks of 100 bytes live and 500 freed: t_exit MODE. The
 * exit status and the blocks are what e2e/exits.sh looks for; nothing may be lost, whatever the
 * end. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void *block[1500];

__attribute__((noinline)) static void make_blocks(void) {
    for (int i = 0; i < 1500; i++)
        block[i] = malloc(100);
}
static void at_exit(void) {
    void *p = malloc(33); /* allocations in handlers are events too */
    free(p);
    puts("handler");
    fflush(stdout);
}
static void *thread_ends(void *arg) {
    usleep(1000);
    puts("last thread");
    return arg;
}
static void on_term(int sig) {
    (void)sig;
    _exit(17);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "return";
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    atexit(at_exit);
    at_quick_exit(at_exit);
    make_blocks();
    for (int i = 1000; i < 1500; i++)
        free(block[i]);
    printf("mode %s\n", mode);
    fflush(stdout);
    if (!strcmp(mode, "return"))
        return 3;
    if (!strcmp(mode, "exit"))
        exit(4);
    if (!strcmp(mode, "_exit"))
        _exit(5);
    if (!strcmp(mode, "quick_exit"))
        quick_exit(6);
    if (!strcmp(mode, "abort"))
        abort();
    if (!strcmp(mode, "pthread_exit")) {
        pthread_t t;
        pthread_create(&t, NULL, thread_ends, NULL);
        pthread_exit(NULL);
    }
    if (!strcmp(mode, "detached")) { /* exit while other threads run */
        pthread_t t;
        for (int i = 0; i < 4; i++) {
            pthread_create(&t, NULL, (void *(*)(void *))pause, NULL);
            pthread_detach(t);
        }
        exit(8);
    }
    if (!strcmp(mode, "segv"))
        raise(SIGSEGV);
    if (!strcmp(mode, "kill"))
        raise(SIGKILL);
    if (!strcmp(mode, "term"))
        raise(SIGTERM);
    if (!strcmp(mode, "term_handler")) {
        signal(SIGTERM, on_term);
        raise(SIGTERM);
    }
    return 99;
}
