-- Content: what was recorded. Written once by the recorder, never rebuilt, migrated between versions.
-- Conventions: *_ns = nanoseconds since the trace began (trace.start_ns is that moment as Unix time),
-- sizes in bytes, addresses as signed 64-bit integers, NULL as each column says.

-- Facts about the file itself, one per row. Keys: version, host, kernel, machine, options, command_line;
-- start_ns, clock, clock_start_ticks, clock_ns_q32, clock_shift (how ticks become nanoseconds:
-- common/trace/clock.h); complete (1 = the recorder finished), expanded (1 = it did not, `whoholds expand`
-- did), truncated (why it ended early; absent if it did not), recorder_pid; events, lost_events,
-- lost_processes, malformed_blocks; allocation_rows (which blocks have a row: 'all'; 'live' = those
-- live at the end, at their process's peak or at a snapshot, 'end' = at the end or at a snapshot; the others are
-- in folded),
-- free_stacks (1 = taken), sample_bytes (mean bytes between samples, 0 = every allocation), go_scaling
-- (1 = estimates by the formula of Go's heap profile), waiting_file_bytes (events that waited in a file because
-- there were more than --memory allows, at most at once; absent = none).
CREATE TABLE trace(
    key TEXT PRIMARY KEY, -- name of the fact
    value                 -- its value; text or integer as the key says, never NULL
) WITHOUT ROWID;

-- One program image: a new row at fork (child) and at exec (same pid, new image).
CREATE TABLE process(
    id INTEGER PRIMARY KEY, -- 1 = the first image of the trace
    parent_id INTEGER,      -- process that forked or exec'ed into it; NULL = the first, or unknown
    pid INTEGER NOT NULL,   -- process id of the system
    exe TEXT,               -- absolute path of the program; NULL = it died before it could say
    command_line TEXT,      -- arguments joined by spaces; NULL as exe
    start_ns INTEGER NOT NULL, -- first moment traced
    end_ns INTEGER,         -- end of the image (exit, exec or kill); NULL = still running at the end
    exit_code INTEGER,      -- status of a normal exit; NULL = signal, exec, running or unknown
    term_signal INTEGER,    -- signal that ended it; NULL = none or unknown
    is_exec INTEGER NOT NULL DEFAULT 0 CHECK(is_exec IN (0, 1)), -- 1 = this image replaced another of the same pid
    is_replaced INTEGER NOT NULL DEFAULT 0 CHECK(is_replaced IN (0, 1)), -- 1 = it ended by exec
    events INTEGER NOT NULL DEFAULT 0,      -- allocation, free and realloc events recorded
    lost_events INTEGER NOT NULL DEFAULT 0, -- events known to be missing
    truncated_stacks INTEGER NOT NULL DEFAULT 0,  -- stacks cut at --depth
    unresolved_stacks INTEGER NOT NULL DEFAULT 0, -- walks that ended before the thread's first frame
    unwind_mismatches INTEGER NOT NULL DEFAULT 0, -- WHOHOLDS_VERIFY=unwind: fast walk and libunwind disagreed
    unknown_frees INTEGER NOT NULL DEFAULT 0,     -- frees of blocks never seen allocated
    implied_frees INTEGER NOT NULL DEFAULT 0,     -- blocks whose address was given out again though no free was seen
    inherited_objects INTEGER NOT NULL DEFAULT 0, -- blocks live at the fork that made it
    inherited_bytes INTEGER NOT NULL DEFAULT 0,   -- their bytes
    live_objects INTEGER NOT NULL DEFAULT 0,      -- blocks live at the end
    live_bytes INTEGER NOT NULL DEFAULT 0,        -- their bytes
    peak_bytes INTEGER NOT NULL DEFAULT 0,        -- largest live_bytes at any event
    peak_ns INTEGER,         -- when that was; NULL = nothing was ever allocated
    peak_rss_bytes INTEGER,  -- VmHWM; NULL = not read in time
    allocator TEXT,          -- module that serves malloc; NULL = not told
    allocator_inuse_bytes INTEGER, -- the allocator's own in-use figure at the end; NULL = not told
    tracer_objects INTEGER NOT NULL DEFAULT 0, -- blocks the tracer's own start made in the program's allocator; no lifetimes
    tracer_bytes INTEGER NOT NULL DEFAULT 0,   -- their bytes
    tracer_frees INTEGER NOT NULL DEFAULT 0,   -- and how many it gave back
    disabled TEXT            -- why tracing switched itself off; NULL = it did not
);

