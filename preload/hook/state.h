/* What the files of the hook share: the process's state, a thread's state, the guard, and the calls
 * between the files, grouped by the file that defines them.
 *
 * Life of a call:  interpose.c  ->  wh_enter (guard)  ->  the real function  ->  record.c (stamp,
 * encode)
 *                                                          -> unwind.c (walk) -> intern.c (node id)
 *
 * Rules for everything here: no libc call that can allocate or lock, no system call on the way of
 * an event, errno untouched. Words that only one thread writes are plain; words that a signal
 * handler or another thread may read are atomic. */
#ifndef WH_HOOK_STATE_H
#define WH_HOOK_STATE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/codec.h"
#include "wire/session.h"
#include "wire/sys.h"

#define WH_LIKELY(x)   ((int)__builtin_expect(!!(x), 1))
#define WH_UNLIKELY(x) ((int)__builtin_expect(!!(x), 0))
#define WH_EXPORT      __attribute__((visibility("default")))
#define WH_OURS        __attribute__((visibility("hidden"))) /* of data: reached without a table */
#define WH_INLINE      static inline __attribute__((always_inline))

/* ---- stacks (unwind.c) -------------------------------------------------------------------- */

#define WH_DEPTH_LIMIT    1024u /* session.depth_max is cut to this */
#define WH_WALK_MAX       2048u /* frames walked afresh before a stack counts as bottomless */
#define WH_TAIL_MAX       (WH_WALK_MAX + WH_DEPTH_LIMIT)
#define WH_SEGMENT_FRAMES 6u /* looked up at once, see segments.c */

/* A frame as it was walked: the code address, stack and frame pointer as that code had them, and
 * the rule that led on to its caller. The word below sp is the return address that led here, unless
 * the code was interrupted. */
struct wh_frame {
    uint64_t ip, sp, bp, rule;
};

/* What follows for a remembered frame from its rule and its caller. */
enum {
    WH_FRAME_USES_BP = 1,  /* something was computed from bp */
    WH_FRAME_KEEPS_BP = 2, /* the caller's bp is this frame's */
    WH_FRAME_NEEDS_BP = 4, /* it or a caller computes something from bp as it is here */
};
struct wh_standing {
    uint32_t slots; /* number of tail slots that this frame and all its callers read */
    uint32_t flags;
};

/* A word of the stack that a walk depended on, other than a return address. */
struct wh_slot {
    const uint64_t *address;
    uint64_t value;
};

struct wh_range {
    uint64_t low, high;
};

/* The last stack, root first, with every word it was derived from. The return addresses need no
 * slot: the one that led to a frame lies at its sp - 8 and is its ip. */
struct wh_tail {
    uint32_t count;
    uint32_t limit; /* only frames below this index may be met again (signals, stack switches) */
    uint32_t gap;   /* frames are missing below this index; 0 = none */
    uint32_t base;  /* frames below the point from which nodes are looked up */
    uint32_t plain; /* from this frame on none is our own */
    uint32_t known; /* base, where excursions from there may be recognised (excursion.c); else 0 */
    uint32_t stood; /* frames below this index held once already: standing[] is filled in */
    uint32_t unresolved; /* the walk ended before the thread's first frame */
    uint64_t high;       /* all words it was derived from lie below */
    struct wh_frame frame[WH_TAIL_MAX];
    struct wh_standing standing[WH_TAIL_MAX];
    uint32_t node[WH_TAIL_MAX]; /* interned path from the root to here; 0 = not asked for yet */
    struct wh_slot slot[2 * WH_TAIL_MAX];
};

/* ---- threads (thread.c) ------------------------------------------------------------------- */

/* A run of up to six frames from a node on, as one entry, and what followed it (segments.c). Places
 * are words from 16 bytes below the leaf's sp on, so that word 1 is the leaf's address. A short
 * process touches few pages; after many misses the cache grows to 2 MiB, or one. */
#define WH_SEGMENTS_SMALL 256u
#define WH_SEGMENTS_LARGE 32768u
#define WH_SEGMENT_WAYS   4u

