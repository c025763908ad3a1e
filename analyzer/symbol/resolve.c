/* Fills the tables frame and stack, and the creators: the step between a recording and its reports.
 *
 *   stacks in use ─► their nodes ─► distinct (file, address) ─► frames ─► JSON, creator
 *
 * Every distinct address is looked up once, every stack is written once; a second run only adds
 * what is new. The hard thing is time: after dlclose a range can belong to another file, so where
 * modules of one process overlap, the stack's first allocation decides which one it was. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/symbol/resolve_internal.h"
#include "schema/store.h"

#define NO_LOCATION UINT32_MAX
#define WRAPPER_CODE_MAX                                                                           \
    512u /* bytes of code: a function that only passes a request on is short                       \
          */

int wh_resolver_no_memory(struct resolver *r) {
    return wh_fail(r->error, WH_ESYSTEM, "no memory for resolving symbols");
}

static void resolver_release(struct resolver *r) {
    wh_symbols_close(r->symbols);
    wh_creator_rules_free(r->rules);
    free(r->nodes);
    free(r->locations);
    free(r->slots);
    free(r->frames);
    free(r->stacks);
    free(r->uses);
    free(r->json);
    free(r->levels);
    free(r->indexes);
    free(r->seen);
    free(r->inferred);
}

/* --- reading
 * ----------------------------------------------------------------------------------------- */

bool wh_resolver_grow(void **items, size_t *room, size_t count, size_t item_bytes) {
    if (count < *room)
        return true;
    size_t next = *room ? *room * 2 : 1024;
    void *grown = realloc(*items, next * item_bytes);
    if (!grown)
        return false;
    *items = grown;
    *room = next;
    return true;
}

static int read_nodes(struct resolver *r) {
    struct wh_query *q = NULL;
    size_t room = 0;
    int rc = wh_query_open(r->store,
                           "SELECT id, process_id, parent_id, address FROM stack_node ORDER BY id",
                           &q, r->error);
    while (!rc && (rc = wh_query_step(q, r->error)) > 0) {
        rc = 0;
        if (!wh_resolver_grow((void **)&r->nodes, &room, r->node_count, sizeof(*r->nodes))) {
            rc = wh_resolver_no_memory(r);
            break;
        }
        r->nodes[r->node_count++] =
            (struct node){wh_query_int(q, 0), wh_query_int(q, 1), wh_query_int(q, 2),
                          (uint64_t)wh_query_int(q, 3), NO_LOCATION};
    }
    wh_query_close(q);
    return rc;
}

