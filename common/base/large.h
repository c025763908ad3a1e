/* Arrays of many megabytes that are written once from front to back: from huge pages where the
 * kernel grants them on demand, which saves a page fault for every 4 KiB. Context: any. */
#ifndef WH_BASE_LARGE_H
#define WH_BASE_LARGE_H

#include <stddef.h>

/* Uninitialized memory from the start of a cache line on, freed with free(). NULL = no memory. */
void *wh_large_alloc(size_t bytes);

/* Of `room` bytes only the first `bytes` are needed from now on: the pages behind them are given
 * back. They may be written again. */
void wh_large_trim(void *memory, size_t bytes, size_t room);

#endif
