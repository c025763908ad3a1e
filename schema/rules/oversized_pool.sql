-- rule: oversized_pool
-- title: Large blocks cached by a pool
-- scope: snapshot
-- what: A pool keeps large blocks that nobody uses: requests of unusual size were given back to it.
-- evidence: Blocks that the program gave back to an annotated pool (whoholds.h) and that are still held, by
--   references made after them: by the pool's own bookkeeping.
-- threshold: blocks of 64 KiB or more; warning from 4 MiB in a pool, info from 1 MiB.
-- misleads: A pool may be meant to keep them. Without annotations idle blocks cannot be told from used ones,
--   and this rule is silent.
-- handbook: A very large request (请求体过大), 2 MB buffers in mcache that wait for the second collection.
WITH large AS (
    SELECT o.pool, o.allocation_id AS id, a.size_bytes, a.stack_id, a.alloc_ns, h.root_id
    FROM pooled o
    JOIN held h ON h.snapshot_id = ?1 AND h.allocation_id = o.allocation_id AND h.root_id IS NOT NULL
    JOIN allocation a ON a.id = o.allocation_id
    WHERE o.snapshot_id = ?1 AND o.is_idle = 1 AND a.size_bytes >= 65536),
idle AS ( -- kept by something made after it: the bookkeeping of having it given back
    SELECT large.* FROM large
    JOIN reference r ON r.to_allocation_id = large.id
    JOIN allocation c ON c.id = r.from_allocation_id
    WHERE r.snapshot_id = ?1 AND r.is_kept = 1
    GROUP BY large.id HAVING max(c.alloc_ns) >= large.alloc_ns)
SELECT CASE WHEN sum(idle.size_bytes) >= 4194304 THEN 'warning' ELSE 'info' END,
       coalesce(s.creator, '?'), r.name, sum(idle.size_bytes), count(*),
       printf('Pool %s holds %d idle blocks of %d bytes on average, %d bytes in all, created by %s; the largest '
              || 'has %d bytes.', idle.pool, count(*), sum(idle.size_bytes) / count(*), sum(idle.size_bytes),
              coalesce(s.creator, '?'), max(idle.size_bytes)),
       'Limit the size of requests, and do not give blocks above a limit back to the pool; a collected pool frees '
       || 'them at the second collection without traffic.'
FROM idle JOIN root r ON r.id = idle.root_id LEFT JOIN stack s ON s.id = idle.stack_id
GROUP BY idle.pool, r.name, s.creator
HAVING sum(idle.size_bytes) >= 1048576
ORDER BY sum(idle.size_bytes) DESC
LIMIT 10
