/* The decision which lifetimes become rows, and their tables. */
#include "record/derive.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "record/helper.h"
#include "trace/folds.h"

#define PROCESS_BUCKETS 256u
#define FLUSH_ROWS      65536u
#define DECIDED_AT_ONCE 4u
#define FOLDS_MAX       780000u /* with those of one pulse more the table has 32 MiB */

/* Lifetimes on their way to being decided, each with what was known of the peak when it ended. */
#define BATCH_LIVES 512u
#define BATCHES     (WH_HELPER_JOBS + 1u) /* that wait, and the one being filled */
struct peak {
    uint64_t number; /* wh_pair.last_number at it */
    uint64_t ticks, serial;
};
struct ended {
    struct wh_lifetime life;
    struct peak peak;
};
struct batch {
    struct wh_derive *derive;
    size_t count;
    struct ended lives[BATCH_LIVES];
};

/* What is remembered of a process beyond its end: enough to tell which blocks its peak held. */
struct process {
    struct process *next;
    uint32_t id;
    struct peak peak;               /* of the candidates */
    bool is_done;                   /* its peak is known: */
    uint64_t done_peak_ticks;       /* without what it inherited, if it ended by exec */
    struct wh_lifetimes candidates; /* live at that peak, dead since */
    struct wh_lifetimes inherited;  /* deaths of inherited blocks: dropped if it ends by exec */
};

struct wh_derive {
    struct wh_store *store;
    enum wh_materialize materialize;
    struct wh_clock_map clock;
    struct wh_helper *helper;
    struct batch *batches[BATCHES]; /* a ring; NULL = not needed yet */
    unsigned batch;                 /* the one being filled */
    _Atomic bool is_full, failed;   /* helper: rows wait, no memory */
    /* Below: the helper's, unless it has nothing to do. */
    bool folds_now;        /* only some lifetimes become rows */
    struct wh_births all;  /* every one, until folds_now; then what is undecided */
    struct wh_births rows; /* decided: become rows */
    uint64_t last_row_id;  /* largest in the table */
    struct wh_folds folds;
    struct process *processes[PROCESS_BUCKETS];
};

int wh_derive_open(struct wh_store *store, enum wh_materialize materialize,
                   struct wh_helper *helper, struct wh_derive **ret_derive,
                   struct wh_error *error) {
    struct wh_derive *d = calloc(1, sizeof *d);
    if (!d)
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    d->store = store;
    d->materialize = materialize;
    d->helper = helper;
    d->folds_now = materialize == WH_MATERIALIZE_NONE;
    *ret_derive = d;
    return 0;
}

void wh_derive_close(struct wh_derive *d) {
    if (!d)
        return;
    for (unsigned b = 0; b < PROCESS_BUCKETS; b++)
        for (struct process *p = d->processes[b], *next; p; p = next) {
            next = p->next;
            wh_lifetimes_clear(&p->candidates);
            wh_lifetimes_clear(&p->inherited);
            free(p);
        }
    for (unsigned b = 0; b < BATCHES; b++)
        free(d->batches[b]);
    wh_births_clear(&d->all);
    wh_births_clear(&d->rows);
    wh_folds_release(&d->folds);
    free(d);
}

void wh_derive_clock(struct wh_derive *d, const struct wh_clock_map *clock) {
    d->clock = *clock;
}

static struct process *process_of(struct wh_derive *d, uint32_t id) {
    struct process **bucket = &d->processes[id % PROCESS_BUCKETS], *p = *bucket;
    while (p && p->id != id)
        p = p->next;
    if (!p && (p = calloc(1, sizeof *p))) {
        p->id = id;
        p->next = *bucket;
        *bucket = p;
    }
    return p;
}

/* --- deciding
 * -------------------------------------------------------------------------------------- */

static int fold(struct wh_derive *d, const struct wh_lifetime *life, bool at_peak) {
    bool is_own = !life->is_inherited; /* else not made here, but perhaps of this process's peak */
    if (!is_own && !at_peak)
        return 0;
    uint64_t birth = wh_clock_ns(&d->clock, life->block.birth_ticks);
    uint64_t death = wh_clock_ns(&d->clock, life->death.ticks);
    struct wh_fold_context context = {
        .process_id = life->process_id,
        .thread = life->block.thread,
        .free_stack = life->death.stack,
        .second = (uint32_t)(birth / 1000000000u),
    };
    int64_t number = wh_folds_context(&d->folds, &context);
    struct wh_fold one = {
        .bytes = life->block.size,
        .lifetime_ns = is_own && death > birth ? death - birth : 0,
        .stack = life->block.stack,
        .objects = 1,
        .context = (uint32_t)number,
        .size_log2 = wh_size_log2(life->block.size),
        .how = (uint8_t)((is_own ? WH_FOLD_OWN : 0) | (at_peak ? WH_FOLD_PEAK : 0)),
    };
    return number < 0 ? -1 : wh_folds_add(&d->folds, &one);
}

