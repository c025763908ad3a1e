/* What gc.c tells malloc.c. Private to runtime/. */
#ifndef WH_SIM_RUNTIME_MALLOC_INTERNAL_H
#define WH_SIM_RUNTIME_MALLOC_INTERNAL_H

#include <stdint.h>

/* A collection ended and freed this much. */
void malloc_collected(uint64_t bytes, uint64_t objects);

#endif