struct wh_segment {
    /* Leaf first: the code address, and in the low 16 bits the place of the word that it was read
     * from. Behind the last frame the leaf is repeated. */
    uint64_t frame[WH_SEGMENT_FRAMES];
    uint32_t base, id; /* node that it begins at, 0 = the root; node that it leads to, 0 = empty */
    uint16_t next[2];  /* entries of the stacks that came after it, the newer one first */
    uint16_t end;      /* place of the sp of the frame that follows; 0 = not to be foretold */
    uint16_t shape; /* number of frames, and from bit 3 on the place of the bp that belongs to end;
                       0 = it is where it was */
};
_Static_assert(sizeof(struct wh_segment) == 64, "a line");

/* How up to seven frames lay on the stack. Places are words from 16 bytes below the leaf's sp on,
 * so that word 1 is the leaf's address; end is the sp of the frame that follows. */
#define WH_PATH_FRAMES     7u
#define WH_SHAPES          512u
#define WH_EXCURSION_PATHS 3u

struct wh_shape {
    uint64_t key; /* the leaf's address, and the place of the base frame's sp in the low 16 bits */
    uint16_t place[WH_PATH_FRAMES]; /* of each return address, leaf first */
    uint16_t rule[WH_PATH_FRAMES];  /* of each frame; behind the last the leaf is repeated */
    uint16_t end, end_bp;           /* where the bp lies that belongs to end; 0 = where it was */
    /* For each frame that is computed from bp: which, and where that bp lies. */
    uint16_t bp[WH_PATH_FRAMES];
    uint8_t bp_of[WH_PATH_FRAMES];
    uint8_t frames, bps;
};

/* The code addresses of a shape's frames, with their rules in the low 16 bits, as a number. */
#define WH_PATHS_SMALL 64u
#define WH_PATHS_LARGE 4096u

struct wh_path_number {
    uint64_t frame[WH_PATH_FRAMES];
    uint32_t frames, number; /* number 0 = empty */
};

/* Which node a path leads to from another one. Four are a cache line, and looked at together. */
#define WH_LINKS_SMALL 256u
#define WH_LINKS_LARGE 16384u
#define WH_LINK_WAYS   4u

struct wh_link {
    uint64_t key; /* the path's number, and in the low half the node that it begins at; 0 = empty */
    uint32_t node, unused;
};
_Static_assert(sizeof(struct wh_shape) == 64 && sizeof(struct wh_path_number) == 64, "lines");

struct wh_thread {
    struct wh_writer writer;
    struct wh_block *block; /* open block; NULL = none */
    uint32_t block_index;
    uint32_t image; /* wh_process.image that this state belongs to */
    uint32_t serial, tid, sequence;
    uint32_t ended; /* the thread's end was written: each later event borrows a state for itself */
    uint32_t rearmed;
    uint32_t stamp_late;  /* a stamp taken before is too early: see record.c */
    uint64_t lost_unsaid; /* events lost since the last LOST record */
    uint64_t fork_token;
    struct wh_range own_stack, foreign_stack;
    char name[16];
    uint32_t namings; /* wh_process.namings when the name was looked at */
    _Atomic uint32_t used;
    struct wh_thread *next; /* all thread states, for re-use */
    /* A signal handler that interrupts the encoder gets a state, and so a stream, of its own; it is
     * kept for the next one. */
    struct wh_thread *nested, *outer;
    int32_t doubt, pause; /* of shapes, below 0: stacks are foretold; see excursion.c */
    uint32_t generation;  /* of the code when these were made */
    uint32_t segment_mask, segment_misses;
    uint32_t segment_used, segment_last; /* entries of this stack and of the one before */
    struct wh_segment *segments;
    uint32_t path_mask, path_last, link_mask, link_misses;
    struct wh_path_number *paths, *paths_large; /* _large: NULL until needed */
    struct wh_link *links, *links_large;
    _Alignas(64) struct wh_segment segments_small[WH_SEGMENTS_SMALL];
    struct wh_path_number paths_small[WH_PATHS_SMALL];
    struct wh_link links_small[WH_LINKS_SMALL];
    struct wh_shape shapes[WH_SHAPES];
    struct wh_tail tail;
    struct wh_frame fresh[WH_WALK_MAX]; /* leaf first */
};

