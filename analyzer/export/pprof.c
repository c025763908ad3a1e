/* pprof's format: messages of profile.proto (pprof.proto), compressed as gzip does. */
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "analyzer/export/profile.h"
#include "base/string.h"
#include "pprof.pb-c.h"

/* Everything lives as long as the message is made and goes at once. */
struct pool {
    void **items;
    size_t count, room;
    bool failed;
};

static void *take(struct pool *pool, size_t count, size_t bytes) {
    void *item = NULL;
    if (!pool->failed &&
        wh_array_reserve(&pool->items, &pool->room, pool->count + 1, sizeof *pool->items) == 0)
        item = calloc(count + 1, bytes);
    if (item)
        pool->items[pool->count++] = item;
    else
        pool->failed = true;
    return item;
}

static void release(struct pool *pool) {
    for (size_t i = 0; i < pool->count; i++)
        free(pool->items[i]);
    free(pool->items);
}

/* A text, or a function's name and file, and the number it got. */
struct known {
    int64_t one, two;
    const char *text;
    int64_t number;
};

static int compare_known(const void *a, const void *b) {
    const struct known *x = a, *y = b;
    if (x->text || y->text)
        return strcmp(x->text, y->text);
    if (x->one != y->one)
        return x->one < y->one ? -1 : 1;
    return x->two < y->two ? -1 : x->two > y->two;
}

struct builder {
    const struct wh_profile *profile;
    struct pool pool;
    WhPprof__Profile message;
    void *texts, *functions, *mappings; /* trees of struct known */
    size_t text_room, function_room, mapping_room, location_room;
    uint64_t *location_of; /* per frame: the location that begins with it; 0 = none yet */
};

/* The entry that equals key, or a new one with the number key has. */
static struct known *find(struct builder *b, void **tree, struct known key, bool *ret_is_new) {
    struct known **found = tfind(&key, tree, compare_known);
    *ret_is_new = !found;
    if (found)
        return *found;
    struct known *e = take(&b->pool, 1, sizeof *e);
    if (!e)
        return NULL;
    *e = key;
    if (!tsearch(e, tree, compare_known)) {
        b->pool.failed = true;
        return NULL;
    }
    return e;
}

static bool grow(struct builder *b, void *array, size_t *room, size_t count) {
    if (wh_array_reserve(array, room, count + 1, sizeof(void *)) < 0)
        b->pool.failed = true;
    return !b->pool.failed;
}

static int64_t text(struct builder *b, const char *s) {
    bool is_new;
    struct known *e =
        find(b, &b->texts,
             (struct known){.text = s ? s : "", .number = (int64_t)b->message.n_texts}, &is_new);
    if (!e)
        return 0;
    if (is_new && grow(b, &b->message.texts, &b->text_room, b->message.n_texts))
        b->message.texts[b->message.n_texts++] = (char *)(uintptr_t)e->text;
    return e->number;
}

static uint64_t function(struct builder *b, const struct wh_profile_frame *f) {
    bool is_new;
    struct known key = {.one = text(b, f->name),
                        .two = text(b, f->file),
                        .number = (int64_t)b->message.n_functions + 1};
    struct known *e = find(b, &b->functions, key, &is_new);
    if (!e || !is_new)
        return e ? (uint64_t)e->number : 0;
    WhPprof__Function *m = take(&b->pool, 1, sizeof *m);
    if (!m || !grow(b, &b->message.functions, &b->function_room, b->message.n_functions))
        return 0;
    *m = (WhPprof__Function)WH_PPROF__FUNCTION__INIT;
    m->id = (uint64_t)e->number;
    m->name = m->system_name = e->one;
    m->file = e->two;
    b->message.functions[b->message.n_functions++] = m;
    return m->id;
}

static uint64_t mapping(struct builder *b, const char *module) {
    bool is_new;
    if (!module)
        return 0;
    struct known key = {.one = text(b, module), .number = (int64_t)b->message.n_mappings + 1};
    struct known *e = find(b, &b->mappings, key, &is_new);
    if (!e || !is_new)
        return e ? (uint64_t)e->number : 0;
    WhPprof__Mapping *m = take(&b->pool, 1, sizeof *m);
    if (!m || !grow(b, &b->message.mappings, &b->mapping_room, b->message.n_mappings))
        return 0;
    *m = (WhPprof__Mapping)WH_PPROF__MAPPING__INIT;
    m->id = (uint64_t)e->number;
    m->end = (uint64_t)INT64_MAX;
    m->file = e->one;
    m->has_functions = m->has_files = m->has_lines = m->has_inlined = 1;
    b->message.mappings[b->message.n_mappings++] = m;
    return m->id;
}

/* The location whose innermost line is the frame `first` of a stack of `count` more. */
static uint64_t location(struct builder *b, const uint32_t *stack, size_t count,
                         size_t *ret_lines) {
    const struct wh_profile_frame *frames = b->profile->frames;
    size_t lines = 1;
    while (lines < count && frames[stack[lines - 1]].is_inlined)
        lines++;
    *ret_lines = lines;
    if (b->location_of[stack[0]])
        return b->location_of[stack[0]];
    WhPprof__Location *m = take(&b->pool, 1, sizeof *m);
    WhPprof__Line *line = take(&b->pool, lines, sizeof *line);
    WhPprof__Line **line_list = take(&b->pool, lines, sizeof *line_list);
    if (b->pool.failed ||
        !grow(b, &b->message.locations, &b->location_room, b->message.n_locations))
        return 0;
    *m = (WhPprof__Location)WH_PPROF__LOCATION__INIT;
    m->id = b->message.n_locations + 1;
    m->mapping = mapping(b, frames[stack[0]].module);
    m->address = (uint64_t)frames[stack[0]].address;
    for (size_t i = 0; i < lines; i++) {
        line[i] = (WhPprof__Line)WH_PPROF__LINE__INIT;
        line[i].function = function(b, &frames[stack[i]]);
        line[i].line = frames[stack[i]].line;
        line_list[i] = &line[i];
    }
    m->lines = line_list;
    m->n_lines = lines;
    b->message.locations[b->message.n_locations++] = m;
    return b->location_of[stack[0]] = m->id;
}

