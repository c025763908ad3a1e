/* Between the root finders: what each knows about the image's layout. */
#ifndef WH_SNAPSHOT_ROOTS_H
#define WH_SNAPSHOT_ROOTS_H

#include "record/snapshot/extract.h"

/* An ELF module found in the image. */
struct wh_layout_module {
    uint64_t load_bias;
    uint64_t dynamic, dynamic_bytes;
    uint64_t tls_image, tls_file_bytes, tls_bytes, tls_align; /* tls_bytes 0 = no PT_TLS */
    uint64_t tls_id;     /* loader's module id, 0 = not found */
    uint64_t tls_offset; /* static TLS: block = thread pointer - this; 0 = dynamic */
    uint32_t id;         /* module.id, 0 = unknown */
    bool is_libc;        /* libc or loader: its data are infrastructure */
};

struct wh_layout {
    struct wh_layout_module *modules;
    uint32_t module_count;
    bool *map_explained;       /* one per mapping: not a root of its own */
    uint64_t static_tls_bytes; /* largest tls_offset */
};

/* The C library or the loader, by its file. */
bool wh_is_libc_path(const char *path);

/* Marks every mapping that overlaps [start, end). */
void wh_layout_explain(struct wh_extract *x, struct wh_layout *layout, uint64_t start,
                       uint64_t end);

/* roots_tls.c: TLS blocks, DTVs, pthread_specific; marks their nodes. */
void wh_roots_tls(struct wh_extract *x, struct wh_layout *layout);
/* roots_thread.c: stacks by frame, registers. */
void wh_roots_threads(struct wh_extract *x, struct wh_layout *layout);
/* True for the stack of a thread that ended and is kept for the next one. */
bool wh_is_cached_stack(const struct wh_extract *x, const struct wh_mapping *m);

#endif