static struct node *node_find(const struct resolver *r, int64_t id) {
    if (id <= 0 || !r->node_count)
        return NULL;
    if ((uint64_t)id <= r->node_count && r->nodes[id - 1].id == id) /* ids are dense as a rule */
        return &r->nodes[id - 1];
    size_t low = 0, high = r->node_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->nodes[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->node_count && r->nodes[low].id == id ? &r->nodes[low] : NULL;
}

/* Stacks in use and not resolved. Looking for stacks of frees costs a pass over all lifetimes: only
 * where the recording took them. */
static const char used_stacks[] = "SELECT stack_id FROM site WHERE stack_id > 0 "
                                  "UNION SELECT acquirer_stack_id FROM pooled "
                                  "WHERE acquirer_stack_id > 0 "
                                  "EXCEPT SELECT id FROM stack";
static const char used_stacks_and_frees[] =
    "SELECT stack_id FROM site WHERE stack_id > 0 "
    "UNION SELECT acquirer_stack_id FROM pooled WHERE acquirer_stack_id > 0 "
    "UNION SELECT free_stack_id FROM folded WHERE free_stack_id > 0 "
    "UNION SELECT free_stack_id FROM allocation WHERE free_stack_id > 0 "
    "EXCEPT SELECT id FROM stack";

static int add_stack(struct resolver *r, size_t *room, int64_t id) {
    if (!node_find(r, id))
        return 0;
    if (!wh_resolver_grow((void **)&r->stacks, room, r->stack_count, sizeof(*r->stacks)))
        return wh_resolver_no_memory(r);
    r->stacks[r->stack_count++] = id;
    return 0;
}

static int read_stacks(struct resolver *r) {
    struct wh_query *q = NULL;
    size_t room = 0;
    bool frees = wh_store_get_int(r->store, "free_stacks", 1) != 0;
    int rc = wh_query_open(r->store, frees ? used_stacks_and_frees : used_stacks, &q, r->error);
    while (!rc && (rc = wh_query_step(q, r->error)) > 0)
        rc = add_stack(r, &room, wh_query_int(q, 0));
    wh_query_close(q);
    return rc;
}

/* When each stack was used first: asked for only where it can matter. */
static int read_first_uses(struct resolver *r) {
    uint64_t reach = 0;
    for (size_t i = 0; i < r->symbols->row_count; i++) {
        const struct row *row = &r->symbols->rows[i];
        if (i && row->row.process_id == row[-1].row.process_id && row->row.start < reach)
            r->has_overlap = true;
        reach = row->reach;
    }
    if (!r->has_overlap)
        return 0;
    struct wh_query *q = NULL;
    size_t room = 0;
    int rc = wh_query_open(
        r->store, "SELECT stack_id, min(alloc_ns) FROM allocation GROUP BY stack_id ORDER BY 1", &q,
        r->error);
    while (!rc && (rc = wh_query_step(q, r->error)) > 0) {
        rc = 0;
        if (!wh_resolver_grow((void **)&r->uses, &room, r->use_count, sizeof(*r->uses))) {
            rc = wh_resolver_no_memory(r);
            break;
        }
        r->uses[r->use_count++] = (struct first_use){wh_query_int(q, 0), wh_query_int(q, 1)};
    }
    wh_query_close(q);
    return rc;
}

static int use_compare(const void *key, const void *item) {
    int64_t a = *(const int64_t *)key, b = ((const struct first_use *)item)->stack_id;
    return (a > b) - (a < b);
}

static int64_t first_use(const struct resolver *r, int64_t stack_id) {
    const struct first_use *u =
        r->use_count ? bsearch(&stack_id, r->uses, r->use_count, sizeof(*r->uses), use_compare)
                     : NULL;
    return u ? u->at_ns : INT64_MAX;
}

/* --- locations
 * --------------------------------------------------------------------------------------- */

static size_t location_slot(const struct resolver *r, const struct wh_module *m, uint64_t address) {
    uint64_t h = (address ^ ((uint64_t)(uintptr_t)m << 7)) * 0x9e3779b97f4a7c15ull;
    size_t at = (size_t)(h >> 24) & (r->slot_count - 1);
    while (r->slots[at]) {
        const struct location *l = &r->locations[r->slots[at] - 1];
        if (l->module == m && l->address == address)
            break;
        at = (at + 1) & (r->slot_count - 1);
    }
    return at;
}

static bool slots_grow(struct resolver *r) {
    size_t count = r->slot_count ? r->slot_count * 2 : 4096;
    uint32_t *slots = calloc(count, sizeof(*slots));
    if (!slots)
        return false;
    free(r->slots);
    r->slots = slots;
    r->slot_count = count;
    for (size_t i = 0; i < r->location_count; i++)
        slots[location_slot(r, r->locations[i].module, r->locations[i].address)] = (uint32_t)i + 1;
    return true;
}

/* Adds one frame with its name and level; false = no memory. */
static bool add_frame(struct resolver *r, struct wh_module *m, uint64_t address,
                      const struct wh_code *code) {
    if (!wh_resolver_grow((void **)&r->frames, &r->frame_room, r->frame_count, sizeof(*r->frames)))
        return false;
    struct frame *f = &r->frames[r->frame_count++];
    *f = (struct frame){.module = m ? wh_module_name(m) : NULL, .address = address, .code = *code};
    f->name = code->function;
    if (!f->name) {
        char text[4200];
        snprintf(text, sizeof(text), "%s%s0x%" PRIx64, m ? wh_module_name(m) : "", m ? "+" : "",
                 address);
        f->name = wh_texts_add(&r->symbols->texts, text);
    }
    f->level = (unsigned char)wh_creator_level(r->rules, f->module, code->function);
    f->owner = m;
    uint64_t start, end;
    f->is_candidate = m && wh_creator_is_nameless(f->module, code->function) &&
                      wh_module_function_range(m, address, &start, &end) &&
                      end - start <= WRAPPER_CODE_MAX &&
                      !wh_creator_is_kept(r->rules, f->module, code->function);
    return true;
}

/* The frames of a file address. is_return: the code that called lies before it. */
static uint32_t locate(struct resolver *r, struct wh_module *m, uint64_t address, bool is_return) {
    if (r->location_count * 2 >= r->slot_count && !slots_grow(r))
        return NO_LOCATION;
    bool is_restorer = m && is_return && wh_module_is_restorer(m, address);
    uint64_t at = address - (is_return && !is_restorer && m ? 1 : 0);
    size_t slot = location_slot(r, m, at);
    if (r->slots[slot])
        return r->slots[slot] - 1;
    if (!wh_resolver_grow((void **)&r->locations, &r->location_room, r->location_count,
                          sizeof(*r->locations)))
        return NO_LOCATION;
    struct wh_code codes[WH_CODE_MAX] = {{0}};
    size_t count = m ? wh_module_code(m, at, codes, WH_CODE_MAX) : 1;
    struct location *l = &r->locations[r->location_count];
    *l = (struct location){m, at, (uint32_t)r->frame_count, (uint32_t)count, is_restorer};
    for (size_t i = 0; i < count; i++) {
        if (!add_frame(r, m, at, &codes[i]))
            return NO_LOCATION;
    }
    r->slots[slot] = (uint32_t)++r->location_count;
    return (uint32_t)r->location_count - 1;
}

static uint32_t node_location(struct resolver *r, struct node *n, int64_t at_ns, bool is_return) {
    bool cached = !r->has_overlap && is_return;
    if (cached && n->location != NO_LOCATION)
        return n->location;
    const struct wh_symbols_row *row =
        wh_symbols_find(r->symbols, n->process_id, n->address, at_ns);
    struct wh_module *m = row ? wh_symbols_module_of(r->symbols, row) : NULL;
    uint32_t location = locate(r, m, n->address - (row && m ? row->load_bias : 0), is_return);
    if (cached)
        n->location = location;
    return location;
}

/* --- stacks
 * -------------------------------------------------------------------------------------------- */

static bool depth_reserve(struct resolver *r, size_t count) {
    if (count <= r->depth_room)
        return true;
    size_t room = count * 2 + 64;
    unsigned char *levels = realloc(r->levels, room);
    if (levels)
        r->levels = levels;
    uint32_t *indexes = realloc(r->indexes, room * sizeof(*indexes));
    if (indexes)
        r->indexes = indexes;
    if (!levels || !indexes)
        return false;
    r->depth_room = room;
    return true;
}

ssize_t wh_resolver_frames(struct resolver *r, int64_t stack_id) {
    int64_t at_ns = r->has_overlap ? first_use(r, stack_id) : INT64_MAX;
    size_t count = 0;
    bool is_return = true;
    struct node *n = node_find(r, stack_id);
    /* A chain longer than the table is a loop in a broken file. */
    for (size_t steps = 0; n && steps < r->node_count; steps++) {
        if (!n->address) /* what a thread's first frame returns to: the end, no code */
            break;
        uint32_t index = node_location(r, n, at_ns, is_return);
        if (index == NO_LOCATION || !depth_reserve(r, count + WH_CODE_MAX))
            return -1;
        const struct location *l = &r->locations[index];
        for (uint32_t i = 0; i < l->count; i++, count++) {
            r->indexes[count] = l->first + i;
            r->levels[count] = r->frames[l->first + i].level;
        }
        is_return = !l->is_restorer;
        n = node_find(r, n->parent_id);
    }
    return (ssize_t)count;
}

/* Writes a number without printf: this is most of the work where stacks are many. */
static char *put_number(char *p, uint64_t value) {
    char digits[20];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count)
        *p++ = digits[--count];
    return p;
}