static int fold_all(struct wh_derive *d, struct wh_lifetimes *list) {
    struct wh_lifetimes_cursor c;
    struct wh_lifetime life;
    wh_lifetimes_start(list, &c);
    while (wh_lifetimes_take(list, &c, &life))
        if (fold(d, &life, false))
            return -1;
    wh_lifetimes_clear(list);
    return 0;
}

/* Of one that died after the last peak: was it live at the one that counts? */
static bool is_of_peak(const struct process *p, const struct wh_lifetime *life) {
    return life->block.birth_ticks <= p->done_peak_ticks && life->death.ticks >= p->done_peak_ticks;
}

/* Of a process whose peak is known: a block of the peak has a row, unless few rows are wanted. */
static int decide_late(struct wh_derive *d, const struct process *p,
                       const struct wh_lifetime *life) {
    bool at_peak = is_of_peak(p, life);
    return at_peak && d->materialize != WH_MATERIALIZE_NONE ? wh_births_add(&d->rows, life)
                                                            : fold(d, life, at_peak);
}

/* Folding mode: a row, a sum, or not known yet. */
static int decide(struct wh_derive *d, struct process *p, const struct wh_lifetime *life) {
    uint64_t number = life->block.number;
    if (!life->is_freed || life->is_of_snapshot)
        return wh_births_add(&d->rows, life);
    if (number > p->peak.number || life->death.ticks < p->peak.ticks)
        return fold(d, life, false);
    if (p->is_done)
        return decide_late(d, p, life);
    return wh_lifetimes_add(&p->candidates, life);
}

/* Too many for a row each: what was kept so far is decided, a few with each that comes, so that
 * nobody waits for two million and their sums can be written on the way. */
static int decide_kept(struct wh_derive *d, uint64_t count) {
    struct wh_lifetime life;
    while (count-- && wh_births_take(&d->all, &life)) {
        struct process *p = process_of(d, life.process_id);
        if (!p || decide(d, p, &life))
            return -1;
    }
    return 0;
}

static int settle(struct wh_derive *d, struct process *p, const struct wh_lifetime *life) {
    if (d->folds_now && d->all.count && decide_kept(d, DECIDED_AT_ONCE))
        return -1;
    if (d->folds_now)
        return decide(d, p, life);
    if (d->materialize == WH_MATERIALIZE_ALL)
        return wh_births_add(&d->rows, life);
    if (wh_births_add(&d->all, life))
        return -1;
    d->folds_now = d->all.count > WH_ROWS_MAX;
    return 0;
}

/* --- taking lifetimes
 * -------------------------------------------------------------------------------- */

static struct peak peak_of(const struct wh_pair *pair) {
    return (struct peak){pair->peak_number, pair->ledger.peak_ticks, pair->ledger.peak_serial};
}

/* The process with what is known of its peak by now. NULL: out of memory. */
static struct process *refresh(struct wh_derive *d, uint32_t id, const struct peak *peak) {
    struct process *p = process_of(d, id);
    /* They died before the new peak. */
    if (p && p->peak.serial != peak->serial && p->candidates.count && fold_all(d, &p->candidates))
        return NULL;
    if (p)
        p->peak = *peak;
    return p;
}

static int take(struct wh_derive *d, const struct ended *e) {
    struct process *p = refresh(d, e->life.process_id, &e->peak);
    if (!p)
        return -1;
    return e->life.is_inherited && e->life.is_freed ? wh_lifetimes_add(&p->inherited, &e->life)
                                                    : settle(d, p, &e->life);
}

/* Helper. */
static void take_batch(void *arg) {
    struct batch *b = arg;
    struct wh_derive *d = b->derive;
    for (size_t i = 0; i < b->count && !d->failed; i++)
        if (take(d, &b->lives[i]))
            d->failed = true;
    b->count = 0;
    d->is_full = d->rows.count >= FLUSH_ROWS || d->folds.count >= FOLDS_MAX;
}

