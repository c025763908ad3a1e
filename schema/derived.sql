-- Derived: everything here can be dropped and rebuilt from content.sql's tables (whoholds expand).

-- One lifetime of one block.
CREATE TABLE allocation(
    id INTEGER PRIMARY KEY,       -- in order of birth within the trace's processing order
    process_id INTEGER NOT NULL,  -- process.id
    thread_id INTEGER,            -- thread.id of the allocating thread; NULL = unknown
    address INTEGER NOT NULL,     -- first byte
    size_bytes INTEGER NOT NULL,  -- requested bytes
    kind TEXT NOT NULL,           -- malloc, calloc, realloc, memalign, new, new[], mmap
    alloc_ns INTEGER NOT NULL,    -- birth
    stack_id INTEGER NOT NULL,    -- stack_node.id of the creator stack; 0 = none taken
    free_ns INTEGER,              -- death; NULL = never freed
    free_thread_id INTEGER,       -- thread.id that freed it; NULL = never freed or unknown
    free_stack_id INTEGER,        -- stack of the free; NULL = never freed or --free-stacks off
    origin_id INTEGER,            -- the lifetime this one continues by realloc; NULL = none
    is_inherited INTEGER NOT NULL DEFAULT 0 -- 1 = live at the fork that made this process
);

-- Exact totals per creator stack, folded lifetimes included. peak_* is at the process's own peak.
CREATE TABLE site(
    process_id INTEGER NOT NULL,        -- process.id
    stack_id INTEGER NOT NULL,          -- stack_node.id; 0 = allocations without a stack
    creator TEXT,                       -- first frame outside allocators and runtimes; NULL = not symbolized yet
    alloc_objects INTEGER NOT NULL,     -- blocks ever allocated here (count)
    alloc_space INTEGER NOT NULL,       -- their bytes
    inuse_objects INTEGER NOT NULL,     -- blocks live at the end (count)
    inuse_space INTEGER NOT NULL,       -- their bytes
    peak_objects INTEGER NOT NULL,      -- blocks live at the process's peak (count)
    peak_space INTEGER NOT NULL,        -- their bytes
    temporary_objects INTEGER NOT NULL, -- freed by the same thread's very next event (count)
    PRIMARY KEY(process_id, stack_id)
) WITHOUT ROWID;

-- Live memory over time: one row whenever it changed by 1 % of the peak or 100 ms went by.
CREATE TABLE timeline(
    process_id INTEGER NOT NULL,   -- process.id
    at_ns INTEGER NOT NULL,        -- when
    live_objects INTEGER NOT NULL, -- traced blocks
    live_bytes INTEGER NOT NULL,   -- their bytes
    rss_bytes INTEGER              -- resident set of the process; NULL = not sampled at that time
);

-- Lifetimes that have no row of their own (trace.allocation_rows = 'live'), as exact sums.
CREATE TABLE folded(
    process_id INTEGER NOT NULL,    -- process.id
    stack_id INTEGER NOT NULL,      -- creator stack
    free_stack_id INTEGER NOT NULL, -- stack of the free; 0 = not recorded
    thread_id INTEGER NOT NULL,     -- thread.id of the allocating thread
    size_class INTEGER NOT NULL,    -- smallest power of two >= size_bytes
    second INTEGER NOT NULL,        -- alloc_ns / 1e9
    objects INTEGER NOT NULL,       -- lifetimes folded
    bytes INTEGER NOT NULL,         -- their size_bytes
    lifetime_ns INTEGER NOT NULL    -- sum of free_ns - alloc_ns
);

-- A resolved code location; several per address where functions were inlined.
CREATE TABLE frame(
    id INTEGER PRIMARY KEY,     -- referenced by stack.frames
    module TEXT,                -- file name of the module; NULL = address in no module
    address INTEGER NOT NULL,   -- address in the module's file (as addr2line takes it); raw if no module
    function TEXT,              -- demangled name; NULL = unknown
    file TEXT,                  -- source file; NULL = no debug information
    line INTEGER,               -- 1..; NULL as file
    inlined INTEGER NOT NULL    -- 1 = inlined into the next frame of the stack
);

-- A call stack in use, leaf first.
CREATE TABLE stack(
    id INTEGER PRIMARY KEY, -- stack_node.id
    frames TEXT NOT NULL,   -- JSON array of frame.id, depth 0 (caller of the allocator) first
    creator TEXT            -- name of the first frame outside allocators and runtimes; NULL = none
);

-- Where a path begins: a variable, a thread's stack frame, a register, a mapping.
CREATE TABLE root(
    id INTEGER PRIMARY KEY,       -- unique in the trace
    snapshot_id INTEGER NOT NULL, -- snapshot.id
    kind TEXT NOT NULL,           -- global, tls, stack, register, mapping
    name TEXT NOT NULL,           -- variable, function for stacks, mapping's name; never an address
    module TEXT,                  -- file name; NULL = none
    type_name TEXT,               -- from debug information; NULL = unknown
    tid INTEGER,                  -- thread of a tls, stack or register root; NULL = global or mapping
    address INTEGER,              -- in the target; NULL = register
    size_bytes INTEGER,           -- of the variable or range; NULL = unknown
    strength INTEGER NOT NULL,    -- 0..5, see common/trace/heap.h
    exclusive_bytes INTEGER,      -- freed if this root were gone (it dominates them)
    reachable_bytes INTEGER,      -- everything it reaches; NULL = beyond the 63 largest roots
    effective_bytes INTEGER       -- reachable, shared bytes divided by their number of holders; NULL likewise
);

