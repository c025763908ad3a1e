/* The corners of the allocator's interface, printed result by result: what the caller sees (NULL or
 * not, errno, alignment, contents, usable size) must be the same with and without a tracer. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sizes that the compiler must not reason about. */
static volatile size_t huge = (size_t)1 << 62;
static volatile size_t zero;

static void say(const char *what, void *p) {
    printf("%-28s %s errno %d\n", what, p ? "block" : "NULL", errno);
    errno = 0;
}

int main(void) {
    void *p, *q;
    errno = 0;
    say("malloc(0)", p = malloc(zero));
    free(p);
    say("malloc(huge)", malloc(huge));
    say("calloc(0, 8)", p = calloc(zero, 8));
    free(p);
    say("calloc overflow", calloc(huge, 8));
    say("realloc(NULL, 10)", p = realloc(NULL, 10));
    memcpy(p, "unchanged", 10);
    say("realloc(huge)", realloc(p, huge));
    printf("old block after failure: %s\n", (char *)p);
    say("realloc grow", p = realloc(p, 100000));
    printf("contents: %s\n", (char *)p);
    say("realloc shrink", p = realloc(p, 20));
    printf("contents: %s\n", (char *)p);
    say("realloc(p, 0)", realloc(p, zero));
    say("reallocarray overflow", reallocarray(NULL, huge, 16));
    say("reallocarray", p = reallocarray(NULL, 3, 5));
    free(p);
    for (size_t alignment = 1; alignment <= (size_t)1 << 20; alignment *= 2) {
        p = (void *)1;
        int r = posix_memalign(&p, alignment, 100);
        printf("posix_memalign %zu: %d errno %d %s\n", alignment, r, errno,
               r ? (p == (void *)1 ? "untouched" : "touched")
                 : ((uintptr_t)p % alignment ? "misaligned" : "aligned"));
        if (!r)
            free(p);
        errno = 0;
    }
    printf("posix_memalign 24: %d\n", posix_memalign(&p, 24, 100));
    printf("posix_memalign huge: %d\n", posix_memalign(&p, 64, huge));
    say("aligned_alloc(64, 640)", p = aligned_alloc(64, 640));
    printf("aligned %d\n", (uintptr_t)p % 64 == 0);
    free(p);
    say("memalign(4096, 1)", p = memalign(4096, 1));
    printf("aligned %d\n", (uintptr_t)p % 4096 == 0);
    free(p);
    say("valloc", p = valloc(1));
    say("pvalloc", q = pvalloc(1));
    printf("aligned %d %d usable %d\n", (uintptr_t)p % 4096 == 0, (uintptr_t)q % 4096 == 0,
           malloc_usable_size(q) >= 4096);
    free(p);
    free(q);
    printf("usable(NULL) %zu\n", malloc_usable_size(NULL));
    for (size_t n = 1; n < 5000; n = n * 3 + 1) {
        p = malloc(n);
        /* how much more there is depends on what was free before */
        printf("malloc %zu usable %d\n", n, malloc_usable_size(p) >= n);
        memset(p, 1, malloc_usable_size(p)); /* the whole of it is the caller's */
        free(p);
    }
    errno = EBADF; /* a successful call leaves errno alone */
    free(malloc(10));
    free(NULL);
    p = calloc(1, 10);
    p = realloc(p, 5000);
    free(p);
    printf("errno kept %d\n", errno == EBADF);
    return 0;
}
