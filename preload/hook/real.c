/* Resolving the real functions. dlsym may itself allocate (and does when a name is missing), so the
 * allocator comes first and until then early.c serves. A function that libc lacks gets a stand-in
 * made of those it has. */
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

#include "state.h"

/* Stand-ins: what the name means, in terms of malloc's own. */

static void *any_reallocarray(void *block, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return wh_real.realloc(block, bytes);
}
static int any_posix_memalign(void **ret, size_t alignment, size_t size) {
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
        return EINVAL;
    void *block = wh_real.memalign(alignment, size);
    if (!block)
        return ENOMEM;
    *ret = block;
    return 0;
}
static void *any_valloc(size_t size) {
    return wh_real.memalign(4096, size);
}
static void *any_pvalloc(size_t size) {
    return wh_real.memalign(4096, (size + 4095) & ~(size_t)4095);
}
static size_t any_malloc_usable_size(void *block) {
    (void)block;
    return 0;
}
static void any_free_sized(void *block, size_t size) {
    (void)size;
    wh_real.free(block);
}
static void any_free_aligned_sized(void *block, size_t alignment, size_t size) {
    (void)alignment, (void)size;
    wh_real.free(block);
}

struct wh_real wh_real = {
    .malloc = wh_early_malloc,
    .free = wh_early_free,
    .calloc = wh_early_calloc,
    .realloc = wh_early_realloc,
    .memalign = wh_early_memalign,
    .aligned_alloc = wh_early_memalign,
    .reallocarray = any_reallocarray,
    .posix_memalign = any_posix_memalign,
    .valloc = any_valloc,
    .pvalloc = any_pvalloc,
    .malloc_usable_size = any_malloc_usable_size,
    .cfree = wh_early_free,
    .free_sized = any_free_sized,
    .free_aligned_sized = any_free_aligned_sized,
};

void wh_real_resolve(void) {
    struct wh_real found = wh_real;
    void *address;
#define RESOLVE(name, result, parameters)                                                          \
    if ((address = dlsym(RTLD_NEXT, #name)) != NULL)                                               \
        *(void **)&found.name = address;
    /* All of the allocator at once: a block must not be made by one and freed by another. */
    RESOLVE(malloc, , )
    RESOLVE(free, , )
    RESOLVE(calloc, , )
    RESOLVE(realloc, , )
    RESOLVE(memalign, , )
    RESOLVE(aligned_alloc, , )
    found.cfree = found.free;
    wh_real = found;
    WH_C_HOOKS(RESOLVE)
    WH_OTHER_HOOKS(RESOLVE)
    wh_real = found;
#define RESOLVE_NEW(name, parameters, arguments, kind, aligned) RESOLVE(name, , )
#define RESOLVE_DELETE(name, parameters, arguments)             RESOLVE(name, , )
    WH_NEW_HOOKS(RESOLVE_NEW)
    WH_DELETE_HOOKS(RESOLVE_DELETE)
    wh_real = found;
}

void *wh_real_operator(const char *name) {
    static const char *const libraries[] = {"libstdc++.so.6", "libc++.so.1"};
    void *address = dlsym(RTLD_NEXT, name);
    for (unsigned i = 0; !address && i < 2; i++) {
        void *library =
            wh_real.dlopen ? wh_real.dlopen(libraries[i], RTLD_NOW | RTLD_NOLOAD) : NULL;
        address = library ? dlsym(library, name) : NULL;
    }
    return address;
}
