/* The ledger: an open-addressing table of sites and the lazily taken peak. */
#include "trace/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/large.h"

#define SLOTS_FIRST 256u

static uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

void wh_ledger_prefetch(const struct wh_ledger *l, uint32_t stack) {
    __builtin_prefetch(&l->sites[mix(stack) & (l->slots - 1)], 1);
}

static struct wh_site *new_sites(size_t count) {
    struct wh_site *sites = wh_large_alloc(count * sizeof *sites);
    if (sites)
        memset(sites, 0, count * sizeof *sites);
    return sites;
}

int wh_ledger_init(struct wh_ledger *l) {
    *l = (struct wh_ledger){.sites = new_sites(SLOTS_FIRST), .slots = SLOTS_FIRST};
    return l->sites ? 0 : -1;
}

void wh_ledger_release(struct wh_ledger *l) {
    free(l->sites);
    *l = (struct wh_ledger){0};
}

/* The slot where `stack` is or would go. */
static struct wh_site *slot_of(struct wh_site *sites, uint32_t slots, uint32_t stack) {
    for (uint32_t i = mix(stack);; i++) {
        struct wh_site *s = &sites[i & (slots - 1)];
        if (!s->used || s->stack == stack)
            return s;
    }
}

static int grow(struct wh_ledger *l) {
    if (l->slots > UINT32_MAX / 4)
        return -1;
    struct wh_site *sites = new_sites((size_t)l->slots * 2);
    if (!sites)
        return -1;
    for (uint32_t i = 0; i < l->slots; i++)
        if (l->sites[i].used)
            *slot_of(sites, l->slots * 2, l->sites[i].stack) = l->sites[i];
    free(l->sites);
    l->sites = sites;
    l->slots *= 2;
    return 0;
}

/* Keeps the site's values at the last peak before they change. */
static void settle(const struct wh_ledger *l, struct wh_site *s) {
    if (s->peak_serial == l->peak_serial)
        return;
    s->peak_serial = l->peak_serial;
    s->peak_objects = s->inuse_objects;
    s->peak_space = s->inuse_space;
}

static struct wh_site *site_for(struct wh_ledger *l, uint32_t stack) {
    struct wh_site *s = slot_of(l->sites, l->slots, stack);
    if (!s->used) {
        if (l->site_count >= l->slots - l->slots / 4) {
            if (grow(l))
                return NULL;
            s = slot_of(l->sites, l->slots, stack);
        }
        s->used = 1;
        s->stack = stack;
        l->site_count++;
    }
    return s;
}

int wh_ledger_alloc(struct wh_ledger *l, uint32_t stack, uint64_t size, uint64_t ticks) {
    struct wh_site *s = site_for(l, stack);
    if (!s)
        return -1;
    settle(l, s);
    s->alloc_objects++;
    s->alloc_space += size;
    s->inuse_objects++;
    s->inuse_space += size;
    l->live_objects++;
    l->live_bytes += size;
    if (l->live_bytes <= l->peak_bytes && l->peak_serial)
        return 0;
    l->peak_bytes = l->live_bytes;
    l->peak_objects = l->live_objects;
    l->peak_ticks = ticks;
    l->peak_serial++;
    return 1;
}

void wh_ledger_free(struct wh_ledger *l, uint32_t stack, uint64_t size) {
    struct wh_site *s = slot_of(l->sites, l->slots, stack);
    if (!s->used)
        return;
    settle(l, s);
    s->inuse_objects--;
    s->inuse_space -= size;
    l->live_objects--;
    l->live_bytes -= size;
}

void wh_ledger_temporary(struct wh_ledger *l, uint32_t stack) {
    struct wh_site *s = slot_of(l->sites, l->slots, stack);
    if (s->used)
        s->temporary_objects++;
}

int wh_ledger_inherit(const struct wh_ledger *parent, uint64_t ticks, struct wh_ledger *ret_child) {
    if (wh_ledger_init(ret_child))
        return -1;
    for (uint32_t i = 0; i < parent->slots; i++) {
        const struct wh_site *from = &parent->sites[i];
        if (!from->used || !from->inuse_objects)
            continue;
        struct wh_site *to = site_for(ret_child, from->stack);
        if (!to) {
            wh_ledger_release(ret_child);
            return -1;
        }
        to->inuse_objects = from->inuse_objects;
        to->inuse_space = from->inuse_space;
    }
    ret_child->live_objects = ret_child->peak_objects = parent->live_objects;
    ret_child->live_bytes = ret_child->peak_bytes = parent->live_bytes;
    if (parent->live_objects) {
        ret_child->peak_ticks = ticks;
        ret_child->peak_serial = 1;
    }
    return 0;
}

void wh_ledger_settle(struct wh_ledger *l) {
    for (uint32_t i = 0; i < l->slots; i++)
        if (l->sites[i].used)
            settle(l, &l->sites[i]);
}
