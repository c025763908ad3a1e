/* Sampled recordings: the memory that no sample explains.
 *
 * Only some blocks are known there, and what holds them lies in blocks that are not. So the
 * allocator's memory is taken apart as far as it can be: glibc's chunks have their sizes in front
 * of them, and a heap whose chunks lead from its first byte exactly to its end is one. Everything
 * else that nobody mapped, no module, stack or TLS block explains and is no glibc heap is one
 * region as a whole. Both become nodes without a creator. What is not known is whether such a block
 * is in use: a chunk that rests in a thread's cache looks so, until nothing refers to it. */
#include <stdlib.h>
#include <string.h>

#include "base/string.h"
#include "record/snapshot/extract.h"

#define CHUNK_ALIGN   16u
#define CHUNK_MIN     32u
#define CHUNK_BEFORE  16u /* header in front of what malloc returned */
#define CHUNK_SHARED  8u  /* the next chunk's first word belongs to this one */
#define PREVIOUS_USED 1u
#define CHUNK_MAPPED  2u
#define SIZE_MASK     (~(uint64_t)7)
#define ARENA_BYTES   (64ull << 20) /* heaps of secondary arenas are aligned to this */
#define ARENA_SIZE_AT 16u           /* heap_info.size */
#define ARENA_STATE   4096u         /* heap_info and malloc_state are smaller */
#define PAGE          4096u
#define WINDOW        (64u << 10)

struct range {
    uint64_t start, end;
};

struct search {
    struct wh_extract *x;
    const struct wh_heap_node *known; /* by address */
    uint64_t known_count;
    struct wh_heap_node *found;
    size_t count, room;
    uint64_t at; /* of the window */
    size_t bytes;
    unsigned char window[WINDOW];
    bool failed;
};

/* --- reading --- */

static uint64_t word_at(struct search *s, uint64_t address) {
    if (address < s->at || address + 8 > s->at + s->bytes) {
        s->at = address;
        s->bytes = wh_image_read(s->x->f, address, s->window, WINDOW);
    }
    uint64_t word = 0;
    if (s->bytes >= 8)
        memcpy(&word, s->window + (address - s->at), sizeof word);
    return word;
}

/* --- what is known: no unsampled block may share a byte with it --- */

