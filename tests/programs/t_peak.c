/* t_peak KIB MS KEPT: holds KIB of blocks for MS milliseconds, frees all but KEPT of 1000, and
 * ends. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void **ring;

__attribute__((noinline)) static void *peak_make(void) {
    return memset(malloc(1024), 1, 1024);
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 4096, ms = argc > 2 ? atoi(argv[2]) : 0;
    int kept = (int)((long)count * (argc > 3 ? atoi(argv[3]) : 1000) / 1000);
    ring = calloc((size_t)count, sizeof *ring);
    for (int i = 0; i < count; i++)
        ring[i] = peak_make();
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
    for (int i = kept; i < count; i++) {
        free(ring[i]);
        ring[i] = NULL;
    }
    return 0;
}
