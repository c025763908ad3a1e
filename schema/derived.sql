-- Derived from the raw events: lifetimes and sums. Run when a recording ends and again by
-- `whoholds expand`, which drops and rebuilds everything here from content.sql's tables.
-- Conventions as in content.sql.
DROP TABLE IF EXISTS allocation;
DROP TABLE IF EXISTS site;
DROP TABLE IF EXISTS timeline;
DROP TABLE IF EXISTS folded;

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

-- Lifetimes that have no row of their own (trace.allocation_rows is not 'all'), as exact sums.
CREATE TABLE folded(
    process_id INTEGER NOT NULL,    -- process.id
    stack_id INTEGER NOT NULL,      -- creator stack
    free_stack_id INTEGER NOT NULL, -- stack of the free; 0 = not recorded
    thread_id INTEGER NOT NULL,     -- thread.id of the allocating thread
    size_class INTEGER NOT NULL,    -- smallest power of two >= size_bytes
    second INTEGER NOT NULL,        -- alloc_ns / 1e9
    objects INTEGER NOT NULL,       -- lifetimes folded; blocks inherited at a fork are not among them
    bytes INTEGER NOT NULL,         -- their size_bytes
    lifetime_ns INTEGER NOT NULL,   -- sum of free_ns - alloc_ns
    peak_objects INTEGER NOT NULL DEFAULT 0, -- those live at the process's peak, inherited ones too (count)
    peak_bytes INTEGER NOT NULL DEFAULT 0    -- their size_bytes
);