static uint64_t first_known(const struct search *s, uint64_t address) {
    uint64_t low = 0, high = s->known_count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (s->known[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_known(const struct search *s, uint64_t start, uint64_t end) {
    uint64_t i = first_known(s, start);
    return (i < s->known_count && s->known[i].address < end) ||
           (i > 0 && s->known[i - 1].address + s->known[i - 1].size > start);
}

static void add(struct search *s, uint64_t start, uint64_t end) {
    if (wh_array_reserve(&s->found, &s->room, s->count + 1, sizeof *s->found) < 0) {
        s->failed = true;
        return;
    }
    s->found[s->count++] = (struct wh_heap_node){
        .address = start & WH_ADDRESS_MASK, .size = end - start, .kind = WH_NODE_UNSAMPLED};
}

/* --- glibc --- */

static uint64_t chunk_size(struct search *s, uint64_t chunk, uint64_t end) {
    uint64_t size = word_at(s, chunk + 8) & SIZE_MASK;
    return size >= CHUNK_MIN && size % CHUNK_ALIGN == 0 && size <= end - chunk ? size : 0;
}

/* Adds the chunks in use of [start, end), if they lead exactly to its end. The last one is what the
 * heap has not given out yet; the first may be the thread cache's own table, which refers to chunks
 * that rest in it. */
static bool take_heap(struct search *s, uint64_t start, uint64_t end) {
    uint64_t before = s->count, chunk = start;
    for (uint64_t size; chunk + CHUNK_MIN <= end; chunk += size) {
        size = chunk_size(s, chunk, end);
        if (!size || s->failed)
            break;
        uint64_t next = chunk + size;
        bool is_cache = chunk == start && (size == 0x250 || size == 0x290);
        if (next == end) {
            chunk = end;
            break;
        }
        if (!is_cache && (word_at(s, next + 8) & PREVIOUS_USED) &&
            !is_known(s, chunk + CHUNK_BEFORE, next + CHUNK_SHARED))
            add(s, chunk + CHUNK_BEFORE, next + CHUNK_SHARED);
    }
    if (chunk == end)
        return true;
    s->count = before;
    return false;
}

/* A heap of a secondary arena; 0, or where it ends. Where its first chunk lies depends on glibc's
 * version. */
static uint64_t take_arena(struct search *s, uint64_t start, uint64_t end) {
    uint64_t size = word_at(s, start + ARENA_SIZE_AT);
    if (size % PAGE || size > end - start || size <= ARENA_STATE)
        return 0;
    for (uint64_t offset = 0x20; offset < ARENA_STATE; offset += CHUNK_ALIGN)
        if (take_heap(s, start + offset, start + size))
            return start + size;
    return 0;
}

/* Large chunks, each a mapping of its own; neighbours are one line of /proc/PID/maps. Returns where
 * they end. */
static uint64_t take_mapped(struct search *s, uint64_t start, uint64_t end) {
    for (uint64_t size; start < end; start += size) {
        uint64_t word = word_at(s, start + 8);
        size = word & SIZE_MASK;
        if ((word & 7) != CHUNK_MAPPED || word_at(s, start) != 0 || size % PAGE || !size ||
            size > end - start)
            break;
        if (!is_known(s, start + CHUNK_BEFORE, start + size))
            add(s, start + CHUNK_BEFORE, start + size);
    }
    return start;
}

/* --- everything else --- */

/* What lies side by side is one line of /proc/PID/maps: large chunks, heaps, and what is neither.
 */
static void take_range(struct search *s, uint64_t start, uint64_t end, bool is_main) {
    if (is_main && take_heap(s, start, end))
        return;
    while (start < end) {
        uint64_t arena = (start + ARENA_BYTES - 1) & ~(ARENA_BYTES - 1), heap_end = 0;
        while (arena < end && !(heap_end = take_arena(s, arena, end)))
            arena += ARENA_BYTES;
        uint64_t stop = heap_end ? arena : end, region = take_mapped(s, start, stop);
        if (region < stop)
            add(s, region, stop);
        start = heap_end ? heap_end : end;
    }
}

/* A range minus the mappings that the program made itself: those are all known. */
static void take_unmapped(struct search *s, const struct range *r, bool is_main) {
    uint64_t at = r->start, i = first_known(s, at);
    while (i > 0 && s->known[i - 1].address + s->known[i - 1].size > at)
        i--;
    for (; i < s->known_count && s->known[i].address < r->end; i++) {
        if (s->known[i].kind != WH_NODE_MMAP)
            continue;
        if (s->known[i].address > at)
            take_range(s, at, s->known[i].address, is_main);
        uint64_t end = (s->known[i].address + s->known[i].size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
        at = end > at ? end : at;
    }
    take_range(s, at, r->end, is_main);
}

static int by_address(const void *a, const void *b) {
    const struct wh_heap_node *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

static bool is_anonymous(const struct wh_frozen *f, uint64_t address) {
    const struct wh_mapping *m = wh_maps_find(f, address);
    return m && !m->inode && !m->shared;
}

/* Anonymous memory without any explanation: a heap without nodes has it among its roots. */
static struct range *find_ranges(struct wh_extract *x, uint32_t *ret_count) {
    struct wh_heap empty = {0};
    struct wh_snapshot_figures said_later = {0};
    struct wh_extract bare = {.f = x->f, .heap = &empty, .figures = &said_later, .is_bare = true};
    struct range *ranges = NULL;
    *ret_count = 0;
    if (wh_extract_nodes(&bare, 0) == WH_OK && wh_extract_roots(&bare) == WH_OK &&
        (ranges = calloc(empty.root_count + 1, sizeof *ranges))) {
        for (uint32_t i = 0; i < empty.root_count; i++)
            if (empty.roots[i].kind == WH_ROOT_MAPPING && is_anonymous(x->f, empty.roots[i].start))
                ranges[(*ret_count)++] = (struct range){empty.roots[i].start, empty.roots[i].end};
    }
    wh_index_release(&bare.index);
    free(bare.cuts);
    wh_heap_release(&empty);
    return ranges;
}

int wh_extract_unsampled(struct wh_extract *x, uint64_t *count) {
    uint32_t range_count;
    struct range *ranges = find_ranges(x, &range_count);
    struct search *s = calloc(1, sizeof *s);
    if (!ranges || !s) {
        free(ranges);
        free(s);
        return WH_ESYSTEM;
    }
    if (*count)
        qsort(x->heap->nodes, *count, sizeof *x->heap->nodes, by_address);
    s->x = x;
    s->known = x->heap->nodes;
    s->known_count = *count;
    for (uint32_t i = 0; i < range_count; i++) {
        const struct wh_mapping *m = wh_maps_find(x->f, ranges[i].start);
        take_unmapped(s, &ranges[i], m && strcmp(m->path, "[heap]") == 0);
    }
    struct wh_heap_node *all =
        s->failed ? NULL : realloc(s->found, (s->count + *count + 1) * sizeof *all);
    if (all) {
        if (*count)
            memcpy(all + s->count, s->known, *count * sizeof *all);
        free(x->heap->nodes);
        x->heap->nodes = all;
        *count += s->count;
        wh_snapshot_caveat(x->figures,
                           "sampled: %llu blocks and regions that are no samples were found in the "
                           "allocator's memory; their creators are not known",
                           (unsigned long long)s->count);
    } else {
        free(s->found);
    }
    free(ranges);
    free(s);
    return all ? WH_OK : WH_ESYSTEM;
}
