/* Fields as text: from a type and an offset to "->buckets[3].next" (type.h).
 *
 * The hard thing is ambiguity: unions and Rust enums have several members at one offset. All are
 * tried, and the one whose pointee fits the block at the other end wins; a tie goes to the first
 * declared. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/symbol/type_internal.h"

#define DESCENT_BUDGET 512 /* members tried for one slot: a broken type may contain itself */

struct descent {
    const struct wh_type_want *want;
    int budget;
};

static void append(char *text, size_t size, const char *more) {
    size_t length = strlen(text);
    if (length + 1 < size)
        snprintf(text + length, size - length, "%s", more);
}

static void append_both(struct wh_type_field *f, const char *more) {
    append(f->text, sizeof(f->text), more);
    append(f->collapsed, sizeof(f->collapsed), more);
}

static void append_index(struct wh_type_field *f, const struct wh_type *element, uint64_t index) {
    char text[32];
    if (element->hides_index)
        return;
    snprintf(text, sizeof(text), "[%" PRIu64 "]", index);
    append(f->text, sizeof(f->text), text);
    append(f->collapsed, sizeof(f->collapsed), "[*]");
}

static void append_name(struct wh_type_field *f, const char *name) {
    if (!name[0])
        return;
    if (name[0] != '.' && name[0] != '[')
        append_both(f, ".");
    append_both(f, name);
}

/* How well a described slot fits the block that it refers to; larger is better. */
static int fitness(const struct wh_type_field *f, const struct wh_type_want *want) {
    if (!f->is_pointer)
        return 0;
    if (!f->pointee)
        return 1; /* void *: says nothing against it */
    if (!want || (!want->target_size && !want->target_type))
        return 2;
    if (want->target_type && f->pointee == want->target_type)
        return 6;
    uint64_t size = f->pointee->size;
    if (!size || !want->target_size)
        return 2;
    if (size == want->target_size)
        return 5;
    return size < want->target_size ? (want->target_size % size == 0 ? 4 : 3) : 1;
}

static void descend(struct descent *d, const struct wh_type *t, uint64_t offset,
                    struct wh_type_field *f);

/* Bytes of its struct that a member covers, the flexible end included. */
static uint64_t member_size(const struct wh_type *t, size_t index) {
    const struct wh_member *member = &t->members[index];
    if (t->has_flexible_end && index + 1 == t->member_count)
        return UINT64_MAX - member->offset;
    return member->type->size;
}

static void descend_member(struct descent *d, const struct wh_member *member, uint64_t offset,
                           struct wh_type_field *f) {
    append_name(f, member->name);
    descend(d, member->type, offset, f);
    if (f->is_pointer && f->type == member->type) {
        f->is_link = member->is_link;
        f->is_elements = member->is_elements;
        f->is_whole = member->is_whole;
        f->is_slice = member->is_slice;
    }
}

static void descend_members(struct descent *d, const struct wh_type *t, uint64_t offset,
                            struct wh_type_field *f) {
    struct wh_type_field best = *f;
    int best_fitness = -1;
    wh_type_fill(t);
    for (size_t i = 0; i < t->member_count; i++) {
        const struct wh_member *member = &t->members[i];
        if (offset < member->offset || offset - member->offset >= member_size(t, i) ||
            d->budget <= 0)
            continue;
        struct wh_type_field field = *f;
        descend_member(d, member, offset - member->offset, &field);
        int fits = fitness(&field, d->want);
        if (fits > best_fitness) {
            best = field;
            best_fitness = fits;
        }
    }
    *f = best;
}

static void descend(struct descent *d, const struct wh_type *t, uint64_t offset,
                    struct wh_type_field *f) {
    f->type = t;
    f->offset = offset;
    if (--d->budget <= 0)
        return;
    switch (t->kind) {
    case WH_TYPE_POINTER:
        f->is_pointer = offset == 0;
        f->pointee = f->is_pointer ? wh_type_pointee(t) : NULL;
        break;
    case WH_TYPE_ARRAY:
        if (!t->target || !t->target->size)
            break;
        append_index(f, t->target, offset / t->target->size);
        descend(d, t->target, offset % t->target->size, f);
        break;
    case WH_TYPE_STRUCT:
    case WH_TYPE_UNION:
        descend_members(d, t, offset, f);
        break;
    default:
        break;
    }
}

static bool is_aggregate(const struct wh_type *t) {
    return t->kind == WH_TYPE_STRUCT || t->kind == WH_TYPE_UNION || t->kind == WH_TYPE_ARRAY;
}

int wh_type_at(const struct wh_type *t, uint64_t block_size, uint64_t offset, bool elements,
               const struct wh_type_want *want, struct wh_type_field *ret_field) {
    struct descent d = {.want = want, .budget = DESCENT_BUDGET};
    *ret_field = (struct wh_type_field){0};
    t = wh_type_complete(t);
    if (!t || !t->size || (block_size && offset >= block_size))
        return -1;
    wh_type_fill(t);
    bool repeats = block_size && (elements || !is_aggregate(t) ||
                                  (block_size > t->size && block_size % t->size == 0));
    if (t->has_flexible_end && !elements)
        repeats = false;
    if (repeats) {
        append_index(ret_field, t, offset / t->size);
        offset %= t->size;
    } else if (offset >= t->size && !(block_size && t->has_flexible_end)) {
        return -1;
    }
    descend(&d, t, offset, ret_field);
    return 0;
}

bool wh_type_may_point(const struct wh_type *t, uint64_t block_size, uint64_t offset) {
    struct wh_type_field field;
    if (wh_type_at(t, block_size, offset, false, NULL, &field) != 0 || field.is_pointer ||
        !field.type)
        return true;
    if (field.type->kind == WH_TYPE_POINTER) /* in the middle of a pointer: an unaligned word */
        return false;
    if (field.type->kind != WH_TYPE_SCALAR)
        return true; /* padding, union, opaque: anything */
    /* uintptr_t, size_t: integers as wide as a pointer may carry one */
    return !field.type->is_float && !field.type->is_bool_or_char && field.type->size >= 8 &&
           field.offset == 0;
}

void wh_type_mark_element(const struct wh_type *t, struct wh_type_field *field) {
    field->is_element = t && t->kind == WH_TYPE_POINTER;
}

void wh_path_append(char *path, size_t size, const struct wh_type_field *previous,
                    const struct wh_type_field *field, bool collapsed) {
    const char *text = collapsed ? field->collapsed : field->text;
    if (previous && !previous->is_link && !previous->is_element && text[0] == '.') {
        /* "v[*].name", "m[*].second": a value in its place; "p->name": behind a pointer */
        append(path, size, "->");
        text++;
    }
    append(path, size, text);
}
