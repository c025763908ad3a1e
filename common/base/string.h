/* A growing text and a growing array. Out of memory is remembered in the object (text) or returned
 * (array), so that a caller checks once. Context: any, one thread at a time per object. */
#ifndef WH_BASE_STRING_H
#define WH_BASE_STRING_H

#include <stddef.h>

/* data is always NUL-terminated once anything was added; {0} is an empty text. */
struct wh_text {
    char *data;
    size_t length, room;
    int failed; /* 1 = out of memory at some point: data is incomplete */
};

void wh_text_add(struct wh_text *t, const char *s, size_t length);
void wh_text_puts(struct wh_text *t, const char *s);
void wh_text_printf(struct wh_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void wh_text_clear(struct wh_text *t); /* empty, keeps its memory */
void wh_text_release(struct wh_text *t);

/* Makes room for at least `count` items of item_bytes in *array (doubling). 0, or -1 without
 * memory: the array stays as it was. */
int wh_array_reserve(void *array_pointer, size_t *room, size_t count, size_t item_bytes);

/* Copies s without what a terminal would obey: control characters become '?', as do bytes that are
 * no UTF-8. out holds at least bytes > 0; the result is cut at a character. Returns out. */
char *wh_text_sanitize(char *out, size_t bytes, const char *s, size_t length);

#endif