static bool stack_json(struct resolver *r, size_t count) {
    if (r->json_room < count * 21 + 3) {
        r->json_room = count * 42 + 64;
        char *json = realloc(r->json, r->json_room);
        if (!json)
            return false;
        r->json = json;
    }
    char *p = r->json;
    *p++ = '[';
    for (size_t i = 0; i < count; i++) {
        if (i)
            *p++ = ',';
        p = put_number(p, (uint64_t)r->frame_id + r->indexes[i]);
    }
    *p++ = ']';
    *p = '\0';
    return true;
}

static int next_stack(void *arg, struct wh_cell *cells) {
    struct resolver *r = arg;
    if (r->stack_next == r->stack_count)
        return 0;
    int64_t id = r->stacks[r->stack_next++];
    ssize_t count = wh_resolver_frames(r, id);
    if (count < 0 || !stack_json(r, (size_t)count))
        return wh_resolver_no_memory(r);
    wh_cell_int(&cells[0], id);
    wh_cell_text(&cells[1], r->json);
    if (count)
        wh_cell_text(&cells[2],
                     r->frames[r->indexes[wh_creator_choose(r->levels, (size_t)count)]].name);
    return 1;
}

static int next_frame(void *arg, struct wh_cell *cells) {
    struct resolver *r = arg;
    if (r->frame_next == r->frame_count)
        return 0;
    const struct frame *f = &r->frames[r->frame_next];
    wh_cell_int(&cells[0], r->frame_id + (int64_t)r->frame_next++);
    wh_cell_text(&cells[1], f->module);
    wh_cell_int(&cells[2], (int64_t)f->address);
    wh_cell_text(&cells[3], f->code.function);
    wh_cell_text(&cells[4], f->code.file);
    if (f->code.line)
        wh_cell_int(&cells[5], f->code.line);
    wh_cell_int(&cells[6], f->code.inlined);
    return 1;
}