static void give(struct wh_derive *d) {
    struct batch *b = d->batches[d->batch];
    if (!b || !b->count)
        return;
    d->batch = (d->batch + 1) % BATCHES;
    if (d->helper)
        wh_helper_give(d->helper, take_batch, b);
    else
        take_batch(b);
}

/* All that ended so far is decided, and nobody else is at it. */
static int catch_up(struct wh_derive *d, struct wh_error *error) {
    give(d);
    if (d->helper)
        wh_helper_wait(d->helper);
    return d->failed ? wh_fail(error, WH_ESYSTEM, "out of memory") : 0;
}

static int on_lifetime(void *arg, const struct wh_pair *pair, const struct wh_live *block,
                       const struct wh_death *death) {
    struct wh_derive *d = arg;
    struct batch *b = d->batches[d->batch];
    if (!b && (b = malloc(sizeof *b)) != NULL) {
        b->derive = d;
        b->count = 0;
        d->batches[d->batch] = b;
    }
    if (!b || d->failed)
        return -1;
    struct ended *e = &b->lives[b->count++];
    e->peak = peak_of(pair);
    e->life = (struct wh_lifetime){
        .block = *block,
        .process_id = pair->process_id,
        .is_freed = death != NULL,
        .is_inherited = block->number <= pair->inherited_number,
        .is_of_snapshot = block->number <= pair->snapshot_number,
    };
    if (death)
        e->life.death = *death;
    if (b->count == BATCH_LIVES)
        give(d);
    return 0;
}

struct wh_pair_sink wh_derive_sink(struct wh_derive *d) {
    return (struct wh_pair_sink){.lifetime = on_lifetime, .arg = d};
}

/* --- writing rows
 * ---------------------------------------------------------------------------------- */

static const char *const kind_names[WH_ALLOC_KINDS] = {"malloc", "calloc", "realloc", "memalign",
                                                       "new",    "new[]",  "mmap"};

/* The columns of allocation, in its order. */
enum {
    ID,
    PROCESS_ID,
    THREAD_ID,
    ADDRESS,
    SIZE_BYTES,
    KIND,
    ALLOC_NS,
    STACK_ID,
    FREE_NS,
    FREE_THREAD_ID,
    FREE_STACK_ID,
    ORIGIN_ID,
    IS_INHERITED,
    ALLOCATION_COLUMNS
};
static const char allocation_columns[] =
    "id, process_id, thread_id, address, size_bytes, kind, alloc_ns, stack_id, free_ns,"
    " free_thread_id, free_stack_id, origin_id, is_inherited";

struct row_writer {
    struct wh_derive *derive;
    struct wh_lifetime *lives;        /* a batch */
    const struct wh_lifetime **order; /* the same by id; room for SPAN_MAX times as many */
    size_t count, at;
};

#define SPAN_MAX 4u

static uint64_t id_of(const struct wh_lifetime *life) {
    return wh_allocation_id(life->process_id, life->block.number);
}

static void cell_or_null(struct wh_cell *cell, uint64_t value) {
    if (value)
        wh_cell_int(cell, (int64_t)value);
    else
        wh_cell_null(cell);
}

/* The columns in which the rows of many a program do not differ. */
static void put_usual(const struct wh_lifetime *life, struct wh_cell *cells) {
    const struct wh_live *b = &life->block;
    wh_cell_int(&cells[PROCESS_ID], life->process_id);
    cell_or_null(&cells[THREAD_ID], b->thread);
    wh_cell_text(&cells[KIND], kind_names[b->kind < WH_ALLOC_KINDS ? b->kind : WH_ALLOC_MALLOC]);
    cell_or_null(&cells[FREE_THREAD_ID], life->is_freed ? life->death.thread : 0);
    cell_or_null(&cells[FREE_STACK_ID], life->is_freed ? life->death.stack : 0);
    cell_or_null(&cells[ORIGIN_ID],
                 life->is_inherited ? 0 : wh_allocation_id(life->process_id, b->origin_number));
    wh_cell_int(&cells[IS_INHERITED], life->is_inherited);
}

