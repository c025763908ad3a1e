/* Memory in, edges out.
 *
 * The image is read in pieces of at most SCAN_BYTES. A filter (filter.c) leaves the words that may
 * point into the heap, their index words are prefetched in batches, then each is looked up and
 * classified. Small neighbouring nodes are read as one run; pages that were never touched are not
 * read at all. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/snapshot/filter.h"

#define SCAN_BYTES  (256u << 10) /* stays in a second-level cache between the stages */
#define MARGIN      16u          /* bytes of context on both sides of a piece */
#define RUN_GAP_MAX 4096u        /* nodes farther apart are not read together */
#define LARGE_BYTES 65536u /* nodes from this size on are read alone, without untouched pages */
#define BATCH       64u
#define PAGE        4096ull

struct scanner {
    struct wh_extract *x;
    struct wh_filter filter;
    unsigned char *buffer; /* SCAN_BYTES + 2 * MARGIN, aligned */
    uint32_t *hits;        /* byte offsets into the piece, ascending */
    struct wh_words words; /* the piece */
    uint64_t low, high;    /* of a range only what begins in [low, high), by the page */
    /* Of two batches of hits, one being taken and the next one being looked up: their values and
     * where the index has them; of the first the last node that starts before, as guessed. */
    uint64_t values[2 * BATCH];
    struct wh_aim aims[2 * BATCH];
    uint32_t nodes[BATCH];
};

/* --- pieces --- */

/* Reads [start, start + bytes) with context from [low, high). False = nothing readable. */
static bool load_piece(struct scanner *s, uint64_t start, size_t bytes, uint64_t low,
                       uint64_t high) {
    struct wh_words *w = &s->words;
    w->address = start;
    w->before = start - low < MARGIN ? start - low : MARGIN;
    uint64_t beyond = high - (start + bytes);
    w->after = beyond < MARGIN ? beyond : MARGIN;
    size_t wanted = w->before + bytes + w->after;
    size_t have = wh_image_read(s->x->f, start - w->before, s->buffer + MARGIN - w->before, wanted);
    s->x->figures->image_bytes += have;
    if (have <= w->before)
        return false;
    have -= w->before;
    w->bytes = have < bytes ? have : bytes;
    w->after = have - w->bytes;
    return true;
}

static uint32_t filter_piece(struct scanner *s, bool unaligned) {
    return wh_filter_run(&s->filter, s->words.piece, s->words.bytes, s->words.after, unaligned,
                         s->hits);
}

static void aim_batch(struct scanner *s, uint32_t first, uint32_t count) {
    uint32_t at = first % (2 * BATCH), n = count - first < BATCH ? count - first : BATCH;
    for (uint32_t i = 0; i < n; i++)
        s->values[at + i] = wh_word_at(&s->words, (int64_t)s->hits[first + i]) & WH_LOW48;
    wh_index_aim(&s->x->index, s->values + at, n, s->aims + at);
}

/* Looks the batch up that begins with hit `first`, while the one after it is on its way. */
static void look_up_batch(struct scanner *s, uint32_t first, uint32_t count) {
    uint32_t at = first % (2 * BATCH), n = count - first < BATCH ? count - first : BATCH;
    if (first == 0)
        aim_batch(s, 0, count);
    if (count - first > BATCH)
        aim_batch(s, first + BATCH, count);
    wh_index_guess(&s->x->index, s->values + at, s->aims + at, n, s->nodes);
}

/* May hold unaligned pointers: blocks and variables, not stacks and libc's own data. */
static bool is_packed_place(const struct wh_extract *x, uint32_t from) {
    if (!(from & WH_FROM_ROOT))
        return true;
    uint8_t kind = x->heap->roots[from & ~WH_FROM_ROOT].kind;
    return kind == WH_ROOT_GLOBAL || kind == WH_ROOT_TLS || kind == WH_ROOT_MAPPING;
}

/* One range with one source, as far as it is in [low, high); what is around it is looked at all the
 * same. origin: what from_offset counts from. */
