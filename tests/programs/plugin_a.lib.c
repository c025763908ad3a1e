/* Loaded, called and unloaded by t_dl: its blocks must be attributed to it even when another
 * library is mapped at the same address later, with the same code but for the size of its frame. */
#include <stdlib.h>

__attribute__((noinline, optimize("omit-frame-pointer"))) void *plugin_a_make(size_t n) {
    char room[40];
    __asm__ volatile("" : : "r"(room) : "memory");
    char *p = malloc(n);
    if (p)
        p[0] = 'a';
    return p;
}
