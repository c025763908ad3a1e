/* Thread-local storage of every thread: static and dynamic TLS blocks by module, DTVs,
 * pthread_specific.
 *
 * The loader's and libc's structures have no public layout, so nothing here is a fixed offset: the
 * place of the TLS fields in a link_map is where the values of the module's own PT_TLS header stand
 * in a row, the place of the pthread_specific table in a thread's descriptor is where the table's
 * first pointer points at the entries right before it. What is not found is simply not named. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "record/snapshot/roots.h"

#define LINK_MAP_BYTES   2048u /* of it we look at so many: more than any glibc's struct link_map */
#define LINK_MAPS_MAX    4096u
#define DESCRIPTOR_BYTES 2304u /* struct pthread from the thread pointer on, about */
#define KEYS_A_BLOCK     32u
#define KEYS_MAX         1024u
#define DTV_ENTRIES_MAX  65536u

struct key_entry {
    uint64_t sequence, data;
};

/* --- what the loader knows about modules --- */

static uint64_t find_debug_map(const struct wh_extract *x, const struct wh_layout *layout) {
    for (uint32_t i = 0; i < layout->module_count; i++) {
        const struct wh_layout_module *m = &layout->modules[i];
        for (uint64_t at = 0; m->dynamic && at + 16 <= m->dynamic_bytes; at += 16) {
            uint64_t tag = wh_image_word(x->f, m->dynamic + at);
            uint64_t value = wh_image_word(x->f, m->dynamic + at + 8);
            if (tag == DT_NULL)
                break;
            if (tag == DT_DEBUG && value)
                return wh_image_word(x->f, value + 8); /* r_debug.r_map */
        }
    }
    return 0;
}

static struct wh_layout_module *by_bias(struct wh_layout *layout, uint64_t bias, uint64_t dynamic) {
    for (uint32_t i = 0; i < layout->module_count; i++)
        if (layout->modules[i].load_bias == bias && layout->modules[i].dynamic == dynamic)
            return &layout->modules[i];
    return NULL;
}

/* l_tls_initimage, _initimage_size, _blocksize, _align, _firstbyte_offset, _offset, _modid in a
 * row. */
static void read_tls_fields(const struct wh_extract *x, struct wh_layout_module *m,
                            uint64_t link_map) {
    uint64_t words[LINK_MAP_BYTES / 8];
    size_t have = wh_image_read(x->f, link_map, words, sizeof words) / 8;
    for (size_t i = 0; i + 7 <= have; i++) {
        if (words[i] != m->tls_image || words[i + 1] != m->tls_file_bytes ||
            words[i + 2] != m->tls_bytes || words[i + 3] != m->tls_align)
            continue;
        m->tls_offset = (int64_t)words[i + 5] > 0 ? words[i + 5] : 0;
        m->tls_id = words[i + 6] < DTV_ENTRIES_MAX ? words[i + 6] : 0;
        return;
    }
}

static void read_link_maps(const struct wh_extract *x, struct wh_layout *layout) {
    uint64_t link_map = find_debug_map(x, layout);
    for (unsigned i = 0; link_map && i < LINK_MAPS_MAX; i++) {
        uint64_t fields[4]; /* l_addr, l_name, l_ld, l_next */
        if (wh_image_read(x->f, link_map, fields, sizeof fields) != sizeof fields)
            return;
        struct wh_layout_module *m = by_bias(layout, fields[0], fields[2]);
        if (m && m->tls_bytes)
            read_tls_fields(x, m, link_map);
        if (m && m->tls_offset > layout->static_tls_bytes)
            layout->static_tls_bytes = m->tls_offset;
        link_map = fields[3];
    }
}

/* --- one thread --- */

static void mark_node(struct wh_extract *x, uint64_t address, enum wh_node_kind kind) {
    uint32_t node = wh_index_find(&x->index, address);
    if (node != WH_NO_NODE && x->heap->nodes[node].kind == WH_NODE_BLOCK)
        x->heap->nodes[node].kind = (uint8_t)kind;
}

