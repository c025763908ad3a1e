/* What an export says, read from the trace. */
#include "analyzer/export/profile.h"

#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"

#define STEP " \xe2\x86\x92 " /* the arrow between the steps of a path */

static int no_memory(struct wh_error *error) {
    return wh_fail(error, WH_ESYSTEM, "no memory for the profile");
}

static bool set_text(char **ret_text, const char *text) {
    *ret_text = text ? strdup(text) : NULL;
    return !text || *ret_text;
}

static int add_text(char ***texts, size_t *count, size_t *room, const char *text,
                    struct wh_error *error) {
    if (wh_array_reserve(texts, room, *count + 1, sizeof **texts) < 0 ||
        !set_text(&(*texts)[*count], text))
        return no_memory(error);
    ++*count;
    return 0;
}

static int add_note(struct wh_profile *p, const char *text, struct wh_error *error) {
    return add_text(&p->notes, &p->note_count, &p->note_room, text, error);
}

/* A frame that is only a name. */
static int add_frame(struct wh_profile *p, const char *name, struct wh_error *error) {
    if (wh_array_reserve(&p->frames, &p->frame_room, p->frame_count + 1, sizeof *p->frames) < 0)
        return no_memory(error);
    struct wh_profile_frame *f = &p->frames[p->frame_count];
    *f = (struct wh_profile_frame){0};
    if (!set_text(&f->name, name))
        return no_memory(error);
    p->frame_count++;
    return 0;
}

static int push(struct wh_profile *p, size_t frame, struct wh_error *error) {
    if (wh_array_reserve(&p->stacks, &p->stack_room, p->stack_count + 1, sizeof *p->stacks) < 0)
        return no_memory(error);
    p->stacks[p->stack_count++] = (uint32_t)frame;
    p->samples[p->sample_count - 1].count++;
    return 0;
}

/* The newest sample is the one that push() adds to. */
static struct wh_profile_sample *begin_sample(struct wh_profile *p) {
    if (wh_array_reserve(&p->samples, &p->sample_room, p->sample_count + 1, sizeof *p->samples) < 0)
        return NULL;
    struct wh_profile_sample *s = &p->samples[p->sample_count++];
    *s = (struct wh_profile_sample){.first = p->stack_count};
    return s;
}

static int read_facts(struct wh_store *store, struct wh_profile *p, struct wh_error *error) {
    struct wh_query *q;
    char text[160];
    p->sample_bytes = wh_store_get_int(store, "sample_bytes", 0);
    p->start_ns = wh_store_get_int(store, "start_ns", 0);
    int rc = wh_query_open(store,
                           "SELECT max(coalesce(end_ns, start_ns)), sum(lost_events),"
                           " sum(truncated_stacks), sum(unresolved_stacks) FROM process",
                           &q, error);
    if (rc)
        return rc;
    rc = wh_query_step(q, error);
    if (rc > 0) {
        rc = 0;
        p->duration_ns = wh_query_int(q, 0);
        int64_t lost = wh_store_get_int(store, "lost_events", wh_query_int(q, 1));
        int64_t broken = wh_query_int(q, 2) + wh_query_int(q, 3);
        if (lost) {
            snprintf(text, sizeof text, "%" PRId64 " events of the recording were lost", lost);
            rc = add_note(p, text, error);
        }
        if (!rc && broken) {
            snprintf(text, sizeof text,
                     "%" PRId64 " stacks were cut at the depth limit or do not reach the thread's "
                     "first frame",
                     broken);
            rc = add_note(p, text, error);
        }
    }
    wh_query_close(q);
    return rc;
}

/* --- by creator ----------------------------------------------------------------------------- */

static const char exact_sql[] =
    "SELECT t.process_id, s.frames, t.alloc_objects, t.alloc_space, t.inuse_objects, t.inuse_space,"
    " t.peak_objects, t.peak_space, t.temporary_objects, p.exe, p.command_line, p.pid FROM site t"
    " JOIN process p ON p.id = t.process_id LEFT JOIN stack s ON s.id = t.stack_id"
    " WHERE ?1 = 0 OR t.process_id = ?1 ORDER BY t.process_id, t.stack_id";
#define ESTIMATED_SQL(view)                                                                        \
    "SELECT t.process_id, s.frames, t.alloc_objects, t.alloc_space, t.inuse_objects,"              \
    " t.inuse_space, 0, 0, 0, p.exe, p.command_line, p.pid FROM " view " t"                        \
    " JOIN process p ON p.id = t.process_id LEFT JOIN stack s ON s.id = t.stack_id"                \
    " WHERE ?1 = 0 OR t.process_id = ?1 ORDER BY t.process_id, t.stack_id"

