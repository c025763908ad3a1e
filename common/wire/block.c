/* The free list of blocks: a bitmap, because blocks are taken once per 64 KiB of events and a
 * bitmap needs no ABA argument. A set bit is a free block with pages behind it. */
#include "wire/session.h"

uint32_t wh_block_take(struct wh_session *s, uint32_t process_uid) {
    uint32_t words = (atomic_load_explicit(&s->blocks_ready, memory_order_acquire) + 63) / 64;
    if (words > WH_BLOCK_MAX / 64)
        words = WH_BLOCK_MAX / 64;
    for (uint32_t w = 0; w < words; w++) {
        uint64_t map = atomic_load_explicit(&s->free_map[w], memory_order_relaxed);
        while (map) {
            uint64_t bit = map & (~map + 1);
            if (!atomic_compare_exchange_weak_explicit(&s->free_map[w], &map, map & ~bit,
                                                       memory_order_acquire, memory_order_relaxed))
                continue;
            uint32_t index = w * 64 + (uint32_t)__builtin_ctzll(bit);
            struct wh_block_entry *entry = wh_session_entry(s, index);
            struct wh_block *block = wh_session_block(s, index);
            atomic_store_explicit(&block->committed, 0, memory_order_relaxed);
            atomic_store_explicit(&block->busy, 0, memory_order_relaxed);
            atomic_store_explicit(&entry->process_uid, process_uid, memory_order_relaxed);
            uint32_t used = atomic_load_explicit(&s->blocks_used, memory_order_relaxed);
            while (used < index + 1 && !atomic_compare_exchange_weak_explicit(
                                           &s->blocks_used, &used, index + 1, memory_order_relaxed,
                                           memory_order_relaxed))
                continue;
            /* The header's other fields are filled in by the caller before it sets OPEN with
             * release. */
            return index;
        }
    }
    return UINT32_MAX;
}

void wh_block_give(struct wh_session *s, uint32_t index) {
    struct wh_block_entry *entry = wh_session_entry(s, index);
    atomic_store_explicit(&entry->process_uid, 0, memory_order_relaxed);
    atomic_store_explicit(&entry->state, WH_BLOCK_FREE, memory_order_release);
    atomic_fetch_or_explicit(&s->free_map[index / 64], 1ull << (index % 64), memory_order_release);
}

void wh_block_grow(struct wh_session *s, uint32_t count) {
    uint32_t ready = atomic_load_explicit(&s->blocks_ready, memory_order_relaxed);
    for (uint32_t i = ready; i < ready + count && i < WH_BLOCK_MAX; i++) {
        atomic_store_explicit(&s->blocks_ready, i + 1, memory_order_release);
        atomic_fetch_or_explicit(&s->free_map[i / 64], 1ull << (i % 64), memory_order_release);
    }
}
