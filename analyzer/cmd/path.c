/* whoholds path: the card of one block. */
#include <stdlib.h>
#include <string.h>

#include "analyzer/holder/card.h"
#include "base/string.h"
#include "base/units.h"
#include "snapshot_call.h"

#define PATHS_MAX 3
#define LIST_MAX  40
#define LIST_TEXT 8 /* weak references that people see */

static const struct wh_option options[] = {
    WH_OPTION_SNAPSHOT,
    {"creator", 'c', "TEXT", "the largest block whose creator contains TEXT", NULL},
    {"holder", 'o', "TEXT", "the largest block whose holder (as in `whoholds gap`) contains TEXT",
     NULL},
    {"paths", 'p', "N", "independent paths to show", "3"},
    WH_OPTION_FORMAT,
    {0},
};

static const struct wh_column hop_columns[] = {
    {"path", WH_COLUMN_INTEGER, NULL, 0},
    {"hop", WH_COLUMN_INTEGER, NULL, 0},
    {"slot", WH_COLUMN_ADDRESS, NULL, 0},
    {"from_offset", WH_COLUMN_INTEGER, "offset", 0},
    {"target", WH_COLUMN_ADDRESS, "points to", 0},
    {"to_offset", WH_COLUMN_INTEGER, "+", 0},
    {"visible_bytes", WH_COLUMN_BYTES, "sees", 0},
    {"class", WH_COLUMN_TEXT, NULL, 0},
    {"why", WH_COLUMN_TEXT, NULL, 70},
    {"source", WH_COLUMN_TEXT, "in", 80},
    {"text", WH_COLUMN_TEXT, "reads", 80},
};

#define PLAIN_TEXT 2048
#define STACK_TOP  20 /* frames of a deep stack that people see: these and the outermost */
#define STACK_END  5

static void put_number(struct wh_output *out, uint64_t value) {
    if (value)
        wh_table_int(out, (int64_t)value);
    else
        wh_table_null(out);
}

/* For people: what the hop adds to the path, and below it where that lies and why it counts. */
static void say_hop(struct wh_output *out, int number, const struct wh_hop *hop) {
    const char *step = *hop->step ? hop->step : hop->text;
    char reads[PLAIN_TEXT], source[PLAIN_TEXT], sees[WH_UNITS_TEXT], slot[32] = "", inside[32] = "";
    if (strncmp(step, " → ", strlen(" → ")) == 0)
        step++;
    wh_text_sanitize(reads, sizeof reads, step, strlen(step));
    wh_text_sanitize(source, sizeof source, hop->source, strlen(hop->source));
    if (hop->slot)
        snprintf(slot, sizeof slot, " at 0x%llx", (unsigned long long)hop->slot);
    if (hop->to_offset)
        snprintf(inside, sizeof inside, " + %llu", (unsigned long long)hop->to_offset);
    wh_output_say(out, "%3d  %s", number, *reads ? reads : source);
    wh_output_say(out, "     %s,%s -> 0x%llx%s", source, slot, (unsigned long long)hop->target,
                  inside);
    wh_output_say(out, "     %s: %s%s%s", wh_class_name(hop->edge_class),
                  wh_class_reason(hop->edge_class, hop->evidence),
                  hop->visible ? ", which sees " : "",
                  hop->visible ? wh_format_bytes(sees, (int64_t)hop->visible) : "");
}

static void put_hop(struct wh_output *out, int path, int number, const struct wh_hop *hop) {
    if (out->format == WH_FORMAT_TEXT) {
        say_hop(out, number, hop);
        return;
    }
    wh_table_int(out, path);
    wh_table_int(out, number);
    put_number(out, hop->slot);
    wh_table_int(out, (int64_t)hop->from_offset);
    wh_table_int(out, (int64_t)hop->target);
    wh_table_int(out, (int64_t)hop->to_offset);
    put_number(out, hop->visible);
    wh_table_text(out, wh_class_name(hop->edge_class));
    wh_table_text(out, wh_class_reason(hop->edge_class, hop->evidence));
    wh_table_text(out, hop->source);
    wh_table_text(out, hop->text);
}

