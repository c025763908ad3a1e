-- Views for people. Built-in SQL functions only: the stock sqlite3 shell runs them.

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
