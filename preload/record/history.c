/* What events say beside lifetimes: threads, modules, images, stack nodes, notes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"
#include "record/recorder.h"

static const char *const note_names[] = {"unhooked_module", "deepbind",    "disabled", "allocator",
                                         "inuse",           "exec_static", "snapshot"};

/* What a callback reaches from an image. */
static struct wh_process *process_of(struct wh_image *image) {
    return (struct wh_process *)(void *)((char *)image - offsetof(struct wh_process, image));
}

static uint64_t ns(struct wh_recorder *r, uint64_t ticks) {
    wh_recorder_need_clock(r);
    return wh_clock_ns(&r->clock, ticks);
}

/* --- stack nodes
 * ----------------------------------------------------------------------------------- */

uint32_t wh_recorder_extend(void *arg, uint32_t extent) {
    struct wh_process *p = arg;
    struct wh_recorder *r = p->image.calls.arg;
    if (r->next_node_id > UINT32_MAX - 2 * WH_NODE_EXTENT)
        return 0;
    uint32_t base = r->next_node_id;
    r->next_node_id += WH_NODE_EXTENT;
    wh_content_extent(r->content, p->image.id, extent, base);
    return base;
}

/* First time that this node is seen? A damaged stream may name one twice. */
static bool node_is_new(struct wh_recorder *r, uint32_t id) {
    size_t byte = id / 8;
    if (byte >= r->node_seen_bytes) {
        size_t bytes = r->node_seen_bytes ? r->node_seen_bytes : 4096;
        while (bytes <= byte)
            bytes *= 2;
        unsigned char *seen = realloc(r->node_seen, bytes);
        if (!seen)
            return false;
        memset(seen + r->node_seen_bytes, 0, bytes - r->node_seen_bytes);
        r->node_seen = seen;
        r->node_seen_bytes = bytes;
    }
    unsigned char bit = (unsigned char)(1u << (id % 8));
    if (r->node_seen[byte] & bit)
        return false;
    r->node_seen[byte] |= bit;
    return true;
}

static void on_node(struct wh_recorder *r, struct wh_process *p, const struct wh_event *e) {
    uint32_t id = wh_nodes_id(&p->image.nodes, e->node);
    uint32_t parent = wh_nodes_id(&p->image.nodes, e->parent);
    if (id && id != parent && node_is_new(r, id))
        wh_content_node(r->content, id, p->image.id, parent, e->ip);
}

/* --- threads
 * --------------------------------------------------------------------------------------- */

void wh_recorder_write_thread(struct wh_recorder *r, struct wh_process *p,
                              struct wh_image_thread *t) {
    uint64_t end = t->ended ? ns(r, t->end_ticks) : 0;
    wh_content_thread(r->content, t->stream.pair.id, p->image.id, t->stream.serial, t->stream.tid,
                      t->name, ns(r, t->first_ticks), t->ended && !end ? 1 : end);
    t->dirty = false;
}

static void on_thread(struct wh_image_thread *t, const struct wh_event *e) {
    t->dirty = true;
    if (e->detail == 1) {
        t->ended = true;
        t->end_ticks = e->ticks;
        return;
    }
    if (e->number && e->number <= UINT32_MAX)
        t->stream.tid = (uint32_t)e->number;
    size_t bytes = e->text_bytes < sizeof t->name ? e->text_bytes : sizeof t->name - 1;
    memcpy(t->name, e->text, bytes);
    t->name[bytes] = 0;
}

/* --- modules
 * --------------------------------------------------------------------------------------- */

static void write_module(struct wh_recorder *r, struct wh_process *p, struct wh_mapped *m) {
    struct wh_module_row row = {
        .id = m->id,
        .process_id = p->image.id,
        .path = m->path,
        .build_id = m->build_id,
        .build_id_bytes = m->build_id_bytes,
        .start = m->start,
        .end = m->end,
        .load_bias = m->load_bias,
        .load_ns = ns(r, m->load_ticks),
    };
    wh_content_module(r->content, &row);
}

static struct wh_mapped *module_new(struct wh_recorder *r, struct wh_process *p) {
    if (wh_array_reserve(&p->modules, &p->module_room, p->module_count + 1, sizeof *p->modules))
        return NULL;
    struct wh_mapped *m = &p->modules[p->module_count++];
    *m = (struct wh_mapped){.id = ++r->last_module_id, .is_mapped = true};
    return m;
}

static void on_module(struct wh_recorder *r, struct wh_process *p, const struct wh_event *e) {
    if (e->detail == 1) {
        for (size_t i = 0; i < p->module_count; i++)
            if (p->modules[i].is_mapped && p->modules[i].start == e->address) {
                p->modules[i].is_mapped = false;
                wh_content_module_end(r->content, p->modules[i].id, ns(r, e->ticks));
            }
        return;
    }
    struct wh_mapped *m = module_new(r, p);
    if (!m)
        return;
    m->start = e->address;
    m->end = e->address + e->size;
    m->load_bias = e->ip;
    m->load_ticks = e->ticks;
    m->path = strndup(e->text ? e->text : "", e->text_bytes);
    m->build_id = malloc(e->text2_bytes + 1);
    if (m->build_id) {
        memcpy(m->build_id, e->text2, e->text2_bytes);
        m->build_id_bytes = e->text2_bytes;
    }
    if (m->path)
        write_module(r, p, m);
}

