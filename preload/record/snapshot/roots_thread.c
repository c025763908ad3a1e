/* Stacks of the live threads, frame by frame, and their registers.
 *
 * A stack counts from its live sp on; what is below is dead. libdw unwinds in the frozen image, so
 * that every slot belongs to a frame and can be named by its function. Frames of libwhoholds itself
 * are no roots: under a snapshot that a thread asked for they lie where the program's dead frames
 * were. What cannot be unwound stays one range. A thread whose sp lies in a heap block runs a
 * coroutine: that block is a stack, and only its live part is a root. */
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>

#include "record/snapshot/roots.h"

#define FRAMES_MAX 4096u
#define RED_ZONE   128u
#define GUARD_MAX  65536u /* sp of a stack that ran over is at most so far below it */
#define CACHED_TOP 16384u /* a thread's descriptor lies so close to its stack's end */

struct frame {
    uint64_t sp, pc;
};

struct unwinder {
    struct wh_extract *x;
    Dwfl *dwfl;
    struct frame frames[FRAMES_MAX];
    uint32_t count;
};

/* --- libdw's view of the image --- */

static pid_t next_thread(Dwfl *dwfl, void *argument, void **thread) {
    (void)dwfl;
    const struct wh_frozen *f = ((struct unwinder *)argument)->x->f;
    size_t i = *thread ? (size_t)((struct wh_frozen_thread *)*thread - f->threads) + 1 : 0;
    if (i >= f->thread_count)
        return 0;
    *thread = &f->threads[i];
    return f->threads[i].tid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *argument, void **thread) {
    (void)dwfl;
    const struct wh_frozen *f = ((struct unwinder *)argument)->x->f;
    for (uint32_t i = 0; i < f->thread_count; i++)
        if (f->threads[i].tid == tid) {
            *thread = &f->threads[i];
            return true;
        }
    return false;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *value, void *argument) {
    (void)dwfl;
    return wh_image_read(((struct unwinder *)argument)->x->f, address, value, sizeof *value) ==
           sizeof *value;
}

static bool set_registers(Dwfl_Thread *thread, void *argument) {
    const struct wh_frozen_thread *t = argument;
    dwfl_thread_state_register_pc(thread, t->registers[WH_REG_PC]);
    return dwfl_thread_state_registers(thread, 0, WH_REGS, t->registers);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
    .next_thread = next_thread,
    .get_thread = get_thread,
    .memory_read = read_memory,
    .set_initial_registers = set_registers,
};

static int no_debuginfo(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
                        const char *file, const char *link, GElf_Word crc, char **ret_file) {
    (void)module, (void)user, (void)name, (void)base, (void)file, (void)link, (void)crc,
        (void)ret_file;
    return -1; /* .eh_frame of the file itself is enough, and searching takes long */
}

static Dwfl *open_dwfl(struct unwinder *u) {
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf,
                                             .find_debuginfo = no_debuginfo};
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (!dwfl)
        return NULL;
    if (dwfl_linux_proc_report(dwfl, u->x->f->image) != 0 ||
        dwfl_report_end(dwfl, NULL, NULL) != 0 ||
        !dwfl_attach_state(dwfl, NULL, u->x->f->image, &thread_callbacks, u)) {
        dwfl_end(dwfl);
        return NULL;
    }
    return dwfl;
}

static int take_frame(Dwfl_Frame *state, void *argument) {
    struct unwinder *u = argument;
    Dwarf_Addr pc;
    Dwarf_Word sp;
    if (u->count == FRAMES_MAX || !dwfl_frame_pc(state, &pc, NULL) ||
        dwfl_frame_reg(state, WH_REG_RSP, &sp) != 0)
        return DWARF_CB_ABORT;
    if (u->count && sp <= u->frames[u->count - 1].sp)
        return DWARF_CB_ABORT;
    u->frames[u->count++] = (struct frame){sp, pc};
    return DWARF_CB_OK;
}

/* --- roots --- */

static void add_frame(struct wh_extract *x, const struct wh_frozen_thread *t, uint64_t start,
                      uint64_t end, uint64_t pc, uint32_t depth) {
    if (start >= end || (pc && x->f->library_start <= pc && pc < x->f->library_end))
        return;
    struct wh_heap_root *root = wh_extract_root(x, WH_ROOT_STACK, start, end);
    if (root) {
        root->tid = (uint32_t)t->tid;
        root->pc = pc;
        root->number = depth;
    }
}

/* [sp, end) of a thread, split into its frames. */
static void add_stack(struct unwinder *u, const struct wh_frozen_thread *t, uint64_t end) {
    struct wh_extract *x = u->x;
    uint64_t sp = t->registers[WH_REG_RSP], pc = t->registers[WH_REG_PC];
    u->count = 0;
    if (t->has_registers && u->dwfl)
        (void)dwfl_getthread_frames(u->dwfl, t->tid, take_frame, u);
    if (u->count == 0)
        u->frames[u->count++] = (struct frame){sp, pc};
    for (uint32_t i = 0; i < u->count; i++) {
        uint64_t start = u->frames[i].sp, stop = i + 1 < u->count ? u->frames[i + 1].sp : end;
        if (i == 0 && t->has_registers && !t->in_syscall)
            start -= RED_ZONE;
        if (start >= end)
            return;
        /* The outermost frame's own end is unknown: from its sp on everything is one range. */
        add_frame(x, t, start, stop < end ? stop : end, u->frames[i].pc, i);
    }
}