/* The guard says who on this thread is inside a hook: the holder's frame address with a level in
 * the low bits, 0 = nobody. A frame address, not a flag, because an exception or a longjmp may
 * leave a hook without passing its end; a later caller further up the same stack then sees that the
 * holder is gone. Initial-exec and tiny: dynamic TLS would allocate. */
struct wh_tls {
    struct wh_thread *thread;
    uintptr_t guard;
    uint32_t late_serial, late_sequence; /* after the thread's end: who it was */
    int64_t sample_left;                 /* bytes to the next sample; 0: not known, or every one */
    uint64_t sample_random;              /* 0 = nothing was drawn yet */
    uint32_t sample_due;                 /* the allocation being made is a sample */
};
extern WH_OURS __thread struct wh_tls wh_tls __attribute__((tls_model("initial-exec")));

enum {
    WH_GUARD_ENCODE = 1,   /* the thread's state is in use: a signal handler takes the nested one */
    WH_GUARD_REAL = 2,     /* in the allocator: a signal handler's events can be written */
    WH_GUARD_OPERATOR = 3, /* in an operator new/delete that is built on malloc */
    WH_GUARD_OWN = 4, /* start-up and the like: whatever is allocated is ours, not the program's */
    WH_GUARD_LEVELS = 7,
};

/* ---- the process -------------------------------------------------------------------------- */

/* The word every hook looks at first: hooks run at full speed only when it is exactly WH_RUN_ON. It
 * lies in a page that the kernel wipes in a fork child, so a child knows itself by the 0. */
enum {
    WH_RUN_ON = 1,
    WH_RUN_MODULES = 2, /* the loader was at work: look for new modules first */
    WH_RUN_PAUSED = 4,
    WH_RUN_OFF = 8, /* for good: no session, stopped, or a promise broke */
};

struct wh_module_range {
    uintptr_t start, bytes;
};

struct wh_process {
    _Atomic uint32_t *run;
    struct wh_session *session;
    struct wh_process_slot *slot;
    uint32_t tick_shift, depth_max, free_stacks, verify, clock;
    uint64_t sample_bytes; /* 0 = every allocation is an event */
    uint32_t uid, pid;
    uint32_t image; /* counts registrations: 1, then +1 in each fork child */

    _Atomic uint32_t next_serial;     /* 2 = one thread has made events, none but it */
    _Atomic uint32_t may_be_filtered; /* a sandbox may end us for a system call not asked for */
    _Atomic uint32_t paused;
    _Atomic uint32_t namings;    /* how often a thread gave another one a name */
    _Atomic uint32_t generation; /* of the mapped code; a dlclose moves it on */
    struct wh_module_range loader, self, libc, allocator, operators, unwinder;
    uint32_t operators_on_malloc; /* the runtime's operators new and delete are malloc and free */
    uintptr_t main_stack_end, main_dynamic;
    char session_path[256];
    char preload[1024]; /* our own path, for LD_PRELOAD of images with a hand-made environment */
};
extern WH_OURS struct wh_process wh_process;

/* ---- entering and leaving a hook ---------------------------------------------------------- */

struct wh_scope {
    struct wh_thread *thread; /* NULL: just forward */
    uintptr_t outer;          /* guard to restore */
};

#define WH_FRAME  ((uintptr_t)__builtin_frame_address(0))
#define WH_CALLER ((uintptr_t)__builtin_return_address(0))

struct wh_scope wh_enter_slow(uintptr_t frame, uintptr_t caller);

WH_INLINE int wh_in(const struct wh_module_range *range, uintptr_t address) {
    return address - range->start < range->bytes;
}

/* First thing in a hook. On success the guard is held at level REAL. This is the way in when there
 * is nothing to see to, and nobody inside: NULL = nothing done, look at it slowly. */
