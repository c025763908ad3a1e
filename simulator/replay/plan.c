/* Making a plan, see plan.h: all events into one array, sorted by time, addresses turned into
 * slots.
 *
 * A realloc gives its old block up before the call and has its new one after it; between the two
 * another thread may have been given the old address. It is therefore two entries in the sort. */
#include "replay/plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/chunk.h"
#include "schema/store.h"
#include "wire/event.h"

#define NO_SLOT UINT32_MAX

enum entry_kind {
    ENTRY_FREE,
    ENTRY_RELEASE,
    ENTRY_ALLOC,
    ENTRY_REALLOC
}; /* order at equal times */

struct entry {
    int64_t at_ns;
    uint64_t address, size;
    uint32_t serial; /* order in the trace; a RELEASE has the serial of its REALLOC */
    uint8_t kind, is_zeroed;
};

struct maker {
    struct entry *entries;
    uint64_t count, room;
    /* live blocks: address -> slot, open addressing; slot NO_SLOT with an address = removed */
    uint64_t *addresses;
    uint32_t *slots;
    uint64_t map_size, map_used;
    uint32_t *free_slots;
    uint64_t free_count;
    uint32_t *released; /* per serial: slot that its RELEASE took */
    struct plan_head head;
    FILE *out;
};

static void *need(void *memory) {
    if (!memory) {
        fputs("whoholds-sim: out of memory\n", stderr);
        _exit(WH_EXIT_SYSTEM);
    }
    return memory;
}

static void add(struct maker *m, struct entry entry) {
    if (m->count == m->room) {
        m->room = m->room ? m->room * 2 : 4096;
        m->entries = need(realloc(m->entries, m->room * sizeof(*m->entries)));
    }
    m->entries[m->count++] = entry;
}

static int collect(struct maker *m, struct wh_store *store, int64_t process_id,
                   uint32_t *ret_serials, struct wh_error *error) {
    struct wh_chunk_range range = {.process_id = process_id, .raw_stacks = 1};
    struct wh_events *events;
    struct wh_stored_event e;
    int more = wh_events_open(store, &range, &events, error);
    if (more < 0)
        return more;
    uint32_t serial = 0;
    while ((more = wh_events_next(events, &e, error)) > 0) {
        struct entry entry = {
            .at_ns = e.at_ns, .address = e.event.address, .size = e.event.size, .serial = serial++};
        bool is_mapping = e.event.detail == WH_ALLOC_MMAP;
        if (e.event.kind == WH_EV_ALLOC && is_mapping) {
            m->head.skipped_mappings++;
        } else if (e.event.kind == WH_EV_ALLOC) {
            entry.kind = ENTRY_ALLOC;
            entry.is_zeroed = e.event.detail == WH_ALLOC_CALLOC;
            add(m, entry);
        } else if (e.event.kind == WH_EV_FREE) {
            entry.kind = ENTRY_FREE;
            add(m, entry);
        } else if (e.event.kind == WH_EV_REALLOC && !is_mapping) {
            entry.kind = ENTRY_REALLOC;
            add(m, entry);
            entry.kind = ENTRY_RELEASE;
            entry.at_ns = e.before_ns;
            entry.address = e.event.old_address;
            add(m, entry);
        }
    }
    wh_events_close(events);
    *ret_serials = serial;
    return more;
}

