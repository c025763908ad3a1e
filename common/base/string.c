/* Growing texts and arrays, and the cleaning of texts that come from traced programs. */
#include "base/string.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int reserve(struct wh_text *t, size_t more) {
    if (t->failed)
        return -1;
    if (t->length + more + 1 <= t->room)
        return 0;
    size_t room = t->room ? t->room * 2 : 64;
    while (room < t->length + more + 1)
        room *= 2;
    char *data = realloc(t->data, room);
    if (!data) {
        t->failed = 1;
        return -1;
    }
    t->data = data;
    t->room = room;
    return 0;
}

void wh_text_add(struct wh_text *t, const char *s, size_t length) {
    if (reserve(t, length) != 0)
        return;
    if (length)
        memcpy(t->data + t->length, s, length);
    t->length += length;
    t->data[t->length] = '\0';
}

void wh_text_puts(struct wh_text *t, const char *s) {
    wh_text_add(t, s, strlen(s));
}

void wh_text_printf(struct wh_text *t, const char *format, ...) {
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0)
        t->failed = 1;
    else if (reserve(t, (size_t)n) == 0) {
        (void)vsnprintf(t->data + t->length, (size_t)n + 1, format, again);
        t->length += (size_t)n;
    }
    va_end(again);
}

void wh_text_clear(struct wh_text *t) {
    t->length = 0;
    t->failed = 0;
    if (t->data)
        t->data[0] = '\0';
}

void wh_text_release(struct wh_text *t) {
    free(t->data);
    *t = (struct wh_text){0};
}

int wh_array_reserve(void *array_pointer, size_t *room, size_t count, size_t item_bytes) {
    if (count <= *room)
        return 0;
    size_t wanted = *room ? *room * 2 : 16;
    if (wanted < count)
        wanted = count;
    if (wanted > SIZE_MAX / item_bytes)
        return -1;
    void *old;
    memcpy(&old, array_pointer, sizeof old); /* any T ** comes as void *: no aliasing games */
    void *grown = realloc(old, wanted * item_bytes);
    if (!grown)
        return -1;
    memcpy(array_pointer, &grown, sizeof grown);
    *room = wanted;
    return 0;
}

/* Bytes of the UTF-8 character at s, 0 when there is none. */
static size_t utf8_length(const unsigned char *s, size_t left) {
    size_t n = s[0] < 0x80   ? 1
               : s[0] < 0xc2 ? 0
               : s[0] < 0xe0 ? 2
               : s[0] < 0xf0 ? 3
               : s[0] < 0xf5 ? 4
                             : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)))
        return 0; /* overlong, or half of a surrogate pair */
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)))
        return 0;
    return n;
}

/* C0, DEL, C1, and the marks that turn the direction of text. */
static int is_control(const unsigned char *s, size_t n) {
    if (n == 1)
        return s[0] < 0x20 || s[0] == 0x7f;
    if (n == 2)
        return s[0] == 0xc2 && s[1] < 0xa0;
    if (n == 3 && s[0] == 0xe2)
        return (s[1] == 0x80 && ((s[2] >= 0xaa && s[2] <= 0xae) || s[2] == 0x8e || s[2] == 0x8f)) ||
               (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9);
    return 0;
}

char *wh_text_sanitize(char *out, size_t bytes, const char *s, size_t length) {
    size_t at = 0;
    const unsigned char *p = (const unsigned char *)s;
    while (length) {
        size_t n = utf8_length(p, length);
        int bad = n == 0 || is_control(p, n);
        size_t step = n ? n : 1, add = bad ? 1 : n;
        if (at + add + 1 > bytes)
            break;
        if (bad)
            out[at] = '?';
        else
            memcpy(out + at, p, n);
        at += add;
        p += step;
        length -= step;
    }
    out[at] = '\0';
    return out;
}