-- A thread of a process.
CREATE TABLE thread(
    id INTEGER PRIMARY KEY,      -- unique in the trace
    process_id INTEGER NOT NULL, -- process.id
    serial INTEGER NOT NULL,     -- 1.. within the process, in order of first event
    tid INTEGER NOT NULL,        -- thread id of the system
    name TEXT,                   -- last name seen; NULL = not told
    start_ns INTEGER NOT NULL,   -- first event
    end_ns INTEGER               -- its end; NULL = alive at the process's end
);

-- A file mapped into a process: program, library, vDSO.
CREATE TABLE module(
    id INTEGER PRIMARY KEY,         -- unique in the trace
    process_id INTEGER NOT NULL,    -- process.id; a forked child has copies of its parent's rows
    path TEXT NOT NULL,             -- as the loader knew it; '[vdso]' for the kernel's
    build_id TEXT,                  -- hex; NULL = none
    start_address INTEGER NOT NULL, -- lowest mapped address
    end_address INTEGER NOT NULL,   -- one past the highest
    load_bias INTEGER NOT NULL,     -- address in memory minus address in the file
    load_ns INTEGER NOT NULL,       -- when it was seen first
    unload_ns INTEGER               -- dlclose; NULL = mapped to the end
);

-- A node of the tree of call stacks: a stack is the path from a node to the root.
CREATE TABLE stack_node(
    id INTEGER PRIMARY KEY,      -- stack_id everywhere; 0 is never stored and means "no stack"
    process_id INTEGER NOT NULL, -- process whose addresses these are
    parent_id INTEGER NOT NULL,  -- the caller's node; 0 = outermost frame
    address INTEGER NOT NULL     -- return address as found on the stack
);

-- Raw events of one thread in time order, compressed. Read through the table `event` of the
-- extension libwhoholds_sqlite.so or `whoholds sql`.
CREATE TABLE event_chunk(
    id INTEGER PRIMARY KEY,         -- in order of arrival
    process_id INTEGER NOT NULL,    -- process.id
    thread_serial INTEGER NOT NULL, -- thread.serial
    first_ns INTEGER NOT NULL,      -- time of its first event
    last_ns INTEGER NOT NULL,       -- time of its last event
    events INTEGER NOT NULL,        -- records of any kind in it
    raw_bytes INTEGER NOT NULL,     -- size before compression
    data BLOB NOT NULL              -- packed, see schema/chunk.c
);

