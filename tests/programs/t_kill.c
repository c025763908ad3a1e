/* t_kill FILE [KEEP]: makes blocks of 50 bytes in kill_make() for ever, and after each one that
 * malloc has returned raises the count in FILE (8 bytes, mapped shared). Killed at any moment, the
 * trace must have that many, or one more. Every tenth block is freed again, or all but every
 * KEEP-th. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((noinline)) static void *kill_make(void) {
    void *p = malloc(50);
    __asm__ volatile("" ::: "memory");
    return p;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    uint64_t keep = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    int fd = open(argv[1], O_RDWR | O_CREAT, 0644);
    if (fd < 0 || ftruncate(fd, 4096) != 0)
        return 3;
    volatile uint64_t *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (count == MAP_FAILED)
        return 4;
    for (uint64_t i = 1;; i++) {
        void *p = kill_make();
        *count = i;
        if (keep ? i % keep != 0 : i % 10 == 0)
            free(p);
        for (volatile int k = 0; k < 200; k++)
            ;
    }
}
