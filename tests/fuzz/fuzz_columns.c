/* Packing a chunk of raw events column by column gives back every byte, whatever a traced program
 * left in its blocks; what is damaged afterwards is refused, or unpacked to something, and never
 * leaves its buffers. Input: two bytes that say where to damage, then the blocks of a chunk. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schema/columns.h"
#include "schema/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int unpack(const unsigned char *packed, size_t packed_bytes, unsigned char *ret,
                  size_t bytes) {
    /* Exact copies, so that a read past the end is seen. */
    unsigned char *copy = malloc(packed_bytes ? packed_bytes : 1);
    if (!copy)
        abort();
    memcpy(copy, packed, packed_bytes);
    int rc = wh_columns_unpack(copy, packed_bytes, ret, bytes);
    free(copy);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wh_packer *packer = NULL;
    unsigned char *packed;
    size_t packed_bytes;
    if (size < 2)
        return 0;
    size_t at = (size_t)data[0] | (size_t)data[1] << 8, bytes = size - 2;
    const unsigned char *blocks = data + 2;
    unsigned char *back = malloc(bytes + WH_COLUMNS_SPARE);
    if (!back || wh_columns_pack(&packer, blocks, bytes, 0, NULL, NULL, &packed, &packed_bytes))
        abort();
    if (unpack(packed, packed_bytes, back, bytes) || memcmp(back, blocks, bytes) != 0)
        abort();
    packed[at % packed_bytes] ^= (unsigned char)(1u << (at & 7));
    (void)unpack(packed, packed_bytes, back, bytes);
    (void)unpack(packed, at % (packed_bytes + 1), back, bytes);
    if (bytes)
        (void)unpack(packed, packed_bytes, back, bytes - 1);
    free(back);
    wh_packer_free(packer);
    return 0;
}