static int next_allocation(void *arg, struct wh_cell *cells) {
    struct row_writer *w = arg;
    if (w->at == w->count)
        return 0;
    const struct wh_lifetime *life = w->order[w->at++];
    const struct wh_live *b = &life->block;
    const struct wh_clock_map *clock = &w->derive->clock;
    uint64_t birth = wh_clock_ns(clock, b->birth_ticks), id = id_of(life);
    put_usual(life, cells);
    /* NULL: the one after the largest, which SQLite finds without a search. */
    if (id != w->derive->last_row_id + 1)
        wh_cell_int(&cells[ID], (int64_t)id);
    if (id > w->derive->last_row_id)
        w->derive->last_row_id = id;
    wh_cell_int(&cells[ADDRESS], (int64_t)b->address);
    wh_cell_int(&cells[SIZE_BYTES], (int64_t)b->size);
    wh_cell_int(&cells[ALLOC_NS], (int64_t)birth);
    wh_cell_int(&cells[STACK_ID], b->stack);
    if (life->is_freed) {
        uint64_t death = wh_clock_ns(clock, life->death.ticks);
        wh_cell_int(&cells[FREE_NS], (int64_t)(death > birth ? death : birth));
    }
    return 1;
}

/* The columns, as bits, in which all rows of the batch are as the first. */
static uint32_t same_columns(const struct row_writer *w) {
    const struct wh_lifetime *one = w->lives;
    uint32_t differ = 0, origins = 0;
    for (const struct wh_lifetime *l = one; l < one + w->count; l++) {
        differ |= (uint32_t)(l->process_id != one->process_id) << PROCESS_ID |
                  (uint32_t)(l->block.thread != one->block.thread) << THREAD_ID |
                  (uint32_t)(l->block.kind != one->block.kind) << KIND |
                  (uint32_t)(l->is_freed != one->is_freed) << FREE_THREAD_ID |
                  (uint32_t)(l->death.thread != one->death.thread) << FREE_THREAD_ID |
                  (uint32_t)(l->is_freed != one->is_freed) << FREE_STACK_ID |
                  (uint32_t)(l->death.stack != one->death.stack) << FREE_STACK_ID |
                  (uint32_t)(l->is_inherited != one->is_inherited) << IS_INHERITED;
        origins |= l->block.origin_number != 0;
    }
    return ~(differ | origins << ORIGIN_ID) &
           (1u << PROCESS_ID | 1u << THREAD_ID | 1u << KIND | 1u << FREE_THREAD_ID |
            1u << FREE_STACK_ID | 1u << ORIGIN_ID | 1u << IS_INHERITED);
}

static int by_id(const void *a, const void *b) {
    uint64_t x = id_of(*(const struct wh_lifetime *const *)a);
    uint64_t y = id_of(*(const struct wh_lifetime *const *)b);
    return x < y ? -1 : x > y;
}

/* Puts the batch in order. Births are numbered nearly without gaps, so that most know their place.
 */
static void sort_batch(struct row_writer *w) {
    uint64_t first = UINT64_MAX, last = 0;
    for (size_t i = 0; i < w->count; i++) {
        uint64_t id = id_of(&w->lives[i]);
        first = id < first ? id : first;
        last = id > last ? id : last;
    }
    uint64_t span = last - first + 1;
    size_t found = 0;
    if (span <= (uint64_t)SPAN_MAX * w->count) {
        memset(w->order, 0, (size_t)span * sizeof(struct wh_lifetime *));
        for (size_t i = 0; i < w->count; i++)
            w->order[id_of(&w->lives[i]) - first] = &w->lives[i];
        for (size_t i = 0; i < span; i++)
            if (w->order[i])
                w->order[found++] = w->order[i];
    }
    if (found == w->count)
        return;
    for (size_t i = 0; i < w->count; i++)
        w->order[i] = &w->lives[i];
    qsort(w->order, w->count, sizeof(struct wh_lifetime *), by_id);
}

static int write_batches(struct row_writer *w, struct wh_births *births, struct wh_error *error) {
    struct wh_cell same[ALLOCATION_COLUMNS] = {0};
    size_t count;
    while ((count = wh_births_next(births, FLUSH_ROWS)) > 0) {
        for (w->at = w->count = 0; w->count < count;)
            w->count += wh_births_take(births, &w->lives[w->count]);
        sort_batch(w);
        put_usual(&w->lives[0], same);
        int rc = wh_store_insert_same(w->derive->store, "allocation", allocation_columns,
                                      same_columns(w), same, next_allocation, w, error);
        if (rc)
            return rc;
    }
    return 0;
}

