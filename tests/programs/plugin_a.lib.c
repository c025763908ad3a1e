/* Loaded, called and unloaded by t_dl: its blocks must be attributed to it even when another
 * library is mapped at the same address later. */
#include <stdlib.h>

__attribute__((noinline)) void *plugin_a_make(size_t n) {
    char *p = malloc(n);
    if (p)
        p[0] = 'a';
    return p;
}