WH_INLINE struct wh_thread *wh_enter_plain(uintptr_t frame, uintptr_t caller) {
    struct wh_tls *tls = &wh_tls;
    struct wh_thread *t = tls->thread;
    if (WH_UNLIKELY(atomic_load_explicit(wh_process.run, memory_order_relaxed) != WH_RUN_ON ||
                    tls->guard || !t ||
                    atomic_load_explicit(&wh_process.slot->gate, memory_order_relaxed) ||
                    wh_in(&wh_process.loader, caller)))
        return NULL;
    tls->guard = frame | WH_GUARD_REAL;
    return t;
}

WH_INLINE struct wh_scope wh_enter(uintptr_t frame, uintptr_t caller) {
    struct wh_thread *t = wh_enter_plain(frame, caller);
    return WH_LIKELY(t != NULL) ? (struct wh_scope){t, 0} : wh_enter_slow(frame, caller);
}

WH_INLINE void wh_level(uintptr_t frame, uintptr_t level) {
    __asm__ volatile("" ::: "memory");
    wh_tls.guard = frame | level;
    __asm__ volatile("" ::: "memory");
}

WH_INLINE void wh_leave(struct wh_scope scope) {
    __asm__ volatile("" ::: "memory");
    if (WH_UNLIKELY((scope.outer & WH_GUARD_LEVELS) == WH_GUARD_ENCODE))
        wh_tls.thread = scope.thread->outer;
    __asm__ volatile("" ::: "memory");
    wh_tls.guard = scope.outer;
}

WH_INLINE void wh_leave_plain(void) {
    __asm__ volatile("" ::: "memory");
    wh_tls.guard = 0;
}

/* ---- tiny strings (text.c): libc's are not to be trusted before it is initialised ----------- */

size_t wh_length(const char *text);
int wh_same(const char *a, const char *b);
int wh_starts(const char *text, const char *prefix);
int wh_contains(const char *text, const char *part);
char *wh_append(char *p, const char *end, const char *text); /* keeps room for and writes the NUL */
char *wh_append_number(char *p, const char *end, uint64_t value);
const char *wh_environment(char **environment, const char *name); /* value or NULL */
char **wh_environment_now(void); /* environ, also before libc knows it; may be NULL */
long wh_read_file(const char *path, char *buffer, size_t size); /* bytes or -errno */
void wh_say(const char *text, const char *detail);              /* one line on stderr */

/* ---- memory.c ------------------------------------------------------------------------------ */

/* Zeroed memory for good, 64-byte aligned, out of few large mappings. NULL when the system refuses.
 */
void *wh_memory_take(size_t bytes);
/* Its whole pages read as zero from now on and take no memory; what lies in others stays. */
void wh_memory_clear(void *start, size_t bytes);
#define WH_HUGE_PAGE ((size_t)2 << 20)
void *wh_memory_take_huge(void); /* as much, in one page where the system has one */
void wh_memory_describe(struct wh_process_slot *slot); /* fills private_start/end */

/* ---- early.c: serves what is asked for before the real functions are known ------------------- */

void *wh_early_malloc(size_t size);
void *wh_early_calloc(size_t count, size_t size);
void *wh_early_realloc(void *block, size_t size);
void *wh_early_memalign(size_t alignment, size_t size);
void wh_early_free(void *block);
size_t wh_early_size(const void *block);
extern WH_OURS uintptr_t wh_early_low, wh_early_high; /* all its blocks lie between */
int wh_early_owns_slow(const void *block);
void wh_early_except(void); /* tells the sampled mode where the blocks are */
WH_INLINE int wh_early_owns(const void *block) {
    return WH_UNLIKELY((uintptr_t)block - wh_early_low < wh_early_high - wh_early_low) &&
           wh_early_owns_slow(block);
}

/* ---- init.c ---------------------------------------------------------------------------------- */

