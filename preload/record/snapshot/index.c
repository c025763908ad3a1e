/* Which node does an address point into? Two dependent memory accesses, whatever the number of
 * nodes.
 *
 * Address space is cut into 2 MiB regions, found through a two-level directory. A region in which
 * nodes start has one bit per 16-byte granule ("a node starts here") and, per 64 granules, the
 * number of nodes that start earlier: the node before an address is that number plus a population
 * count. Since nodes are sorted by address its index is the answer, wherever the node began. Only
 * where nodes contain other nodes a second look is needed (outers). */
#include <stdlib.h>
#include <string.h>

#include "record/snapshot/extract.h"

#define LEAF_REGIONS  (1u << WH_LEAF_SHIFT)
#define LEAVES        (1u << (47 - WH_REGION_SHIFT - WH_LEAF_SHIFT))
#define REGION_BYTES  (1ull << WH_REGION_SHIFT)
#define ADDRESS_LIMIT (1ull << 47)

static uint64_t width(const struct wh_heap_node *n) {
    return n->size ? n->size : 1;
}

static struct wh_index_region *region_of(const struct wh_index *index, uint64_t address) {
    if (address >= ADDRESS_LIMIT)
        return NULL;
    struct wh_index_region *leaf = index->leaves[address >> (WH_REGION_SHIFT + WH_LEAF_SHIFT)];
    return leaf ? &leaf[address >> WH_REGION_SHIFT & (LEAF_REGIONS - 1)] : NULL;
}

static struct wh_index_region *make_region(struct wh_index *index, uint64_t address) {
    struct wh_index_region **leaf = &index->leaves[address >> (WH_REGION_SHIFT + WH_LEAF_SHIFT)];
    if (!*leaf)
        *leaf = calloc(LEAF_REGIONS, sizeof **leaf);
    return *leaf ? &(*leaf)[address >> WH_REGION_SHIFT & (LEAF_REGIONS - 1)] : NULL;
}

/* What node i's distance to the one before says. */
static void compare(struct wh_index *index, uint32_t i, bool *nested) {
    const struct wh_heap_node *n = &index->nodes[i], *before = n - 1;
    if (n->address >> 4 == before->address >> 4) {
        index->granule_shift = 3; /* 8-byte blocks side by side */
        index->crowded |= n->address >> 3 == before->address >> 3;
    }
    *nested |= n->address - before->address < width(before);
}

/* Keeps the widest, in the order of their addresses. */
static void add_gap(struct wh_index *index, struct wh_gap_between gap) {
    struct wh_gap_between *gaps = index->gaps;
    uint32_t *count = &index->gap_count;
    if (*count == WH_GAPS_MAX) {
        uint32_t least = 0;
        for (uint32_t g = 1; g < *count; g++)
            least = gaps[g].bytes < gaps[least].bytes ? g : least;
        if (gaps[least].bytes >= gap.bytes)
            return;
        --*count;
        memmove(gaps + least, gaps + least + 1, (*count - least) * sizeof *gaps);
    }
    gaps[(*count)++] = gap;
}

/* Marks the regions that nodes cover and counts those in which one starts, which get words.
 * Neighbours lie in the same region mostly. */
static int cover(struct wh_index *index, uint32_t *ret_regions, bool *ret_nested) {
    uint32_t regions = 0;
    uint64_t done = 1; /* the region that is marked, with words; 1 = none */
    for (uint32_t i = 0; i < index->node_count; i++) {
        uint64_t start = index->nodes[i].address, end = start + width(&index->nodes[i]);
        if (i)
            compare(index, i, ret_nested);
        if (end >= ADDRESS_LIMIT ||
            ((start & ~(REGION_BYTES - 1)) == done && (end & ~(REGION_BYTES - 1)) == done))
            continue;
        done = start & ~(REGION_BYTES - 1);
        if (index->end && start >= index->end + REGION_BYTES)
            add_gap(index, (struct wh_gap_between){index->end, start - index->end});
        for (uint64_t a = done; a <= end; a += REGION_BYTES) {
            struct wh_index_region *region = make_region(index, a);
            if (!region)
                return WH_ESYSTEM;
            region->covered = 1;
            if (a <= start && !region->words)
                region->words = ++regions;
            index->end = a + REGION_BYTES > index->end ? a + REGION_BYTES : index->end;
        }
    }
    *ret_regions = regions;
    return WH_OK;
}