/* A forked child sees what its parent had mapped. */
static void inherit_modules(struct wh_recorder *r, struct wh_process *p,
                            const struct wh_process *parent, uint64_t ticks) {
    for (size_t i = 0; i < parent->module_count; i++) {
        const struct wh_mapped *from = &parent->modules[i];
        struct wh_mapped *m = from->is_mapped && from->path ? module_new(r, p) : NULL;
        if (!m)
            continue;
        uint32_t id = m->id;
        *m = *from;
        m->id = id;
        m->load_ticks = ticks;
        m->path = strdup(from->path);
        m->build_id = malloc(from->build_id_bytes + 1);
        if (m->build_id)
            memcpy(m->build_id, from->build_id, from->build_id_bytes);
        else
            m->build_id_bytes = 0;
        if (m->path)
            write_module(r, p, m);
    }
}

/* --- images
 * ---------------------------------------------------------------------------------------- */

static char *join(const char *text, uint32_t bytes) {
    while (bytes && text[bytes - 1] == 0)
        bytes--;
    char *joined = malloc((size_t)bytes + 1);
    if (!joined)
        return NULL;
    for (uint32_t i = 0; i < bytes; i++)
        joined[i] = text[i] ? text[i] : ' ';
    joined[bytes] = 0;
    return joined;
}

static void replace(char **text, char *by) {
    free(*text);
    *text = by;
}

/* The youngest image of a pid before `than`. */
static const struct wh_process *image_of_pid(const struct wh_recorder *r, uint64_t pid,
                                             const struct wh_process *than) {
    const struct wh_process *best = NULL;
    for (const struct wh_process *p = wh_recorder_next(r, NULL); p; p = wh_recorder_next(r, p))
        if (p != than && p->pid == pid && p->image.id < than->image.id &&
            (!best || p->image.id > best->image.id))
            best = p;
    return best;
}

static void on_image(struct wh_recorder *r, struct wh_process *p, const struct wh_event *e) {
    replace(&p->exe, strndup(e->text, e->text_bytes));
    replace(&p->command_line, join(e->text2, e->text2_bytes));
    p->start_ticks = e->ticks;
    const struct wh_process *before = image_of_pid(r, p->pid, p);
    if (before && before->is_replaced) {
        p->parent_id = before->image.id;
    } else {
        const struct wh_process *parent = image_of_pid(r, e->number2, p);
        p->parent_id = parent ? parent->image.id : 0;
    }
    wh_recorder_write_process(r, p);
}

static void on_child(struct wh_recorder *r, struct wh_process *p, const struct wh_event *e) {
    p->parent_id = p->image.parent_id;
    p->start_ticks = e->ticks;
    const struct wh_process *parent = wh_recorder_process(r, p->parent_id);
    if (parent) {
        if (parent->exe)
            replace(&p->exe, strdup(parent->exe));
        if (parent->command_line)
            replace(&p->command_line, strdup(parent->command_line));
        inherit_modules(r, p, parent, e->ticks);
    }
    if (p->image.is_orphan) {
        static const char text[] = "its fork was not seen: blocks from before it are not shown";
        wh_content_note(r->content, p->image.id, ns(r, e->ticks), "fork_unseen", text,
                        sizeof text - 1);
    }
    wh_recorder_write_process(r, p);
}

void wh_recorder_write_process(struct wh_recorder *r, struct wh_process *p) {
    const struct wh_process_row row = {
        .id = p->image.id,
        .parent_id = p->parent_id,
        .pid = p->pid,
        .exe = p->exe,
        .command_line = p->command_line,
        .start_ns = ns(r, p->start_ticks),
        .is_exec = p->is_exec,
        .inherited_objects = p->image.pair.inherited_objects,
        .inherited_bytes = p->image.pair.inherited_bytes,
    };
    wh_content_process(r->content, &row);
    p->is_written = true;
}

/* --- notes
 * ----------------------------------------------------------------------------------------- */

static void on_note(struct wh_recorder *r, struct wh_process *p, const struct wh_event *e) {
    if (e->detail >= sizeof note_names / sizeof *note_names)
        return;
    wh_content_note(r->content, p->image.id, ns(r, e->ticks), note_names[e->detail], e->text,
                    e->text_bytes);
    char *text = strndup(e->text, e->text_bytes);
    if (!text)
        return;
    if (e->detail == WH_NOTE_ALLOCATOR) {
        replace(&p->allocator, text);
    } else if (e->detail == WH_NOTE_DISABLED) {
        replace(&p->disabled, text);
    } else {
        if (e->detail == WH_NOTE_INUSE) {
            p->inuse_bytes = strtoull(text, NULL, 10);
            p->has_inuse = true;
        }
        free(text);
    }
}

int wh_recorder_event(void *recorder, struct wh_image *image, struct wh_image_thread *thread,
                      const struct wh_event *e) {
    struct wh_recorder *r = recorder;
    struct wh_process *p = process_of(image);
    switch (e->kind) {
    case WH_EV_NODE:
        on_node(r, p, e);
        break;
    case WH_EV_THREAD:
        on_thread(thread, e);
        break;
    case WH_EV_IMAGE:
        on_image(r, p, e);
        break;
    case WH_EV_FORK:
        if (e->detail == 2)
            on_child(r, p, e);
        break;
    case WH_EV_MODULE:
        on_module(r, p, e);
        break;
    case WH_EV_EXIT:
        p->has_exit_event = true;
        p->exit_event = (int)(e->number & 0xff);
        break;
    case WH_EV_NOTE:
        on_note(r, p, e);
        break;
    default:
        break;
    }
    return 0;
}
