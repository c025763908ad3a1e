/* Makes COUNT blocks in count_make(), all but 100 of them short-lived, and prints its own count:
 * blocks and bytes. Half of the 100 are freed at the end: they were live at the peak. t_count
 * COUNT, at least 100. */
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline)) static void *count_make(size_t size) {
    void *volatile p = malloc(size);
    return p;
}

int main(int argc, char **argv) {
    static void *keep[100];
    unsigned long n = strtoul(argc > 1 ? argv[1] : "1000", NULL, 10), made = 0, bytes = 0;
    for (unsigned long i = 0; i < n; i++) {
        size_t size = 16 + i % 200;
        void *p = count_make(size);
        made++, bytes += size;
        if (i % (n / 100) == 0)
            keep[i / (n / 100) % 100] = p;
        else
            free(p);
    }
    printf("%lu %lu\n", made, bytes);
    for (int i = 50; i < 100; i++)
        free(keep[i]);
    return !keep[0];
}
