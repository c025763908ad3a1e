/* From root slots to root variables. The hard thing is the rank: it decides ties between equally
 * strong and equally short paths, so nothing in it may depend on where the kernel put things. */
#include "analyzer/holder/variable.h"

#include "analyzer/holder/freelist.h"

#include "base/string.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resolver {
    struct wh_heap *heap;
    struct wh_symbols *symbols;
    int64_t process_id, at_ns;
    struct wh_names *texts;
    struct wh_variables *vars;
    struct wh_map map;
    struct wh_error *error;
};

/* The C and C++ runtime: buffers of stdio, locales, the pool for exceptions of last resort. */
static const char *const infra_modules[] = {
    "libc.so*",     "libc-*.so",   "ld-linux*", "ld-*.so*",      "libpthread*",
    "libwhoholds*", "linux-vdso*", "[vdso]",    "libstdc++.so*", "libgcc_s.so*"};

static int is_infra_module(const char *module) {
    for (size_t i = 0; module && i < sizeof(infra_modules) / sizeof(*infra_modules); i++)
        if (fnmatch(infra_modules[i], module, 0) == 0)
            return 1;
    return 0;
}

const char *wh_root_kind_name(unsigned kind) {
    switch (kind) {
    case WH_ROOT_TLS:
    case WH_ROOT_TSD:
        return "tls";
    case WH_ROOT_STACK:
        return "stack";
    case WH_ROOT_REGISTER:
        return "register";
    case WH_ROOT_MAPPING:
        return "mapping";
    default:
        return "global";
    }
}

/* Kind order of ties: named globals, thread-locals, nameless data, mappings, stacks, registers,
 * infrastructure. Nameless data of a stripped library is often an allocator's or a registry's own:
 * what a named variable or a frame keeps as well is not that library's. The executable's is the
 * program's: its globals come before the frames that work on what they keep. */
static void grade(struct wh_holder_variable *v) {
    static const uint8_t strength[] = {5, 3, 2, 1, 1, 3, 1};
    static const uint8_t stage[] = {0, 1, 4, 5, 3, 1, 6};
    v->strength = strength[v->kind];
    v->stage = stage[v->kind];
    int is_nameless = v->kind == WH_ROOT_GLOBAL && !v->is_named;
    if (is_nameless || (v->kind == WH_ROOT_TSD && strstr(v->name, "+0x"))) {
        v->strength = v->is_executable ? 3 : 2;
        v->stage = 2;
    }
}

/* The row of the module that a root belongs to; a root that came without is found by its address.
 */
static const struct wh_symbols_row *row_of(const struct resolver *r,
                                           const struct wh_heap_root *root) {
    if (!r->symbols)
        return NULL;
    if (root->module)
        return wh_symbols_row(r->symbols, root->module);
    return wh_symbols_find(r->symbols, r->process_id, root->start, r->at_ns);
}

static struct wh_module *module_of(const struct resolver *r, const struct wh_symbols_row *row) {
    return row ? wh_symbols_module(r->symbols, row->id) : NULL;
}

static const char *function_at(struct wh_symbols *symbols, int64_t process_id, int64_t at_ns,
                               const struct wh_heap_root *root, struct wh_names *texts) {
    char text[512] = "?";
    if (symbols && root->pc)
        wh_symbols_describe(symbols, process_id, root->pc, at_ns,
                            root->kind == WH_ROOT_STACK && root->number > 0, text, sizeof(text));
    return wh_names_intern(texts, text);
}

/* --- one maker per kind: fills name, module, file, type, address, place, size --------------------
 */

static void take_variable(struct wh_holder_variable *v, const struct wh_variable *found,
                          uint64_t slot) {
    v->name = found->name;
    v->file = found->file;
    v->type = found->type;
    v->size = found->size;
    v->address = slot - found->offset;
    v->place = found->address;
    v->is_named = 1;
}