/* --- what could not be named
 * ----------------------------------------------------------------------- */

struct problem_rows {
    struct wh_symbols *symbols;
    size_t next;
};

/* One note a file that was asked for and had a problem, under the first process that had it. */
static int next_problem(void *arg, struct wh_cell *cells) {
    struct problem_rows *p = arg;
    for (; p->next < p->symbols->module_count; p->next++) {
        const char *problem = wh_module_problem(p->symbols->modules[p->next]);
        if (!problem)
            continue;
        const struct wh_symbols_row *row = NULL;
        for (size_t i = 0; i < p->symbols->row_count && !row; i++) {
            if (p->symbols->rows[i].module == p->next)
                row = &p->symbols->rows[i].row;
        }
        p->next++;
        wh_cell_int(&cells[0], row ? row->process_id : 0);
        wh_cell_int(&cells[1], row ? row->load_ns : 0);
        wh_cell_text(&cells[2], "symbols");
        wh_cell_text(&cells[3], problem);
        return 1;
    }
    return 0;
}

static int write_problems(struct resolver *r) {
    struct problem_rows rows = {.symbols = r->symbols};
    /* Said once, however often symbols are resolved. */
    for (size_t i = 0; i < r->symbols->module_count; i++) {
        const char *problem = wh_module_problem(r->symbols->modules[i]);
        struct wh_query *q = NULL;
        if (!problem)
            continue;
        int rc = wh_query_open(r->store, "DELETE FROM note WHERE kind = 'symbols' AND text = ?1",
                               &q, r->error);
        if (rc)
            return rc;
        wh_query_bind_text(q, 1, problem);
        rc = wh_query_step(q, r->error);
        wh_query_close(q);
        if (rc < 0)
            return rc;
    }
    return wh_store_insert(r->store, "note", "process_id, at_ns, kind, text", next_problem, &rows,
                           r->error);
}

/* Who took a block out of a pool: the caller of the function that annotates. Above it may stand the
 * header's inline wrapper, where debug information tells it. */
static const char name_acquirers[] =
    "UPDATE stack SET creator = coalesce("
    " (SELECT coalesce(f.function, f.module || printf('+0x%x', f.address), printf('0x%x', "
    "f.address))"
    "  FROM json_each(stack.frames) j JOIN frame f ON f.id = j.value"
    "  WHERE j.key = 1 + (SELECT ifnull(f0.function, '') = 'whoholds_acquire'"
    "                     FROM frame f0 WHERE f0.id = json_extract(stack.frames, '$[0]'))), "
    "creator) "
    "WHERE id IN (SELECT acquirer_stack_id FROM pooled)";

/* --- the whole
 * --------------------------------------------------------------------------------------- */

static char *read_whole_file(const char *path) {
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    char *text = NULL;
    size_t room = 0;
    ssize_t length = getdelim(&text, &room, '\0', file);
    fclose(file);
    if (length >= 0)
        return text;
    free(text);
    return strdup("");
}

static int read_rules(struct resolver *r) {
    char *text = NULL;
    const char *source = "creator_skip", *path = getenv("WHOHOLDS_SKIP");
    if (wh_store_get_text(r->store, "creator_skip", &text, NULL) != 0 && path && path[0]) {
        source = path;
        text = read_whole_file(path);
        if (!text)
            return wh_fail_errno(r->error, "cannot read '%s' (WHOHOLDS_SKIP)", path);
        int rc = wh_store_set_text(r->store, "creator_skip", text, r->error);
        if (rc) {
            free(text);
            return rc;
        }
    }
    char *inferred = NULL, *all = NULL;
    if (wh_store_get_text(r->store, "creator_inferred", &inferred, NULL) != 0)
        inferred = NULL;
    if (asprintf(&all, "%s\n%s", text ? text : "", inferred ? inferred : "") < 0)
        all = NULL;
    int rc =
        all ? wh_creator_rules_new(all, source, &r->rules, r->error) : wh_resolver_no_memory(r);
    free(all);
    free(inferred);
    free(text);
    return rc;
}

