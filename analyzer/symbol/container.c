/* What the containers of libstdc++, Rust's std and GLib mean.
 *
 * A recognised container's members are replaced by the few pointers that lead to its elements:
 * their text is what a reader expects ("" or "[*]"), and what they point to is a made-up node type
 * where the library hides the real one behind a base class. Layouts are the 64-bit ones of
 * libstdc++ since GCC 5, of rustc since 1.5x (pointers are searched, not assumed) and of
 * GLib 2.6x-2.8x. */
#include <dwarf.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/symbol/type_internal.h"

const struct wh_type *wh_type_argument(const struct wh_type *t, unsigned n) {
    Dwarf_Die die = t->die, child;
    if (!t->has_die || dwarf_child(&die, &child) != 0)
        return NULL;
    do {
        if (dwarf_tag(&child) == DW_TAG_template_type_parameter && n-- == 0)
            return wh_type_of(t->module, &child);
    } while (wh_die_next(&child));
    return NULL;
}

enum flags { PLAIN = 0, LINK = 1, ELEMENTS = 2, WHOLE = 4 };

/* Adds a pointer member that reads as name and leads to target. */
static bool add_pointer(struct wh_type *t, const char *name, uint64_t offset,
                        const struct wh_type *target, unsigned flags) {
    if (!wh_type_make_member(t, name, offset, wh_type_make_pointer(t->module, target)))
        return false;
    struct wh_member *member = &t->members[t->member_count - 1];
    member->is_link = flags & LINK;
    member->is_elements = flags & ELEMENTS;
    member->is_whole = flags & WHOLE;
    return true;
}

static uint64_t round_up(uint64_t size, uint64_t align) {
    return (size + align - 1) / align * align;
}

/* A made-up node: `links` pointers to its like at 0, 8, ..., after which the value lies. */
static struct wh_type *make_node(struct wh_type *t, const char *name, uint64_t first_link,
                                 unsigned links, uint64_t value_at, const struct wh_type *value) {
    value_at = round_up(value_at, wh_type_align(value));
    struct wh_type *node =
        wh_type_make(t->module, WH_TYPE_STRUCT, name, round_up(value_at + value->size, 8));
    for (unsigned i = 0; node && i < links; i++)
        add_pointer(node, "", first_link + 8u * i, node, LINK);
    if (node)
        wh_type_make_member(node, "", value_at, value);
    return node;
}

/* std::pair<const K, V>, made from the container's arguments. */
static const struct wh_type *make_pair(struct wh_type *t) {
    const struct wh_type *key = wh_type_argument(t, 0), *value = wh_type_argument(t, 1);
    if (!key || !value)
        return NULL;
    uint64_t align =
        wh_type_align(key) > wh_type_align(value) ? wh_type_align(key) : wh_type_align(value);
    uint64_t at = round_up(key->size, wh_type_align(value));
    struct wh_type *pair =
        wh_type_make(t->module, WH_TYPE_STRUCT, "std::pair", round_up(at + value->size, align));
    if (!pair || !wh_type_make_member(pair, "first", 0, key) ||
        !wh_type_make_member(pair, "second", at, value))
        return NULL;
    return pair;
}

/* --- libstdc++
 * ------------------------------------------------------------------------------------------- */

static void fill_vector(struct wh_type *t) {
    const struct wh_type *element = wh_type_argument(t, 0);
    if (!element || strcmp(element->name, "bool") == 0) /* vector<bool> holds words of bits */
        return;
    t->member_count = 0;
    for (unsigned i = 0; i < 3; i++) /* begin, end, end of storage */
        add_pointer(t, "", 8u * i, element, ELEMENTS);
}

static void fill_string(struct wh_type *t) {
    const struct wh_type *character = wh_type_argument(t, 0);
    if (!character || t->size != 32) /* the pre-C++11 string is one pointer */
        return;
    t->member_count = 0;
    add_pointer(t, "", 0, character, ELEMENTS);
}

static void fill_tree(struct wh_type *t, const struct wh_type *value) {
    struct wh_type *node = value ? make_node(t, "std::_Rb_tree_node", 8, 3, 32, value) : NULL;
    if (!node)
        return;
    t->member_count = 0;
    for (unsigned i = 0; i < 3; i++) /* root, leftmost, rightmost */
        add_pointer(t, "[*]", 16 + 8u * i, node, LINK);
}

static void fill_map(struct wh_type *t) {
    fill_tree(t, make_pair(t));
}

