/* A timer signal interrupts a loop of malloc and free as often as it can, and its handler calls
 * hooked functions itself: mmap and munmap of 128 KiB, which are allowed in a handler. Ends after
 * 20000 rounds and at least 50 signals, whatever the clock does. The blocks' contents are checked.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

static volatile sig_atomic_t signals, failures;

static void on_alarm(int sig) {
    (void)sig;
    char *p = mmap(NULL, 131072, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        failures++;
        return;
    }
    p[0] = 1;
    munmap(p, 131072);
    signals++;
}

int main(void) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {{0, 300}, {0, 300}};
    setitimer(ITIMER_REAL, &every, NULL);
    unsigned char *block[64] = {0};
    for (unsigned i = 0; i < 20000 || signals < 50; i++) {
        unsigned k = i % 64;
        if (block[k] && block[k][0] != (unsigned char)k)
            failures++;
        free(block[k]);
        block[k] = malloc(16 + i % 300);
        memset(block[k], (int)k, 16);
    }
    every = (struct itimerval){0};
    setitimer(ITIMER_REAL, &every, NULL);
    printf("failures %d\n", (int)failures);
    return failures != 0;
}
