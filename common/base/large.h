/* Arrays of many megabytes that are written once from front to back: from huge pages where the
 * kernel grants them on demand, which saves a page fault for every 4 KiB. Context: any. */
#ifndef WH_BASE_LARGE_H
#define WH_BASE_LARGE_H

#include <stddef.h>

/* Uninitialized memory, freed with free(). NULL = no memory. */
void *wh_large_alloc(size_t bytes);

#endif