static void add_tls_block(struct wh_extract *x, const struct wh_layout_module *m, uint32_t tid,
                          uint64_t start) {
    if (wh_image_is_ours(x->f, m->load_bias + 1, m->load_bias + 2))
        return;
    struct wh_heap_root *root =
        wh_extract_root(x, m->is_libc ? WH_ROOT_INFRA : WH_ROOT_TLS, start, start + m->tls_bytes);
    if (!root)
        return;
    root->module = m->id;
    root->load_bias = m->load_bias;
    root->tid = tid;
    if (wh_index_find(&x->index, start) != WH_NO_NODE)
        wh_extract_cut(x, start, start + m->tls_bytes);
}

static void add_tls_blocks(struct wh_extract *x, const struct wh_layout *layout, uint32_t tid,
                           uint64_t tp) {
    uint64_t dtv = wh_image_word(x->f, tp + 8);
    uint64_t entries = dtv ? wh_image_word(x->f, dtv - 16) : 0;
    if (dtv)
        mark_node(x, dtv, WH_NODE_DTV);
    for (uint32_t i = 0; i < layout->module_count; i++) {
        const struct wh_layout_module *m = &layout->modules[i];
        if (m->tls_bytes == 0 || (m->tls_id == 0 && m->tls_offset == 0))
            continue;
        if (m->tls_offset) {
            add_tls_block(x, m, tid, tp - m->tls_offset);
            continue;
        }
        if (m->tls_id > entries || entries > DTV_ENTRIES_MAX)
            continue;
        uint64_t block = wh_image_word(x->f, dtv + 16 * m->tls_id);
        if (block + 1 <= 1 || !wh_maps_find(x->f, block))
            continue; /* not allocated in this thread */
        mark_node(x, block, WH_NODE_TLS);
        add_tls_block(x, m, tid, block);
    }
}

/* --- pthread_specific --- */

/* Destructors: the table in libc's data whose sequence numbers agree with every key in use. */
static uint64_t find_key_table(const struct wh_extract *x, const uint64_t *sequences) {
    uint32_t used = 0, first = KEYS_MAX;
    for (uint32_t k = 0; k < KEYS_MAX; k++)
        if (sequences[k]) {
            used++;
            first = k < first ? k : first;
        }
    for (uint32_t r = 0; used && r < x->heap->root_count; r++) {
        const struct wh_heap_root *root = &x->heap->roots[r];
        if (root->kind != WH_ROOT_INFRA || root->end - root->start < KEYS_MAX * 16)
            continue;
        size_t words = (root->end - root->start) / 8;
        uint64_t *data = malloc(words * 8);
        words = data ? wh_image_read(x->f, root->start, data, words * 8) / 8 : 0;
        for (size_t i = 0; i + 2 * KEYS_MAX <= words; i += 2) {
            bool fits = data[i + 2 * first] == sequences[first];
            for (uint32_t k = 0; fits && k < KEYS_MAX; k++) {
                uint64_t sequence = data[i + 2 * k], destructor = data[i + 2 * k + 1];
                const struct wh_mapping *code = destructor ? wh_maps_find(x->f, destructor) : NULL;
                fits = (!sequences[k] || sequence == sequences[k]) && sequence < 1u << 30 &&
                       (!destructor || (code && code->executable));
            }
            if (fits) {
                free(data);
                return root->start + i * 8;
            }
        }
        free(data);
    }
    return 0;
}

struct specific {
    uint64_t first_block; /* address of the 32 entries inside the descriptor, 0 = not found */
    uint64_t blocks[KEYS_MAX / KEYS_A_BLOCK];
};

static struct specific find_specific(const struct wh_extract *x, uint64_t tp) {
    struct specific found = {0};
    uint64_t words[DESCRIPTOR_BYTES / 8];
    size_t have = wh_image_read(x->f, tp, words, sizeof words) / 8, table = KEYS_A_BLOCK * 2;
    while (table < have && words[table] != tp + (table - KEYS_A_BLOCK * 2) * 8)
        table++;
    if (table + KEYS_MAX / KEYS_A_BLOCK > have)
        return found;
    found.first_block = words[table];
    memcpy(found.blocks, words + table, sizeof found.blocks);
    return found;
}

