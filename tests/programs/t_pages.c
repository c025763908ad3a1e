/* Mappings too small to be blocks of their own that lie beside one that is: the kernel shows them
 * as one. Each holds a block. Prints how many. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define KIB 1024ul
#define ANY (MAP_PRIVATE | MAP_ANONYMOUS)

static char *volatile place;
static void **volatile large;

static void **page_at(char *address, size_t bytes) {
    void **page = mmap(address, bytes, PROT_READ | PROT_WRITE, ANY | MAP_FIXED, -1, 0);
    if (page == MAP_FAILED)
        exit(1);
    return page;
}

__attribute__((noinline)) static void *make_object(void) {
    return malloc(1000);
}

int main(void) {
    place = mmap(NULL, 1024 * KIB, PROT_NONE, ANY, -1, 0);
    if (place == MAP_FAILED)
        return 1;
    void **before = page_at(place + 128 * KIB, 32 * KIB);
    large = page_at(place + 160 * KIB, 256 * KIB);
    void **after = page_at(place + 416 * KIB, 16 * KIB);
    before[7] = make_object();
    large[7] = make_object();
    after[7] = make_object();
    puts("3");
    return 0;
}