/* The frames of the trace in the order of their ids, and behind them one for no stack at all. */
static int read_frames(struct wh_store *store, struct wh_profile *p, int64_t **ret_ids,
                       struct wh_error *error) {
    struct wh_query *q;
    size_t room = 0;
    int rc = wh_query_open(store,
                           "SELECT id, coalesce(function, coalesce(module || '+', '') ||"
                           " printf('0x%x', address)), file, module, line, address, inlined"
                           " FROM frame ORDER BY id",
                           &q, error);
    if (rc)
        return rc;
    while ((rc = wh_query_step(q, error)) > 0) {
        if (wh_array_reserve(ret_ids, &room, p->frame_count + 1, sizeof **ret_ids) < 0) {
            rc = no_memory(error);
            break;
        }
        (*ret_ids)[p->frame_count] = wh_query_int(q, 0);
        if ((rc = add_frame(p, wh_query_text(q, 1), error)) != 0)
            break;
        struct wh_profile_frame *f = &p->frames[p->frame_count - 1];
        if (!set_text(&f->file, wh_query_text(q, 2)) ||
            !set_text(&f->module, wh_query_text(q, 3))) {
            rc = no_memory(error);
            break;
        }
        f->line = wh_query_int(q, 4);
        f->address = wh_query_int(q, 5);
        f->is_inlined = wh_query_int(q, 6) != 0;
    }
    wh_query_close(q);
    return rc ? rc : add_frame(p, "(no stack)", error);
}

static int compare_ids(const void *a, const void *b) {
    int64_t one = *(const int64_t *)a, two = *(const int64_t *)b;
    return one < two ? -1 : one > two;
}

/* stack.frames, a JSON array of frame.id; NULL = none was taken. */
static int push_stack(struct wh_profile *p, const char *frames, const int64_t *ids,
                      struct wh_error *error) {
    size_t known = p->frame_count - 1;
    for (const char *s = frames ? frames : "[]"; *s && *s != ']';) {
        char *end;
        int64_t id = strtoll(s + 1, &end, 10);
        if (end == s + 1)
            break;
        const int64_t *found = bsearch(&id, ids, known, sizeof *ids, compare_ids);
        if (!found)
            return wh_fail(error, WH_EINPUT, "frame %" PRId64 " of a stack is not in the trace",
                           id);
        int rc = push(p, (size_t)(found - ids), error);
        if (rc)
            return rc;
        s = end;
    }
    return p->samples[p->sample_count - 1].count ? 0 : push(p, known, error);
}

static int add_process(struct wh_profile *p, const struct wh_query *q, struct wh_error *error) {
    char name[256], text[300];
    wh_report_program(name, sizeof name, wh_query_text(q, 9), wh_query_text(q, 10));
    snprintf(text, sizeof text, "%s [%" PRId64 "]", name, wh_query_int(q, 11));
    return add_text(&p->processes, &p->process_count, &p->process_room, text, error);
}

static int read_sites(struct wh_store *store, const char *sql, int64_t process_id,
                      const int64_t *ids, struct wh_profile *p, struct wh_error *error) {
    struct wh_query *q;
    int64_t process = 0;
    int rc = wh_query_open(store, sql, &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, process_id);
    while ((rc = wh_query_step(q, error)) > 0) {
        if (wh_query_int(q, 0) != process && (rc = add_process(p, q, error)) != 0)
            break;
        process = wh_query_int(q, 0);
        struct wh_profile_sample *s = begin_sample(p);
        if (!s) {
            rc = no_memory(error);
            break;
        }
        s->process = p->process_count - 1;
        for (int i = 0; i < WH_PROFILE_VALUES; i++)
            s->values[i] = (int64_t)(wh_query_real(q, 2 + i) + 0.5);
        if ((rc = push_stack(p, wh_query_text(q, 1), ids, error)) != 0)
            break;
    }
    wh_query_close(q);
    return rc;
}

int wh_profile_read_creators(struct wh_store *store, int64_t process_id,
                             struct wh_profile *ret_profile, struct wh_error *error) {
    *ret_profile = (struct wh_profile){0};
    int64_t *ids = NULL;
    int rc = read_facts(store, ret_profile, error);
    const char *sql = exact_sql;
    ret_profile->values = (1u << WH_PROFILE_VALUES) - 1;
    if (!rc && ret_profile->sample_bytes > 0) {
        bool go = wh_store_get_int(store, "go_scaling", 0) != 0;
        sql = go ? ESTIMATED_SQL("go_estimate") : ESTIMATED_SQL("estimate");
        ret_profile->values &= (1u << WH_TOP_PEAK_OBJECTS) - 1;
        rc = add_note(ret_profile,
                      go ? "the recording is sampled: all values are estimates by the formula of "
                           "Go's heap profile"
                         : "the recording is sampled: all values are estimates, `whoholds report` "
                           "has their intervals",
                      error);
    }
    if (!rc)
        rc = read_frames(store, ret_profile, &ids, error);
    if (!rc)
        rc = read_sites(store, sql, process_id, ids, ret_profile, error);
    free(ids);
    return rc;
}