static void fill_words(struct wh_index *index) {
    struct wh_index_word *words = NULL;
    uint64_t known = 1; /* whose words these are; 1 = none */
    for (uint32_t i = 0; i < index->node_count; i++) {
        uint64_t address = index->nodes[i].address;
        if ((address & ~(REGION_BYTES - 1)) != known) {
            const struct wh_index_region *region = region_of(index, address);
            known = address & ~(REGION_BYTES - 1);
            words = region && region->words
                        ? &index->words[(uint64_t)(region->words - 1) * index->words_per_region]
                        : NULL;
        }
        if (!words)
            continue;
        uint64_t granule = (address & (REGION_BYTES - 1)) >> index->granule_shift;
        words[granule / 64].starts |= 1ull << (granule % 64);
    }
}

/* Nodes that start before `end`, given those before the word, which ends there. */
static uint32_t count_starts(const struct wh_index *index, uint32_t before,
                             const struct wh_index_word *word, uint64_t end) {
    if (!index->crowded)
        return before + (uint32_t)__builtin_popcountll(word->starts);
    while (before < index->node_count && index->nodes[before].address < end)
        before++;
    return before;
}

/* Second pass in address order: how many nodes start before each region and word. */
static void fill_ranks(struct wh_index *index) {
    uint64_t word_bytes = 64ull << index->granule_shift;
    uint32_t before = 0;
    for (uint64_t l = 0; l < LEAVES; l++) {
        struct wh_index_region *leaf = index->leaves[l];
        for (uint64_t r = 0; leaf && r < LEAF_REGIONS; r++) {
            if (!leaf[r].covered)
                continue;
            uint64_t start = ((l << WH_LEAF_SHIFT) + r) << WH_REGION_SHIFT;
            leaf[r].before = before;
            if (!leaf[r].words)
                continue;
            struct wh_index_word *words =
                index->words + (uint64_t)(leaf[r].words - 1) * index->words_per_region;
            for (uint32_t w = 0; w < index->words_per_region; w++) {
                words[w].before = before;
                before = count_starts(index, before, &words[w], start + (w + 1) * word_bytes);
            }
        }
    }
}

static int find_outers(struct wh_index *index) {
    uint32_t count = 0, open = WH_NO_NODE, room = 0;
    for (uint32_t i = 0; i + 1 < index->node_count; i++) {
        const struct wh_heap_node *n = &index->nodes[i];
        uint64_t end = n->address + width(n);
        if (index->nodes[i + 1].address >= end)
            continue;
        while (open != WH_NO_NODE && index->outers[open].end <= n->address)
            open = index->outers[open].parent;
        if (count == room) {
            room = room ? room * 2 : 16;
            struct wh_index_outer *more = realloc(index->outers, room * sizeof *more);
            if (!more)
                return WH_ESYSTEM;
            index->outers = more;
        }
        index->outers[count] = (struct wh_index_outer){n->address, end, i, open};
        open = count++;
    }
    index->outer_count = count;
    return WH_OK;
}

int wh_index_init(struct wh_index *index, const struct wh_heap_node *nodes, uint32_t count) {
    *index = (struct wh_index){.nodes = nodes, .node_count = count, .granule_shift = 4};
    uint32_t regions = 0;
    bool nested = false;
    index->leaves = calloc(LEAVES, sizeof *index->leaves);
    if (!index->leaves || cover(index, &regions, &nested) != WH_OK)
        return WH_ESYSTEM;
    index->words_per_region = (uint32_t)(REGION_BYTES >> index->granule_shift) / 64;
    index->words = calloc((size_t)regions * index->words_per_region + 1, sizeof *index->words);
    if (!index->words)
        return WH_ESYSTEM;
    fill_words(index);
    fill_ranks(index);
    return nested ? find_outers(index) : WH_OK;
}

void wh_index_release(struct wh_index *index) {
    for (uint32_t l = 0; index->leaves && l < LEAVES; l++)
        free(index->leaves[l]);
    free(index->leaves);
    free(index->words);
    free(index->outers);
    *index = (struct wh_index){0};
}

