/* Arena and interned strings (text.h). Names come from untrusted files: control characters are
 * replaced on the way in, so that a report cannot be made to drive the terminal. */
#include "analyzer/symbol/text.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct wh_arena_chunk {
    struct wh_arena_chunk *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

#define CHUNK_BYTES 65536u

void wh_texts_release(struct wh_texts *t) {
    while (t->chunks) {
        struct wh_arena_chunk *next = t->chunks->next;
        free(t->chunks);
        t->chunks = next;
    }
    free(t->slots);
    free(t->hashes);
    memset(t, 0, sizeof(*t));
}

void *wh_texts_alloc(struct wh_texts *t, size_t bytes) {
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + 15u) & ~(size_t)15u;
    struct wh_arena_chunk *c = t->chunks;
    if (!c || c->size - c->used < bytes) {
        size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        struct wh_arena_chunk *fresh = malloc(sizeof(*fresh) + size);
        if (!fresh)
            return NULL;
        fresh->used = 0;
        fresh->size = size;
        /* A big object goes behind the current chunk, which still has room for small ones. */
        if (c && bytes > CHUNK_BYTES / 4) {
            fresh->next = c->next;
            c->next = fresh;
        } else {
            fresh->next = c;
            t->chunks = fresh;
        }
        c = fresh;
    }
    void *p = c->data + c->used;
    c->used += bytes;
    memset(p, 0, bytes);
    return p;
}

static uint32_t text_hash(const char *text, size_t length) {
    uint64_t h = 0xcbf29ce484222325ull ^ length;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3ull;
    h ^= h >> 29;
    return (uint32_t)(h ^ (h >> 32));
}

static bool texts_grow(struct wh_texts *t) {
    size_t count = t->slot_count ? t->slot_count * 2 : 256;
    const char **slots = calloc(count, sizeof(*slots));
    uint32_t *hashes = calloc(count, sizeof(*hashes));
    if (!slots || !hashes) {
        free(slots);
        free(hashes);
        return false;
    }
    for (size_t i = 0; i < t->slot_count; i++) {
        if (!t->slots[i])
            continue;
        size_t at = t->hashes[i] & (count - 1);
        while (slots[at])
            at = (at + 1) & (count - 1);
        slots[at] = t->slots[i];
        hashes[at] = t->hashes[i];
    }
    free(t->slots);
    free(t->hashes);
    t->slots = slots;
    t->hashes = hashes;
    t->slot_count = count;
    return true;
}

/* The slot of a text, or the empty one where it belongs. */
static size_t text_slot(const struct wh_texts *t, const char *text, size_t length, uint32_t hash) {
    size_t at = hash & (t->slot_count - 1);
    for (; t->slots[at]; at = (at + 1) & (t->slot_count - 1)) {
        if (t->hashes[at] == hash && strncmp(t->slots[at], text, length) == 0 &&
            !t->slots[at][length])
            break;
    }
    return at;
}

static bool is_control(char c) {
    return (unsigned char)c < 0x20 || (unsigned char)c == 0x7f;
}

const char *wh_texts_find(const struct wh_texts *t, const char *text) {
    size_t length = strlen(text);
    return t->slot_count ? t->slots[text_slot(t, text, length, text_hash(text, length))] : NULL;
}

const char *wh_texts_intern(struct wh_texts *t, const char *text, size_t length) {
    if (t->used * 4 >= t->slot_count * 3 && !texts_grow(t))
        return NULL;
    char *copy = NULL;
    for (size_t i = 0; i < length; i++) {
        if (!is_control(text[i]))
            continue;
        if (!copy) {
            copy = wh_texts_alloc(t, length + 1);
            if (!copy)
                return NULL;
            memcpy(copy, text, length);
            text = copy;
        }
        copy[i] = '?';
    }
    uint32_t hash = text_hash(text, length);
    size_t at = text_slot(t, text, length, hash);
    if (t->slots[at])
        return t->slots[at];
    if (!copy) {
        copy = wh_texts_alloc(t, length + 1);
        if (!copy)
            return NULL;
        memcpy(copy, text, length);
    }
    t->slots[at] = copy;
    t->hashes[at] = hash;
    t->used++;
    return copy;
}

const char *wh_texts_add(struct wh_texts *t, const char *text) {
    return text ? wh_texts_intern(t, text, strlen(text)) : NULL;
}

/* Takes the part before `out` (a directory that "../" leaves) away; false at the start or after
 * "..". */
static bool path_up(char *start, char **out) {
    char *p = *out;
    if (p <= start || p[-1] != '/')
        return false;
    char *q = p - 1;
    while (q > start && q[-1] != '/')
        q--;
    if (q == p - 1 || (p - 1 - q == 2 && q[0] == '.' && q[1] == '.'))
        return false;
    *out = q;
    return true;
}

const char *wh_texts_add_path(struct wh_texts *t, const char *path) {
    char clean[PATH_MAX];
    if (!path)
        return NULL;
    if (strlen(path) >= sizeof(clean))
        return wh_texts_add(t, path);
    char *out = clean;
    const char *in = path;
    if (*in == '/')
        *out++ = *in++;
    while (*in) {
        size_t part = strcspn(in, "/");
        bool last = in[part] == '\0';
        if (part == 2 && in[0] == '.' && in[1] == '.' && !last && path_up(clean, &out)) {
            in += 3;
            continue;
        }
        if (part && !(part == 1 && in[0] == '.' && !last)) {
            memcpy(out, in, part + (last ? 0 : 1));
            out += part + (last ? 0 : 1);
        }
        in += part + (last ? 0 : 1);
    }
    return wh_texts_intern(t, clean, (size_t)(out - clean));
}