/* --- by holder ------------------------------------------------------------------------------ */

/* Frames by name, so that equal steps are one. */
struct step {
    const char *name; /* the key, of the frame's once it has one */
    size_t frame;
};

static int compare_steps(const void *a, const void *b) {
    return strcmp(((const struct step *)a)->name, ((const struct step *)b)->name);
}

static int push_step(struct wh_profile *p, void **steps, const char *name, struct wh_error *error) {
    struct step key = {name, p->frame_count};
    struct step **found = tfind(&key, steps, compare_steps);
    if (found)
        return push(p, (*found)->frame, error);
    struct step *step = malloc(sizeof *step);
    if (!step)
        return no_memory(error);
    int rc = add_frame(p, name, error);
    if (!rc) {
        *step = (struct step){p->frames[key.frame].name, key.frame};
        if (!tsearch(step, steps, compare_steps))
            rc = no_memory(error);
    }
    if (rc)
        free(step);
    return rc ? rc : push(p, key.frame, error);
}

/* The last step first, as a stack's leaf. */
static int push_path(struct wh_profile *p, void **steps, const char *holder, int64_t ways,
                     struct wh_error *error) {
    struct wh_text text = {0};
    wh_text_puts(&text, holder);
    if (ways > 1)
        wh_text_printf(&text, " (1 of %" PRId64 ")", ways);
    int rc = text.failed ? no_memory(error) : 0;
    while (!rc) {
        char *last = text.data;
        for (char *arrow; (arrow = strstr(last, STEP)) != NULL;)
            last = arrow + strlen(STEP);
        rc = push_step(p, steps, last, error);
        if (last == text.data)
            break;
        last[-(ptrdiff_t)strlen(STEP)] = 0;
    }
    wh_text_release(&text);
    return rc;
}

static int read_gap(struct wh_store *store, int64_t snapshot_id, void **steps, struct wh_profile *p,
                    struct wh_error *error) {
    struct wh_query *q;
    int rc =
        wh_query_open(store,
                      "SELECT g.creator, g.holder, g.ways, g.objects, g.bytes, 0, 0, 0, 0, p.exe,"
                      " p.command_line, p.pid FROM gap g JOIN snapshot s ON s.id = "
                      "g.snapshot_id JOIN process p ON p.id = s.process_id"
                      " WHERE g.snapshot_id = ?1 ORDER BY g.rowid",
                      &q, error);
    if (rc)
        return rc;
    wh_query_bind_int(q, 1, snapshot_id);
    while ((rc = wh_query_step(q, error)) > 0) {
        if (!p->process_count && (rc = add_process(p, q, error)) != 0)
            break;
        struct wh_profile_sample *s = begin_sample(p);
        if (!s) {
            rc = no_memory(error);
            break;
        }
        s->values[WH_TOP_INUSE_OBJECTS] = wh_query_int(q, 3);
        s->values[WH_TOP_INUSE_SPACE] = wh_query_int(q, 4);
        struct wh_text creator = {0};
        wh_text_printf(&creator, "[created by %s]", wh_query_text(q, 0));
        rc = creator.failed ? no_memory(error) : push_step(p, steps, creator.data, error);
        wh_text_release(&creator);
        if (!rc)
            rc = push_path(p, steps, wh_query_text(q, 1), wh_query_int(q, 2), error);
        if (rc)
            break;
    }
    wh_query_close(q);
    return rc;
}

int wh_profile_read_holders(struct wh_store *store, int64_t snapshot_id,
                            struct wh_profile *ret_profile, struct wh_error *error) {
    *ret_profile =
        (struct wh_profile){.values = 1u << WH_TOP_INUSE_OBJECTS | 1u << WH_TOP_INUSE_SPACE};
    void *steps = NULL;
    int rc = read_facts(store, ret_profile, error);
    if (!rc && ret_profile->sample_bytes > 0)
        rc = add_note(ret_profile,
                      "the recording is sampled: sizes are those of the memory itself, creators "
                      "are known of samples only",
                      error);
    if (!rc)
        rc = read_gap(store, snapshot_id, &steps, ret_profile, error);
    tdestroy(steps, free);
    return rc;
}

static void release_texts(char **texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

void wh_profile_release(struct wh_profile *p) {
    for (size_t i = 0; i < p->frame_count; i++) {
        free(p->frames[i].name);
        free(p->frames[i].file);
        free(p->frames[i].module);
    }
    free(p->frames);
    free(p->stacks);
    free(p->samples);
    release_texts(p->processes, p->process_count);
    release_texts(p->notes, p->note_count);
    *p = (struct wh_profile){0};
}
