/* The live blocks of one process: address -> what is known of its birth.
 *
 * An extendible hash table: a directory of pages of 4 KiB, a full page splits in two. Growing never
 * moves more than one page, and pages are shared between tables until one of them writes: a fork
 * costs a copy of the directory, not of the heap. About 60 bytes per live block.
 * Ownership: the table owns a reference to its pages. Context: any, one thread at a time per family
 * of clones (the counts are plain). */
#ifndef WH_TRACE_LIVE_H
#define WH_TRACE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A block while it lives. number: rank of its birth in its process, 1.. (see WH_ALLOCATION_STRIDE).
 */
struct wh_live {
    uint64_t address;
    uint64_t size;          /* requested bytes, at most WH_LIVE_SIZE_MAX kept */
    uint64_t birth_ticks;   /* shifted */
    uint64_t number;        /* at most 2^40 - 1 */
    uint64_t origin_number; /* lifetime it continues by realloc, 0 = none */
    uint32_t stack;         /* trace-wide stack node, 0 = none */
    uint32_t thread;        /* thread.id, at most 2^24 - 1, 0 = unknown */
    uint8_t kind;           /* enum wh_alloc_kind */
};
#define WH_LIVE_SIZE_MAX ((1ull << 48) - 1)

struct wh_live_page;
struct wh_live_table {
    struct wh_live_page **directory; /* 1 << depth entries, indexed by the hash's top bits */
    uint64_t count;
    unsigned depth;
};

/* int results: 0, or -1 out of memory (the table is unchanged). */
int wh_live_init(struct wh_live_table *table);
void wh_live_release(struct wh_live_table *table); /* a zeroed table is allowed */

/* Hints that the block at this address will be put, found or taken some ten events later; the
 * second one when some five are left. */
void wh_live_prefetch(const struct wh_live_table *table, uint64_t address);
void wh_live_prefetch_record(const struct wh_live_table *table, uint64_t address);

/* 1 = in the place of the one that the table had at this address, which is in *ret_old now. */
int wh_live_put(struct wh_live_table *table, const struct wh_live *block, struct wh_live *ret_old);
bool wh_live_find(const struct wh_live_table *table, uint64_t address, struct wh_live *ret_block);
/* Removes it. false: there is none (or no memory to copy a shared page: treated as none). */
bool wh_live_take(struct wh_live_table *table, uint64_t address, struct wh_live *ret_block);
int wh_live_clone(const struct wh_live_table *table, struct wh_live_table *ret_clone);

/* Every block, in no order. The table must not change meanwhile. */
void wh_live_each(const struct wh_live_table *table,
                  void (*each)(void *arg, const struct wh_live *), void *arg);

/* Bytes of memory behind the table, shared pages counted in full. */
size_t wh_live_memory(const struct wh_live_table *table);

#endif
