-- Holders: what the analyzer concluded from the snapshots. Can be emptied and computed again from
-- snapshot_chunk. Conventions as in content.sql.

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
    exclusive_bytes INTEGER,      -- freed if this root were gone (it dominates them); NULL = not computed
    reachable_bytes INTEGER,      -- everything it reaches; NULL = beyond the 63 largest roots
    effective_bytes INTEGER       -- reachable, shared bytes divided by their number of holders; NULL likewise
);

-- One live block at a snapshot. Which blocks have rows: snapshot.block_rows.
CREATE TABLE held(
    snapshot_id INTEGER NOT NULL,   -- snapshot.id
    allocation_id INTEGER NOT NULL, -- allocation.id
    state TEXT NOT NULL CHECK(state IN ('held', 'lost', 'lost_indirect')), -- held, lost (nothing refers to it), lost_indirect (a lost block does)
    root_id INTEGER,                -- root of its strongest path; NULL = lost
    path_id INTEGER,                -- path.id; NULL = lost
    dominator_id INTEGER,           -- allocation.id of the block that dominates it; NULL = a root or none
    retained_bytes INTEGER NOT NULL, -- would be freed with it, itself included
    holders INTEGER NOT NULL,       -- independent holders; 0 = lost, 1 = exclusive, 2.. = shared
    visible_bytes INTEGER,          -- union of what its references reach by their length; NULL = unknown
    acquirer_stack_id INTEGER,      -- stack that last took it from an annotated pool; NULL = none
    strength INTEGER NOT NULL,      -- 0..5 of its strongest path; -1 = lost
    cycle_objects INTEGER NOT NULL DEFAULT 0, -- lost blocks that keep one another: how many; 0 = none
    reference_count INTEGER NOT NULL DEFAULT 0, -- words that refer to it, weak ones included, also where
                                              -- reference has only the strongest of them as rows (count)
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
    length INTEGER NOT NULL,      -- edges in it
    objects INTEGER NOT NULL DEFAULT 0, -- blocks it ends at (count)
    bytes INTEGER NOT NULL DEFAULT 0    -- their size
);

-- One edge. Complete up to 5 million edges, above that the strongest 8 into each block; of snapshots
-- with block_rows = 'pooled' only those into blocks of annotated pools.
CREATE TABLE reference(
    snapshot_id INTEGER NOT NULL,   -- snapshot.id
    from_allocation_id INTEGER,     -- allocation.id it lies in; NULL = it lies in a root, or in memory that
                                    -- no sample explains
    from_root_id INTEGER,           -- root.id it lies in; NULL = it lies in a block
    from_offset INTEGER NOT NULL,   -- bytes from the start of block or root variable
    to_allocation_id INTEGER NOT NULL, -- allocation.id it points into
    to_offset INTEGER NOT NULL,     -- bytes into that block
    class INTEGER NOT NULL,         -- 0 suspect .. 5 typed
    evidence TEXT,                  -- why the class, how the length is known; NULL = plain
    visible_bytes INTEGER,          -- what it reaches by its own length; NULL = unknown
    is_kept INTEGER NOT NULL DEFAULT 1 -- 1 = as strong as its target: takes part in naming the holder
);

-- Creator x holder, in bytes: the product's headline.
CREATE TABLE gap(
    snapshot_id INTEGER NOT NULL,   -- snapshot.id
    creator TEXT NOT NULL,          -- function name; '(not sampled)': memory of a sampled recording that
                                    -- no sample explains
    holder TEXT NOT NULL,           -- as in path; 'shared: A + B', 'lost'
    objects INTEGER NOT NULL,       -- live blocks (count)
    bytes INTEGER NOT NULL,         -- their size
    retained_bytes INTEGER NOT NULL, -- they and what only they keep
    amplification REAL,             -- pinned / visible bytes; NULL = no length known
    hidden INTEGER NOT NULL CHECK(hidden IN (0, 1)), -- 1 = a keeper exists that the creator stack does not explain
    acquirer TEXT,                  -- function that took the blocks from an annotated pool, or
                                    -- 'given back to POOL' (which may have dropped them since); NULL = no pool spoke
    root TEXT,                      -- root variable the holder begins at; NULL = lost or shared
    ways INTEGER NOT NULL DEFAULT 1 -- holders of the shared block that the path runs through, of which it names
                                    -- one; 1 = it runs through none (count)
);

-- Bytes reachable from two or more root variables, by the set of variables: shared blocks and all that
-- they dominate (which has one holder, the path through the shared block).
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
    severity TEXT NOT NULL CHECK(severity IN ('error', 'warning', 'info')), -- error, warning or info
    creator TEXT,              -- NULL = the rule is not about one
    holder TEXT,               -- NULL likewise
    bytes INTEGER NOT NULL,    -- concerned
    objects INTEGER NOT NULL,  -- concerned (count)
    evidence TEXT NOT NULL,    -- sentences with numbers
    advice TEXT NOT NULL       -- what to do
);
