/* The events a traced process writes, and how they lie in a block.
 *
 * A thread writes into one block at a time (see session.h). A block's payload is a plain sequence
 * of records and can be decoded alone: every delta starts from the block header's base values. A
 * record is whole or absent: the producer publishes it by a release store of block->committed.
 *
 *   record  = tag operands
 *   tag     = event kind (low 4 bits) | detail (high 4 bits)
 *   varint  = LEB128, at most 10 bytes          zz(x) = varint of the zigzag of a signed difference
 *   dt      = varint, ticks >> session.tick_shift since the previous record of the block
 *   addr    = zz of ((address >> 3) - (previous address of the block >> 3)); the low three bits are
 *             zero, else the record is written with the WH_EV_ODD form first
 *   stack   = zz of (node id - previous node id of the block)
 *   text    = varint length, bytes
 *   others  = varint; MODULE: base, end - base and load_bias are absolute varints
 * In a block the previous address starts at 0, the other bases are the block header's.
 *
 * Order: a free is stamped before the real call, an allocation after it returned; a realloc is one
 * record with both stamps, written only on success. Merged by time, with frees before allocations
 * at equal time, the streams of one process are a true history.
 *
 * Context of everything here: hook (no libc, no lock, no allocation). */
#ifndef WH_WIRE_EVENT_H
#define WH_WIRE_EVENT_H

#include <stdint.h>

enum wh_event_kind {
    WH_EV_END = 0,   /* never written: a zero byte ends a block early */
    WH_EV_ALLOC = 1, /* detail: enum wh_alloc_kind; dt addr size stack */
    WH_EV_FREE = 2,  /* detail, bits: 1 = a stack follows, 2 = size given (munmap of a part of a
                        mapping: exactly [addr, addr + size) is gone); dt addr [stack] [size] */
    WH_EV_REALLOC =
        3,          /* detail: alloc kind; dt before addr(old) addr(new) size stack
                       dt = stamp after the call; before = ticks >> shift from the stamp before to it */
    WH_EV_NODE = 4, /* new stack node: id(varint) parent(varint) ip(zz of difference to previous
                       ip). ip 0 = frames are missing here: in the middle of a stack cut at
                       depth_max, or at its root end when the walk could not go on. Published before
                       any event of any thread that uses the node is stamped */
    WH_EV_THREAD =
        5, /* detail 0 = start or rename, 1 = end; dt tid(varint) name(text, start only) */
    WH_EV_IMAGE = 6,  /* a program image starts tracing: dt pid ppid exe(text) command_line(text,
                         NUL-joined) */
    WH_EV_FORK = 7,   /* detail 0: a fork is about to happen: dt token
                         detail 1: it returned in the parent: dt token child_pid(0 = it failed)
                         detail 2: first record of a forked child: dt token parent_uid pid nodes
                                   (node ids < nodes are the parent's) */
    WH_EV_MODULE = 8, /* detail 0 load: dt base end path(text) build_id(text, raw bytes) load_bias
                         detail 1 unload: dt base */
    WH_EV_EXIT = 9,   /* dt code(varint): exit()/_exit()/return from main was called with code */
    WH_EV_SNAPSHOT = 10, /* dt id label(text): everything before it is in snapshot id */
    WH_EV_POOL = 11,     /* detail 0 acquire: dt addr size stack pool(text); 1 release: dt addr */
    WH_EV_PAUSE = 12,    /* detail 0 resume, 1 pause: dt */
    WH_EV_NOTE = 13,     /* detail: enum wh_note; dt text. Something the report must say */
    WH_EV_LOST = 14,     /* dt count: so many events of this thread are missing before this point */
    WH_EV_ODD = 15, /* low bits of the next record's addresses: one byte, bits 0-2 first, 3-5 second
                       (REALLOC: old, new) */
};

/* Which entry point made a block. Stored in allocation.kind by the names of wh_alloc_kind_name().
 */
enum wh_alloc_kind {
    WH_ALLOC_MALLOC = 0,
    WH_ALLOC_CALLOC,
    WH_ALLOC_REALLOC,
    WH_ALLOC_MEMALIGN, /* memalign, aligned_alloc, posix_memalign, valloc, pvalloc */
    WH_ALLOC_NEW,      /* operator new, all forms */
    WH_ALLOC_NEW_ARRAY,
    WH_ALLOC_MMAP,
    WH_ALLOC_KINDS
};

/* What a WH_EV_NOTE is about; shown in the report's header, never fatal. */
enum wh_note {
    WH_NOTE_UNHOOKED_MODULE = 0, /* module defines its own malloc that we cannot see (path) */
    WH_NOTE_DEEPBIND = 1,        /* dlopen with RTLD_DEEPBIND (path) */
    WH_NOTE_DISABLED = 2,        /* a broken promise switched tracing off (why) */
    WH_NOTE_ALLOCATOR = 3,       /* who serves malloc (path of the module) */
    WH_NOTE_INUSE = 4,       /* "BYTES": the allocator's own in-use figure (mallinfo2) at exit */
    WH_NOTE_EXEC_STATIC = 5, /* exec of a static or setuid program that we cannot follow (path) */
    WH_NOTE_SNAPSHOT = 6,    /* a snapshot that was not waited for (why) */
};

#define WH_STACK_NONE 0u /* node id 0: the empty stack */

/* One decoded record. Strings point into the block (not NUL-terminated). */
struct wh_event {
    uint8_t kind;   /* enum wh_event_kind */
    uint8_t detail; /* the tag's high nibble */
    uint64_t ticks; /* the clock, in units of 1 << tick_shift ticks */
    uint64_t
        before_ticks;     /* REALLOC: stamp taken before the call, same unit; else equal to ticks */
    uint64_t address;     /* ALLOC FREE POOL: block; REALLOC: new block; MODULE: base */
    uint64_t old_address; /* REALLOC: freed block (0 = none) */
    uint64_t size;        /* bytes; MODULE: end - base */
    uint32_t stack;       /* process-local node id, WH_STACK_NONE = none */
    uint32_t node, parent; /* NODE; FORK detail 2: node = nodes */
    uint64_t ip;           /* NODE: return address as found on the stack; MODULE: load bias */
    uint64_t number;       /* token, tid, pid, code, count, snapshot id; NODE: unused */
    uint64_t number2;      /* ppid (IMAGE), child pid (FORK 1), parent uid (FORK 2) */
    const char *text;      /* exe, path, name, label, pool, note */
    uint32_t text_bytes;
    const char *text2; /* IMAGE: command line; MODULE: build id bytes */
    uint32_t text2_bytes;
    uint64_t number3; /* FORK 2: pid */
};

#endif