/* No vector register survives a call: of a thread that the C library took into the kernel they are
 * left over from whatever was copied last. */
static bool has_vectors(const struct wh_extract *x, const struct wh_frozen_thread *t) {
    const struct wh_mapping *code = wh_maps_find(x->f, t->registers[WH_REG_PC]);
    return t->vectors && code &&
           !(t->in_syscall &&
             (wh_is_libc_path(code->path) || wh_image_is_ours(x->f, code->start, code->end)));
}

static void add_registers(struct wh_extract *x, const struct wh_frozen_thread *t) {
    uint64_t bytes = WH_REGS * 8;
    if (has_vectors(x, t))
        bytes += WH_VECTORS * sizeof *t->vectors;
    struct wh_heap_root *root = wh_extract_root(x, WH_ROOT_REGISTER, 0, bytes);
    if (root) {
        root->tid = (uint32_t)t->tid;
        root->pc = t->registers[WH_REG_PC];
    }
}

/* Parts of [start, end) that are neither roots yet nor blocks. */
static void add_gaps(struct wh_extract *x, uint64_t start, uint64_t end, enum wh_root_kind kind,
                     uint32_t tid) {
    uint32_t known = x->heap->root_count;
    for (uint64_t at = start; at < end;) {
        uint64_t stop = end, next = end;
        for (uint32_t i = 0; i < known; i++) {
            const struct wh_heap_root *r = &x->heap->roots[i];
            if (r->kind != WH_ROOT_REGISTER && r->end > at && r->start < stop) {
                stop = r->start;
                next = r->end;
            }
        }
        uint32_t node = wh_extract_first_node(x, at);
        if (node < x->heap->node_count && x->heap->nodes[node].address < stop) {
            stop = x->heap->nodes[node].address;
            next = stop + x->heap->nodes[node].size;
        }
        struct wh_heap_root *root = stop > at ? wh_extract_root(x, kind, at, stop) : NULL;
        if (root)
            root->tid = tid;
        if (x->failed)
            return;
        at = next;
    }
}

/* The mapping that sp is in; a stack that has run over into its guard is the one above. */
static const struct wh_mapping *find_stack(const struct wh_frozen *f, uint64_t sp) {
    const struct wh_mapping *m = wh_maps_find(f, sp);
    for (uint64_t at = sp; (!m || !m->readable) && at - sp < GUARD_MAX; at += 4096)
        m = wh_maps_find(f, at);
    return m && m->readable ? m : NULL;
}

static void add_thread(struct unwinder *u, struct wh_layout *layout,
                       const struct wh_frozen_thread *t) {
    struct wh_extract *x = u->x;
    uint64_t sp = t->registers[WH_REG_RSP], tp = t->thread_pointer;
    const struct wh_mapping *stack = find_stack(x->f, sp),
                            *own = tp ? wh_maps_find(x->f, tp) : NULL;
    uint32_t node = wh_index_find(&x->index, sp);
    uint64_t end = stack ? stack->end : 0;
    if (t->has_registers)
        add_registers(x, t);
    if (node != WH_NO_NODE) {
        struct wh_heap_node *n = &x->heap->nodes[node];
        n->kind = WH_NODE_STACK;
        end = n->address + n->size;
        wh_extract_cut(x, n->address, end);
    } else if (stack) {
        wh_layout_explain(x, layout, stack->start, stack->start + 1);
    }
    bool tls_above = own && own == stack && tp > sp && tp - layout->static_tls_bytes > sp;
    if (tls_above && tp - layout->static_tls_bytes < end)
        end = tp - layout->static_tls_bytes;
    if (end)
        add_stack(u, t, end);
    if (own)
        wh_layout_explain(x, layout, own->start, own->start + 1);
    if (own && t->tid == x->f->pid && own != stack) /* the loader's early memory */
        add_gaps(x, own->start, own->end, WH_ROOT_INFRA, 0);
    else if (own && own != stack) /* its own stack, while it runs on another one: sp unknown */
        add_gaps(x, own->start, tp - layout->static_tls_bytes, WH_ROOT_STACK, (uint32_t)t->tid);
}

bool wh_is_cached_stack(const struct wh_extract *x, const struct wh_mapping *m) {
    if (x->f->is_cooperative) /* a living thread's, for all that is known */
        return false;
    if (m->shared || m->inode || m->path[0])
        return false;
    uint64_t words[CACHED_TOP / 8], bytes = m->end - m->start;
    bytes = bytes < CACHED_TOP ? bytes : CACHED_TOP;
    size_t have = wh_image_read(x->f, m->end - bytes, words, bytes) / 8;
    for (size_t i = 0; i + 2 < have; i++) {
        uint64_t address = m->end - bytes + i * 8;
        if (words[i] == address && words[i + 2] == address) /* header.tcb and header.self */
            return true;
    }
    return false;
}

void wh_roots_threads(struct wh_extract *x, struct wh_layout *layout) {
    struct unwinder *u = calloc(1, sizeof *u);
    if (!u) {
        x->failed = true;
        return;
    }
    u->x = x;
    u->dwfl = open_dwfl(u);
    if (!u->dwfl)
        wh_snapshot_caveat(x->figures, "stacks could not be split into frames: %s",
                           dwfl_errmsg(-1));
    for (uint32_t i = 0; i < x->f->thread_count; i++)
        add_thread(u, layout, &x->f->threads[i]);
    if (u->dwfl)
        dwfl_end(u->dwfl);
    free(u);
}