static WhPprof__Kind *kind(struct builder *b, const char *name, const char *unit) {
    WhPprof__Kind *m = take(&b->pool, 1, sizeof *m);
    if (m) {
        *m = (WhPprof__Kind)WH_PPROF__KIND__INIT;
        m->name = text(b, name);
        m->unit = text(b, unit);
    }
    return m;
}

static void put_sample(struct builder *b, const struct wh_profile_sample *s, WhPprof__Sample *m) {
    const struct wh_profile *p = b->profile;
    *m = (WhPprof__Sample)WH_PPROF__SAMPLE__INIT;
    m->locations = take(&b->pool, s->count, sizeof *m->locations);
    m->values = take(&b->pool, WH_PROFILE_VALUES, sizeof *m->values);
    m->labels = take(&b->pool, 1, sizeof *m->labels);
    WhPprof__Label *label = take(&b->pool, 1, sizeof *label);
    if (b->pool.failed)
        return;
    for (size_t i = 0, lines; i < s->count; i += lines)
        m->locations[m->n_locations++] =
            location(b, &p->stacks[s->first + i], s->count - i, &lines);
    for (int i = 0; i < WH_PROFILE_VALUES; i++)
        if (p->values & 1u << i)
            m->values[m->n_values++] = s->values[i];
    *label = (WhPprof__Label)WH_PPROF__LABEL__INIT;
    label->key = text(b, "process");
    label->text = text(b, p->processes[s->process]);
    m->labels[m->n_labels++] = label;
}

static void put_head(struct builder *b) {
    const struct wh_profile *p = b->profile;
    WhPprof__Profile *m = &b->message;
    *m = (WhPprof__Profile)WH_PPROF__PROFILE__INIT;
    (void)text(b, ""); /* number 0 */
    m->kinds = take(&b->pool, WH_PROFILE_VALUES, sizeof *m->kinds);
    m->comments = take(&b->pool, p->note_count, sizeof *m->comments);
    if (b->pool.failed)
        return;
    for (int i = 0; i < WH_PROFILE_VALUES; i++)
        if (p->values & 1u << i)
            m->kinds[m->n_kinds++] =
                kind(b, wh_top_metric_words[i],
                     strstr(wh_top_metric_words[i], "space") ? "bytes" : "count");
    for (size_t i = 0; i < p->note_count; i++)
        m->comments[m->n_comments++] = text(b, p->notes[i]);
    m->time_ns = p->start_ns;
    m->duration_ns = p->duration_ns;
    m->period_kind = kind(b, "space", "bytes");
    m->period = p->sample_bytes > 0 ? p->sample_bytes : 1;
    m->default_kind = text(b, "inuse_space");
}

static void build(struct builder *b) {
    const struct wh_profile *p = b->profile;
    put_head(b);
    b->location_of = take(&b->pool, p->frame_count, sizeof *b->location_of);
    b->message.samples = take(&b->pool, p->sample_count, sizeof *b->message.samples);
    WhPprof__Sample *samples = take(&b->pool, p->sample_count, sizeof *samples);
    for (size_t i = 0; !b->pool.failed && i < p->sample_count; i++) {
        put_sample(b, &p->samples[i], &samples[i]);
        b->message.samples[b->message.n_samples++] = &samples[i];
    }
}

static int write_gzip(const unsigned char *data, size_t bytes, FILE *file, struct wh_error *error) {
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)data};
    unsigned char out[65536];
    const int gzip = 16; /* added to the window's bits: its head and checksum */
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + gzip, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return wh_fail(error, WH_ESYSTEM, "no memory to compress the profile");
    int state = Z_OK;
    while (state == Z_OK) {
        uInt part = bytes > 1u << 30 ? 1u << 30 : (uInt)bytes;
        if (z.avail_in == 0) {
            z.avail_in = part;
            bytes -= part;
        }
        z.next_out = out;
        z.avail_out = sizeof out;
        state = deflate(&z, bytes ? Z_NO_FLUSH : Z_FINISH);
        fwrite(out, 1, sizeof out - z.avail_out, file);
    }
    deflateEnd(&z);
    return state == Z_STREAM_END ? 0 : wh_fail(error, WH_ESYSTEM, "zlib failed with %d", state);
}

static void keep(void *known) {
    (void)known; /* it is the pool's */
}

int wh_profile_write_pprof(const struct wh_profile *profile, FILE *file, struct wh_error *error) {
    struct builder b = {.profile = profile};
    unsigned char *data = NULL;
    build(&b);
    size_t bytes = b.pool.failed ? 0 : wh_pprof__profile__get_packed_size(&b.message);
    int rc = 0;
    if (b.pool.failed || !(data = malloc(bytes + 1)))
        rc = wh_fail(error, WH_ESYSTEM, "no memory for the profile");
    if (!rc) {
        (void)wh_pprof__profile__pack(&b.message, data);
        rc = write_gzip(data, bytes, file, error);
    }
    free(data);
    tdestroy(b.texts, keep);
    tdestroy(b.functions, keep);
    tdestroy(b.mappings, keep);
    free(b.message.texts);
    free(b.message.functions);
    free(b.message.mappings);
    free(b.message.locations);
    release(&b.pool);
    return rc;
}
