/* Go's data layouts in C: what a slice, a string, an interface and a type are.
 *
 * They have the sizes of Go 1.19 on amd64, so that objects built of them have Go's sizes and a
 * memory scanner sees (ptr, len, cap) where it would see them in a Go heap. Context: any. */
#ifndef WH_SIM_RUNTIME_GOTYPES_H
#define WH_SIM_RUNTIME_GOTYPES_H

#include <stddef.h>
#include <stdint.h>

/* A type descriptor: where in one element the pointers are. An object of n elements repeats the
 * map. */
struct go_type {
    const char *name;
    uint32_t size;            /* bytes of one element */
    uint32_t pointer_count;   /* 0 = noscan: the collector never looks inside */
    const uint32_t *pointers; /* byte offsets of the pointers in one element */
};

/* GO_TYPE(type_foo, struct foo, offsetof(struct foo, a), ...) defines the descriptor `type_foo`. */
#define GO_TYPE(id, ctype, ...)                                                                    \
    static const uint32_t id##_pointers[] = {__VA_ARGS__};                                         \
    const struct go_type id = {#ctype, sizeof(ctype), sizeof(id##_pointers) / sizeof(uint32_t),    \
                               id##_pointers}

/* []T. The C name of the element pointer is the same in every slice. */
#define GO_SLICE(name, element)                                                                    \
    struct name {                                                                                  \
        element *ptr;                                                                              \
        int64_t len;                                                                               \
        int64_t cap;                                                                               \
    }

struct go_string {
    char *ptr;
    int64_t len;
};

struct go_eface { /* interface{} */
    const struct go_type *type;
    void *data;
};

GO_SLICE(slice_byte, uint8_t);
GO_SLICE(slice_pointer, void *);
GO_SLICE(slice_string, struct go_string);
GO_SLICE(slice_slice_byte, struct slice_byte);
GO_SLICE(slice_eface, struct go_eface);

extern const struct go_type type_byte, type_pointer, type_string, type_slice_byte, type_eface,
    type_int64;

#endif