void wh_start(void);        /* first hook or constructor: resolve, map the session, register */
void wh_start_forked(void); /* in a child that fork() made, at once */
void wh_operators_are_at(uintptr_t operator_new); /* what they allocate is counted by them */
void wh_disable(const char *why);                 /* tracing ends for good, the target runs on */
/* After a call that was only passed on: was it the tracer's own? Then it is added up, so that the
 * allocator's account and the trace's can be compared to the byte. */
void wh_passed_slow(int made, size_t size, int freed, uintptr_t caller);
WH_INLINE void wh_passed(int made, size_t size, int freed, uintptr_t caller) {
    if (WH_UNLIKELY(wh_tls.guard))
        wh_passed_slow(made, size, freed, caller);
}

/* ---- thread.c -------------------------------------------------------------------------------- */

struct wh_thread *
wh_thread_claim(void); /* a state for this thread, unannounced; NULL = no memory */
struct wh_thread *wh_thread_start(void); /* claims and announces */
void wh_thread_forked(void);             /* in a fork child: only this thread is left */
void wh_thread_key(void);                /* makes the key whose destructor ends a thread */
struct wh_thread *
wh_thread_nested(struct wh_thread *t);      /* for a handler that interrupted t's use */
void wh_thread_late(struct wh_thread *t);   /* after an event of a thread that has ended */
void wh_thread_rename(struct wh_thread *t); /* says the thread's name if it is a new one */
int wh_block_next(struct wh_thread *t);     /* seals the open block, takes another; 0 = no block */
void wh_block_seal(struct wh_thread *t);

/* ---- record.c -------------------------------------------------------------------------------- */

void wh_record_alloc(struct wh_thread *t, uint32_t kind, const void *block, size_t size,
                     uintptr_t frame);
void wh_record_free(struct wh_thread *t, const void *block, uintptr_t frame);
void wh_record_free_part(struct wh_thread *t, const void *block, size_t size, uintptr_t frame);
int wh_record_event(struct wh_thread *t,
                    struct wh_event *e); /* any other event, stamped now; 0 = no room */
void wh_record_lost(struct wh_thread *t);
/* A realloc: begin stamps and marks the thread busy, end writes the event. Level ENCODE between. */
struct wh_realloc {
    uint64_t before;
    uint32_t stack;
    uint32_t room;
};
struct wh_realloc wh_record_realloc_begin(struct wh_thread *t, uintptr_t frame);
void wh_record_realloc_end(struct wh_thread *t, struct wh_realloc begun, uint32_t kind,
                           uintptr_t old_block, const void *block, size_t size);
void wh_record_realloc_freed(struct wh_thread *t, struct wh_realloc begun, uintptr_t old_block);
void wh_record_realloc_failed(struct wh_thread *t);
int wh_record_node(struct wh_thread *t, uint32_t id, uint32_t parent, uint64_t ip);

WH_INLINE uint64_t wh_ticks(void) {
    if (WH_LIKELY(wh_process.clock == WH_CLOCK_TSC))
        return wh_ticks_raw() >> wh_process.tick_shift;
    return wh_session_clock(WH_CLOCK_MONOTONIC) >> wh_process.tick_shift;
}

/* ---- sample.c -------------------------------------------------------------------------------- */

int wh_sample_init(uint64_t bytes, const char *seed_text); /* 0 = no memory */
int wh_sample_slow(size_t size);
void wh_sample_forked(void);             /* the child draws other numbers than its parent */
int wh_sample_add(const void *block);    /* 0 = the set is full there */
int wh_sample_remove(const void *block); /* was it in the set? */

/* First thing in an allocating hook: is this one to be passed on without a look? Under a guard it
 * never is: the ordinary way in decides whose allocation that is. */
WH_INLINE int wh_sample_skips(size_t size) {
    struct wh_tls *tls = &wh_tls;
    if (WH_LIKELY(!wh_process.sample_bytes) || tls->guard)
        return 0;
    uint64_t bytes = size < (uint64_t)1 << 61 ? size : (uint64_t)1 << 61;
    return WH_LIKELY((tls->sample_left -= (int64_t)bytes) >= 0) || !wh_sample_slow(size);
}

/* The same without its rare part, for functions that have no frame yet: most of a sampled recording
 * is this. 1: passed on; 0: not known. */