static int print_paths(struct wh_call *call, struct wh_holding *h, struct wh_output *out,
                       uint32_t block) {
    struct wh_graph_path paths[PATHS_MAX] = {{0}};
    uint32_t count = 0;
    int64_t wanted = 0;
    int rc = wh_arguments_int(&call->args, "paths", 1, PATHS_MAX, &wanted, &call->error);
    if (!rc)
        rc = wh_card_paths(h, block, (uint32_t)wanted, paths, &count, &call->error);
    int is_text = out->format == WH_FORMAT_TEXT;
    if (!is_text)
        wh_table_begin(out, "hops", hop_columns, sizeof hop_columns / sizeof *hop_columns);
    for (uint32_t i = 0; i < count && !rc; i++) {
        struct wh_hop *hops = NULL;
        wh_output_title(out, i == 0 ? "Strongest path, from the root down"
                                    : "Another path, with no step in common");
        rc = wh_card_hops(h, paths[i].steps, paths[i].length, &hops, &call->error);
        for (uint32_t k = 0; k < paths[i].length && !rc; k++)
            put_hop(out, (int)i + 1, (int)k + 1, &hops[k]);
        free(hops);
    }
    if (!is_text)
        wh_table_end(out);
    for (uint32_t i = 0; i < count; i++)
        wh_graph_path_release(&paths[i]);
    return rc;
}

/* References that are too weak to take part in naming the holder. */
static int print_weak(struct wh_call *call, struct wh_holding *h, struct wh_output *out,
                      uint32_t block) {
    int rc = 0, count = 0, is_text = out->format == WH_FORMAT_TEXT;
    if (!is_text)
        wh_table_begin(out, "weak", hop_columns, sizeof hop_columns / sizeof *hop_columns);
    for (uint64_t i = 0; i < h->heap.edges.count && !rc && count < LIST_MAX; i++) {
        struct wh_hop hop;
        if (h->heap.edges.items[i].to != block || wh_graph_is_kept(&h->graph, i))
            continue;
        rc = wh_card_reference(h, (uint32_t)i, &hop, &call->error);
        if (!rc && !count)
            wh_output_title(out, "Also referred to, too weakly to count");
        if (!rc && ++count == LIST_TEXT + 1 && is_text)
            wh_output_say(out, "  …  more (--format=json has up to %d)", LIST_MAX);
        else if (!rc && !(is_text && count > LIST_TEXT))
            put_hop(out, 0, count, &hop);
    }
    if (!is_text)
        wh_table_end(out);
    return rc;
}

static void print_stack(const struct wh_holding *h, struct wh_output *out, uint32_t block) {
    static const struct wh_column columns[] = {
        {"depth", WH_COLUMN_INTEGER, NULL, 0}, {"function", WH_COLUMN_TEXT, NULL, 100},
        {"file", WH_COLUMN_TEXT, NULL, 60},    {"line", WH_COLUMN_INTEGER, NULL, 0},
        {"module", WH_COLUMN_TEXT, NULL, 40},
    };
    uint32_t stack = h->heap.nodes[block].stack_id;
    struct wh_frame f;
    wh_output_title(out, "Created by");
    wh_table_begin(out, "stack", columns, sizeof columns / sizeof *columns);
    size_t depth = wh_frames_depth(h->frames, stack);
    int is_cut = out->format == WH_FORMAT_TEXT && depth > STACK_TOP + STACK_END + 1;
    for (size_t i = 0; i < depth && wh_frames_get(h->frames, stack, i, &f); i++) {
        if (is_cut && i == STACK_TOP) {
            wh_table_null(out);
            wh_table_text(out, "… (--format=json has all)");
            for (int k = 0; k < 3; k++)
                wh_table_null(out);
        }
        if (is_cut && i >= STACK_TOP && i + STACK_END < depth)
            continue;
        wh_table_int(out, (int64_t)i);
        wh_table_text(out, f.function);
        wh_table_text(out, f.file);
        if (f.line)
            wh_table_int(out, f.line);
        else
            wh_table_null(out);
        wh_table_text(out, f.module);
    }
    wh_table_end(out);
}