/* Words that no symbol covers are one variable per section: nothing tells them apart. */
static void make_nameless(struct resolver *r, const struct wh_symbols_row *row, struct wh_module *m,
                          const struct wh_heap_root *root, uint64_t file_address,
                          struct wh_holder_variable *v) {
    char text[256];
    const char *section = m ? wh_variable_section(m, file_address) : NULL;
    snprintf(text, sizeof(text), "%s!%s", v->module ? v->module : "?", section ? section : "data");
    if (v->kind == WH_ROOT_INFRA)
        snprintf(text, sizeof(text), "data");
    v->name = wh_names_intern(r->texts, text);
    v->address = row ? row->load_bias : root->start;
}

static void make_global(struct resolver *r, const struct wh_heap_root *root, uint64_t slot,
                        struct wh_holder_variable *v) {
    const struct wh_symbols_row *row = row_of(r, root);
    struct wh_module *m = module_of(r, row);
    struct wh_variable found;
    v->is_executable = row && row->is_executable;
    if (root->text) { /* made by wh_runtime_adopt() */
        v->name = wh_names_intern(r->texts, "own blocks");
        v->module = r->heap->texts + root->text;
        return;
    }
    uint64_t file_address = slot - (row ? row->load_bias : root->start);
    if (m)
        v->module = wh_module_name(m);
    if (is_infra_module(v->module))
        v->kind = WH_ROOT_INFRA;
    if (m && wh_variable_at(m, file_address, &found) == 0 && found.name)
        take_variable(v, &found, slot);
    else
        make_nameless(r, row, m, root, file_address, v);
}

static void make_tls(struct resolver *r, const struct wh_heap_root *root, uint64_t slot,
                     struct wh_holder_variable *v) {
    struct wh_module *m = module_of(r, row_of(r, root));
    struct wh_variable found;
    uint64_t offset = slot - root->start + root->tls_offset;
    char text[256];
    if (m)
        v->module = wh_module_name(m);
    if (m && wh_variable_tls(m, offset, &found) == 0 && found.name) {
        take_variable(v, &found, slot);
        snprintf(text, sizeof(text), "tls:%s", found.name);
    } else {
        snprintf(text, sizeof(text), "tls:%s", v->module ? v->module : "?");
        v->address = slot - offset; /* one variable per module and thread: nothing tells more */
    }
    if (is_infra_module(v->module))
        v->kind = WH_ROOT_INFRA;
    v->name = wh_names_intern(r->texts, text);
}

/* A thread's stack is called after its outermost function that is not the C library's. */
static void make_stack(struct resolver *r, const struct wh_heap_root *root,
                       struct wh_holder_variable *v) {
    const struct wh_heap_root *outer = root;
    uint64_t low = root->start, high = root->end;
    for (uint32_t i = 0; i < r->heap->root_count; i++) {
        const struct wh_heap_root *other = &r->heap->roots[i];
        if (other->kind != WH_ROOT_STACK || other->tid != root->tid)
            continue;
        low = other->start < low ? other->start : low;
        high = other->end > high ? other->end : high;
        const struct wh_symbols_row *row =
            r->symbols ? wh_symbols_find(r->symbols, r->process_id, other->pc, r->at_ns) : NULL;
        const char *slash = row && row->path ? strrchr(row->path, '/') : NULL;
        int infra = row && row->path && is_infra_module(slash ? slash + 1 : row->path);
        const char *name = function_at(r->symbols, r->process_id, r->at_ns, other, r->texts);
        if (!infra && name && strcmp(name, "_start") != 0 && other->number >= outer->number)
            outer = other;
    }
    char text[300];
    const char *function = function_at(r->symbols, r->process_id, r->at_ns, outer, r->texts);
    snprintf(text, sizeof(text), "%s()", function ? function : "?");
    v->name = wh_names_intern(r->texts, text);
    v->address = low;
    v->size = high - low;
}

