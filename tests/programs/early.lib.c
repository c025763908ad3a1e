/* An allocator below the tracer that allocates while it is being looked up: malloc is found by a
 * function that itself needs memory, which nobody can serve yet but the tracer. Later the block is
 * resized and one like it freed, as any other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t);

static char *kept[2];

static void *(*find_malloc(void))(size_t) {
    for (int i = 0; i < 2 && !kept[i]; i++) {
        kept[i] = malloc(100);
        if (kept[i])
            memset(kept[i], 'a' + i, 100);
    }
    return __libc_malloc;
}
void *malloc(size_t) __attribute__((ifunc("find_malloc")));

__attribute__((destructor)) static void give_back(void) {
    char *larger = realloc(kept[0], 5000);
    printf("early block: %c %c\n", larger ? larger[99] : '-', kept[1] ? kept[1][99] : '-');
    fflush(stdout);
    free(larger);
    free(kept[1]);
}