static int64_t next_frame_id(struct resolver *r) {
    struct wh_query *q = NULL;
    int64_t id = 1;
    if (wh_query_open(r->store, "SELECT coalesce(max(id), 0) + 1 FROM frame", &q, r->error) == 0 &&
        wh_query_step(q, r->error) > 0)
        id = wh_query_int(q, 0);
    wh_query_close(q);
    return id;
}

static int resolve(struct resolver *r) {
    int rc = read_rules(r);
    if (!rc)
        rc = read_first_uses(r);
    if (rc)
        return rc;
    r->frame_id = next_frame_id(r);
    if (r->frame_id == 1 && r->wants_all)
        rc = wh_resolver_infer(r);
    if (rc)
        return rc;
    rc = wh_store_insert(r->store, "stack", "id, frames, creator", next_stack, r, r->error);
    if (!rc)
        rc =
            wh_store_insert(r->store, "frame", "id, module, address, function, file, line, inlined",
                            next_frame, r, r->error);
    if (!rc)
        rc = write_problems(r);
    if (!rc)
        rc = wh_store_exec(
            r->store,
            "UPDATE site SET creator = (SELECT coalesce(creator, '(unknown)') FROM stack WHERE id "
            "= "
            "stack_id) WHERE creator IS NULL AND stack_id > 0;"
            "UPDATE site SET creator = '(no stack)' WHERE creator IS NULL AND stack_id = 0",
            r->error);
    if (!rc)
        rc = wh_store_exec(r->store, name_acquirers, r->error);
    return rc;
}

static int id_compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The stacks asked for by id, each once, without those that are resolved. */
static int take_stacks(struct resolver *r, const uint32_t *ids, size_t count) {
    struct wh_query *q = NULL;
    size_t room = 0, kept = 0;
    int rc = wh_query_open(r->store, "SELECT 1 FROM stack WHERE id = ?1", &q, r->error);
    for (size_t i = 0; !rc && i < count; i++)
        rc = add_stack(r, &room, ids[i]);
    if (!rc && r->stack_count)
        qsort(r->stacks, r->stack_count, sizeof(*r->stacks), id_compare);
    for (size_t i = 0; !rc && i < r->stack_count; i++) {
        if (kept && r->stacks[kept - 1] == r->stacks[i])
            continue;
        wh_query_bind_int(q, 1, r->stacks[i]);
        int found = wh_query_step(q, r->error);
        wh_query_reset(q);
        if (found < 0)
            rc = found;
        else if (!found)
            r->stacks[kept++] = r->stacks[i];
    }
    r->stack_count = kept;
    wh_query_close(q);
    return rc;
}

/* ids NULL = the stacks in use; symbols NULL = opened for this. */
static int resolve_store(struct wh_store *store, struct wh_symbols *symbols, bool again,
                         const uint32_t *ids, size_t count, struct wh_error *error) {
    struct resolver r = {.store = store, .error = error, .wants_all = ids == NULL};
    int rc = wh_store_begin(store, error);
    if (rc)
        return rc;
    if (again)
        rc = wh_store_exec(
            store,
            "DELETE FROM stack; DELETE FROM frame; DELETE FROM note WHERE kind = 'symbols';"
            "DELETE FROM trace WHERE key = 'creator_inferred';"
            "UPDATE site SET creator = NULL",
            error);
    if (!rc)
        rc = read_nodes(&r);
    if (!rc)
        rc = ids ? take_stacks(&r, ids, count) : read_stacks(&r);
    if (!rc && symbols)
        r.symbols = wh_symbols_share(symbols);
    else if (!rc)
        rc = wh_symbols_open(store, &r.symbols, error);
    if (!rc)
        rc = resolve(&r);
    resolver_release(&r);
    if (!rc)
        return wh_store_commit(store, error);
    wh_store_rollback(store);
    return rc;
}

int wh_symbol_resolve(struct wh_store *store, struct wh_error *error) {
    return resolve_store(store, NULL, false, NULL, 0, error);
}

int wh_symbol_resolve_with(struct wh_store *store, struct wh_symbols *symbols,
                           struct wh_error *error) {
    return resolve_store(store, symbols, false, NULL, 0, error);
}

int wh_symbol_resolve_stacks(struct wh_store *store, const uint32_t *stack_ids, size_t count,
                             struct wh_error *error) {
    return count ? resolve_store(store, NULL, false, stack_ids, count, error) : 0;
}

int wh_symbol_resolve_again(struct wh_store *store, struct wh_error *error) {
    return resolve_store(store, NULL, true, NULL, 0, error);
}