static void fill_set(struct wh_type *t) {
    fill_tree(t, wh_type_argument(t, 0));
}

static void fill_hash(struct wh_type *t, const struct wh_type *value) {
    struct wh_type *node = value ? make_node(t, "std::_Hash_node", 0, 1, 8, value) : NULL;
    struct wh_type *bucket =
        node ? wh_type_make(t->module, WH_TYPE_STRUCT, "std::_Hash_bucket", 8) : NULL;
    if (!bucket || !add_pointer(bucket, "", 0, node, LINK))
        return;
    t->member_count = 0;
    add_pointer(t, "", 0, bucket, ELEMENTS | LINK);
    add_pointer(t, "[*]", 16, node, LINK);
}

static void fill_unordered_map(struct wh_type *t) {
    fill_hash(t, make_pair(t));
}

static void fill_unordered_set(struct wh_type *t) {
    fill_hash(t, wh_type_argument(t, 0));
}

static void fill_list(struct wh_type *t) {
    const struct wh_type *value = wh_type_argument(t, 0);
    struct wh_type *node = value ? make_node(t, "std::_List_node", 0, 2, 16, value) : NULL;
    if (!node)
        return;
    t->member_count = 0;
    add_pointer(t, "[*]", 0, node, LINK);
    add_pointer(t, "[*]", 8, node, LINK);
}

static void fill_forward_list(struct wh_type *t) {
    const struct wh_type *value = wh_type_argument(t, 0);
    struct wh_type *node = value ? make_node(t, "std::_Fwd_list_node", 0, 1, 8, value) : NULL;
    if (!node)
        return;
    t->member_count = 0;
    add_pointer(t, "[*]", 0, node, LINK);
}

static void fill_deque(struct wh_type *t) {
    const struct wh_type *element = wh_type_argument(t, 0);
    struct wh_type *chunk =
        element ? wh_type_make(t->module, WH_TYPE_STRUCT, "std::_Deque_chunk", 8) : NULL;
    if (!chunk || !add_pointer(chunk, "", 0, element, ELEMENTS))
        return;
    chunk->hides_index = true; /* which chunk an element lies in is nobody's business */
    t->member_count = 0;
    static const unsigned char to_map[] = {0, 40, 72}, to_chunk[] = {16, 24, 32, 48, 56, 64};
    for (size_t i = 0; i < sizeof(to_map); i++)
        add_pointer(t, "", to_map[i], chunk, LINK | ELEMENTS | WHOLE);
    for (size_t i = 0; i < sizeof(to_chunk); i++)
        add_pointer(t, "", to_chunk[i], element, ELEMENTS);
}

static void fill_shared(struct wh_type *t) {
    const struct wh_type *element = wh_type_argument(t, 0);
    if (!element)
        return;
    struct wh_type *counter = wh_type_make(t->module, WH_TYPE_STRUCT, "std::_Sp_counted_base", 16);
    t->member_count = 0;
    add_pointer(t, "", 0, element, PLAIN);
    add_pointer(t, ".refcount", 8, counter, PLAIN);
}

static void fill_unique(struct wh_type *t) {
    const struct wh_type *element = wh_type_argument(t, 0);
    if (!element || t->size != 8)
        return;
    bool is_array = element->kind == WH_TYPE_ARRAY;
    t->member_count = 0;
    add_pointer(t, "", 0, is_array ? element->target : element, is_array ? ELEMENTS : PLAIN);
}

/* --- Rust
 * ------------------------------------------------------------------------------------------------
 */

#define BTREE_SLOTS 11u /* of a node of alloc::collections::btree, B = 6 */

/* The first pointer in t and its offset; NULL = none. */
static const struct wh_type *find_pointer(const struct wh_type *t, uint64_t base, int *budget,
                                          uint64_t *ret_offset) {
    if (--*budget < 0) /* a broken type that contains itself */
        return NULL;
    if (t->kind == WH_TYPE_POINTER) {
        *ret_offset = base;
        return t;
    }
    if (t->kind != WH_TYPE_STRUCT && t->kind != WH_TYPE_UNION)
        return NULL;
    wh_type_fill(t);
    for (size_t i = 0; i < t->member_count; i++) {
        const struct wh_type *found =
            find_pointer(t->members[i].type, base + t->members[i].offset, budget, ret_offset);
        if (found)
            return found;
    }
    return NULL;
}

