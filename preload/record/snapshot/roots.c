/* Where reachability begins: writable segments of modules, and mappings that nothing else explains.
 *
 * Everything is read from the image itself: ELF headers at the start of each mapped file, program
 * headers for the writable and the relocation-read-only parts. What is hard is what must not become
 * a root: the allocator's own memory (it points at every block), whoholds' memory (likewise),
 * stacks of threads that are gone. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "record/snapshot/roots.h"

#define HEADERS_MAX 64u
#define MAPPING_MAX (64ull << 30) /* beyond: a sanitizer's shadow or a reservation, no holder */
#define ARENA_BYTES (64ull << 20) /* glibc's secondary arenas: aligned to this */

/* --- building blocks --- */

struct wh_heap_root *wh_extract_root(struct wh_extract *x, enum wh_root_kind kind, uint64_t start,
                                     uint64_t end) {
    struct wh_heap *h = x->heap;
    if (h->root_count == x->root_room) {
        uint32_t room = x->root_room ? x->root_room * 2 : 256;
        struct wh_heap_root *more = realloc(h->roots, room * sizeof *more);
        if (!more) {
            x->failed = true;
            return NULL;
        }
        h->roots = more;
        x->root_room = room;
    }
    struct wh_heap_root *root = &h->roots[h->root_count++];
    *root = (struct wh_heap_root){.start = start, .end = end, .kind = (uint8_t)kind};
    return root;
}

uint32_t wh_extract_text(struct wh_extract *x, const char *text) {
    struct wh_heap *h = x->heap;
    size_t bytes = strlen(text) + 1;
    for (uint32_t at = 0; at < h->texts_bytes; at += (uint32_t)strlen(h->texts + at) + 1)
        if (strcmp(h->texts + at, text) == 0)
            return at;
    if (h->texts_bytes + bytes > x->texts_room) {
        uint32_t room = x->texts_room * 2 + (uint32_t)bytes + 256;
        char *more = realloc(h->texts, room);
        if (!more) {
            x->failed = true;
            return 0;
        }
        h->texts = more;
        x->texts_room = room;
    }
    memcpy(h->texts + h->texts_bytes, text, bytes);
    h->texts_bytes += (uint32_t)bytes;
    return h->texts_bytes - (uint32_t)bytes;
}

void wh_extract_cut(struct wh_extract *x, uint64_t start, uint64_t end) {
    if (x->cut_count == x->cut_room) {
        uint32_t room = x->cut_room ? x->cut_room * 2 : 64;
        struct wh_cut *more = realloc(x->cuts, room * sizeof *more);
        if (!more) {
            x->failed = true;
            return;
        }
        x->cuts = more;
        x->cut_room = room;
    }
    x->cuts[x->cut_count++] = (struct wh_cut){start, end};
}

void wh_layout_explain(struct wh_extract *x, struct wh_layout *layout, uint64_t start,
                       uint64_t end) {
    for (uint32_t i = 0; i < x->f->map_count; i++)
        if (x->f->maps[i].start < end && start < x->f->maps[i].end)
            layout->map_explained[i] = true;
}

/* --- modules --- */

bool wh_is_libc_path(const char *path) {
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    static const char *const names[] = {"libc.so", "libc-",      "ld-linux", "ld-2.",
                                        "ld-musl", "libpthread", "libdl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static uint32_t module_id(const struct wh_frozen *f, uint64_t address) {
    for (uint32_t i = 0; i < f->module_count; i++)
        if (f->modules[i].start <= address && address < f->modules[i].end)
            return f->modules[i].id;
    return 0;
}

static void add_segment(struct wh_extract *x, const struct wh_layout_module *m, uint64_t start,
                        uint64_t end, bool infrastructure) {
    if (start >= end)
        return;
    struct wh_heap_root *root =
        wh_extract_root(x, infrastructure ? WH_ROOT_INFRA : WH_ROOT_GLOBAL, start, end);
    if (root) {
        root->module = m->id;
        root->load_bias = m->load_bias;
    }
}

/* One writable segment, its relocation-read-only part split off. */
static void add_writable(struct wh_extract *x, struct wh_layout *layout,
                         const struct wh_layout_module *m, uint64_t start, uint64_t end,
                         uint64_t relro, uint64_t relro_end) {
    relro_end &= ~4095ull;
    bool has_relro = relro < relro_end && relro < end && start < relro_end;
    uint64_t split = has_relro ? (relro_end < end ? relro_end : end) : start;
    add_segment(x, m, start, split, true);
    add_segment(x, m, split, end, m->is_libc);
    wh_layout_explain(x, layout, start, end);
}

static bool read_headers(const struct wh_frozen *f, uint64_t base, Elf64_Phdr *headers,
                         unsigned *ret_count) {
    Elf64_Ehdr header;
    if (wh_image_read(f, base, &header, sizeof header) != sizeof header ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize != sizeof *headers || header.e_phnum == 0 ||
        header.e_phnum > HEADERS_MAX)
        return false;
    size_t bytes = header.e_phnum * sizeof *headers;
    *ret_count = header.e_phnum;
    return wh_image_read(f, base + header.e_phoff, headers, bytes) == bytes;
}

/* Loaded by the loader, not just mapped as data: its writable segment is where its headers say. */
static bool is_loaded(const struct wh_frozen *f, const struct wh_mapping *file, uint64_t bias,
                      const Elf64_Phdr *headers, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_W) && headers[i].p_filesz) {
            const struct wh_mapping *m = wh_maps_find(f, bias + headers[i].p_vaddr);
            return m && m->inode == file->inode && m->device == file->device && !m->shared;
        }
    return false;
}

