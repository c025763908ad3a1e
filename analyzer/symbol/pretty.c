/* Linkage names made readable: demangled, clones folded into their origin, the noise of the C++
 * library's default arguments taken out. Names of one function in different clones become equal on
 * purpose: a creator is a function, not one of the compiler's copies of it. */
#include "analyzer/symbol/type_internal.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 4096u /* a longer mangled name is shown as it is, cut */

/* Suffixes that compilers append to the name of a copy or a part of a function. */
static const char *const clone_suffixes[] = {
    ".cold",   ".part.",  ".isra.",   ".constprop.", ".lto_priv.", ".localalias",
    ".llvm.",  ".clone.", ".__uniq.", ".resolver",   ".default",   ".avx2",
    ".avx512", ".sse4",   "@@",       "@",
};

static size_t without_clone_suffix(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof(clone_suffixes) / sizeof(clone_suffixes[0]); i++) {
        const char *at = memmem(name + (length ? 1 : 0), length ? length - 1 : 0, clone_suffixes[i],
                                strlen(clone_suffixes[i]));
        if (at)
            length = (size_t)(at - name);
    }
    return length;
}

/* Cuts `count` bytes at `at` out of a text. */
static void cut(char *at, size_t count) {
    memmove(at, at + count, strlen(at + count) + 1);
}

static void replace_all(char *text, const char *from, const char *to) {
    size_t before = strlen(from), after = strlen(to); /* never longer */
    for (char *p = text; (p = strstr(p, from)); p += after) {
        memcpy(p, to, after);
        cut(p + after, before - after);
    }
}

/* Length of a template argument list that begins with '<', 0 = not closed. */
static size_t balanced(const char *p) {
    int depth = 0;
    for (size_t i = 0; p[i]; i++) {
        if (p[i] == '<')
            depth++;
        else if (p[i] == '>' && (i == 0 || p[i - 1] != '-') && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* Takes ", std::allocator<...>" and its like out: default arguments nobody wrote. */
static void drop_defaults(char *text) {
    static const char *const defaults[] = {
        ", std::allocator<", ", std::less<",        ", std::hash<",
        ", std::equal_to<",  ", std::char_traits<", ", std::default_delete<",
    };
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        for (char *p = text; (p = strstr(p, defaults[i]));) {
            size_t head = strlen(defaults[i]) - 1, list = balanced(p + head);
            if (!list)
                break;
            cut(p, head + list + (p[head + list] == ' ' ? 1 : 0));
        }
    }
}

void wh_pretty_simplify(char *text) {
    replace_all(text, "std::__cxx11::", "std::");
    replace_all(text, "std::__1::", "std::");
    replace_all(text, "std::__debug::", "std::");
    replace_all(text, "(anonymous namespace)", "{anonymous}");
    replace_all(text, "[abi:cxx11]", "");
    if (!strchr(text, '<'))
        return;
    drop_defaults(text);
    replace_all(text, "std::basic_string<char>", "std::string");
    replace_all(text, "std::basic_string_view<char>", "std::string_view");
    replace_all(text, "std::basic_string<wchar_t>", "std::wstring");
    replace_all(text, " >", ">");
}

/* Demangled text, malloc'ed; NULL = it is not mangled. */
static char *demangle(const char *name) {
    if (name[0] != '_' || (name[1] != 'Z' && name[1] != 'R' && name[1] != '_'))
        return NULL;
    return cplus_demangle(name, DMGL_AUTO | DMGL_ANSI);
}

const char *wh_module_pretty(struct wh_module *m, const char *linkage_name) {
    char name[NAME_MAX_BYTES];
    size_t length = strnlen(linkage_name, sizeof(name) - 1);
    length = without_clone_suffix(linkage_name, length);
    memcpy(name, linkage_name, length);
    name[length] = '\0';
    char *text = demangle(name);
    if (text)
        wh_pretty_simplify(text);
    else
        wh_pretty_simplify(name);
    const char *pretty = wh_texts_add(&m->texts, text ? text : name);
    free(text);
    return pretty ? pretty : "";
}