WH_INLINE int wh_sample_is_far(size_t size) {
    struct wh_tls *tls = &wh_tls;
    if (WH_LIKELY(size >= (uint64_t)tls->sample_left) || tls->guard)
        return 0;
    tls->sample_left -= (int64_t)size;
    return 1;
}

/* For each place an address may have here, a count: live samples, or for ever what only the
 * ordinary way in may look at, NULL and the blocks of early.c. NULL: nothing is sampled. Neighbours
 * share a place and a cache line has 16 KiB of them, so that frees in turn find it warm. */
extern WH_OURS _Atomic uint8_t *wh_sample_filter;
#define WH_SAMPLE_PLACES         (1u << 15)
#define WH_SAMPLE_PLACE(address) ((uintptr_t)(address) >> 8 & (WH_SAMPLE_PLACES - 1))
/* Is it certain that this is an ordinary block, and no sample? */
WH_INLINE int wh_sample_is_not(const void *block) {
    _Atomic uint8_t *filter = wh_sample_filter;
    return WH_UNLIKELY(filter != NULL) &&
           WH_LIKELY(!atomic_load_explicit(&filter[WH_SAMPLE_PLACE(block)], memory_order_relaxed));
}
void wh_sample_except(uintptr_t from, uintptr_t to); /* of these it is never certain */

/* First thing in a freeing hook: is this block's end no event? Takes it out of the set if it is. */
WH_INLINE int wh_sample_skips_free(const void *block) {
    return WH_UNLIKELY(wh_process.sample_bytes) && !wh_sample_remove(block);
}

/* ---- numbers.c ------------------------------------------------------------------------------- */

#define WH_NUMBERS_PARTS 13u
#define WH_NUMBERS_MAX   ((1u << 25) - (1u << 12) - 1)
struct wh_number_table;
struct wh_numbers {
    _Atomic uint32_t last; /* number given out */
    _Atomic uint32_t growing;
    _Atomic(struct wh_number_table *) table;
    _Atomic(uint64_t *) parts[WH_NUMBERS_PARTS];
};
int wh_numbers_init(struct wh_numbers *numbers); /* 0 = no memory */
void wh_numbers_forked(struct wh_numbers *numbers);
uint32_t wh_number_find(const struct wh_numbers *numbers, uint64_t word); /* 0 = none */
/* A new word's number, which nobody finds yet; 0 = no room. */
uint32_t wh_number_new(struct wh_numbers *numbers);
/* Makes it found. Returns it, or the one that another thread has given the word meanwhile. */
uint32_t wh_number_put(struct wh_numbers *numbers, uint32_t n, uint64_t word);
uint64_t wh_number_word(const struct wh_numbers *numbers, uint32_t n); /* 0 = of no number */

/* ---- intern.c -------------------------------------------------------------------------------- */

int wh_intern_init(void);
void wh_intern_forked(void);
WH_INLINE uint64_t wh_mix(uint64_t x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 29;
    return x;
}
/* The node of `ip` called from parent's path; 0 when it cannot be recorded. Slow. */
uint32_t wh_intern(struct wh_thread *t, uint32_t parent, uint64_t ip);
/* The node of the tail's frames [from, to) called from base's path. */
uint32_t wh_intern_frames(struct wh_thread *t, uint32_t base, uint32_t from, uint32_t to);
uint32_t wh_intern_count(void); /* ids handed out so far, + 1 */
/* Does a node's path have these code addresses, leaf first, but for our own? */
int wh_intern_is(uint32_t node, const uint64_t *ips, uint32_t count);

/* ---- segments.c ------------------------------------------------------------------------------ */

/* The node of the tail's frames [from, to), called from base's path; they are up to six. */
uint32_t wh_segment_get(struct wh_thread *t, uint32_t base, uint32_t from, uint32_t to);
/* The node of the stack, by what followed the last one before; 0 = has to be walked. */
uint32_t wh_segment_foretell(struct wh_thread *t, uintptr_t frame);
void wh_segment_follow(struct wh_thread *t); /* segment_used is this stack's entry; 0 = none */
void wh_segments_forget(struct wh_thread *t);

