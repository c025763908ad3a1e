/* Sonic, see sonic.h. */
#include "sonic/sonic.h"

#include <string.h>

#include "runtime/runtime.h"

GO_TYPE(type_sonic_Object, struct sonic_Object, offsetof(struct sonic_Object, Strings.ptr));

struct cursor {
    char *at, *end;
};

/* The characters between the next pair of quotes; false at the end of the text. */
static bool next_string(struct cursor *c, struct go_string *ret_raw, bool *ret_escaped) {
    char *open = memchr(c->at, '"', (size_t)(c->end - c->at));
    if (!open)
        return false;
    *ret_escaped = false;
    char *p = open + 1;
    for (; p < c->end && *p != '"'; p++)
        if (*p == '\\') {
            *ret_escaped = true;
            p++;
        }
    *ret_raw = (struct go_string){open + 1, p - open - 1};
    c->at = p < c->end ? p + 1 : c->end;
    return true;
}

/* With escapes: a buffer of the raw length, as sonic makes. */
static struct go_string sonic_unquote(struct go_string raw) {
    struct go_string text = {runtime_makeslice(&type_byte, raw.len), 0};
    for (int64_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '\\' && i + 1 < raw.len) {
            c = raw.ptr[++i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        text.ptr[text.len++] = c;
    }
    return text;
}

static struct go_string sonic_decodeString(struct go_string raw, bool is_escaped,
                                           bool copy_string) {
    if (is_escaped)
        return sonic_unquote(raw);
    return copy_string ? runtime_gostringn(raw.ptr, raw.len) : raw;
}

static void sonic_decoder_Decode(struct sonic_Object *object, struct go_string text,
                                 const char *prefix, bool copy_string) {
    struct cursor c = {text.ptr, text.ptr + text.len};
    struct go_string key, value;
    bool is_escaped;
    while (next_string(&c, &key, &is_escaped) && next_string(&c, &value, &is_escaped)) {
        size_t n = strlen(prefix);
        if (key.len < (int64_t)n || memcmp(key.ptr, prefix, n) != 0)
            continue;
        runtime_growslice(&object->Strings, &type_string);
        object->Strings.ptr[object->Strings.len++] =
            sonic_decodeString(value, is_escaped, copy_string);
    }
}

struct sonic_Object *sonic_UnmarshalFromString(struct go_string text, const char *prefix,
                                               bool copy_string) {
    struct sonic_Object *object = runtime_newobject(&type_sonic_Object);
    sonic_decoder_Decode(object, text, prefix, copy_string);
    return object;
}
