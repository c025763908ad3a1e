/* The live table. A page is a dense array of 40-byte records in no order with one tag byte each;
 * looking up compares eight tags at a time. Dense pages may be filled completely, so an average
 * page is about 70 % full whatever the growth. The hard thing is the sharing: every write first
 * makes the page its own, and the directory entries of one page are neighbours because its hash
 * prefix is. */
#include "trace/live.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_RECORDS 99u
#define TAG_WORDS    13u /* 104 tags, the last five unused */
#define DEPTH_MAX    28u

struct wh_live_page {
    uint32_t references;
    uint16_t count;
    uint16_t depth; /* hash bits that all its records share */
    uint64_t tags[TAG_WORDS];
    uint64_t records[PAGE_RECORDS][5];
};
_Static_assert(sizeof(struct wh_live_page) <= 4096 - 16, "a page and malloc's header fit 4 KiB");

static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ (x >> 33);
}

static size_t directory_index(const struct wh_live_table *t, uint64_t hash) {
    return t->depth ? (size_t)(hash >> (64 - t->depth)) : 0;
}

/* --- records -------------------------------------------------------------------------------------
 */

static void pack(uint64_t w[5], const struct wh_live *b) {
    uint64_t back = b->origin_number ? b->number - b->origin_number : 0;
    uint64_t size = b->size > WH_LIVE_SIZE_MAX ? WH_LIVE_SIZE_MAX : b->size;
    w[0] = b->address;
    w[1] = size << 16 | ((back >> 32) & 0xff) << 8 | b->kind;
    w[2] = b->birth_ticks;
    w[3] = b->number << 24 | (b->thread & 0xffffff);
    w[4] = (uint64_t)b->stack << 32 | (back & 0xffffffff);
}

static void unpack(const uint64_t w[5], struct wh_live *b) {
    uint64_t back = ((w[1] >> 8) & 0xff) << 32 | (w[4] & 0xffffffff);
    b->address = w[0];
    b->size = w[1] >> 16;
    b->kind = (uint8_t)w[1];
    b->birth_ticks = w[2];
    b->number = w[3] >> 24;
    b->thread = (uint32_t)(w[3] & 0xffffff);
    b->stack = (uint32_t)(w[4] >> 32);
    b->origin_number = back ? b->number - back : 0;
}

static void set_tag(struct wh_live_page *p, unsigned i, uint64_t hash) {
    unsigned shift = i % 8 * 8;
    p->tags[i / 8] = (p->tags[i / 8] & ~(0xffull << shift)) | (hash & 0xff) << shift;
}

static unsigned get_tag(const struct wh_live_page *p, unsigned i) {
    return (unsigned)(p->tags[i / 8] >> (i % 8 * 8)) & 0xff;
}

/* Index of the record, or -1. */
static int locate(const struct wh_live_page *p, uint64_t hash, uint64_t address) {
    const uint64_t ones = 0x0101010101010101ull, highs = 0x8080808080808080ull;
    uint64_t pattern = (hash & 0xff) * ones;
    unsigned words = (p->count + 7u) / 8;
    for (unsigned w = 0; w < words; w++) {
        uint64_t x = p->tags[w] ^ pattern;
        /* A byte above a match may match falsely; the address decides. */
        for (uint64_t hit = (x - ones) & ~x & highs; hit; hit &= hit - 1) {
            unsigned i = w * 8 + (unsigned)__builtin_ctzll(hit) / 8;
            if (i < p->count && p->records[i][0] == address)
                return (int)i;
        }
    }
    return -1;
}

/* --- pages ---------------------------------------------------------------------------------------
 */

static struct wh_live_page *page_new(unsigned depth) {
    struct wh_live_page *p = malloc(sizeof *p);
    if (!p)
        return NULL;
    p->references = 1;
    p->count = 0;
    p->depth = (uint16_t)depth;
    memset(p->tags, 0, sizeof p->tags);
    return p;
}

/* Puts `page` into all directory entries of the prefix that entry `index` belongs to. */
static void page_install(struct wh_live_table *t, size_t index, struct wh_live_page *page) {
    size_t span = (size_t)1 << (t->depth - page->depth);
    size_t first = index & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        t->directory[first + i] = page;
}

/* The page of `hash`, made this table's own. NULL: out of memory. */
static struct wh_live_page *page_own(struct wh_live_table *t, uint64_t hash) {
    size_t index = directory_index(t, hash);
    struct wh_live_page *p = t->directory[index];
    if (p->references == 1)
        return p;
    struct wh_live_page *copy = malloc(sizeof *copy);
    if (!copy)
        return NULL;
    memcpy(copy, p, sizeof *copy);
    copy->references = 1;
    p->references--;
    page_install(t, index, copy);
    return copy;
}

static int directory_double(struct wh_live_table *t) {
    if (t->depth >= DEPTH_MAX)
        return -1;
    size_t count = (size_t)1 << t->depth;
    struct wh_live_page **directory = malloc(2 * count * sizeof *directory);
    if (!directory)
        return -1;
    for (size_t i = 0; i < count; i++)
        directory[2 * i] = directory[2 * i + 1] = t->directory[i];
    free(t->directory);
    t->directory = directory;
    t->depth++;
    return 0;
}