/* Upwards: what else would have to go for the block to go, and how much would go with each. */
static void print_dominators(const struct wh_holding *h, struct wh_output *out, uint32_t block) {
    static const struct wh_column columns[] = {
        {"address", WH_COLUMN_ADDRESS, NULL, 0},
        {"retained_bytes", WH_COLUMN_BYTES, "frees", 0},
        {"retained_objects", WH_COLUMN_COUNT, "blocks", 0},
        {"what", WH_COLUMN_TEXT, NULL, 120},
    };
    const struct wh_graph *g = &h->graph;
    int count = 0;
    wh_output_title(out, "Dominators: clearing any of these frees the block");
    wh_table_begin(out, "dominators", columns, sizeof columns / sizeof *columns);
    for (uint32_t v = block; v != g->super && v != g->lost && count < LIST_MAX;
         v = g->idom[v], count++) {
        const struct wh_holder_variable *root =
            v < g->blocks ? NULL : &h->variables.items[v - g->blocks];
        uint64_t address = root ? root->address : h->heap.nodes[v].address;
        if (address)
            wh_table_int(out, (int64_t)address);
        else
            wh_table_null(out);
        wh_table_int(out, (int64_t)g->retained_bytes[v]);
        wh_table_int(out, g->retained_objects[v]);
        wh_table_text(out, root ? root->name : wh_holding_creator(h, v));
    }
    wh_table_end(out);
}

static void print_facts(struct wh_holding *h, struct wh_output *out, uint32_t block) {
    static const char *const lost[] = {"held", "no holder found: lost, or its address is encoded",
                                       "no holder found: only its own cycle refers to it",
                                       "no holder found: another block without one refers to it"};
    const struct wh_heap_node *n = &h->heap.nodes[block];
    uint32_t row = h->paths.row_of[block];
    wh_output_fact_number(out, "allocation_id", "Allocation", WH_COLUMN_INTEGER,
                          (int64_t)n->allocation_id);
    wh_output_fact_number(out, "address", "Address", WH_COLUMN_ADDRESS, (int64_t)n->address);
    wh_output_fact_number(out, "size_bytes", "Size", WH_COLUMN_BYTES, (int64_t)n->size);
    wh_output_fact_text(out, "creator", "Created by", wh_holding_creator(h, block));
    wh_output_fact_text(out, "state", "State", lost[h->graph.lost_state[block]]);
    wh_output_fact_text(out, "holder", "Held by", wh_holding_holder(h, block));
    if (row != WH_PATH_NONE && h->paths.rows[row].keeper)
        wh_output_fact_text(out, "keeper", "Keeper (not on that stack)", h->paths.rows[row].keeper);
    wh_output_fact_number(out, "holders", "Independent holders", WH_COLUMN_COUNT,
                          wh_holding_is_shared(h, block)
                              ? wh_graph_holders(&h->graph, block)
                              : h->graph.lost_state[block] == WH_LOST_NOT);
    wh_output_fact_number(out, "strength", "Strength (0..5)", WH_COLUMN_INTEGER,
                          h->graph.strength[block]);
    wh_output_fact_number(out, "retained_bytes", "Freed with it", WH_COLUMN_BYTES,
                          (int64_t)h->graph.retained_bytes[block]);
}

/* Was the address ever a block's? That it was freed is an answer too. */
static int no_block(struct wh_call *call, const struct wh_holding *h, uint64_t address) {
    struct wh_query *q;
    char was[300] = "";
    int rc = wh_query_open(
        h->store,
        "SELECT a.size_bytes, coalesce(s.creator, '?'), a.alloc_ns, a.free_ns FROM allocation a "
        "LEFT JOIN stack s ON s.id = a.stack_id WHERE a.process_id = ?1 AND a.address <= ?2 AND "
        "a.address + a.size_bytes > ?2 ORDER BY a.alloc_ns DESC LIMIT 1",
        &q, &call->error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, h->process_id);
    wh_query_bind_int(q, 2, (int64_t)address);
    if (wh_query_step(q, NULL) > 0) {
        char size[WH_UNITS_TEXT], born[WH_UNITS_TEXT], died[WH_UNITS_TEXT];
        int is_freed = wh_query_type(q, 3) != WH_CELL_NULL;
        snprintf(was, sizeof was, "; it was in a block of %s created by %.100s at %s%s%s",
                 wh_format_bytes(size, wh_query_int(q, 0)), wh_query_text(q, 1),
                 wh_format_ns(born, wh_query_int(q, 2)), is_freed ? " and freed at " : "",
                 is_freed ? wh_format_ns(died, wh_query_int(q, 3)) : "");
    }
    wh_query_close(q);
    return wh_fail(&call->error, WH_ENOTFOUND,
                   "no live block covers address 0x%llx at snapshot %lld%s",
                   (unsigned long long)address, (long long)h->snapshot_id, was);
}

