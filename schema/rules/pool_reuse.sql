-- rule: pool_reuse
-- title: Pooled buffers attributed to somebody who does not own them
-- scope: snapshot
-- what: Blocks were created when one function found the pool empty, given back, and are now held by another
--   that took them out: a creator profile blames the first.
-- evidence: Annotated pools (whoholds.h): blocks in use whose taker's stack has a function that the creator's stack
--   has not, and which a keeper holds that the creator's stack does not explain; or very many blocks of one
--   pool in use by one array.
-- threshold: warning from 1 MiB, info from 64 KiB.
-- misleads: Being in use is not yet a leak: it is one if the taker should have given the blocks back by now.
-- handbook: What pprof shows of pooled memory (Pprof heap 的原理和坑).
WITH used AS MATERIALIZED ( -- or newer planners look it up once a row
    SELECT h.allocation_id AS id, a.stack_id, o.acquirer_stack_id, o.pool, p.holder, a.size_bytes, p.keeper
    FROM pooled o
    JOIN held h ON h.snapshot_id = ?1 AND h.allocation_id = o.allocation_id
    JOIN allocation a ON a.id = o.allocation_id
    JOIN path p ON p.id = h.path_id
    WHERE o.snapshot_id = ?1 AND o.is_idle = 0 AND o.acquirer_stack_id IS NOT NULL),
pair AS MATERIALIZED (SELECT DISTINCT stack_id, acquirer_stack_id FROM used),
taker AS MATERIALIZED ( -- the first function of the taker's stack that the creator's stack does not have
    SELECT pair.stack_id, pair.acquirer_stack_id,
           (SELECT f.function FROM stack_frame f WHERE f.stack_id = pair.acquirer_stack_id
            AND f.function NOT LIKE 'whoholds\_%' ESCAPE '\'
            AND f.function NOT IN (SELECT g.function FROM stack_frame g WHERE g.stack_id = pair.stack_id
                                   AND g.function IS NOT NULL)
            ORDER BY f.depth LIMIT 1) AS function
    FROM pair),
handed AS (
    SELECT coalesce(s.creator, '?') AS creator, used.holder, used.pool, taker.function AS function,
           sum(used.size_bytes) AS bytes, count(*) AS objects
    FROM used
    JOIN taker ON taker.stack_id = used.stack_id AND taker.acquirer_stack_id = used.acquirer_stack_id
    LEFT JOIN stack s ON s.id = used.stack_id
    WHERE taker.function IS NOT NULL AND used.keeper IS NOT NULL
    GROUP BY 1, 2, 3, 4),
hoard AS (
    SELECT coalesce(s.creator, '?') AS creator, p.text AS holder, used.pool,
           sum(used.size_bytes) AS bytes, count(*) AS objects, r.from_allocation_id AS array
    FROM reference r -- has no index by target: scanned once
    CROSS JOIN used ON used.id = r.to_allocation_id
    JOIN held h ON h.snapshot_id = ?1 AND h.allocation_id = used.id
    JOIN path p ON p.id = h.path_id
    LEFT JOIN stack s ON s.id = used.stack_id
    WHERE r.snapshot_id = ?1 AND r.is_kept = 1 AND r.from_allocation_id IS NOT NULL
    GROUP BY 1, 2, 3, r.from_allocation_id
    HAVING count(DISTINCT used.id) >= 64)
SELECT CASE WHEN bytes >= 1048576 THEN 'warning' ELSE 'info' END, creator, holder, bytes, objects,
       printf('%d blocks of pool %s, %d bytes, were created by %s for somebody else; now %s has taken them out and '
              || '%s holds them.', objects, pool, bytes, creator, function, holder),
       printf('Ask %s, not %s: it must give the blocks back to pool %s.', function, creator, pool)
FROM handed WHERE bytes >= 65536
UNION ALL
SELECT CASE WHEN bytes >= 1048576 THEN 'warning' ELSE 'info' END, creator, holder, bytes, objects,
       printf('One array holds %d blocks of pool %s that are in use, %d bytes (%s).', objects, pool, bytes, holder),
       printf('Give the blocks back to pool %s as soon as they were read, or reuse one of them.', pool)
FROM hoard WHERE bytes >= 65536 -- said once: above, when the taker is known
      AND NOT EXISTS(SELECT 1 FROM handed WHERE handed.creator = hoard.creator AND handed.pool = hoard.pool
                     AND handed.holder = hoard.holder AND handed.bytes >= 65536)
ORDER BY 4 DESC
LIMIT 10