static void read_block(const struct wh_extract *x, uint64_t block, struct key_entry *entries) {
    if (wh_image_read(x->f, block, entries, KEYS_A_BLOCK * sizeof *entries) !=
        KEYS_A_BLOCK * sizeof *entries)
        memset(entries, 0, KEYS_A_BLOCK * sizeof *entries);
}

static void note_keys(const struct wh_extract *x, uint64_t tp, uint64_t *sequences) {
    struct specific s = find_specific(x, tp);
    for (uint32_t b = 0; b < KEYS_MAX / KEYS_A_BLOCK; b++) {
        struct key_entry entries[KEYS_A_BLOCK] = {0};
        if (s.first_block && s.blocks[b])
            read_block(x, s.blocks[b], entries);
        for (uint32_t k = 0; k < KEYS_A_BLOCK; k++)
            if (entries[k].data && entries[k].sequence)
                sequences[b * KEYS_A_BLOCK + k] = entries[k].sequence;
    }
}

static void add_keys(struct wh_extract *x, uint32_t tid, const struct specific *s,
                     uint64_t key_table) {
    for (uint32_t b = 0; b < KEYS_MAX / KEYS_A_BLOCK; b++) {
        struct key_entry entries[KEYS_A_BLOCK];
        if (!s->blocks[b])
            continue;
        read_block(x, s->blocks[b], entries);
        if (s->blocks[b] != s->first_block)
            mark_node(x, s->blocks[b], WH_NODE_TSD);
        for (uint32_t k = 0; k < KEYS_A_BLOCK; k++) {
            uint64_t slot = s->blocks[b] + k * sizeof *entries + 8;
            struct wh_heap_root *root =
                entries[k].data ? wh_extract_root(x, WH_ROOT_TSD, slot, slot + 8) : NULL;
            if (!root)
                continue;
            root->tid = tid;
            root->number = b * KEYS_A_BLOCK + k;
            root->pc = key_table ? wh_image_word(x->f, key_table + 16ull * root->number + 8) : 0;
            if (wh_index_find(&x->index, slot) != WH_NO_NODE)
                wh_extract_cut(x, slot, slot + 8);
        }
    }
}

/* The rest of the descriptor: libc's own, but it points at the DTV and at pthread_specific's
 * blocks. */
static void add_descriptor(struct wh_extract *x, uint32_t tid, uint64_t tp,
                           const struct specific *s) {
    const struct wh_mapping *m = wh_maps_find(x->f, tp);
    if (!m)
        return;
    uint64_t end = tp + DESCRIPTOR_BYTES < m->end ? tp + DESCRIPTOR_BYTES : m->end, at = tp;
    if (s->first_block) {
        struct wh_heap_root *head = wh_extract_root(x, WH_ROOT_INFRA, tp, s->first_block);
        if (head)
            head->tid = tid;
        at = s->first_block + KEYS_A_BLOCK * sizeof(struct key_entry);
    }
    struct wh_heap_root *tail = wh_extract_root(x, WH_ROOT_INFRA, at, end);
    if (tail)
        tail->tid = tid;
}

void wh_roots_tls(struct wh_extract *x, struct wh_layout *layout) {
    uint64_t sequences[KEYS_MAX] = {0};
    read_link_maps(x, layout);
    for (uint32_t i = 0; i < x->f->thread_count; i++)
        if (x->f->threads[i].thread_pointer)
            note_keys(x, x->f->threads[i].thread_pointer, sequences);
    uint64_t key_table = find_key_table(x, sequences);
    for (uint32_t i = 0; i < x->f->thread_count; i++) {
        uint32_t tid = (uint32_t)x->f->threads[i].tid;
        uint64_t tp = x->f->threads[i].thread_pointer;
        if (!tp || wh_image_word(x->f, tp) !=
                       tp) /* glibc's and musl's descriptors begin with themselves */
            continue;
        struct specific s = find_specific(x, tp);
        add_tls_blocks(x, layout, tid, tp);
        if (s.first_block)
            add_keys(x, tid, &s, key_table);
        add_descriptor(x, tid, tp, &s);
    }
}
