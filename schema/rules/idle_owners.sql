-- rule: idle_owners
-- title: Many like-shaped owners that do nothing
-- scope: snapshot
-- what: Thousands of objects of one kind (connections, sessions) each keep a few blocks for themselves and have
--   not been used since they were made.
-- evidence: Blocks of one size, creator and path that each dominate three or more others, of which none was
--   allocated after the last of the owners was made.
-- threshold: 500 owners of 1 to 32 KiB each; warning from 64 MiB together, info from 1 MiB. With more per owner
--   it is what they hold that matters: see the other rules.
-- misleads: Entries of a large, complete and wanted table look the same.
-- handbook: Too many idle connections (空闲连接过多): about 12 KB each.
WITH candidate AS MATERIALIZED (
    SELECT h.allocation_id AS id, h.path_id, a.stack_id, a.size_bytes, a.alloc_ns, h.retained_bytes
    FROM held h JOIN allocation a ON a.id = h.allocation_id
    WHERE h.snapshot_id = ?1 AND h.retained_bytes >= 1024 AND h.retained_bytes >= 3 * a.size_bytes AND h.path_id IS NOT NULL),
own AS MATERIALIZED (
    SELECT path_id, stack_id, size_bytes, count(*) AS n, sum(retained_bytes) AS bytes, max(alloc_ns) AS last_ns
    FROM candidate GROUP BY path_id, stack_id, size_bytes
    HAVING count(*) >= 500 AND sum(retained_bytes) >= 1048576
       AND sum(retained_bytes) BETWEEN 1024 * count(*) AND 32768 * count(*)),
owner AS MATERIALIZED (
    SELECT c.id, own.path_id, own.stack_id, own.size_bytes, own.last_ns
    FROM own JOIN candidate c ON c.path_id = own.path_id AND c.stack_id = own.stack_id
         AND c.size_bytes = own.size_bytes),
kids AS (
    SELECT owner.path_id, owner.stack_id, owner.size_bytes, count(*) AS n,
           sum(a.alloc_ns > owner.last_ns) AS later
    FROM held h JOIN owner ON owner.id = h.dominator_id JOIN allocation a ON a.id = h.allocation_id
    WHERE h.snapshot_id = ?1
    GROUP BY owner.path_id, owner.stack_id, owner.size_bytes)
SELECT CASE WHEN own.bytes >= 67108864 THEN 'warning' ELSE 'info' END, coalesce(s.creator, '?'), p.text, own.bytes,
       own.n,
       printf('%d blocks of %d bytes created by %s (%s) each keep %d bytes for themselves; of the %d blocks right '
              || 'below them %d were allocated since the last of them was made.', own.n, own.size_bytes,
              coalesce(s.creator, '?'), p.text, own.bytes / own.n, kids.n, kids.later),
       'Close what is idle after a while (an application timer: netpoll''s idle timeout is only TCP keep-alive), or '
       || 'allocate buffers at the first use.'
FROM own
JOIN kids ON kids.path_id = own.path_id AND kids.stack_id = own.stack_id AND kids.size_bytes = own.size_bytes
JOIN path p ON p.id = own.path_id
LEFT JOIN stack s ON s.id = own.stack_id
WHERE kids.n >= 3 * own.n AND kids.later * 20 <= kids.n
ORDER BY own.bytes DESC
LIMIT 1