static void scan_range(struct scanner *s, uint32_t from, uint64_t origin, uint64_t start,
                       uint64_t end) {
    uint64_t first = (start + 7) & ~7ull, stop = end < s->high ? end : s->high;
    for (uint64_t at = first > s->low ? first : s->low, next; at + 8 <= stop; at = next) {
        size_t bytes = stop - at < SCAN_BYTES ? (stop - at) & ~7ull : SCAN_BYTES;
        bool loaded = load_piece(s, at, bytes, first, end);
        size_t done = loaded ? s->words.bytes : 0;
        next = done == bytes ? at + bytes
                             : ((at + done) | (PAGE - 1)) + 1; /* past the unreadable page */
        if (!loaded)
            continue;
        uint32_t hits = filter_piece(s, is_packed_place(s->x, from));
        for (uint32_t i = 0; i < hits; i++) {
            if (i % BATCH == 0)
                look_up_batch(s, i, hits);
            wh_word_take(s->x, &s->words, from, origin, at + s->hits[i], first, end,
                         s->nodes[i % BATCH]);
        }
    }
}

/* Nodes [first, last): small, plain, close together: read and filtered as one. */
static void scan_run(struct scanner *s, uint32_t first, uint32_t last) {
    const struct wh_heap_node *nodes = s->x->heap->nodes;
    uint64_t start = nodes[first].address & ~7ull,
             end = nodes[last - 1].address + nodes[last - 1].size;
    if (end - start < 8 || !load_piece(s, start, (end - start) & ~7ull, start, end))
        return;
    uint32_t hits = filter_piece(s, true), node = first;
    start = nodes[node].address; /* of the node */
    end = start + nodes[node].size;
    for (uint32_t i = 0; i < hits; i++) {
        if (i % BATCH == 0)
            look_up_batch(s, i, hits);
        uint64_t slot = s->words.address + s->hits[i];
        while (end < slot + 8) {
            if (++node == last)
                return;
            start = nodes[node].address;
            end = start + nodes[node].size;
        }
        if (slot >= start)
            wh_word_take(s->x, &s->words, node, start, slot, start, end, s->nodes[i % BATCH]);
    }
}

/* --- large nodes: pages that were never touched are not there --- */

static bool can_skip_pages(const struct wh_frozen *f, uint64_t start, uint64_t end) {
    const struct wh_mapping *m = wh_maps_find(f, start);
    return f->pagemap >= 0 && m && m->end >= end && !m->shared && m->inode == 0;
}

static void scan_touched(struct scanner *s, uint32_t from, uint64_t origin, uint64_t start,
                         uint64_t end) {
    enum { ENTRIES = 512 };
    uint64_t entries[ENTRIES];
    if (start + PAGE < s->low) /* one page more than is scanned, for what is around */
        start = s->low - PAGE;
    if (end > s->high && end - s->high > PAGE)
        end = s->high + PAGE;
    if (!can_skip_pages(s->x->f, start, end)) {
        scan_range(s, from, origin, start, end);
        return;
    }
    uint64_t run_start = 0, run_end = 0; /* touched pages not scanned yet */
    for (uint64_t page = start / PAGE; page * PAGE < end; page += ENTRIES) {
        uint64_t left = (end + PAGE - 1) / PAGE - page, n = left < ENTRIES ? left : ENTRIES;
        ssize_t got = pread(s->x->f->pagemap, entries, n * 8, (off_t)(page * 8));
        for (uint64_t i = 0; i < n; i++) {
            bool touched = got != (ssize_t)(n * 8) || entries[i] >> 62; /* present or swapped */
            uint64_t a = (page + i) * PAGE;
            if (touched && a == run_end) {
                run_end = a + PAGE;
            } else if (touched) {
                if (run_end)
                    scan_range(s, from, origin, run_start < start ? start : run_start, run_end);
                run_start = a;
                run_end = a + PAGE;
            }
        }
    }
    if (run_end)
        scan_range(s, from, origin, run_start < start ? start : run_start,
                   run_end < end ? run_end : end);
}

