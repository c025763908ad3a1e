/* plugin_a's twin of another name: the loader maps it where plugin_a was. */
#include <stdlib.h>

__attribute__((noinline, optimize("omit-frame-pointer"))) void *plugin_b_make(size_t n) {
    char room[104];
    __asm__ volatile("" : : "r"(room) : "memory");
    char *p = malloc(n);
    if (p)
        p[0] = 'b';
    return p;
}