static void make_other(struct resolver *r, const struct wh_heap_root *root,
                       struct wh_holder_variable *v) {
    char text[300];
    const char *function = function_at(r->symbols, r->process_id, r->at_ns, root, r->texts);
    const char *given = root->text ? r->heap->texts + root->text : "";
    v->address = root->kind == WH_ROOT_REGISTER ? 0 : root->start;
    v->size = root->end - root->start;
    if (root->kind == WH_ROOT_REGISTER) {
        snprintf(text, sizeof(text), "register in %s()", function ? function : "?");
    } else if (root->kind == WH_ROOT_TSD) {
        if (root->pc)
            snprintf(text, sizeof(text), "tsd[key %u, dtor=%s]", root->number,
                     function ? function : "?");
        else
            snprintf(text, sizeof(text), "tsd[key %u]", root->number);
        v->place = root->number;
    } else {
        snprintf(text, sizeof(text), "mapping %s", *given ? given : "(anonymous)");
    }
    v->name = wh_names_intern(r->texts, text);
}

static void make(struct resolver *r, const struct wh_heap_root *root, uint64_t slot,
                 struct wh_holder_variable *v) {
    *v = (struct wh_holder_variable){.kind = root->kind, .tid = root->tid};
    switch (root->kind) {
    case WH_ROOT_GLOBAL:
    case WH_ROOT_INFRA:
        make_global(r, root, slot, v);
        break;
    case WH_ROOT_TLS:
        make_tls(r, root, slot, v);
        break;
    case WH_ROOT_STACK:
        make_stack(r, root, v);
        break;
    default:
        make_other(r, root, v);
    }
    grade(v);
}

/* --- all slots
 * --------------------------------------------------------------------------------------- */

/* What makes two slots the same variable. Address is in the key: the same symbol of a library
 * loaded twice is two variables. */
static struct wh_key key_of(const struct wh_heap_root *root, uint32_t root_index,
                            const struct wh_holder_variable *v) {
    uint64_t kind_tid = (uint64_t)v->kind << 32 | v->tid;
    if (root->kind == WH_ROOT_STACK || root->kind == WH_ROOT_REGISTER)
        return (struct wh_key){kind_tid, 0, 0};
    if (root->kind == WH_ROOT_MAPPING)
        return (struct wh_key){kind_tid, root_index, 1};
    if (!v->is_named && root->kind != WH_ROOT_TLS && root->kind != WH_ROOT_TSD)
        return (struct wh_key){kind_tid, (uintptr_t)v->name, 2};
    return (struct wh_key){kind_tid, v->address, 3};
}

static int add_slot(struct resolver *r, const struct wh_heap_edge *e, uint32_t *ret) {
    uint32_t root_index = e->from & ~WH_FROM_ROOT;
    const struct wh_heap_root *root = &r->heap->roots[root_index];
    struct wh_holder_variable v;
    struct wh_key quick = {(uint64_t)root->kind << 32 | root->tid, 0, 0};
    if (root->kind == WH_ROOT_STACK || root->kind == WH_ROOT_REGISTER) {
        *ret = wh_map_find(&r->map, quick);
        if (*ret != WH_MAP_NONE)
            return 0;
    }
    make(r, root, root->start + e->from_offset, &v);
    if (!v.name)
        return wh_fail(r->error, WH_ESYSTEM, "no memory for the names of roots");
    struct wh_key key = key_of(root, root_index, &v);
    *ret = wh_map_find(&r->map, key);
    if (*ret != WH_MAP_NONE)
        return 0;
    *ret = r->vars->count;
    int status = 0;
    if (wh_array_reserve(&r->vars->items, &r->vars->room, (size_t)r->vars->count + 1, sizeof(v)) <
        0)
        status = wh_fail(r->error, WH_ESYSTEM, "no memory for %u root variables", r->vars->count);
    if (status == 0)
        status = wh_map_add(&r->map, key, *ret, r->error);
    if (status == 0)
        r->vars->items[r->vars->count++] = v;
    return status;
}

