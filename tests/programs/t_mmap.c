/* Mappings that count as blocks (anonymous, at least 64 KiB) and those that do not. Prints the
 * bytes that are mapped at the end by calls made here, which the trace must show as live of kind
 * mmap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KIB 1024ul
static char *anonymous(size_t bytes) {
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        exit(1);
    p[0] = p[bytes - 1] = 1;
    return p;
}

int main(void) {
    static char *kept[8];
    unsigned long live = 0;
    kept[0] = anonymous(256 * KIB); /* stays */
    live += 256 * KIB;
    char *gone = anonymous(1024 * KIB);
    munmap(gone, 1024 * KIB);
    kept[1] = anonymous(512 * KIB); /* its middle is unmapped */
    munmap(kept[1] + 128 * KIB, 128 * KIB);
    live += 384 * KIB;
    kept[2] = mremap(anonymous(128 * KIB), 128 * KIB, 2048 * KIB, MREMAP_MAYMOVE);
    live += 2048 * KIB;
    kept[3] = anonymous(256 * KIB); /* partly replaced by a fixed mapping: same bytes */
    if (mmap(kept[3], 64 * KIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
        kept[3])
        return 1;
    live += 256 * KIB;
    kept[4] = anonymous(4 * KIB); /* too small to count */
    FILE *f = fopen("/proc/self/exe", "rb");
    if (!f)
        return 1;
    kept[5] =
        mmap(NULL, 64 * KIB, PROT_READ, MAP_PRIVATE, fileno(f), 0); /* a file: does not count */
    fclose(f);
    if (mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return 1; /* fails, and is no block */
    printf("%lu\n", live);
    return 0;
}
