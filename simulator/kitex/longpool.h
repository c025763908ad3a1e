/* Kitex's pool of long connections (pkg/remote/connpool/long_pool.go before v0.10.0): idle
 * connections of a peer as a stack in a slice. Popping shortens the slice and leaves the pointer
 * behind its end. */
#ifndef WH_SIM_KITEX_LONGPOOL_H
#define WH_SIM_KITEX_LONGPOOL_H

#include <stdbool.h>

#include "runtime/gotypes.h"

struct longConn {
    struct go_string address;
    struct slice_byte buffer; /* what it has read and not given back */
    int64_t deadline;
};
GO_SLICE(slice_longConn, struct longConn *);

struct longPool {
    struct slice_longConn idleList;
};
extern struct longPool *longPool;

void longpool_init(void);
struct longConn *longpool_Dial(int64_t buffer_bytes);
void longpool_Put(struct longConn *conn);
/* The last one put, or NULL. is_clearing: v0.10.0, the slot is set to nil. */
struct longConn *longpool_Pop(bool is_clearing);

#endif