static int find_block(struct wh_call *call, struct wh_holding *h, uint32_t *ret) {
    const char *creator = wh_arguments_text(&call->args, "creator");
    const char *holder = wh_arguments_text(&call->args, "holder");
    if (call->args.operand_count > 1) {
        char *end;
        uint64_t address = strtoull(call->args.operands[1], &end, 0);
        if (*end || end == call->args.operands[1])
            return wh_fail(&call->error, WH_EUSAGE, "'%s' is no address", call->args.operands[1]);
        *ret = wh_card_find(h, address);
        return *ret == WH_GRAPH_NONE ? no_block(call, h, address) : 0;
    }
    if (!creator && !holder)
        return wh_fail(&call->error, WH_EUSAGE,
                       "which block? give an ADDRESS, --creator or --holder");
    *ret = wh_card_largest(h, creator, holder);
    if (*ret != WH_GRAPH_NONE)
        return 0;
    const char *near = creator && wh_card_largest(h, creator, NULL) == WH_GRAPH_NONE
                           ? wh_holding_nearest_creator(h, creator)
                           : wh_holding_nearest(h, holder ? holder : "");
    return wh_fail(&call->error, WH_ENOTFOUND,
                   "no live block of snapshot %lld has that creator and holder%s%s%s",
                   (long long)h->snapshot_id, near ? "; is '" : "", near ? near : "",
                   near ? "' meant?" : "");
}

static int run(struct wh_call *call) {
    struct wh_store *store = NULL;
    struct wh_holding *h = NULL;
    struct wh_output out;
    int64_t snapshot = 0;
    uint32_t block = 0;
    int rc = wh_call_open_snapshot(call, 0, &store, &snapshot);
    if (!rc)
        rc = wh_holding_open(store, snapshot, NULL, &h, &call->error);
    if (!rc)
        rc = find_block(call, h, &block);
    if (!rc)
        rc = wh_call_output(call, &out);
    if (rc) {
        wh_holding_close(h);
        wh_store_close(store);
        return rc;
    }
    rc = wh_call_say_snapshot(call, store, &out, snapshot);
    print_facts(h, &out, block);
    print_stack(h, &out, block);
    if (!rc)
        rc = print_paths(call, h, &out, block);
    if (!rc)
        rc = print_weak(call, h, &out, block);
    if (!rc)
        print_dominators(h, &out, block);
    rc = wh_call_finish(call, &out, store, rc);
    wh_holding_close(h);
    return rc;
}

const struct wh_command wh_command_path = {
    .name = "path",
    .summary = "one block's card: who made it, what keeps it, step by step and why",
    .usage = "[options] FILE [ADDRESS]",
    .text = "Shows why one live block is alive: its creator stack, its strongest path hop by hop "
            "with the address of "
            "every slot, the class of every reference and the reason for the class, up to two more "
            "paths that have no step "
            "in common with it, references too weak to count, and the chain of dominators with "
            "what would be "
            "freed. The block is the one that covers ADDRESS, or the largest with the given "
            "creator and holder: so "
            "every cell of `whoholds gap` can be asked for a concrete path.\n"
            "\n"
            " whoholds path trace.db 0x55d0c1a2f2a0\n"
            " whoholds path --creator=read_binary --holder='cache.buckets' trace.db",
    .options = options,
    .operands_min = 1,
    .operands_max = 2,
    .run = run,
};