/* A node minus its inner nodes and the cuts. */
static void scan_with_holes(struct scanner *s, uint32_t node) {
    const struct wh_extract *x = s->x;
    const struct wh_heap_node *nodes = x->heap->nodes;
    uint64_t origin = nodes[node].address, end = origin + nodes[node].size, at = origin;
    uint32_t inner = node + 1, cut = 0;
    while (cut < x->cut_count && x->cuts[cut].end <= origin)
        cut++;
    while (at < end) {
        uint64_t hole = end, hole_end = end;
        if (inner < x->heap->node_count && nodes[inner].address < hole) {
            hole = nodes[inner].address;
            hole_end = hole + nodes[inner].size;
        }
        if (cut < x->cut_count && x->cuts[cut].start < hole) {
            hole = x->cuts[cut].start;
            hole_end = x->cuts[cut].end;
        }
        if (hole > at)
            scan_touched(s, node, origin, at, hole < end ? hole : end);
        if (hole_end > at)
            at = hole_end;
        while (inner < x->heap->node_count && nodes[inner].address + nodes[inner].size <= at &&
               nodes[inner].address < end)
            inner++;
        while (cut < x->cut_count && x->cuts[cut].end <= at)
            cut++;
        if (hole >= end)
            break;
    }
}

static bool has_cut(const struct wh_extract *x, uint64_t start, uint64_t end) {
    uint32_t low = 0, high = x->cut_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (x->cuts[middle].end <= start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < x->cut_count && x->cuts[low].start < end;
}

/* Neither cuts nor other nodes are in it. */
static bool is_alone(const struct wh_extract *x, uint32_t node) {
    const struct wh_heap_node *n = &x->heap->nodes[node];
    if (x->cut_count && has_cut(x, n->address, n->address + n->size))
        return false;
    return node + 1 >= x->heap->node_count || n[1].address >= n->address + n->size;
}

static bool is_plain(const struct wh_extract *x, uint32_t node) {
    return x->heap->nodes[node].size < LARGE_BYTES && is_alone(x, node);
}

static void scan_nodes(struct scanner *s, uint32_t first, uint32_t count) {
    const struct wh_extract *x = s->x;
    const struct wh_heap_node *nodes = x->heap->nodes;
    for (uint32_t i = first; i < count && !x->failed;) {
        if (!is_plain(x, i)) {
            scan_with_holes(s, i++);
            continue;
        }
        uint32_t last = i + 1;
        while (last < count && is_plain(x, last) &&
               nodes[last].address - (nodes[last - 1].address + nodes[last - 1].size) <=
                   RUN_GAP_MAX &&
               nodes[last].address + nodes[last].size - (nodes[i].address & ~7ull) <= SCAN_BYTES)
            last++;
        scan_run(s, i, last);
        i = last;
    }
}

/* Neighbours of a register mean nothing. */
static void scan_words(struct scanner *s, uint32_t root, uint64_t at, const void *words,
                       size_t bytes) {
    memcpy(s->buffer + MARGIN, words, bytes);
    s->words = (struct wh_words){
        .piece = s->buffer + MARGIN, .address = at, .bytes = bytes, .too_deep = s->words.too_deep};
    uint32_t hits = filter_piece(s, false);
    for (uint32_t i = 0; i < hits; i++) {
        uint64_t slot = at + s->hits[i];
        if (i % BATCH == 0)
            look_up_batch(s, i, hits);
        wh_word_take(s->x, &s->words, root | WH_FROM_ROOT, 0, slot, slot, slot + 8,
                     s->nodes[i % BATCH]);
    }
}

static void scan_registers(struct scanner *s, uint32_t root) {
    const struct wh_heap_root *r = &s->x->heap->roots[root];
    for (uint32_t t = 0; t < s->x->f->thread_count; t++) {
        const struct wh_frozen_thread *thread = &s->x->f->threads[t];
        if ((uint32_t)thread->tid != r->tid)
            continue;
        scan_words(s, root, 0, thread->registers, WH_REG_PC * 8);
        if (r->end > WH_REGS * 8)
            scan_words(s, root, WH_REGS * 8, thread->vectors, r->end - WH_REGS * 8);
    }
}

static void scan_roots(struct scanner *s) {
    const struct wh_heap *h = s->x->heap;
    for (uint32_t i = 0; i < h->root_count && !s->x->failed; i++) {
        const struct wh_heap_root *r = &h->roots[i];
        if (r->kind == WH_ROOT_REGISTER)
            scan_registers(s, i);
        else if (r->kind == WH_ROOT_MAPPING)
            scan_touched(s, i | WH_FROM_ROOT, r->start, r->start, r->end);
        else
            scan_range(s, i | WH_FROM_ROOT, r->start, r->start, r->end);
    }
}

/* --- several threads: each takes a share of the nodes after the other; its edges are appended when
 * those of all shares before it are, so that nobody can tell how many threads there were --- */

#define SHARE_NODES 65536u       /* at most */
#define SHARE_BYTES (2ull << 20) /* of memory, about: no more edges than there is room for */
#define THREADS_MAX 4
#define EDGES_ROOM  (4 * SHARE_NODES)

/* Nodes, or a part of a large one that has nothing in it but itself. */
struct share {
    uint32_t first, end;
    uint64_t low, high; /* addresses; of whole nodes everything */
    uint64_t number;
};

struct work {
    struct wh_extract *x;
    pthread_mutex_t lock;
    pthread_cond_t turned;
    struct share next; /* begins where the last one ended */
    uint64_t turn;     /* whose turn to append it is */
};

/* One thread: a scanner of its own, that fills edges of its own. */
struct worker {
    struct work *work;
    struct scanner scanner;
    struct wh_extract x;
    struct wh_heap heap;
    struct wh_snapshot_figures figures;
    pthread_t thread;
    bool has_thread;
};

static bool open_scanner(struct scanner *s, struct wh_extract *x) {
    *s = (struct scanner){.x = x, .high = UINT64_MAX};
    s->buffer = aligned_alloc(64, SCAN_BYTES + 2 * MARGIN + 32);
    s->hits = malloc(WH_FILTER_HITS(SCAN_BYTES) * sizeof *s->hits);
    if (!s->buffer || !s->hits)
        return false;
    s->words.piece = s->buffer + MARGIN;
    return true;
}

static void close_scanner(struct scanner *s) {
    free(s->buffer);
    free(s->hits);
}

static bool is_divisible(const struct wh_extract *x, uint32_t node) {
    return x->heap->nodes[node].size >= 2 * SHARE_BYTES && is_alone(x, node);
}

/* Whole nodes up to the next divisible one, in 64s if possible: see wh_extract.refers. */
static uint32_t share_end(const struct wh_extract *x, uint32_t first) {
    uint64_t bytes = 0;
    uint32_t end = first, most = x->heap->node_count - first;
    most = most < SHARE_NODES ? most : SHARE_NODES;
    while (end < first + most && (bytes < SHARE_BYTES || (end % 64 && bytes < 2 * SHARE_BYTES)) &&
           (end == first || !is_divisible(x, end)))
        bytes += x->heap->nodes[end++].size;
    return end;
}

/* Moves *share on to the one behind it; {0} is in front of the first. False = there is none. */
static bool next_share(const struct wh_extract *x, struct share *share) {
    const struct wh_heap_node *nodes = x->heap->nodes;
    bool is_part = share->high && share->high != UINT64_MAX;
    bool goes_on = is_part && share->high < nodes[share->first].address + nodes[share->first].size;
    if (!goes_on) {
        share->first = share->end;
        if (share->first >= x->heap->node_count)
            return false;
        share->low = 0;
        share->high = UINT64_MAX;
        share->end = share->first + 1;
    }
    if (is_divisible(x, share->first)) {
        share->low = goes_on ? share->high : nodes[share->first].address & ~(PAGE - 1);
        share->high = share->low + SHARE_BYTES;
    } else {
        share->end = share_end(x, share->first);
    }
    share->number++;
    return true;
}

/* The next share, in its turn. False = there is none, or somebody failed. */
static bool take_share(struct work *work, struct share *ret) {
    pthread_mutex_lock(&work->lock);
    bool has_one = !work->x->failed && next_share(work->x, &work->next);
    *ret = work->next;
    pthread_mutex_unlock(&work->lock);
    return has_one;
}

static void append_share(struct worker *w, const struct share *share) {
    struct work *work = w->work;
    bool continues = share->low > work->x->heap->nodes[share->first].address;
    pthread_mutex_lock(&work->lock);
    while (work->turn + 1 != share->number)
        pthread_cond_wait(&work->turned, &work->lock);
    if (w->x.failed ||
        wh_edges_append(&work->x->heap->edges, &w->heap.edges, continues, NULL) != WH_OK)
        work->x->failed = true;
    work->turn++;
    pthread_cond_broadcast(&work->turned);
    pthread_mutex_unlock(&work->lock);
}

static void *work_off(void *argument) {
    struct worker *w = argument;
    struct share share;
    while (take_share(w->work, &share)) {
        w->x.first_node = share.first;
        w->x.refers_shared = share.first % 64 || share.end % 64 || share.low;
        w->scanner.low = share.low;
        w->scanner.high = share.high;
        wh_edges_reset(&w->heap.edges, share.end - share.first);
        scan_nodes(&w->scanner, share.first, share.end);
        wh_edges_finish(&w->heap.edges);
        append_share(w, &share);
    }
    return NULL;
}

static bool open_worker(struct worker *w, struct work *work, const struct wh_filter *filter) {
    *w = (struct worker){.work = work, .x = *work->x, .heap = *work->x->heap};
    w->x.heap = &w->heap;
    w->x.figures = &w->figures;
    w->heap.edges = (struct wh_edges){0};
    if (!open_scanner(&w->scanner, &w->x) ||
        wh_edges_open(&w->heap.edges, SHARE_NODES, NULL, EDGES_ROOM, NULL) != WH_OK)
        return false;
    w->scanner.filter = *filter;
    return true;
}

static void close_worker(struct worker *w, struct scanner *sum) {
    sum->words.too_deep += w->scanner.words.too_deep;
    sum->x->figures->image_bytes += w->figures.image_bytes;
    close_scanner(&w->scanner);
    wh_edges_release(&w->heap.edges);
}

/* As many as this thread may use processors, and as there are shares. The first is the caller. */
static unsigned worker_count(const struct wh_extract *x) {
    cpu_set_t processors;
    CPU_ZERO(&processors);
    unsigned most = sched_getaffinity(0, sizeof processors, &processors) == 0
                        ? (unsigned)CPU_COUNT(&processors)
                        : 1;
    most = most < THREADS_MAX ? most : THREADS_MAX;
    struct share share = {0};
    while (share.number < most && next_share(x, &share))
        ;
    return (unsigned)share.number;
}

static void scan_all_nodes(struct scanner *sum) {
    struct work work = {.x = sum->x};
    struct worker *workers = calloc(THREADS_MAX, sizeof *workers);
    unsigned wanted = worker_count(sum->x), count = 0;
    sigset_t all, before;
    pthread_mutex_init(&work.lock, NULL);
    pthread_cond_init(&work.turned, NULL);
    while (workers && count < wanted && open_worker(&workers[count], &work, &sum->filter))
        count++;
    if (!workers || count < wanted)
        sum->x->failed = true;
    sigfillset(&all); /* signals are the caller's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 1; i < count; i++)
        workers[i].has_thread =
            pthread_create(&workers[i].thread, NULL, work_off, &workers[i]) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (count)
        (void)work_off(&workers[0]);
    for (unsigned i = 0; i < count; i++) {
        if (workers[i].has_thread)
            (void)pthread_join(workers[i].thread, NULL);
        close_worker(&workers[i], sum);
    }
    if (workers && count < wanted)
        close_worker(&workers[count], sum);
    pthread_cond_destroy(&work.turned);
    pthread_mutex_destroy(&work.lock);
    free(workers);
}

int wh_extract_edges(struct wh_extract *x) {
    struct scanner s;
    bool is_open = open_scanner(&s, x);
    x->refers = calloc(x->heap->node_count / 64 + 1, sizeof *x->refers);
    if (is_open && x->refers) {
        wh_filter_init(&s.filter, &x->index);
        scan_all_nodes(&s);
        scan_roots(&s);
        if (s.words.too_deep)
            wh_snapshot_caveat(x->figures, "%llu references 1 TiB deep in a block were left out",
                               (unsigned long long)s.words.too_deep);
    } else {
        x->failed = true;
    }
    close_scanner(&s);
    wh_edges_finish(&x->heap->edges);
    if (!x->failed)
        wh_classify_all(x);
    free(x->refers);
    return x->failed ? WH_ESYSTEM : WH_OK;
}
