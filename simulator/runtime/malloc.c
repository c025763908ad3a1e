/* runtime.mallocgc and the built-ins that end in it: new, make, append, string conversion.
 *
 * Every object is exactly one malloc() of its rounded size, made here and nowhere else. The
 * runtime_ prefix lets a tracer skip these frames as pprof skips runtime. frames. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/heap.h"
#include "runtime/malloc_internal.h"
#include "runtime/runtime.h"

#define CHANNEL_HEADER_BYTES 96

const struct go_type type_byte = {"uint8", 1, 0, NULL};
const struct go_type type_int64 = {"int64", 8, 0, NULL};
GO_TYPE(type_pointer, void *, 0);
GO_TYPE(type_string, struct go_string, offsetof(struct go_string, ptr));
GO_TYPE(type_slice_byte, struct slice_byte, offsetof(struct slice_byte, ptr));
GO_TYPE(type_eface, struct go_eface, offsetof(struct go_eface, data));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct runtime_stats stats;
static char zerobase; /* the address of every object without bytes */

void runtime_throw(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("whoholds-sim: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _Exit(4);
}

void *runtime_mallocgc(size_t size, const struct go_type *type) {
    if (size == 0)
        return &zerobase;
    size_t rounded = runtime_roundupsize(size);
    if (size >
        type->size) /* an array: what is left of the class below one element is not asked for */
        rounded -= rounded % type->size;
    void *object = malloc(rounded);
    if (!object)
        runtime_throw("out of memory: cannot allocate %zu bytes", rounded);
    memset(object, 0, rounded);
    pthread_mutex_lock(&lock);
    heap_add(object, rounded, type);
    stats.live_bytes += rounded;
    stats.live_objects++;
    stats.total_bytes += rounded;
    stats.total_objects++;
    if (stats.live_bytes > stats.peak_bytes)
        stats.peak_bytes = stats.live_bytes;
    pthread_mutex_unlock(&lock);
    return object;
}

void *runtime_newobject(const struct go_type *type) {
    return runtime_mallocgc(type->size, type);
}

void *runtime_makeslice(const struct go_type *type, int64_t count) {
    return runtime_mallocgc((size_t)count * type->size, type);
}

void *runtime_makechan(void) {
    return runtime_mallocgc(CHANNEL_HEADER_BYTES, &type_byte);
}

void runtime_growslice(void *slice, const struct go_type *type) {
    GO_SLICE(any, void) *s = slice;
    if (s->len < s->cap)
        return;
    int64_t wanted = s->cap < 256 ? s->cap * 2 : s->cap + (s->cap + 3 * 256) / 4;
    if (wanted < 1)
        wanted = 1;
    size_t bytes = runtime_roundupsize((size_t)wanted * type->size);
    void *grown = runtime_mallocgc(bytes, type);
    if (s->len)
        memcpy(grown, s->ptr, (size_t)s->len * type->size);
    s->ptr = grown;
    s->cap = (int64_t)(bytes / type->size);
}

struct go_string runtime_gostringn(const void *bytes, int64_t count) {
    struct go_string text = {runtime_mallocgc((size_t)count, &type_byte), count};
    memcpy(text.ptr, bytes, (size_t)count);
    return text;
}

struct go_string runtime_gostring(const char *text) {
    return runtime_gostringn(text, (int64_t)strlen(text));
}

struct runtime_stats runtime_stats(void) {
    pthread_mutex_lock(&lock);
    struct runtime_stats copy = stats;
    pthread_mutex_unlock(&lock);
    return copy;
}

void malloc_collected(uint64_t bytes, uint64_t objects) {
    stats.live_bytes -= bytes;
    stats.live_objects -= objects;
    stats.swept_bytes = bytes;
    stats.swept_objects = objects;
    stats.collections++;
}
