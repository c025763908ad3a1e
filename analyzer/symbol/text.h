/* Texts and small objects that live as long as their owner: an arena, and interned strings on it.
 *
 * Equal texts interned in one pool have one address, so that they compare by pointer.
 * Context: analyzer, one thread at a time per pool. */
#ifndef WH_SYMBOL_TEXT_H
#define WH_SYMBOL_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct wh_arena_chunk;
struct wh_texts {
    struct wh_arena_chunk *chunks;
    const char **slots; /* open addressing, power of two, NULL = empty */
    uint32_t *hashes;
    size_t slot_count, used;
};

/* A zeroed wh_texts is empty and valid. */
void wh_texts_release(struct wh_texts *t);

/* Zeroed memory, aligned for any object, freed with the pool. NULL = no memory. */
void *wh_texts_alloc(struct wh_texts *t, size_t bytes);

/* The one copy of the first `length` bytes of text. NULL = no memory. */
const char *wh_texts_intern(struct wh_texts *t, const char *text, size_t length);
const char *wh_texts_add(struct wh_texts *t,
                         const char *text); /* NUL-terminated; NULL in, NULL out */

/* The one copy if there is one, else NULL. */
const char *wh_texts_find(const struct wh_texts *t, const char *text);

/* A source path with "./", "//" and "dir/../" taken out, interned: one file, one text. */
const char *wh_texts_add_path(struct wh_texts *t, const char *path);

#endif