-- One live block at a snapshot.
CREATE TABLE held(
    snapshot_id INTEGER NOT NULL,   -- snapshot.id
    allocation_id INTEGER NOT NULL, -- allocation.id
    state TEXT NOT NULL,            -- held, lost (nothing refers to it), lost_indirect (a lost block does)
    root_id INTEGER,                -- root of its strongest path; NULL = lost
    path_id INTEGER,                -- path.id; NULL = lost
    dominator_id INTEGER,           -- allocation.id of the block that dominates it; NULL = a root or none
    retained_bytes INTEGER NOT NULL, -- would be freed with it, itself included
    holders INTEGER NOT NULL,       -- independent holders; 0 = lost, 1 = exclusive, 2.. = shared
    visible_bytes INTEGER,          -- union of what its references reach by their length; NULL = unknown
    acquirer_stack_id INTEGER,      -- stack that last took it from an annotated pool; NULL = none
    strength INTEGER NOT NULL,      -- 0..5 of its strongest path; -1 = lost
    PRIMARY KEY(snapshot_id, allocation_id)
) WITHOUT ROWID;

-- One grouped retention path: array indices collapsed, addresses gone.
CREATE TABLE path(
    id INTEGER PRIMARY KEY,       -- unique in the trace
    snapshot_id INTEGER NOT NULL, -- snapshot.id
    root_id INTEGER NOT NULL,     -- root.id it begins at (one of them, where several group)
    holder TEXT NOT NULL,         -- short name that reports print
    keeper TEXT,                  -- first container the creator stack does not explain, as
                                  -- 'field path [created by f]'; NULL = all explained: not hidden
    text TEXT NOT NULL,           -- every step from root to block
    length INTEGER NOT NULL       -- edges in it
);

-- One edge. Complete up to 5 million edges, above that the strongest 8 into each block.
CREATE TABLE reference(
    snapshot_id INTEGER NOT NULL,   -- snapshot.id
    from_allocation_id INTEGER,     -- allocation.id it lies in; NULL = it lies in a root
    from_root_id INTEGER,           -- root.id it lies in; NULL = it lies in a block
    from_offset INTEGER NOT NULL,   -- bytes from the start of block or root variable
    to_allocation_id INTEGER NOT NULL, -- allocation.id it points into
    to_offset INTEGER NOT NULL,     -- bytes into that block
    class INTEGER NOT NULL,         -- 0 suspect .. 5 typed
    evidence TEXT                   -- why the class, how the length is known; NULL = plain
);

-- Creator x holder, in bytes: the product's headline.
CREATE TABLE gap(
    snapshot_id INTEGER NOT NULL,   -- snapshot.id
    creator TEXT NOT NULL,          -- function name
    holder TEXT NOT NULL,           -- as in path; 'shared: A + B', 'lost'
    objects INTEGER NOT NULL,       -- live blocks (count)
    bytes INTEGER NOT NULL,         -- their size
    retained_bytes INTEGER NOT NULL, -- they and what only they keep
    amplification REAL,             -- pinned / visible bytes; NULL = no length known
    hidden INTEGER NOT NULL,        -- 1 = a keeper exists that the creator stack does not explain
    acquirer TEXT                   -- function that took the blocks from an annotated pool; NULL = none
);

-- Bytes kept by two or more independent holders, by the set of holders.
CREATE TABLE share_group(
    snapshot_id INTEGER NOT NULL, -- snapshot.id
    holders TEXT NOT NULL,        -- names joined by ' + ', largest first
    holder_count INTEGER NOT NULL, -- how many
    objects INTEGER NOT NULL,     -- blocks (count)
    bytes INTEGER NOT NULL        -- their size
);

-- What `whoholds check` concluded.
CREATE TABLE finding(
    snapshot_id INTEGER,       -- snapshot.id; NULL = from the events alone
    rule TEXT NOT NULL,        -- name of the file in schema/rules without .sql
    severity TEXT NOT NULL,    -- error, warning or info
    creator TEXT,              -- NULL = the rule is not about one
    holder TEXT,               -- NULL likewise
    bytes INTEGER NOT NULL,    -- concerned
    objects INTEGER NOT NULL,  -- concerned (count)
    evidence TEXT NOT NULL,    -- sentences with numbers
    advice TEXT NOT NULL       -- what to do
);

-- The frames of a stack, one row each.
CREATE VIEW stack_frame(
    stack_id, -- stack_node.id
    depth,    -- 0 = caller of the allocator; inlined functions count
    function, -- demangled name; NULL = unknown
    file,     -- source file; NULL = no debug information
    line,     -- line in it; NULL likewise
    module,   -- file name of the module; NULL = in none
    address,  -- address in the module's file
    inlined   -- 1 = inlined into the next frame
) AS
SELECT s.id, j.key, f.function, f.file, f.line, f.module, f.address, f.inlined
FROM stack s, json_each(s.frames) j JOIN frame f ON f.id = j.value;