static int add_slots(struct resolver *r) {
    uint32_t last_root = WH_GRAPH_NONE, last = WH_GRAPH_NONE;
    struct wh_edge_walk w = {.edges = &r->heap->edges, .next = r->vars->first_root_edge};
    while (wh_edge_next(&w)) {
        const struct wh_heap_edge *e = &w.edge;
        uint32_t *variable = &r->vars->edge_variable[w.index - r->vars->first_root_edge];
        uint32_t root_index = e->from & ~WH_FROM_ROOT;
        if (root_index >= r->heap->root_count || e->to >= r->heap->node_count)
            return wh_fail(r->error, WH_EINPUT, "edge %llu of the snapshot leads nowhere",
                           (unsigned long long)w.index);
        const struct wh_heap_root *root = &r->heap->roots[root_index];
        if (last != WH_GRAPH_NONE && root_index == last_root && root->kind != WH_ROOT_STACK) {
            const struct wh_holder_variable *v = &r->vars->items[last];
            uint64_t slot = root->start + e->from_offset;
            if (v->is_named && slot >= v->address && slot - v->address < v->size) {
                *variable = last;
                continue;
            }
        }
        int status = add_slot(r, e, &last);
        if (status < 0)
            return status;
        last_root = root_index;
        *variable = last;
    }
    return 0;
}

/* --- rank
 * ---------------------------------------------------------------------------------------------- */

static int compare_text(const char *a, const char *b) {
    if (a == b)
        return 0;
    return !a ? -1 : !b ? 1 : strcmp(a, b);
}

#define COMPARE(x, y)                                                                              \
    if ((x) != (y))                                                                                \
    return (x) < (y) ? -1 : 1

static int by_rank(const void *a, const void *b, void *items) {
    const struct wh_holder_variable *x = (struct wh_holder_variable *)items + *(const uint32_t *)a;
    const struct wh_holder_variable *y = (struct wh_holder_variable *)items + *(const uint32_t *)b;
    COMPARE(x->stage, y->stage);
    COMPARE(y->strength, x->strength);
    int c = compare_text(x->name, y->name);
    c = c ? c : compare_text(x->module, y->module);
    c = c ? c : compare_text(x->file, y->file);
    if (c)
        return c;
    COMPARE(x->place, y->place);
    COMPARE(x->tid, y->tid);
    COMPARE(x->address, y->address);
    return 0;
}

struct root_edge {
    struct wh_heap_edge edge;
    uint32_t variable;
    uint32_t depth; /* frames outward */
};

static int by_variable(const void *a, const void *b) {
    const struct root_edge *x = a, *y = b;
    COMPARE(x->variable, y->variable);
    COMPARE(y->depth, x->depth);
    COMPARE(x->edge.from, y->edge.from);
    COMPARE(x->edge.from_offset, y->edge.from_offset);
    return 0;
}

static int rank_variables(struct resolver *r, uint32_t *rank_of) {
    struct wh_variables *vars = r->vars;
    uint32_t *order = calloc(vars->count ? vars->count : 1, sizeof(*order));
    struct wh_holder_variable *sorted = calloc(vars->count ? vars->count : 1, sizeof(*sorted));
    vars->graph = calloc(vars->count ? vars->count : 1, sizeof(*vars->graph));
    if (!order || !sorted || !vars->graph) {
        free(order);
        free(sorted);
        return wh_fail(r->error, WH_ESYSTEM, "no memory for %u root variables", vars->count);
    }
    for (uint32_t i = 0; i < vars->count; i++)
        order[i] = i;
    qsort_r(order, vars->count, sizeof(*order), by_rank, vars->items);
    for (uint32_t i = 0; i < vars->count; i++) {
        sorted[i] = vars->items[order[i]];
        rank_of[order[i]] = i;
        vars->graph[i] = (struct wh_graph_variable){sorted[i].strength, sorted[i].stage};
    }
    free(vars->items);
    free(order);
    vars->items = sorted;
    return 0;
}

/* References that are weak by what the variable's type says: a word where it has no pointer (an
 * integer, saved registers), and what a std::weak_ptr watches without keeping it. A free list keeps
 * what is not in use: of a block that something else refers to, it has a stale slot. */