static const struct wh_index_word *word_of(const struct wh_index *index,
                                           const struct wh_index_region *region, uint64_t granule) {
    return &index->words[(uint64_t)(region->words - 1) * index->words_per_region + granule / 64];
}

static inline __attribute__((always_inline)) struct wh_aim aim_at(const struct wh_index *index,
                                                                  uint64_t address) {
    const struct wh_index_region *region = region_of(index, address);
    if (!region || !region->covered)
        return (struct wh_aim){0};
    if (!region->words)
        return (struct wh_aim){NULL, region->before};
    uint64_t granule = (address & (REGION_BYTES - 1)) >> index->granule_shift;
    return (struct wh_aim){word_of(index, region, granule), 0};
}

static inline __attribute__((always_inline)) uint32_t
count_before(const struct wh_index *index, const struct wh_aim *aim, uint64_t address) {
    uint64_t granule =
        address >> index->granule_shift; /* of which the word's 64 are the low bits */
    return aim->word ? aim->word->before + (uint32_t)__builtin_popcountll(
                                               aim->word->starts & ((2ull << (granule % 64)) - 1))
                     : aim->before;
}

uint32_t wh_index_settle(const struct wh_index *index, uint64_t address, uint32_t node) {
    uint32_t count = node + 1; /* none: 0 */
    while (index->crowded && node != WH_NO_NODE && count < index->node_count &&
           index->nodes[count].address <= address)
        count++;
    while (count && index->nodes[count - 1].address > address)
        count--;
    return count ? count - 1 : WH_NO_NODE;
}

uint32_t wh_index_before(const struct wh_index *index, uint64_t address) {
    struct wh_aim aim = aim_at(index, address);
    return wh_index_settle(index, address, count_before(index, &aim, address) - 1);
}

void wh_index_aim(const struct wh_index *index, const uint64_t *addresses, uint32_t count,
                  struct wh_aim *ret) {
    for (uint32_t i = 0; i < count; i++) {
        ret[i] = aim_at(index, addresses[i]);
        __builtin_prefetch(ret[i].word);
    }
}

static inline __attribute__((always_inline)) void guess_all(const struct wh_index *index,
                                                            const uint64_t *addresses,
                                                            const struct wh_aim *aims,
                                                            uint32_t count, uint32_t *ret) {
    for (uint32_t i = 0; i < count; i++) {
        ret[i] = count_before(index, &aims[i], addresses[i]) - 1; /* none: WH_NO_NODE */
        __builtin_prefetch(&index->nodes[ret[i] == WH_NO_NODE ? 0 : ret[i]]);
    }
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) static void guess_popcnt(const struct wh_index *index,
                                                           const uint64_t *addresses,
                                                           const struct wh_aim *aims,
                                                           uint32_t count, uint32_t *ret) {
    guess_all(index, addresses, aims, count, ret);
}
#endif

void wh_index_guess(const struct wh_index *index, const uint64_t *addresses,
                    const struct wh_aim *aims, uint32_t count, uint32_t *ret) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt")) {
        guess_popcnt(index, addresses, aims, count, ret);
        return;
    }
#endif
    guess_all(index, addresses, aims, count, ret);
}

uint32_t wh_index_outer(const struct wh_index *index, uint64_t address, uint32_t inner) {
    uint32_t low = 0, high = index->outer_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (index->outers[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint32_t o = low ? low - 1 : WH_NO_NODE; o != WH_NO_NODE; o = index->outers[o].parent)
        if (address < index->outers[o].end && index->outers[o].node != inner)
            return index->outers[o].node;
    return WH_NO_NODE;
}

uint32_t wh_index_covering(const struct wh_index *index, uint64_t address, uint32_t node) {
    if (node == WH_NO_NODE)
        return WH_NO_NODE;
    const struct wh_heap_node *n = &index->nodes[node];
    if (address - n->address < width(n))
        return node;
    return index->outer_count ? wh_index_outer(index, address, node) : WH_NO_NODE;
}

uint32_t wh_index_find(const struct wh_index *index, uint64_t address) {
    return wh_index_covering(index, address, wh_index_before(index, address));
}