/* Writes all as rows, sorted within batches so that the table grows at its end, and clears it. */
static int write_rows(struct wh_derive *d, struct wh_births *births, struct wh_error *error) {
    if (!births->count)
        return 0;
    size_t batch = births->count < FLUSH_ROWS ? (size_t)births->count : FLUSH_ROWS;
    struct row_writer w = {
        .derive = d,
        .lives = malloc(batch * sizeof *w.lives),
        .order = malloc(batch * SPAN_MAX * sizeof(struct wh_lifetime *)),
    };
    int rc = w.lives && w.order ? write_batches(&w, births, error)
                                : wh_fail(error, WH_ESYSTEM, "out of memory");
    free(w.lives);
    free(w.order);
    wh_births_clear(births);
    return rc;
}

struct fold_writer {
    const struct wh_folds *folds;
    uint64_t before; /* only births before this second */
    size_t at;
};

static int next_fold(void *arg, struct wh_cell *cells) {
    struct fold_writer *w = arg;
    const struct wh_fold *f, *end = w->folds->slots + w->folds->capacity;
    const struct wh_fold_context *c;
    do {
        f = &w->folds->slots[w->at];
        if (f == end)
            return 0;
        w->at++;
        c = &w->folds->contexts[f->context];
    } while (!f->how || c->second >= w->before);
    bool is_own = f->how & WH_FOLD_OWN, is_of_peak = f->how & WH_FOLD_PEAK;
    wh_cell_int(&cells[0], c->process_id);
    wh_cell_int(&cells[1], f->stack);
    wh_cell_int(&cells[2], c->free_stack);
    wh_cell_int(&cells[3], c->thread);
    wh_cell_int(&cells[4], f->size_log2 == 255 ? 0 : (int64_t)1 << f->size_log2);
    wh_cell_int(&cells[5], c->second);
    wh_cell_int(&cells[6], is_own ? f->objects : 0);
    wh_cell_int(&cells[7], is_own ? (int64_t)f->bytes : 0);
    wh_cell_int(&cells[8], (int64_t)f->lifetime_ns);
    wh_cell_int(&cells[9], is_of_peak ? f->objects : 0);
    wh_cell_int(&cells[10], is_of_peak ? (int64_t)f->bytes : 0);
    return 1;
}

/* Sums of the newest second still grow: they are written when all are wanted or nearly all are of
 * it, since what comes after makes another row. */
static int write_folds(struct wh_derive *d, bool all, struct wh_error *error) {
    struct fold_writer w = {.folds = &d->folds, .before = UINT64_MAX};
    if (wh_folds_settle(&d->folds))
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    if (!d->folds.count)
        return 0;
    size_t older;
    uint32_t newest = wh_folds_newest(&d->folds, &older);
    if (!all && older >= d->folds.count / 2)
        w.before = newest;
    int rc = wh_store_insert(d->store, "folded",
                             "process_id, stack_id, free_stack_id, thread_id, size_class, second,"
                             " objects, bytes, lifetime_ns, peak_objects, peak_bytes",
                             next_fold, &w, error);
    if (!rc && wh_folds_remove(&d->folds, w.before))
        rc = wh_fail(error, WH_ESYSTEM, "out of memory");
    return rc;
}

bool wh_derive_is_full(const struct wh_derive *d) {
    return d->is_full;
}

int wh_derive_flush(struct wh_derive *d, struct wh_error *error) {
    int rc = catch_up(d, error);
    if (!rc && d->rows.count >= FLUSH_ROWS)
        rc = write_rows(d, &d->rows, error);
    if (!rc && d->folds.count >= FOLDS_MAX)
        rc = write_folds(d, false, error);
    d->is_full = false;
    return rc;
}

/* --- a process's end
 * ------------------------------------------------------------------------------- */

struct site_writer {
    const struct wh_ledger *ledger;
    uint32_t process_id;
    uint32_t at;
};