/* ---- cfi.c: rules from .eh_frame --------------------------------------------------------------
 */

enum wh_rule_kind {
    WH_RULE_UNKNOWN = 0, /* not looked up yet */
    WH_RULE_SP,          /* CFA = sp + offset */
    WH_RULE_BP,          /* CFA = bp + offset */
    WH_RULE_BP_WORD,     /* CFA = the word at bp + offset (realigned stacks) */
    WH_RULE_SIGNAL,      /* the kernel's signal frame: registers lie in a ucontext at sp */
    WH_RULE_END,         /* nobody called this code */
    WH_RULE_NONE,        /* no table covers it */
    WH_RULE_DEEP,        /* covered, but only libunwind can evaluate it */
};
enum wh_bp_kind { WH_BP_SAME = 0, WH_BP_AT_CFA, WH_BP_AT_BP };

struct wh_rule {
    uint8_t kind, bp_kind;
    int16_t bp_offset; /* in words */
    int32_t cfa_offset;
};

/* Looks up the rule of the code before (return addresses) or at (exact) ip. Lock-free. */
struct wh_rule wh_cfi_rule(uint64_t ip, int exact);

/* ---- rules.c: the shared cache in front of cfi.c ------------------------------------------------
 */

/* In a key: ip is the address of an instruction, no return address. */
#define WH_RULE_EXACT (1ull << 47)

struct wh_rules {
    uint32_t mask;
    _Atomic uint32_t used;
    _Atomic uint32_t generation; /* that the rules are of */
    /* Key 48 bits, generation 2, rule 14; 0 = empty. Behind them as many words for the rules that
     * have no room here. */
    _Atomic uint64_t entries[];
};
extern WH_OURS _Atomic(struct wh_rules *) wh_rules_current;

/* An ordinary rule: CFA = sp or bp + a multiple of 8 below 4096, which is this number's own bits;
 * the caller's bp is the same (low bits 0) or lies n + 1 words below the CFA (low bits n). */
#define WH_RULE_BP_WORDS(code)   ((code)&7)
#define WH_RULE_CFA(code)        ((code)&0xff8)
#define WH_RULE_FROM_BP          0x1000u
#define WH_RULE_WIDE             0x2000ull /* any other: */
#define WH_RULE_KIND(word)       ((word)&15)
#define WH_RULE_BP_KIND(word)    ((word) >> 4 & 3)
#define WH_RULE_OWN              0x40u
#define WH_RULE_BP_OFFSET(word)  ((int64_t)(int16_t)((word) >> 24) * 8)
#define WH_RULE_CFA_OFFSET(word) ((int64_t)(word) >> 40)

int wh_rules_init(void);
void wh_rules_forked(void);
void wh_rules_renew(struct wh_rules *t, uint32_t generation); /* after a dlclose: empties it */
/* An ordinary rule, or a wide one with WH_RULE_WIDE set. */
uint64_t wh_rules_find(struct wh_rules *t, uint64_t key, uint32_t generation);

/* Where a key is looked for first. Return addresses are spread evenly enough as they are. */
WH_INLINE uint32_t wh_rule_place(const struct wh_rules *t, uint64_t key) {
    return (uint32_t)key & t->mask;
}
WH_INLINE int wh_frame_is_own(const struct wh_frame *f) {
    return (f->rule & (WH_RULE_WIDE | WH_RULE_OWN)) == (WH_RULE_WIDE | WH_RULE_OWN);
}
/* Any rule as a wide one. */
WH_INLINE uint64_t wh_rule_widen(uint64_t rule) {
    if (rule & WH_RULE_WIDE)
        return rule;
    uint64_t words = WH_RULE_BP_WORDS(rule);
    return (rule & WH_RULE_FROM_BP ? WH_RULE_BP : WH_RULE_SP) |
           (words ? (uint64_t)WH_BP_AT_CFA << 4 | (uint64_t)(uint16_t)(-1 - (int)words) << 24 : 0) |
           WH_RULE_CFA(rule) << 40;
}
/* An entry's word but for the rule. */
WH_INLINE uint64_t wh_rule_want(uint64_t key, uint32_t generation) {
    return key << 16 | (uint64_t)(generation & 3) << 14;
}

