-- Symbols: what addresses mean. Filled in by the symbolizer after a recording and kept: the modules
-- may be gone later. Conventions as in content.sql.

-- A resolved code location; several per address where functions were inlined.
CREATE TABLE frame(
    id INTEGER PRIMARY KEY,     -- referenced by stack.frames
    module TEXT,                -- file name of the module; NULL = address in no module
    address INTEGER NOT NULL,   -- address in the module's file (as addr2line takes it); raw if no module
    function TEXT,              -- demangled name; module+0xstart where the file has no symbol
                                -- for the function around it; NULL = unknown
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