static int next_site(void *arg, struct wh_cell *cells) {
    struct site_writer *w = arg;
    while (w->at < w->ledger->slots && !w->ledger->sites[w->at].used)
        w->at++;
    if (w->at == w->ledger->slots)
        return 0;
    const struct wh_site *s = &w->ledger->sites[w->at++];
    wh_cell_int(&cells[0], w->process_id);
    wh_cell_int(&cells[1], s->stack);
    wh_cell_int(&cells[2], (int64_t)s->alloc_objects);
    wh_cell_int(&cells[3], (int64_t)s->alloc_space);
    wh_cell_int(&cells[4], (int64_t)s->inuse_objects);
    wh_cell_int(&cells[5], (int64_t)s->inuse_space);
    wh_cell_int(&cells[6], (int64_t)s->peak_objects);
    wh_cell_int(&cells[7], (int64_t)s->peak_space);
    wh_cell_int(&cells[8], (int64_t)s->temporary_objects);
    return 1;
}

struct point_writer {
    const struct wh_timeline *timeline;
    const struct wh_clock_map *clock;
    uint32_t process_id;
    size_t at;
};

static int next_point(void *arg, struct wh_cell *cells) {
    struct point_writer *w = arg;
    if (w->at == w->timeline->count)
        return 0;
    const struct wh_point *p = &w->timeline->points[w->at++];
    wh_cell_int(&cells[0], w->process_id);
    wh_cell_int(&cells[1], (int64_t)wh_clock_ns(w->clock, p->ticks));
    wh_cell_int(&cells[2], (int64_t)p->live_objects);
    wh_cell_int(&cells[3], (int64_t)p->live_bytes);
    cell_or_null(&cells[4], p->rss_bytes);
    return 1;
}

/* The blocks that waited for the end of their process. An image that ended by exec has a peak of
 * its own, without what it inherited. */
static int settle_rest(struct wh_derive *d, struct process *p, const struct wh_ledger *sums,
                       bool replaced) {
    struct wh_lifetimes_cursor c;
    p->is_done = true;
    p->done_peak_ticks = sums->peak_ticks;
    struct wh_lifetime life;
    wh_lifetimes_start(&p->inherited, &c);
    while (!replaced && wh_lifetimes_take(&p->inherited, &c, &life))
        if (settle(d, p, &life))
            return -1;
    wh_lifetimes_clear(&p->inherited);
    wh_lifetimes_start(&p->candidates, &c);
    while (wh_lifetimes_take(&p->candidates, &c, &life))
        if (decide_late(d, p, &life))
            return -1;
    wh_lifetimes_clear(&p->candidates);
    return 0;
}

int wh_derive_process(struct wh_derive *d, struct wh_pair *pair, bool replaced,
                      struct wh_error *error) {
    int rc = catch_up(d, error);
    if (rc)
        return rc;
    const struct peak peak = peak_of(pair);
    struct process *p = refresh(d, pair->process_id, &peak);
    if (!p || settle_rest(d, p, wh_pair_sums(pair, replaced), replaced))
        return wh_fail(error, WH_ESYSTEM, "out of memory");
    struct site_writer sites = {.ledger = wh_pair_sums(pair, replaced),
                                .process_id = pair->process_id};
    rc = wh_store_insert(d->store, "site",
                         "process_id, stack_id, alloc_objects, alloc_space, inuse_objects,"
                         " inuse_space, peak_objects, peak_space, temporary_objects",
                         next_site, &sites, error);
    if (rc)
        return rc;
    struct point_writer points = {
        .timeline = &pair->timeline, .clock = &d->clock, .process_id = pair->process_id};
    return wh_store_insert(d->store, "timeline",
                           "process_id, at_ns, live_objects, live_bytes, rss_bytes", next_point,
                           &points, error);
}

int wh_derive_finish(struct wh_derive *d, struct wh_error *error) {
    int rc = catch_up(d, error);
    while (!rc && d->folds_now && d->all.count) {
        if (decide_kept(d, FLUSH_ROWS))
            return wh_fail(error, WH_ESYSTEM, "out of memory");
        rc = wh_derive_flush(d, error);
    }
    if (!rc)
        rc = write_rows(d, &d->all, error);
    if (!rc)
        rc = write_rows(d, &d->rows, error);
    if (!rc)
        rc = write_folds(d, true, error);
    wh_folds_release(&d->folds);
    const char *rows = !d->folds_now                           ? "all"
                       : d->materialize == WH_MATERIALIZE_NONE ? "end"
                                                               : "live";
    if (!rc)
        rc = wh_store_set_text(d->store, "allocation_rows", rows, error);
    if (!rc)
        rc = wh_store_run_file(d->store, "index.sql", error);
    return rc;
}
