/* For t_lost: a leak whose frames are in a library. */
#include <stdlib.h>
#include <string.h>

void *lib_lost(void);
__attribute__((noinline)) void *lib_lost(void) {
    return memset(malloc(300), 1, 300);
}
