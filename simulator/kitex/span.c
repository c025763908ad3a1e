/* The span cache, see span.h. */
#include "kitex/span.h"

#include "runtime/runtime.h"

#define CLASS_SHIFT 7 /* the first class begins at 1 << 7 */

struct span_Cache *spanCache;

GO_TYPE(type_span, struct span, offsetof(struct span, buffer.ptr));

static void span_refill(struct span *s) {
    s->buffer =
        (struct slice_byte){runtime_makeslice(&type_byte, SPAN_BYTES), SPAN_BYTES, SPAN_BYTES};
    s->read = 0;
}

void span_NewSpanCache(void) {
    runtime_addroot(&spanCache, &type_pointer);
    spanCache = runtime_mallocgc(sizeof(*spanCache), &type_pointer);
    for (int i = 0; i < SPAN_CLASSES; i++)
        spanCache->spans[i] = runtime_newobject(&type_span);
}

static struct slice_byte span_Make(struct span *s, int64_t n) {
    if (s->read + n > s->buffer.len)
        span_refill(s);
    uint8_t *piece = s->buffer.ptr + s->read;
    s->read += n;
    return (struct slice_byte){piece, n, n};
}

struct slice_byte span_Cache_Make(int64_t n) {
    int class = 63 - __builtin_clzll((unsigned long long)n) - CLASS_SHIFT;
    return span_Make(spanCache->spans[class], n);
}
