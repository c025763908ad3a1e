/* Kitex's span cache (pkg/mem/span.go of v0.10.0): short fields are carved out of shared spans.
 *
 * One span of 1 MiB per power of two; a string that is kept keeps the whole span. Context: one
 * thread. */
#ifndef WH_SIM_KITEX_SPAN_H
#define WH_SIM_KITEX_SPAN_H

#include "runtime/gotypes.h"

#define SPAN_STRING_MIN 128
#define SPAN_STRING_MAX (128 * 1024 - 1)
#define SPAN_CLASSES    10
#define SPAN_BYTES      (1 << 20)

struct span {
    struct slice_byte buffer;
    int64_t read; /* used so far */
};

struct span_Cache {
    struct span *spans[SPAN_CLASSES];
};
extern struct span_Cache *spanCache;

void span_NewSpanCache(void);
struct slice_byte span_Cache_Make(int64_t n);

#endif
