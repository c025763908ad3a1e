/* The live table. A page has twelve groups of eight records with one tag byte each. A record goes
 * into the group that its hash names, its home, or into the next one with room: looking up compares
 * the home's eight tags at once and goes on only if records were sent past that group, which a
 * count a group says exactly. So nearly every look-up touches one line of tags and one record, and
 * a page may be filled completely before it splits; an average page is about 70 % full whatever the
 * growth. The hard thing is the sharing: every write first makes the page its own, and the
 * directory entries of one page are neighbours because its hash prefix is. */
#include "trace/live.h"

#include <stdlib.h>
#include <string.h>

#define GROUPS       12u
#define PAGE_RECORDS (GROUPS * 8)
#define DEPTH_MAX    28u

struct wh_live_page {
    uint32_t references;
    uint8_t count;
    uint8_t depth;          /* hash bits that all its records share */
    uint8_t passed[GROUPS]; /* records that found no room in a group and went past it */
    uint64_t tags[GROUPS];  /* a byte a record; 0 = empty */
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

/* The directory uses the hash's top bits, the tag its lowest seven, the home those between. */
static uint64_t tag_of(uint64_t hash) {
    return (hash & 0x7f) | 0x80;
}

static unsigned home_of(uint64_t hash) {
    return (unsigned)(((hash >> 7) & 0xffff) * GROUPS >> 16);
}

static void set_tag(struct wh_live_page *p, unsigned i, uint64_t tag) {
    unsigned shift = i % 8 * 8;
    p->tags[i / 8] = (p->tags[i / 8] & ~(0xffull << shift)) | tag << shift;
}

/* Which tags of a group are `tag`, as their bytes' top bits. A byte above a match may match
 * falsely; the address decides. */
static uint64_t matches(uint64_t tags, uint64_t tag) {
    const uint64_t ones = 0x0101010101010101ull, highs = 0x8080808080808080ull;
    uint64_t x = tags ^ tag * ones;
    return (x - ones) & ~x & highs;
}

/* Index of the record, or -1. */
static int locate(const struct wh_live_page *p, uint64_t hash, uint64_t address) {
    uint64_t tag = tag_of(hash);
    unsigned group = home_of(hash);
    for (unsigned n = 0; n < GROUPS; n++) {
        for (uint64_t hit = matches(p->tags[group], tag); hit; hit &= hit - 1) {
            unsigned i = group * 8 + (unsigned)__builtin_ctzll(hit) / 8;
            if (p->tags[group] >> (i % 8 * 8) & 0x80 && p->records[i][0] == address)
                return (int)i;
        }
        if (!p->passed[group])
            break;
        group = group + 1 == GROUPS ? 0 : group + 1;
    }
    return -1;
}

/* A place for a record of this hash; the page has room. */
static uint64_t *place(struct wh_live_page *p, uint64_t hash) {
    const uint64_t highs = 0x8080808080808080ull;
    unsigned group = home_of(hash);
    uint64_t empty;
    while (!(empty = ~p->tags[group] & highs)) {
        p->passed[group]++;
        group = group + 1 == GROUPS ? 0 : group + 1;
    }
    unsigned i = group * 8 + (unsigned)__builtin_ctzll(empty) / 8;
    set_tag(p, i, tag_of(hash));
    p->count++;
    return p->records[i];
}

static void erase(struct wh_live_page *p, unsigned i, uint64_t hash) {
    for (unsigned group = home_of(hash); group != i / 8;
         group = group + 1 == GROUPS ? 0 : group + 1)
        p->passed[group]--;
    set_tag(p, i, 0);
    p->count--;
}

/* --- pages ---------------------------------------------------------------------------------------
 */

static struct wh_live_page *page_new(unsigned depth) {
    struct wh_live_page *p = malloc(sizeof *p);
    if (!p)
        return NULL;
    memset(p, 0, offsetof(struct wh_live_page, records));
    p->references = 1;
    p->depth = (uint8_t)depth;
    return p;
}

/* Puts `page` into all directory entries of the prefix that entry `index` belongs to. */
static void page_install(struct wh_live_table *t, size_t index, struct wh_live_page *page) {
    size_t span = (size_t)1 << (t->depth - page->depth);
    size_t first = index & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        t->directory[first + i] = page;
}

/* A page that others have too, copied for this table. NULL: out of memory. */
static struct wh_live_page *page_copy(struct wh_live_table *t, size_t index) {
    struct wh_live_page *p = t->directory[index], *copy = malloc(sizeof *copy);
    if (!copy)
        return NULL;
    memcpy(copy, p, sizeof *copy);
    copy->references = 1;
    p->references--;
    page_install(t, index, copy);
    return copy;
}

/* The page of `hash`, made this table's own. NULL: out of memory. */
static inline struct wh_live_page *page_own(struct wh_live_table *t, uint64_t hash) {
    size_t index = directory_index(t, hash);
    struct wh_live_page *p = t->directory[index];
    return __builtin_expect(p->references == 1, 1) ? p : page_copy(t, index);
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
    struct wh_live_page old = *p;
    unsigned depth = p->depth++;
    p->count = 0;
    memset(p->passed, 0, sizeof p->passed);
    memset(p->tags, 0, sizeof p->tags);
    for (unsigned i = 0; i < PAGE_RECORDS; i++) {
        uint64_t h = mix(old.records[i][0]);
        struct wh_live_page *to = h >> (63 - depth) & 1 ? upper : p;
        memcpy(place(to, h), old.records[i], sizeof old.records[i]);
    }
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

int wh_live_put(struct wh_live_table *t, const struct wh_live *block, struct wh_live *ret_old) {
    uint64_t hash = mix(block->address);
    struct wh_live_page *p = page_own(t, hash);
    if (!p)
        return -1;
    int i = locate(p, hash, block->address);
    if (i >= 0) {
        unpack(p->records[i], ret_old);
        pack(p->records[i], block);
        return 1;
    }
    while (p && p->count == PAGE_RECORDS) {
        if (page_split(t, p, hash))
            return -1;
        p = page_own(t, hash);
    }
    if (!p)
        return -1;
    pack(place(p, hash), block);
    t->count++;
    return 0;
}

void wh_live_prefetch(const struct wh_live_table *t, uint64_t address) {
    uint64_t hash = mix(address);
    const struct wh_live_page *p = t->directory[directory_index(t, hash)];
    __builtin_prefetch(p, 1);
    __builtin_prefetch(&p->tags[home_of(hash)], 1);
}

void wh_live_prefetch_record(const struct wh_live_table *t, uint64_t address) {
    uint64_t hash = mix(address);
    const struct wh_live_page *p = t->directory[directory_index(t, hash)];
    unsigned group = home_of(hash);
    uint64_t hit = matches(p->tags[group], tag_of(hash));
    if (!hit)
        hit = ~p->tags[group] & 0x8080808080808080ull;
    if (!hit)
        return;
    const uint64_t *record = p->records[group * 8 + (unsigned)__builtin_ctzll(hit) / 8];
    __builtin_prefetch(record, 1);
    __builtin_prefetch(record + 4, 1);
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
    struct wh_live_page *p = t->directory[directory_index(t, hash)];
    int i = locate(p, hash, address);
    if (i < 0 || !(p = page_own(t, hash)))
        return false;
    unpack(p->records[i], ret_block);
    erase(p, (unsigned)i, hash);
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
        for (unsigned r = 0; r < PAGE_RECORDS; r++) {
            struct wh_live block;
            if (!(p->tags[r / 8] >> (r % 8 * 8) & 0x80))
                continue;
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
