/* Allocates with every C entry point once, frees half, and prints what it did: one line an entry,
 * "name address size", so that a test can compare the trace with an independent account. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

static void *keep[16];

int main(void) {
    void *p;
    keep[0] = malloc(100);
    keep[1] = calloc(10, 20);
    keep[2] = realloc(malloc(10), 5000);
    keep[3] = reallocarray(NULL, 7, 11);
    if (posix_memalign(&p, 64, 300) == 0)
        keep[4] = p;
    keep[5] = aligned_alloc(128, 256);
    keep[6] = memalign(32, 33);
    keep[7] = valloc(50);
    keep[8] = pvalloc(60);
    static const size_t sizes[] = {100, 200, 5000, 77, 300, 256, 33, 50, 60};
    for (int i = 0; i < 9; i++)
        printf("%p %zu %s\n", keep[i], sizes[i], i % 2 ? "freed" : "live");
    for (int i = 1; i < 9; i += 2)
        free(keep[i]);
    return 0;
}