-- One snapshot of a process's reference graph.
CREATE TABLE snapshot(
    id INTEGER PRIMARY KEY,      -- in order of taking
    process_id INTEGER NOT NULL, -- process.id
    at_ns INTEGER NOT NULL,      -- when the process stood still
    reason TEXT NOT NULL,        -- exit, api, command, peak, interval or signal
    label TEXT,                  -- given by the caller; NULL = none
    mode TEXT NOT NULL,          -- how: fork (copy-on-write), stop (scanned while stopped), cooperative (it copied itself)
    pause_ns INTEGER NOT NULL,   -- how long the threads stood still
    stop_ns INTEGER,             -- of that: stopping all threads and reading their registers; NULL = not measured
    fork_ns INTEGER,             -- of that: the copy-on-write fork; NULL = mode without one
    scan_ns INTEGER,             -- reading the image, threads running; NULL = not read
    image_bytes INTEGER,         -- bytes of memory read; NULL = not read
    live_objects INTEGER NOT NULL DEFAULT 0, -- live blocks at that moment
    live_bytes INTEGER NOT NULL DEFAULT 0,   -- their bytes
    held_bytes INTEGER,          -- reachable and owned or shared; NULL = not analyzed yet
    lost_bytes INTEGER,          -- live and unreachable; NULL = not analyzed yet
    shared_bytes INTEGER,        -- of held_bytes: kept by two or more independent holders; NULL likewise
    untracked_bytes INTEGER,     -- live by the events but not in the image (no room, unreadable); NULL likewise
    gap_bytes INTEGER,           -- held bytes whose keeper the creator stack does not explain; NULL likewise
    block_rows TEXT,             -- which of its blocks have rows in held, and edges into them in reference:
                                 -- all, pooled (blocks of annotated pools alone: the trace would have been
                                 -- too large; commands that need more add them); NULL = not analyzed yet
    unknown_blocks INTEGER NOT NULL DEFAULT 0, -- in-flight operations that had to be guessed
    caveats TEXT                 -- what the image could not show, one sentence a line; NULL = nothing
);

-- Nodes, roots and edges of a snapshot as compressed slices (common/trace/heap.h).
CREATE TABLE snapshot_chunk(
    snapshot_id INTEGER NOT NULL, -- snapshot.id
    part INTEGER NOT NULL,        -- 0 nodes, 1 roots, 2 edges, 3 texts
    first INTEGER NOT NULL,       -- index of its first item
    count INTEGER NOT NULL,       -- items in it
    raw_bytes INTEGER NOT NULL,   -- size before compression
    data BLOB NOT NULL,           -- zstd of wh_heap_pack(), in early traces zlib
    PRIMARY KEY(snapshot_id, part, first)
) WITHOUT ROWID;

-- What annotated pools (whoholds.h) said of a block, as it stood at a snapshot.
CREATE TABLE pooled(
    snapshot_id INTEGER NOT NULL,   -- snapshot.id
    allocation_id INTEGER NOT NULL, -- allocation.id
    pool TEXT NOT NULL,             -- name the program gave the pool
    acquirer_stack_id INTEGER,      -- stack that last took it out; NULL = none recorded
    acquired_ns INTEGER NOT NULL,   -- when that was
    acquisitions INTEGER NOT NULL,  -- how often it was taken out (count)
    is_idle INTEGER NOT NULL,       -- 1 = given back and not taken again
    PRIMARY KEY(snapshot_id, allocation_id)
) WITHOUT ROWID;

-- Something the recording must say: an allocator it cannot see, a library that bypasses it.
CREATE TABLE note(
    process_id INTEGER NOT NULL, -- process.id; 0 = the command itself, which could not be recorded
    at_ns INTEGER NOT NULL,      -- when it was noticed
    kind TEXT NOT NULL,          -- unhooked_module (defines its own malloc), deepbind (dlopen that goes past us),
                                 -- disabled (why tracing ended), allocator (who serves malloc), inuse (bytes by
                                 -- its own count), exec_static (a program that cannot load us: static, setuid),
                                 -- fork_unseen (a child made past the C library),
                                 -- snapshot (one that failed, why), symbols (names that are missing or guessed)
    text TEXT NOT NULL           -- path or sentence
);

-- Which stack_node ids a process's own node numbers became: number n = first_id + n % 256, where extent
-- = n / 256. A forked child uses its parent's below the number at which it began (the event FORK).
CREATE TABLE stack_extent(
    process_id INTEGER NOT NULL, -- process.id
    extent INTEGER NOT NULL,     -- number of 256 neighbouring nodes, from 0
    first_id INTEGER NOT NULL,   -- stack_node.id of the first of them
    PRIMARY KEY(process_id, extent)
) WITHOUT ROWID;