static void demote(const struct resolver *r, const struct wh_holder_variable *v,
                   struct wh_heap_edge *e) {
    uint64_t offset = r->heap->roots[e->from & ~WH_FROM_ROOT].start + e->from_offset - v->address;
    const struct wh_type_want want = {0};
    struct wh_type_field field;
    if (!v->type || !v->is_named || e->edge_class <= WH_EDGE_TAGGED)
        return;
    if (strncmp(wh_type_name(v->type), "std::weak_ptr<", 14) == 0 ||
        !wh_type_may_point(v->type, 0, offset) ||
        (wh_type_at(v->type, 0, offset, false, &want, &field) == 0 &&
         wh_is_free_list(v->name, field.collapsed)))
        e->edge_class = WH_EDGE_TAGGED;
}

static int reorder_edges(struct resolver *r, const uint32_t *rank_of) {
    struct wh_variables *vars = r->vars;
    uint64_t first = vars->first_root_edge, count = r->heap->edges.count - first;
    struct root_edge *edges = calloc(count ? count : 1, sizeof(*edges));
    if (!edges)
        return wh_fail(r->error, WH_ESYSTEM, "no memory for %llu root edges",
                       (unsigned long long)count);
    struct wh_edge_walk w = {.edges = &r->heap->edges, .next = first};
    while (wh_edge_next(&w)) {
        const struct wh_heap_root *root = &r->heap->roots[w.edge.from & ~WH_FROM_ROOT];
        edges[w.index - first] =
            (struct root_edge){w.edge, rank_of[wh_variables_of_edge(vars, w.index)],
                               root->kind == WH_ROOT_STACK ? root->number : 0};
    }
    qsort(edges, count, sizeof(*edges), by_variable);
    wh_edges_drop_roots(&r->heap->edges);
    int status = 0;
    for (uint64_t i = 0; i < count && status == 0; i++) {
        struct wh_holder_variable *v = &vars->items[edges[i].variable];
        vars->edge_variable[i] = edges[i].variable;
        demote(r, v, &edges[i].edge);
        status = wh_edges_add(&r->heap->edges, &edges[i].edge, r->error);
        if (v->edge_count++ == 0)
            v->first_edge = first + i;
    }
    free(edges);
    return status;
}

/* Two variables of one name say which file (else module) they are from. */
static int tell_apart(struct resolver *r) {
    struct wh_variables *vars = r->vars;
    for (uint32_t i = 0; i < vars->count;) {
        uint32_t j = i + 1;
        int differ = 0;
        for (; j < vars->count && vars->items[j].stage == vars->items[i].stage &&
               strcmp(vars->items[j].name, vars->items[i].name) == 0;
             j++)
            differ |= vars->items[j].place != vars->items[i].place ||
                      compare_text(vars->items[j].module, vars->items[i].module) != 0;
        for (uint32_t k = i; differ && vars->items[i].is_named && k < j; k++) {
            struct wh_holder_variable *v = &vars->items[k];
            const char *from = v->file ? v->file : v->module;
            const char *slash = from ? strrchr(from, '/') : NULL;
            char text[512];
            snprintf(text, sizeof(text), "%s:%s", from ? (slash ? slash + 1 : from) : "?", v->name);
            v->name = wh_names_intern(r->texts, text);
            if (!v->name)
                return wh_fail(r->error, WH_ESYSTEM, "no memory for the names of roots");
        }
        i = j;
    }
    for (uint32_t i = 0; i < vars->count; i++) {
        struct wh_holder_variable *v = &vars->items[i];
        char text[512];
        if (v->kind != WH_ROOT_INFRA)
            continue;
        snprintf(text, sizeof(text), "[%s] %s", v->module ? v->module : "runtime", v->name);
        v->name = wh_names_intern(r->texts, text);
        if (!v->name)
            return wh_fail(r->error, WH_ESYSTEM, "no memory for the names of roots");
    }
    return 0;
}

