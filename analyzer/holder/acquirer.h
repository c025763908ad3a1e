/* Who took a block out of an annotated pool (whoholds.h), per block of a snapshot. Context: one
 * thread. */
#ifndef WH_HOLDER_ACQUIRER_H
#define WH_HOLDER_ACQUIRER_H

#include "analyzer/holder/holding.h"

struct wh_acquirers {
    const char *
        *names; /* per block: the function, or "given back to POOL"; NULL = no pool spoke of it */
    uint32_t *stacks; /* per block: the taker's stack, 0 = none */
};

/* Both arrays are NULL when no pool is annotated. */
int wh_acquirers_load(struct wh_holding *h, struct wh_acquirers *ret, struct wh_error *error);
void wh_acquirers_release(struct wh_acquirers *a);

#endif