/* ---- unwind.c -------------------------------------------------------------------------------- */

uint32_t wh_unwind_node(struct wh_thread *t, uint32_t count); /* of the tail's first frames */
uint32_t wh_tail_verify(const struct wh_tail *tail, uint32_t count); /* how many of them hold */
int wh_tail_stand(struct wh_tail *tail, uint32_t i, uint64_t readable_to); /* does the next one? */

/* ---- excursion.c -------------------------------------------------------------------------- */

uint32_t wh_excursion_find(struct wh_thread *t, uintptr_t frame); /* node; 0 = has to be walked */
void wh_excursion_learn(struct wh_thread *t); /* the tail from its base on, all of which holds */
void wh_excursion_take_turns(struct wh_thread *t); /* after each stack in verify mode */
void wh_excursion_forget(struct wh_thread *t);

/* The node of the stack from the caller of the hook whose frame is given outwards. */
uint32_t wh_unwind_slow(struct wh_thread *t, uintptr_t frame, uint32_t node);
WH_INLINE uint32_t wh_unwind(struct wh_thread *t, uintptr_t frame) {
    uint32_t node = wh_excursion_find(t, frame);
    return WH_LIKELY(node && !wh_process.verify) ? node : wh_unwind_slow(t, frame, node);
}

/* ---- stack_range.c -----------------------------------------------------------------------------
 */

/* The readable range around sp on this thread; {0, 0} when unknown. */
struct wh_range wh_stack_range(struct wh_thread *t, uint64_t sp);

/* ---- deep.c: libunwind ---------------------------------------------------------------------- */

void wh_deep_init(void);
int wh_deep_ready(void);
/* Return addresses from the caller of the hook whose frame is given outwards. Returns their number.
 */
uint32_t wh_deep_walk(uintptr_t frame, uint64_t *ret_ips, uint32_t max, int *ret_complete);

/* ---- modules.c --------------------------------------------------------------------------------
 */

void wh_modules_init(void);
void wh_modules_scan(struct wh_thread *t);  /* looks for new modules; never inside the loader */
void wh_modules_check(struct wh_thread *t); /* the loader is at work: has a module gone? */
void wh_modules_forked(void);
struct wh_module_range wh_module_of(uintptr_t address);
/* The .eh_frame_hdr of the module with code at pc, NULL when there is none. Lock-free. */
const uint8_t *wh_modules_eh_frame(uint64_t pc);
uint32_t wh_module_incarnation(uint64_t ip); /* how often the code mapped at ip has been replaced */
struct dl_phdr_info;
int wh_modules_iterate(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data);
const char *wh_module_path(uintptr_t address); /* "" = none */

/* ---- process.c, bare.c -------------------------------------------------------------------------
 */

int wh_is_vforked(void); /* in a vfork child, which borrows our memory */
void wh_process_forked(void);
void wh_mappings_forked(void); /* mappings.c */
/* Asks the recorder for a snapshot and waits for it, 30 s at most. Outside the guard. */
void wh_request_snapshot(uint32_t reason, const char *label);
/* Out of a signal handler that ends the process: asks for the last snapshot, unless there is one
 * from the exit. registers: gregs of the interrupted code, which stand for the asking thread's. */
void wh_request_last_snapshot(int number, const void *registers);

/* ---- copy.c: the recorder asked this thread for a copy of the process
 * ----------------------------- */

void wh_copy_self(void); /* its pid goes into the slot */

/* ---- last_signal.c -----------------------------------------------------------------------------
 */

void wh_last_signals_arm(void);
void wh_last_signals_forked(void);

/* Makes a session and a recorder for it; its path, or NULL: said on stderr, run untraced. */
const char *wh_bare_start(char **environment);
void wh_bare_announce(const char *path);

#endif
