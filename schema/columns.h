/* The bytes of a chunk of raw events sorted by what they mean, which is how they pack well: times
 * by times, sizes by sizes, stacks by stacks, and an address that was seen before in the chunk as
 * the number under which it was seen. Packing and unpacking give back every byte, whatever it is.
 * Private to schema/. Context: recorder and readers. */
#ifndef WH_SCHEMA_COLUMNS_H
#define WH_SCHEMA_COLUMNS_H

#include <stddef.h>

/* Buffers and tables that packing needs again and again. */
struct wh_packer; /* store.h has what frees it */

/* Packs blocks as wh_stream_cut() gives them. *packer is made when it is NULL. *ret_packed belongs
 * to the packer until the next call; the first `before` bytes of it are left free. rest() as
 * in store.h. -1: out of memory. */
int wh_columns_pack(struct wh_packer **packer, const unsigned char *data, size_t bytes,
                    size_t before, void (*rest)(void *arg), void *arg, unsigned char **ret_packed,
                    size_t *ret_bytes);

/* Room that unpacking needs behind the data. */
#define WH_COLUMNS_SPARE 64u

/* The inverse: exactly `bytes` bytes of data. -1: out of memory, -2: damaged. */
int wh_columns_unpack(const unsigned char *packed, size_t packed_bytes, unsigned char *data,
                      size_t bytes);

#endif
