-- rule: growth
-- title: Growth between snapshots
-- scope: snapshot
-- what: What one path holds grew from snapshot to snapshot, or one array on a thread's own stack keeps collecting
--   what others create.
-- evidence: The same grouped path in three or more snapshots of the process, never falling and at least doubled;
--   or an array that was replaced by a larger one again and again by the same code, whose contents were created
--   elsewhere, held by a local variable.
-- threshold: growth: info from 1 MiB. Array of a local variable: warning from 1 MiB and 1000 elements.
-- misleads: A cache that is still warming up grows too; compare with its limit.
-- handbook: none: the general method, two profiles and their difference.
WITH me AS (SELECT process_id FROM snapshot WHERE id = ?1),
at AS (
    SELECT s.id, p.text, sum(p.bytes) AS bytes, sum(p.objects) AS objects
    FROM snapshot s
    JOIN path p ON p.snapshot_id = s.id
    WHERE s.process_id = (SELECT process_id FROM me) AND s.id <= ?1
    GROUP BY s.id, p.text),
step AS (SELECT *, lag(bytes) OVER (PARTITION BY text ORDER BY id) AS before FROM at),
grown AS (
    SELECT text, count(*) AS snapshots, min(bytes) AS first, max(bytes) AS last, max(objects) AS objects
    FROM step GROUP BY text
    HAVING count(*) >= 3 AND sum(before IS NOT NULL AND bytes < before) = 0 AND max(id) = ?1
       AND max(bytes) >= 2 * min(bytes) AND max(bytes) - min(bytes) >= 1048576),
local AS (
    SELECT p.text, coalesce(s.creator, '?') AS creator, sum(h.retained_bytes) AS bytes, count(*) AS objects,
           c.stack_id AS grower
    FROM held h
    JOIN path p ON p.id = h.path_id AND p.keeper IS NOT NULL
    JOIN root r ON r.id = h.root_id AND r.kind = 'stack'
    JOIN allocation a ON a.id = h.allocation_id
    JOIN allocation c ON c.id = h.dominator_id
    LEFT JOIN stack s ON s.id = a.stack_id
    WHERE h.snapshot_id = ?1 AND h.dominator_id IS NOT NULL
    GROUP BY h.dominator_id, p.text, s.creator
    HAVING count(*) >= 1000 AND sum(h.retained_bytes) >= 1048576)
SELECT 'warning', creator, text, bytes, objects,
       printf('%d blocks created by %s and what they keep, %d bytes, were collected in one array of a local variable '
              || '(%s) that was replaced by a larger one %d times.', objects, creator, bytes, text,
              (SELECT sum(alloc_objects) - 1 FROM site WHERE stack_id = grower)),
       'The function that owns the variable never returns: drop elements when they are done.'
FROM local WHERE (SELECT sum(alloc_objects) FROM site WHERE stack_id = grower) >= 4
UNION ALL
SELECT 'info', NULL, text, last - first, objects,
       printf('%s held %d bytes at the first of %d snapshots and %d bytes now; it never fell.', text, first, snapshots,
              last),
       'Compare `whoholds diff` of two snapshots: the creators of what came in between are the callers to ask.'
FROM grown
ORDER BY 4 DESC
LIMIT 10
