/* mcache (bytedance/gopkg, as netpoll v0.2.4 used it): byte buffers by power-of-two class.
 *
 * Class i keeps buffers of capacity 1 << i in a sync.Pool of its own; there are 46, so nothing is
 * ever too large to be kept. A buffer whose capacity is no power of two is not taken back. */
#ifndef WH_SIM_MCACHE_H
#define WH_SIM_MCACHE_H

#include "sync/pool.h"

#define MCACHE_CLASSES 46

extern struct sync_Pool caches[MCACHE_CLASSES];

void mcache_init(void);
/* A slice of `size` bytes with room for at least `capacity` (0: size). Contents are what they were.
 */
struct slice_byte mcache_Malloc(int64_t size, int64_t capacity);
void mcache_Free(struct slice_byte buffer);
int mcache_class(int64_t size); /* index into caches */

#endif