static void add_module(struct wh_extract *x, struct wh_layout *layout,
                       const struct wh_mapping *file) {
    Elf64_Phdr headers[HEADERS_MAX];
    unsigned count;
    if (!read_headers(x->f, file->start, headers, &count))
        return;
    uint64_t first = UINT64_MAX, relro = 0, relro_end = 0;
    for (unsigned i = 0; i < count; i++)
        if (headers[i].p_type == PT_LOAD && headers[i].p_vaddr < first)
            first = headers[i].p_vaddr & ~4095ull;
    struct wh_layout_module m = {.load_bias = file->start - first,
                                 .is_libc = wh_is_libc_path(file->path),
                                 .id = module_id(x->f, file->start)};
    if (first == UINT64_MAX || !is_loaded(x->f, file, m.load_bias, headers, count))
        return;
    for (unsigned i = 0; i < count; i++) {
        const Elf64_Phdr *h = &headers[i];
        if (h->p_type == PT_GNU_RELRO) {
            relro = m.load_bias + h->p_vaddr;
            relro_end = relro + h->p_memsz;
        } else if (h->p_type == PT_TLS) {
            m.tls_image = m.load_bias + h->p_vaddr;
            m.tls_file_bytes = h->p_filesz;
            m.tls_bytes = h->p_memsz;
            m.tls_align = h->p_align;
        } else if (h->p_type == PT_DYNAMIC) {
            m.dynamic = m.load_bias + h->p_vaddr;
            m.dynamic_bytes = h->p_memsz;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        const Elf64_Phdr *h = &headers[i];
        uint64_t start = m.load_bias + h->p_vaddr;
        if (h->p_type != PT_LOAD || !(h->p_flags & PF_W))
            continue;
        if (wh_image_is_ours(x->f, start, start + h->p_memsz))
            wh_layout_explain(x, layout, start, start + h->p_memsz);
        else
            add_writable(x, layout, &m, start, start + h->p_memsz, relro, relro_end);
    }
    struct wh_layout_module *more =
        realloc(layout->modules, (layout->module_count + 1) * sizeof *layout->modules);
    if (!more) {
        x->failed = true;
        return;
    }
    layout->modules = more;
    layout->modules[layout->module_count++] = m;
}

/* --- mappings --- */

uint32_t wh_extract_first_node(const struct wh_extract *x, uint64_t address) {
    uint32_t low = 0, high = x->heap->node_count;
    const struct wh_heap_node *nodes = x->heap->nodes;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (nodes[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0 && nodes[low - 1].address + nodes[low - 1].size > address)
        low--;
    return low;
}

static bool has_node(const struct wh_extract *x, uint64_t start, uint64_t end) {
    uint32_t first = wh_extract_first_node(x, start);
    return first < x->heap->node_count && x->heap->nodes[first].address < end;
}

/* A secondary arena of glibc without live blocks: aligned, the rest of its 64 MiB reserved behind
 * it. */
static bool is_arena(const struct wh_frozen *f, const struct wh_mapping *m) {
    if (m->start % ARENA_BYTES)
        return false;
    const struct wh_mapping *rest = wh_maps_find(f, m->end);
    return rest && !rest->readable && !rest->inode && rest->end % ARENA_BYTES == 0;
}

#define PAGE 4096ull

/* A mapping of its own: one of the program's, or glibc's for one large block. */
static bool is_mapped_alone(const struct wh_heap_node *n) {
    return n->kind == WH_NODE_MMAP || (n->kind == WH_NODE_BLOCK && n->address % PAGE == 16);
}

static void add_mapping(struct wh_extract *x, const struct wh_mapping *m, uint64_t start,
                        uint64_t end) {
    uint32_t text = wh_extract_text(x, m->path);
    struct wh_heap_root *root =
        start < end ? wh_extract_root(x, WH_ROOT_MAPPING, start, end) : NULL;
    if (root)
        root->text = text;
}

/* The kernel shows mappings side by side as one. What lies between those that are nodes is no less
 * a mapping that nothing explains - but for an allocator's memory, where it is what is free. */
static void add_between(struct wh_extract *x, const struct wh_mapping *m) {
    const struct wh_heap *h = x->heap;
    uint32_t first = wh_extract_first_node(x, m->start), i = first;
    uint64_t at = m->start;
    for (; i < h->node_count && h->nodes[i].address < m->end; i++) {
        if (h->nodes[i].address >= at && !is_mapped_alone(&h->nodes[i]))
            return;
        uint64_t end = h->nodes[i].address + h->nodes[i].size;
        at = end > at ? end : at;
    }
    at = m->start;
    for (i = first; i < h->node_count && h->nodes[i].address < m->end; i++) {
        uint64_t end = h->nodes[i].address + h->nodes[i].size;
        add_mapping(x, m, at, h->nodes[i].address & ~(PAGE - 1));
        end = (end + PAGE - 1) & ~(PAGE - 1);
        at = end > at ? end : at;
    }
    add_mapping(x, m, at, m->end);
}

static bool is_unexplained(const struct wh_extract *x, const struct wh_mapping *m) {
    const struct wh_frozen *f = x->f;
    if (!m->readable || !m->writable || wh_image_is_ours(f, m->start, m->end))
        return false;
    if (f->session_inode && m->inode == f->session_inode && m->device == f->session_device)
        return false;
    if (x->is_bare && strcmp(m->path, "[heap]") == 0)
        return true;
    if (m->path[0] == '[') /* heap, stack, vdso, vvar ... but not named anonymous memory */
        return strncmp(m->path, "[anon:", 6) == 0 && !has_node(x, m->start, m->end);
    if (strncmp(m->path, "/dev/", 5) == 0 && strncmp(m->path, "/dev/zero", 9) != 0 &&
        strncmp(m->path, "/dev/shm/", 9) != 0)
        return false; /* reading a device can have effects */
    return (x->is_bare || !is_arena(f, m)) && !wh_is_cached_stack(x, m);
}

static int by_start(const void *a, const void *b) {
    const struct wh_cut *l = a, *r = b;
    return (l->start > r->start) - (l->start < r->start);
}

int wh_extract_roots(struct wh_extract *x) {
    struct wh_layout layout = {.map_explained = calloc(x->f->map_count + 1, sizeof(bool))};
    (void)wh_extract_text(x, "");
    if (!layout.map_explained || x->failed) {
        free(layout.map_explained);
        return WH_ESYSTEM;
    }
    for (uint32_t i = 0; i < x->f->map_count; i++) {
        const struct wh_mapping *m = &x->f->maps[i];
        if (m->inode && m->offset == 0 && m->readable && m->path[0] == '/')
            add_module(x, &layout, m);
    }
    wh_roots_tls(x, &layout);
    wh_roots_threads(x, &layout);
    for (uint32_t i = 0; i < x->f->map_count; i++) {
        const struct wh_mapping *m = &x->f->maps[i];
        if (layout.map_explained[i] || !is_unexplained(x, m))
            continue;
        if (m->end - m->start > MAPPING_MAX) {
            wh_snapshot_caveat(x->figures, "a mapping of %llu GiB was taken for a reservation",
                               (unsigned long long)((m->end - m->start) >> 30));
            continue;
        }
        if (has_node(x, m->start, m->end))
            add_between(x, m);
        else
            add_mapping(x, m, m->start, m->end);
    }
    if (x->cut_count)
        qsort(x->cuts, x->cut_count, sizeof *x->cuts, by_start);
    free(layout.modules);
    free(layout.map_explained);
    return x->failed ? WH_ESYSTEM : WH_OK;
}
