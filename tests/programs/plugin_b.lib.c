/* plugin_a's twin of another name: the loader maps it where plugin_a was. */
#include <stdlib.h>

__attribute__((noinline)) void *plugin_b_make(size_t n) {
    char *p = malloc(n);
    if (p)
        p[0] = 'b';
    return p;
}
