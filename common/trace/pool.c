/* The table of pooled blocks: address -> last taker. */
#include "trace/pool.h"

#include <stdlib.h>
#include <string.h>

static size_t slot_of(const struct wh_pools *p, uint64_t address) {
    uint64_t h = address * 0x9e3779b97f4a7c15ull;
    return (size_t)(h ^ (h >> 29)) & (p->capacity - 1);
}

static struct wh_pooled *find(const struct wh_pools *p, uint64_t address) {
    if (!p->count)
        return NULL;
    for (size_t i = slot_of(p, address);; i = (i + 1) & (p->capacity - 1)) {
        if (p->slots[i].address == address)
            return &p->slots[i];
        if (!p->slots[i].address)
            return NULL;
    }
}

const struct wh_pooled *wh_pools_find(const struct wh_pools *pools, uint64_t address) {
    return address ? find(pools, address) : NULL;
}

static void place(struct wh_pools *p, const struct wh_pooled *entry) {
    size_t i = slot_of(p, entry->address);
    while (p->slots[i].address)
        i = (i + 1) & (p->capacity - 1);
    p->slots[i] = *entry;
    p->count++;
}

/* At most half full, so that a probe stays short. */
static int grow(struct wh_pools *p) {
    size_t capacity = p->capacity ? p->capacity * 2 : 256;
    struct wh_pools bigger = *p;
    bigger.slots = calloc(capacity, sizeof *bigger.slots);
    if (!bigger.slots)
        return -1;
    bigger.capacity = capacity;
    bigger.count = 0;
    for (size_t i = 0; i < p->capacity; i++)
        if (p->slots[i].address)
            place(&bigger, &p->slots[i]);
    free(p->slots);
    *p = bigger;
    return 0;
}

/* Removes without a tombstone: what probed past the hole is placed again. */
static void drop(struct wh_pools *p, uint64_t address) {
    struct wh_pooled *slot = address ? find(p, address) : NULL;
    if (!slot)
        return;
    size_t i = (size_t)(slot - p->slots);
    p->slots[i].address = 0;
    p->count--;
    for (i = (i + 1) & (p->capacity - 1); p->slots[i].address; i = (i + 1) & (p->capacity - 1)) {
        struct wh_pooled moved = p->slots[i];
        p->slots[i].address = 0;
        p->count--;
        place(p, &moved);
    }
}

/* Index of a pool's name, -1 out of memory. Programs have few pools: a scan will do. */
static int64_t name_index(struct wh_pools *p, const char *text, size_t bytes) {
    for (size_t i = 0; i < p->name_count; i++)
        if (strlen(p->names[i]) == bytes && memcmp(p->names[i], text, bytes) == 0)
            return (int64_t)i;
    if (p->name_count == p->name_room) {
        size_t room = p->name_room ? p->name_room * 2 : 16;
        char **names = realloc(p->names, room * sizeof *names);
        if (!names)
            return -1;
        p->names = names;
        p->name_room = room;
    }
    char *name = strndup(text, bytes);
    if (!name)
        return -1;
    p->names[p->name_count] = name;
    return (int64_t)p->name_count++;
}

static int acquire(struct wh_pools *p, const struct wh_event *e) {
    int64_t pool = name_index(p, e->text ? e->text : "", e->text_bytes);
    if (pool < 0 || !e->address)
        return pool < 0 ? -1 : 0;
    struct wh_pooled *slot = find(p, e->address);
    if (!slot) {
        if (2 * (p->count + 1) > p->capacity && grow(p))
            return -1;
        place(p, &(struct wh_pooled){.address = e->address});
        slot = find(p, e->address);
    }
    slot->pool = (uint32_t)pool;
    slot->acquirer_stack = e->stack;
    slot->acquired_ticks = e->ticks;
    slot->acquisitions++;
    slot->is_idle = 0;
    return 0;
}

int wh_pools_event(struct wh_pools *pools, const struct wh_event *event) {
    switch (event->kind) {
    case WH_EV_POOL:
        if (event->detail == 0)
            return acquire(pools, event);
        struct wh_pooled *slot = event->address ? find(pools, event->address) : NULL;
        if (slot) {
            slot->is_idle = 1;
            slot->released_ticks = event->ticks;
        }
        return 0;
    case WH_EV_FREE:
        if (pools->count)
            drop(pools, event->address);
        return 0;
    case WH_EV_REALLOC:
        if (pools->count)
            drop(pools, event->old_address);
        return 0;
    default:
        return 0;
    }
}

void wh_pools_release(struct wh_pools *pools) {
    for (size_t i = 0; i < pools->name_count; i++)
        free(pools->names[i]);
    free(pools->names);
    free(pools->slots);
    *pools = (struct wh_pools){0};
}

int wh_pools_clone(const struct wh_pools *pools, struct wh_pools *ret_clone) {
    struct wh_pools c = {0};
    if (pools->capacity) {
        c.slots = malloc(pools->capacity * sizeof *c.slots);
        if (!c.slots)
            return -1;
        memcpy(c.slots, pools->slots, pools->capacity * sizeof *c.slots);
        c.capacity = pools->capacity;
        c.count = pools->count;
    }
    for (size_t i = 0; i < pools->name_count; i++) {
        if (name_index(&c, pools->names[i], strlen(pools->names[i])) < 0) {
            wh_pools_release(&c);
            return -1;
        }
    }
    *ret_clone = c;
    return 0;
}