static int by_time(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

/* --- addresses --- */

static uint64_t map_find(const struct maker *m, uint64_t address) {
    uint64_t mask = m->map_size - 1, i = (address >> 4) * 0x9E3779B97F4A7C15u >> 20 & mask;
    while (m->addresses[i] && m->addresses[i] != address)
        i = (i + 1) & mask;
    return i;
}

static uint32_t map_take(struct maker *m, uint64_t address) {
    uint64_t i = map_find(m, address);
    uint32_t slot = m->addresses[i] ? m->slots[i] : NO_SLOT;
    if (m->addresses[i])
        m->slots[i] = NO_SLOT;
    return slot;
}

static void map_put(struct maker *m, uint64_t address, uint32_t slot) {
    uint64_t i = map_find(m, address);
    m->addresses[i] = address;
    m->slots[i] = slot;
}

/* Every address of the trace fits: the map never grows while steps are made. */
static void map_make(struct maker *m) {
    m->map_size = 1024;
    while (m->map_size < m->count * 2)
        m->map_size *= 2;
    m->addresses = need(calloc(m->map_size, sizeof(*m->addresses)));
    m->slots = need(calloc(m->map_size, sizeof(*m->slots)));
}

/* --- steps --- */

static void step(struct maker *m, uint32_t slot, enum plan_kind kind, uint64_t size) {
    struct plan_step s = {slot, kind, size};
    fwrite(&s, sizeof(s), 1, m->out);
    m->head.steps++;
}

static uint32_t new_slot(struct maker *m) {
    return m->free_count ? m->free_slots[--m->free_count] : (uint32_t)m->head.slots++;
}

static void free_slot(struct maker *m, uint32_t slot) {
    m->free_slots[m->free_count++] = slot;
    step(m, slot, PLAN_FREE, 0);
}

static void carry_out(struct maker *m, const struct entry *e) {
    uint32_t slot;
    switch ((enum entry_kind)e->kind) {
    case ENTRY_FREE:
        slot = map_take(m, e->address);
        if (slot == NO_SLOT)
            m->head.unknown_frees++;
        else
            free_slot(m, slot);
        break;
    case ENTRY_RELEASE:
        m->released[e->serial] = e->address ? map_take(m, e->address) : NO_SLOT;
        break;
    case ENTRY_ALLOC:
        slot = new_slot(m);
        map_put(m, e->address, slot);
        step(m, slot, e->is_zeroed ? PLAN_CALLOC : PLAN_MALLOC, e->size);
        break;
    case ENTRY_REALLOC:
        slot = m->released[e->serial];
        if (slot == NO_SLOT)
            step(m, slot = new_slot(m), PLAN_MALLOC, e->size);
        else
            step(m, slot, PLAN_REALLOC, e->size);
        map_put(m, e->address, slot);
        break;
    }
}

static int make(struct maker *m, const char *trace, int64_t process_id, struct wh_error *error) {
    struct wh_store *store;
    uint32_t serials;
    int status = wh_store_open(trace, WH_STORE_READ, &store, error);
    if (status)
        return status;
    status = collect(m, store, process_id, &serials, error);
    wh_store_close(store);
    if (status)
        return status;
    if (m->count == 0)
        return wh_fail(error, WH_ENOTFOUND, "'%s' has no allocations of process %lld", trace,
                       (long long)process_id);
    qsort(m->entries, m->count, sizeof(*m->entries), by_time);
    map_make(m);
    m->free_slots = need(calloc(m->count, sizeof(*m->free_slots)));
    m->released = need(calloc((size_t)serials + 1, sizeof(*m->released)));
    for (uint64_t i = 0; i < m->count; i++)
        carry_out(m, &m->entries[i]);
    return 0;
}

void plan_make(const char *trace, int64_t process_id, int fd) {
    struct maker m = {.out = fdopen(dup(fd), "w")};
    struct wh_error error = {0};
    if (!m.out || fwrite(&m.head, sizeof(m.head), 1, m.out) != 1)
        _exit(WH_EXIT_SYSTEM);
    if (make(&m, trace, process_id, &error))
        snprintf(m.head.problem, sizeof(m.head.problem), "%s", error.text);
    if (fflush(m.out) || ferror(m.out))
        snprintf(m.head.problem, sizeof(m.head.problem), "no room for the plan: %s",
                 strerror(errno));
    fclose(m.out);
    if (pwrite(fd, &m.head, sizeof(m.head), 0) != (ssize_t)sizeof(m.head))
        _exit(WH_EXIT_SYSTEM);
    free(m.entries);
    free(m.addresses);
    free(m.slots);
    free(m.free_slots);
    free(m.released);
}