static void fill_rust_elements(struct wh_type *t, const struct wh_type *element, unsigned flags) {
    uint64_t offset;
    int budget = 256;
    if (!element || !find_pointer(t, 0, &budget, &offset))
        return;
    t->member_count = 0;
    add_pointer(t, "", offset, element, flags);
}

static void fill_vec(struct wh_type *t) {
    fill_rust_elements(t, wh_type_argument(t, 0), ELEMENTS);
}

/* Elements lie before the control bytes that the pointer points at, from the block's first byte on.
 */
static void fill_raw_table(struct wh_type *t) {
    fill_rust_elements(t, wh_type_argument(t, 0), ELEMENTS | WHOLE);
}

static bool add_slots(struct wh_type *node, const struct wh_type *leaf, const char *from,
                      const char *name, const struct wh_type *value) {
    for (size_t i = 0; i < leaf->member_count; i++)
        if (strcmp(leaf->members[i].name, from) == 0) {
            for (uint64_t k = 0; k < BTREE_SLOTS; k++)
                if (!wh_type_make_member(node, name, leaf->members[i].offset + k * value->size,
                                         value))
                    return false;
            return true;
        }
    return false;
}

/* Pointers are said to be to a LeafNode; an InternalNode is one with the edges behind it, and the
 * size of the block tells which it is. */
static void fill_btree_map(struct wh_type *t) {
    uint64_t offset;
    int budget = 256;
    const struct wh_type *pointer = find_pointer(t, 0, &budget, &offset);
    const struct wh_type *leaf = pointer ? wh_type_pointee(pointer) : NULL;
    const struct wh_type *key = wh_type_argument(t, 0), *value = wh_type_argument(t, 1);
    if (!leaf || !key || !value)
        return;
    wh_type_fill(leaf);
    struct wh_type *kinds[2];
    for (unsigned i = 0; i < 2; i++) {
        kinds[i] = wh_type_make(t->module, WH_TYPE_STRUCT, "btree::Node",
                                leaf->size + i * 8 * (BTREE_SLOTS + 1));
        if (!kinds[i] || !add_slots(kinds[i], leaf, "keys", "[*].0", key) ||
            !add_slots(kinds[i], leaf, "vals", "[*].1", value))
            return;
    }
    t->member_count = 0;
    for (unsigned i = 0; i < 2; i++) {
        for (uint64_t k = 0; k <= BTREE_SLOTS; k++)
            add_pointer(kinds[1], "", leaf->size + 8 * k, kinds[i], LINK);
        add_pointer(t, "", offset, kinds[i], LINK);
    }
}

/* &str, &[T], Box<[T]>: {data_ptr, length}; Box<dyn T>: {pointer, vtable}. */
static void fill_slice(struct wh_type *t) {
    if (t->member_count && strcmp(t->members[0].name, "pointer") == 0)
        t->members[0].name = "";
    if (!t->member_count || strcmp(t->members[0].name, "data_ptr") != 0 ||
        t->members[0].type->kind != WH_TYPE_POINTER)
        return;
    fill_rust_elements(t, t->members[0].type->target, ELEMENTS);
}

static void fill_transparent(struct wh_type *t) {
    for (size_t i = 0; i < t->member_count; i++)
        t->members[i].name = "";
}

/* --- GLib
 * ------------------------------------------------------------------------------------------------
 */

static void fill_glib_list(struct wh_type *t) {
    bool is_double = t->size == 24;
    t->member_count = 0;
    add_pointer(t, "[*]", 0, NULL, PLAIN);
    add_pointer(t, "", 8, t, LINK);
    if (is_double)
        add_pointer(t, "", 16, t, LINK);
}

static void fill_glib_pointer_array(struct wh_type *t) {
    t->member_count = 0;
    add_pointer(t, "", 0, wh_type_make_pointer(t->module, NULL), ELEMENTS);
}

const struct wh_type *wh_type_builtin(struct wh_module *m, const char *plain_name) {
    if (strcmp(plain_name, "_GHashTable") != 0)
        return NULL;
    struct wh_type *t = wh_type_make(m, WH_TYPE_STRUCT, "struct _GHashTable", 96);
    if (!t)
        return NULL;
    const struct wh_type *slot = wh_type_make_pointer(m, NULL);
    add_pointer(t, ".keys", 32, slot, ELEMENTS);
    add_pointer(t, ".hashes", 40, wh_type_make(m, WH_TYPE_SCALAR, "guint", 4), ELEMENTS);
    add_pointer(t, ".values", 48, slot, ELEMENTS);
    return t;
}

