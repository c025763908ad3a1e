-- Views for people and reports. Built-in SQL functions only: the stock sqlite3 shell runs them (the
-- estimates need one with exp() and sqrt(), as Debian's).
-- The totals are exact also where lifetimes were folded. Conventions as in content.sql.

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

-- Blocks that nobody freed, with their creator.
CREATE VIEW live(
    allocation_id, -- allocation.id
    process_id,    -- process.id
    creator,       -- first frame outside allocators and runtimes; NULL = unknown
    address,       -- first byte
    size_bytes,    -- requested bytes
    kind,          -- malloc, calloc, realloc, memalign, new, new[], mmap
    alloc_ns,      -- birth
    stack_id       -- stack_node.id; 0 = none taken
) AS
SELECT a.id, a.process_id, s.creator, a.address, a.size_bytes, a.kind, a.alloc_ns, a.stack_id
FROM allocation a LEFT JOIN site s ON s.process_id = a.process_id AND s.stack_id = a.stack_id
WHERE a.free_ns IS NULL;

-- Totals per creator function: site, with the stacks of one creator added up.
CREATE VIEW creator_total(
    process_id,       -- process.id
    creator,          -- function; '(no stack)' = none was taken, '(unknown)' = no symbol
    alloc_objects,    -- blocks ever allocated (count)
    alloc_space,      -- their bytes
    inuse_objects,    -- blocks live at the end (count)
    inuse_space,      -- their bytes
    peak_objects,     -- blocks live at the process's peak (count)
    peak_space,       -- their bytes
    temporary_objects -- freed by the same thread's very next event (count)
) AS
SELECT process_id,
       coalesce(creator, iif(stack_id = 0, '(no stack)', '(unknown)')) AS name,
       sum(alloc_objects), sum(alloc_space), sum(inuse_objects), sum(inuse_space),
       sum(peak_objects), sum(peak_space), sum(temporary_objects)
FROM site GROUP BY process_id, name;

-- Totals per module of the creator function.
CREATE VIEW module_total(
    process_id,       -- process.id
    module,           -- file name; '(unknown)' = no stack, or an address in no module
    alloc_objects,    -- blocks ever allocated (count)
    alloc_space,      -- their bytes
    inuse_objects,    -- blocks live at the end (count)
    inuse_space,      -- their bytes
    peak_objects,     -- blocks live at the process's peak (count)
    peak_space,       -- their bytes
    temporary_objects -- freed by the same thread's very next event (count)
) AS
SELECT s.process_id,
       coalesce((SELECT f.module FROM stack_frame f
                 WHERE f.stack_id = s.stack_id AND (s.creator IS NULL OR f.function = s.creator)
                 ORDER BY f.depth LIMIT 1),
                '(unknown)') AS name,
       sum(s.alloc_objects), sum(s.alloc_space), sum(s.inuse_objects), sum(s.inuse_space),
       sum(s.peak_objects), sum(s.peak_space), sum(s.temporary_objects)
FROM site s GROUP BY s.process_id, name;

-- Totals per allocating thread.
CREATE VIEW thread_total(
    process_id,       -- process.id
    thread_id,        -- thread.id; 0 = unknown
    alloc_objects,    -- blocks it allocated (count)
    alloc_space,      -- their bytes
    inuse_objects,    -- of these, live at the end (count)
    inuse_space,      -- their bytes
    peak_objects,     -- of these, live at the process's peak (count)
    peak_space,       -- their bytes
    temporary_objects -- always NULL: not kept per thread
) AS
SELECT process_id, thread_id, sum(ao), sum(a), sum(io), sum(i), sum(po), sum(p), NULL
FROM (SELECT a.process_id AS process_id, coalesce(a.thread_id, 0) AS thread_id,
             sum(NOT a.is_inherited) AS ao, sum(iif(a.is_inherited, 0, a.size_bytes)) AS a,
             sum(a.free_ns IS NULL) AS io, sum(iif(a.free_ns IS NULL, a.size_bytes, 0)) AS i,
             sum(a.alloc_ns <= p.peak_ns AND coalesce(a.free_ns > p.peak_ns, 1)) AS po,
             sum(iif(a.alloc_ns <= p.peak_ns AND coalesce(a.free_ns > p.peak_ns, 1),
                     a.size_bytes, 0)) AS p
      FROM allocation a JOIN process p ON p.id = a.process_id
      GROUP BY a.process_id, 2
      UNION ALL
      SELECT process_id, thread_id, sum(objects), sum(bytes), 0, 0, sum(peak_objects), sum(peak_bytes)
      FROM folded GROUP BY process_id, thread_id)
GROUP BY process_id, thread_id;

-- Totals per size class.
CREATE VIEW size_total(
    process_id,       -- process.id
    size_class,       -- smallest power of two that is not below the requested size, in bytes
    alloc_objects,    -- blocks ever allocated (count)
    alloc_space,      -- their bytes
    inuse_objects,    -- of these, live at the end (count)
    inuse_space,      -- their bytes
    peak_objects,     -- of these, live at the process's peak (count)
    peak_space,       -- their bytes
    temporary_objects -- always NULL: not kept per size
) AS
WITH RECURSIVE power(p) AS (SELECT 1 UNION ALL SELECT p * 2 FROM power WHERE p < 1 << 60),
by_size AS (
    SELECT a.process_id AS process_id, a.size_bytes AS size,
           sum(NOT a.is_inherited) AS ao, sum(iif(a.is_inherited, 0, a.size_bytes)) AS a,
           sum(a.free_ns IS NULL) AS io, sum(iif(a.free_ns IS NULL, a.size_bytes, 0)) AS i,
           sum(a.alloc_ns <= p.peak_ns AND coalesce(a.free_ns > p.peak_ns, 1)) AS po,
           sum(iif(a.alloc_ns <= p.peak_ns AND coalesce(a.free_ns > p.peak_ns, 1),
                   a.size_bytes, 0)) AS p
    FROM allocation a JOIN process p ON p.id = a.process_id
    GROUP BY a.process_id, a.size_bytes)
SELECT process_id, class, sum(ao), sum(a), sum(io), sum(i), sum(po), sum(p), NULL
FROM (SELECT process_id, (SELECT min(p) FROM power WHERE power.p >= by_size.size) AS class,
             ao, a, io, i, po, by_size.p
      FROM by_size
      UNION ALL
      SELECT process_id, size_class, sum(objects), sum(bytes), 0, 0, sum(peak_objects), sum(peak_bytes)
      FROM folded GROUP BY process_id, size_class)
GROUP BY process_id, class;

-- One live block at a snapshot with everything that is known of it, for queries and rules.
CREATE VIEW block(
    snapshot_id,    -- snapshot.id
    allocation_id,  -- allocation.id
    address,        -- first byte
    size_bytes,     -- requested bytes
    kind,           -- malloc, mmap, ... as in allocation
    alloc_ns,       -- birth
    stack_id,       -- creator stack
    creator,        -- first function outside allocators and runtimes; '?' = unknown
    state,          -- held, lost, lost_indirect
    holder,         -- as in path; NULL = lost
    keeper,         -- first container the creator stack does not explain; NULL = explained, or lost
    path,           -- every step from the root; NULL = lost
    holders,        -- independent holders (count)
    dominator_id,   -- allocation.id of the block that dominates it; NULL = a root or none
    retained_bytes, -- it and what only it keeps
    visible_bytes,  -- what its references reach by their length; NULL = unknown
    strength,       -- 0..5 of its strongest path; -1 = lost
    pool,           -- name of the annotated pool it came from; NULL = none
    is_idle,        -- 1 = given back to that pool; NULL = no pool
    acquirer        -- function that last took it out of the pool; NULL = none
) AS
SELECT h.snapshot_id, a.id, a.address, a.size_bytes, a.kind, a.alloc_ns, a.stack_id,
       coalesce(s.creator, '?'), h.state, p.holder, p.keeper, p.text, h.holders, h.dominator_id,
       h.retained_bytes, h.visible_bytes, h.strength, o.pool, o.is_idle, q.creator
FROM held h
JOIN allocation a ON a.id = h.allocation_id
LEFT JOIN stack s ON s.id = a.stack_id
LEFT JOIN path p ON p.id = h.path_id
LEFT JOIN pooled o ON o.snapshot_id = h.snapshot_id AND o.allocation_id = h.allocation_id
LEFT JOIN stack q ON q.id = o.acquirer_stack_id;

-- Sampled recordings: what the samples say about all blocks, per creator stack. A block of s bytes was
-- recorded with probability p = 1 - exp(-s / sample_bytes) and stands for 1 / p blocks; mappings, and all
-- blocks where nothing was sampled, were recorded with certainty. The errors are half the width of the
-- 95 % interval, the squares of several rows add up. Needs SQLite's exp() and sqrt().
CREATE VIEW estimate(
    process_id,          -- process.id
    stack_id,            -- stack_node.id; 0 = none taken
    samples,             -- blocks recorded (count)
    alloc_objects,       -- estimate: blocks ever allocated (count)
    alloc_objects_error, -- the truth is within this of it in 95 % of cases
    alloc_space,         -- estimate: their bytes
    alloc_space_error,   -- likewise
    inuse_objects,       -- estimate: blocks live at the end (count)
    inuse_objects_error, -- likewise
    inuse_space,         -- estimate: their bytes
    inuse_space_error    -- likewise
) AS
WITH block AS (
    SELECT a.process_id, a.stack_id, 1.0 * a.size_bytes AS s, NOT a.is_inherited AS own,
           a.free_ns IS NULL AS live,
           CASE WHEN t.value = 0 OR a.kind = 'mmap' OR a.size_bytes = 0 THEN 1.0
                ELSE 1 - exp(-1.0 * a.size_bytes / t.value) END AS p
    FROM allocation a, trace t WHERE t.key = 'sample_bytes')
SELECT process_id, stack_id, count(*),
       sum(own / p), 1.96 * sqrt(sum(own * (1 - p) / (p * p))),
       sum(own * s / p), 1.96 * sqrt(sum(own * s * s * (1 - p) / (p * p))),
       sum(live / p), 1.96 * sqrt(sum(live * (1 - p) / (p * p))),
       sum(live * s / p), 1.96 * sqrt(sum(live * s * s * (1 - p) / (p * p)))
FROM block GROUP BY process_id, stack_id;

-- Sizes as Go's allocator rounds them (runtime/sizeclasses.go of Go 1.19); above the last one it rounds up
-- to pages of 8192 bytes.
CREATE VIEW go_size_class(
    size_bytes -- of a block of this class
) AS
VALUES (8), (16), (24), (32), (48), (64), (80), (96), (112), (128), (144), (160), (176), (192), (208), (224),
    (240), (256), (288), (320), (352), (384), (416), (448), (480), (512), (576), (640), (704), (768), (896),
    (1024), (1152), (1280), (1408), (1536), (1792), (2048), (2304), (2688), (3072), (3200), (3456), (4096),
    (4864), (5376), (6144), (6528), (6784), (6912), (8192), (9472), (9728), (10240), (10880), (12288), (13568),
    (14336), (16384), (18432), (19072), (20480), (21760), (24576), (27264), (28672), (32768);

-- The same by the formula of Go's heap profile (--go-scaling): samples of one stack and size, rounded as
-- Go rounds it, are a bucket, the bucket's count and bytes are divided by 1 - exp(-size / sample_bytes) and
-- cut to integers. Go counts rounded sizes when it draws samples, too: where a program's own sizes are not
-- rounded, as the simulator's are, its profile has a few more samples of them.
CREATE VIEW go_estimate(
    process_id,    -- process.id
    stack_id,      -- stack_node.id; 0 = none taken
    alloc_objects, -- blocks ever allocated (count)
    alloc_space,   -- their bytes
    inuse_objects, -- blocks live at the end (count)
    inuse_space    -- their bytes
) AS
WITH counted AS (
    SELECT a.process_id, a.stack_id, a.size_bytes, sum(NOT a.is_inherited) AS n,
           sum(a.free_ns IS NULL) AS live
    FROM allocation a WHERE a.kind <> 'mmap' GROUP BY a.process_id, a.stack_id, a.size_bytes),
rounded AS (
    SELECT process_id, stack_id, n, live,
           CASE WHEN size_bytes > 32768 THEN (size_bytes + 8191) / 8192 * 8192 WHEN size_bytes = 0 THEN 0
                ELSE (SELECT min(c.size_bytes) FROM go_size_class c WHERE c.size_bytes >= counted.size_bytes)
           END AS s
    FROM counted),
bucket AS (
    SELECT r.process_id, r.stack_id, r.s, sum(r.n) AS n, sum(r.live) AS live,
           CASE WHEN t.value <= 1 OR r.s = 0 THEN 1.0 ELSE 1 / (1 - exp(-1.0 * r.s / t.value)) END AS scale
    FROM rounded r, trace t WHERE t.key = 'sample_bytes' GROUP BY r.process_id, r.stack_id, r.s)
SELECT process_id, stack_id, sum(CAST(n * scale AS INTEGER)), sum(CAST(n * s * scale AS INTEGER)),
       sum(CAST(live * scale AS INTEGER)), sum(CAST(live * s * scale AS INTEGER))
FROM bucket GROUP BY process_id, stack_id;