int wh_variables_resolve(struct wh_heap *heap, struct wh_symbols *symbols, int64_t process_id,
                         int64_t at_ns, struct wh_names *texts, struct wh_variables *ret,
                         struct wh_error *error) {
    *ret = (struct wh_variables){0};
    struct resolver r = {.heap = heap,
                         .symbols = symbols,
                         .process_id = process_id,
                         .at_ns = at_ns,
                         .texts = texts,
                         .vars = ret,
                         .error = error};
    ret->first_root_edge = wh_edges_of_roots(&heap->edges);
    ret->edge_variable =
        calloc(heap->edges.count - ret->first_root_edge + 1, sizeof(*ret->edge_variable));
    if (!ret->edge_variable)
        return wh_fail(error, WH_ESYSTEM, "no memory for %llu edges",
                       (unsigned long long)heap->edges.count);
    int status = add_slots(&r);
    uint32_t *rank_of = calloc(ret->count ? ret->count : 1, sizeof(*rank_of));
    if (!rank_of)
        status = wh_fail(error, WH_ESYSTEM, "no memory for %u root variables", ret->count);
    if (status == 0)
        status = rank_variables(&r, rank_of);
    if (status == 0)
        status = reorder_edges(&r, rank_of);
    if (status == 0)
        status = tell_apart(&r);
    free(rank_of);
    wh_map_release(&r.map);
    if (status < 0)
        wh_variables_release(ret);
    return status;
}

void wh_variables_release(struct wh_variables *variables) {
    free(variables->items);
    free(variables->graph);
    free(variables->edge_variable);
    *variables = (struct wh_variables){0};
}

static int stack_slot(const struct wh_heap_root *root, uint64_t from_offset,
                      struct wh_symbols *symbols, int64_t process_id, int64_t at_ns,
                      struct wh_names *texts, struct wh_slot *ret) {
    const struct wh_symbols_row *row =
        symbols ? wh_symbols_find(symbols, process_id, root->pc, at_ns) : NULL;
    struct wh_module *m = row ? wh_symbols_module(symbols, row->id) : NULL;
    struct wh_variable found = {0};
    char text[512];
    const char *function = function_at(symbols, process_id, at_ns, root, texts);
    uint64_t pc = root->pc - (root->number > 0 ? 1 : 0);
    int64_t cfa_offset = (int64_t)(root->start + from_offset - root->end);
    *ret = (struct wh_slot){.is_whole = 1};
    int known =
        m && wh_variable_local(m, pc - row->load_bias, cfa_offset, &found) == 0 && found.name;
    if (found.function)
        function = wh_names_intern(texts, found.function);
    if (known)
        *ret = (struct wh_slot){.type = found.type, .offset = found.offset, .size = found.size};
    snprintf(text, sizeof(text), "%s()%s%s", function ? function : "?", known ? "::" : "",
             known ? found.name : "");
    ret->function = function;
    ret->text = wh_names_intern(texts, text);
    return ret->text ? 0 : WH_ESYSTEM;
}

int wh_variables_slot(const struct wh_variables *variables, const struct wh_heap *heap,
                      struct wh_symbols *symbols, int64_t process_id, int64_t at_ns,
                      struct wh_names *texts, uint64_t edge, struct wh_slot *ret) {
    struct wh_heap_edge e = wh_edges_get(&heap->edges, edge);
    const struct wh_heap_root *root = &heap->roots[e.from & ~WH_FROM_ROOT];
    const struct wh_holder_variable *v = &variables->items[wh_variables_of_edge(variables, edge)];
    if (root->kind == WH_ROOT_STACK)
        return stack_slot(root, e.from_offset, symbols, process_id, at_ns, texts, ret);
    *ret = (struct wh_slot){.text = v->name, .type = v->type, .size = v->size};
    if (root->kind == WH_ROOT_REGISTER || root->kind == WH_ROOT_TSD ||
        (v->kind == WH_ROOT_INFRA && !v->is_named))
        ret->is_whole = 1;
    else
        ret->offset = root->start + e.from_offset - v->address;
    return 0;
}
