-- rule: string_alias
-- title: Many strings that point into one large input
-- scope: snapshot
-- what: Decoded strings alias the text they were decoded from, so a cached object keeps the whole text.
-- evidence: Blocks with three or more references of known length each, most of them into the inside, that
--   together see less than half of the block.
-- threshold: warning from 1 MiB that no string covers, info from 64 KiB.
-- misleads: A parser that is still working on the text looks the same, until it is done.
-- handbook: A cached object decoded with sonic (缓存 sonic 反序列化对象): CopyString.
WITH refs AS (
    SELECT to_allocation_id AS id, count(*) AS n, sum(to_offset > 0) AS inside
    FROM reference WHERE snapshot_id = ?1 AND is_kept = 1
    GROUP BY to_allocation_id HAVING count(*) >= 3),
aliased AS (
    SELECT p.text AS holder, coalesce(s.creator, '?') AS creator, count(*) AS objects,
           sum(a.size_bytes) AS bytes, sum(h.visible_bytes) AS visible, sum(refs.n) AS n
    FROM refs
    JOIN held h ON h.snapshot_id = ?1 AND h.allocation_id = refs.id
    JOIN allocation a ON a.id = h.allocation_id
    JOIN path p ON p.id = h.path_id
    LEFT JOIN stack s ON s.id = a.stack_id
    WHERE refs.inside * 2 > refs.n AND a.size_bytes >= 256 AND h.visible_bytes * 2 <= a.size_bytes
      AND NOT EXISTS(SELECT 1 FROM pooled o WHERE o.snapshot_id = ?1 AND o.allocation_id = h.allocation_id
                     AND o.is_idle = 1)
    GROUP BY p.text, s.creator
    HAVING sum(a.size_bytes - h.visible_bytes) >= 65536)
SELECT CASE WHEN bytes - visible >= 1048576 THEN 'warning' ELSE 'info' END, creator, holder, bytes, objects,
       printf('%d blocks, %d bytes, created by %s are each kept by %.0f strings on average that point inside '
              || 'them (%s); the strings together are %d bytes.',
              objects, bytes, creator, 1.0 * n / objects, holder, visible),
       'Let the decoder copy strings (sonic: CopyString) or copy the object before caching it; and ask whether '
       || 'the cache must keep it at all.'
FROM aliased
ORDER BY bytes - visible DESC
LIMIT 10