/* --- the table
 * ------------------------------------------------------------------------------------------- */

static const struct container {
    const char *name; /* of the template or type, without arguments */
    void (*fill)(struct wh_type *t);
} containers[] = {
    {"std::vector", fill_vector},
    {"std::string", fill_string},
    {"std::basic_string", fill_string},
    {"std::wstring", fill_string},
    {"std::map", fill_map},
    {"std::multimap", fill_map},
    {"std::set", fill_set},
    {"std::multiset", fill_set},
    {"std::unordered_map", fill_unordered_map},
    {"std::unordered_multimap", fill_unordered_map},
    {"std::unordered_set", fill_unordered_set},
    {"std::unordered_multiset", fill_unordered_set},
    {"std::list", fill_list},
    {"std::forward_list", fill_forward_list},
    {"std::deque", fill_deque},
    {"std::shared_ptr", fill_shared},
    {"std::weak_ptr", fill_shared},
    {"std::unique_ptr", fill_unique},
    {"alloc::vec::Vec", fill_vec},
    {"alloc::collections::vec_deque::VecDeque", fill_vec},
    {"alloc::collections::binary_heap::BinaryHeap", fill_transparent},
    {"alloc::collections::btree::map::BTreeMap", fill_btree_map},
    {"alloc::collections::btree::set::BTreeSet", fill_transparent},
    {"alloc::string::String", fill_transparent},
    {"alloc::boxed::Box", fill_slice},
    {"alloc::rc::Rc", fill_transparent},
    {"alloc::rc::RcBox", fill_transparent},
    {"alloc::rc::RcInner", fill_transparent},
    {"alloc::sync::Arc", fill_transparent},
    {"alloc::sync::ArcInner", fill_transparent},
    {"core::ptr::non_null::NonNull", fill_transparent},
    {"core::ptr::unique::Unique", fill_transparent},
    {"core::cell::UnsafeCell", fill_transparent},
    {"core::cell::RefCell", fill_transparent},
    {"core::cell::Cell", fill_transparent},
    {"core::cell::once::OnceCell", fill_transparent},
    {"core::mem::maybe_uninit::MaybeUninit", fill_transparent},
    {"core::mem::manually_drop::ManuallyDrop", fill_transparent},
    {"core::mem::maybe_dangling::MaybeDangling", fill_transparent},
    {"core::option::Option", fill_transparent},
    {"std::sync::lazy_lock::LazyLock", fill_transparent},
    {"std::sync::lazy_lock::Data", fill_transparent},
    {"std::sync::mutex::Mutex", fill_transparent},
    {"std::sync::once_lock::OnceLock", fill_transparent},
    {"std::sync::poison::mutex::Mutex", fill_transparent},
    {"std::sync::poison::rwlock::RwLock", fill_transparent},
    {"std::sync::rwlock::RwLock", fill_transparent},
    {"std::collections::hash::map::HashMap", fill_transparent},
    {"std::collections::hash::set::HashSet", fill_transparent},
    {"hashbrown::map::HashMap", fill_transparent},
    {"hashbrown::set::HashSet", fill_transparent},
    {"hashbrown::raw::RawTable", fill_raw_table},
    {"_GList", fill_glib_list},
    {"_GSList", fill_glib_list},
    {"_GPtrArray", fill_glib_pointer_array},
};

/* Do the template arguments end the name? "std::map<K, V>::node" is not the map. */
static bool is_closed(const char *arguments) {
    int depth = 0;
    for (const char *p = arguments; *p; p++) {
        depth += *p == '<' ? 1 : *p == '>' ? -1 : 0;
        if (depth == 0)
            return p[1] == '\0';
    }
    return true;
}

void wh_type_fill_container(struct wh_type *t) {
    if (!t->plain || (t->kind != WH_TYPE_STRUCT && t->kind != WH_TYPE_UNION))
        return;
    if (t->plain[0] == '&') {
        fill_slice(t);
        return;
    }
    size_t length = strcspn(t->plain, "<");
    for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++) {
        if (strlen(containers[i].name) != length ||
            strncmp(containers[i].name, t->plain, length) != 0)
            continue;
        if (containers[i].fill == fill_transparent || is_closed(t->plain + length))
            containers[i].fill(t);
        return;
    }
}