/* Splits the (own, full) page of `hash` by its next hash bit. */
static int page_split(struct wh_live_table *t, struct wh_live_page *p, uint64_t hash) {
    if (p->depth == t->depth && directory_double(t))
        return -1;
    struct wh_live_page *upper = page_new(p->depth + 1u);
    if (!upper)
        return -1;
    unsigned depth = p->depth++;
    unsigned kept = 0;
    for (unsigned i = 0; i < p->count; i++) {
        uint64_t h = mix(p->records[i][0]);
        if (h >> (63 - depth) & 1) {
            set_tag(upper, upper->count, h);
            memcpy(upper->records[upper->count++], p->records[i], sizeof p->records[i]);
        } else {
            set_tag(p, kept, h);
            memmove(p->records[kept++], p->records[i], sizeof p->records[i]);
        }
    }
    p->count = (uint16_t)kept;
    uint64_t bit = 1ull << (63 - depth);
    page_install(t, directory_index(t, hash & ~bit), p);
    page_install(t, directory_index(t, hash | bit), upper);
    return 0;
}

/* --- the table -----------------------------------------------------------------------------------
 */

int wh_live_init(struct wh_live_table *t) {
    *t = (struct wh_live_table){0};
    t->directory = malloc(sizeof *t->directory);
    struct wh_live_page *p = page_new(0);
    if (!t->directory || !p) {
        free(t->directory);
        free(p);
        t->directory = NULL;
        return -1;
    }
    t->directory[0] = p;
    return 0;
}

/* Walks the distinct pages: the entries of one page are neighbours. */
static size_t next_page(const struct wh_live_table *t, size_t index) {
    return index + ((size_t)1 << (t->depth - t->directory[index]->depth));
}

void wh_live_release(struct wh_live_table *t) {
    if (!t->directory)
        return;
    for (size_t i = 0, next; i < (size_t)1 << t->depth; i = next) {
        next = next_page(t, i);
        if (--t->directory[i]->references == 0)
            free(t->directory[i]);
    }
    free(t->directory);
    *t = (struct wh_live_table){0};
}

int wh_live_put(struct wh_live_table *t, const struct wh_live *block) {
    uint64_t hash = mix(block->address);
    struct wh_live_page *p = page_own(t, hash);
    while (p && p->count == PAGE_RECORDS) {
        if (page_split(t, p, hash))
            return -1;
        p = page_own(t, hash);
    }
    if (!p)
        return -1;
    set_tag(p, p->count, hash);
    pack(p->records[p->count++], block);
    t->count++;
    return 0;
}

bool wh_live_find(const struct wh_live_table *t, uint64_t address, struct wh_live *ret_block) {
    uint64_t hash = mix(address);
    const struct wh_live_page *p = t->directory[directory_index(t, hash)];
    int i = locate(p, hash, address);
    if (i < 0)
        return false;
    unpack(p->records[i], ret_block);
    return true;
}

bool wh_live_take(struct wh_live_table *t, uint64_t address, struct wh_live *ret_block) {
    uint64_t hash = mix(address);
    int i = locate(t->directory[directory_index(t, hash)], hash, address);
    if (i < 0)
        return false;
    struct wh_live_page *p = page_own(t, hash);
    if (!p)
        return false;
    unpack(p->records[i], ret_block);
    unsigned last = --p->count;
    if ((unsigned)i != last) {
        memcpy(p->records[i], p->records[last], sizeof p->records[last]);
        set_tag(p, (unsigned)i, get_tag(p, last));
    }
    t->count--;
    return true;
}

int wh_live_clone(const struct wh_live_table *t, struct wh_live_table *ret_clone) {
    size_t count = (size_t)1 << t->depth;
    struct wh_live_page **directory = malloc(count * sizeof *directory);
    if (!directory)
        return -1;
    memcpy(directory, t->directory, count * sizeof *directory);
    for (size_t i = 0; i < count; i = next_page(t, i))
        directory[i]->references++;
    *ret_clone = *t;
    ret_clone->directory = directory;
    return 0;
}

void wh_live_each(const struct wh_live_table *t, void (*each)(void *arg, const struct wh_live *),
                  void *arg) {
    for (size_t i = 0; i < (size_t)1 << t->depth; i = next_page(t, i)) {
        const struct wh_live_page *p = t->directory[i];
        for (unsigned r = 0; r < p->count; r++) {
            struct wh_live block;
            unpack(p->records[r], &block);
            each(arg, &block);
        }
    }
}

size_t wh_live_memory(const struct wh_live_table *t) {
    size_t bytes = sizeof(struct wh_live_page *) << t->depth;
    for (size_t i = 0; i < (size_t)1 << t->depth; i = next_page(t, i))
        bytes += sizeof(struct wh_live_page);
    return bytes;
}
