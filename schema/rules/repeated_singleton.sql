-- rule: repeated_singleton
-- title: Something meant to exist once was built many times
-- scope: snapshot
-- what: Like-shaped subtrees hang on one registry and all keep growing in step: every client, factory or
--   subscriber that was made and dropped is still told everything.
-- evidence: Blocks of one size, creator and path that each dominate about the same number of others, most of them
--   allocated after the last of the owners was made.
-- threshold: 100 owners with 8 or more blocks each, counts within a tenth of one another; warning from 16 MiB
--   together, info from 1 MiB.
-- misleads: Ring buffers that are meant to be per connection fill in step, too.
-- handbook: A new client for every request (多个 Client): lbcache's hooks and event queues.
WITH candidate AS MATERIALIZED (
    SELECT h.allocation_id AS id, h.path_id, a.stack_id, a.size_bytes, a.alloc_ns, h.retained_bytes
    FROM held h JOIN allocation a ON a.id = h.allocation_id
    WHERE h.snapshot_id = ?1 AND h.retained_bytes >= 4 * a.size_bytes AND h.retained_bytes >= 1024 AND h.path_id IS NOT NULL),
own AS MATERIALIZED (
    SELECT path_id, stack_id, size_bytes, count(*) AS n, sum(retained_bytes) AS bytes, max(alloc_ns) AS last_ns
    FROM candidate GROUP BY path_id, stack_id, size_bytes
    HAVING count(*) >= 100 AND sum(retained_bytes) >= 1048576),
owner AS MATERIALIZED (
    SELECT c.id, own.path_id, own.stack_id, own.size_bytes, own.last_ns
    FROM own JOIN candidate c ON c.path_id = own.path_id AND c.stack_id = own.stack_id
         AND c.size_bytes = own.size_bytes),
each AS (
    SELECT owner.id, owner.path_id, owner.stack_id, owner.size_bytes, count(*) AS n,
           sum(a.alloc_ns > owner.last_ns) AS later
    FROM held h JOIN owner ON owner.id = h.dominator_id JOIN allocation a ON a.id = h.allocation_id
    WHERE h.snapshot_id = ?1
    GROUP BY owner.id),
kids AS (
    SELECT path_id, stack_id, size_bytes, min(n) AS least, max(n) AS most, sum(n) AS n, sum(later) AS later,
           count(*) AS owners
    FROM each GROUP BY path_id, stack_id, size_bytes)
SELECT CASE WHEN own.bytes >= 16777216 THEN 'warning' ELSE 'info' END, coalesce(s.creator, '?'), p.text, own.bytes,
       own.n,
       printf('%d blocks of %d bytes created by %s (%s) each keep %d to %d others, %d bytes on average; %d of these '
              || '%d came after the last owner was made.', own.n, own.size_bytes, coalesce(s.creator, '?'), p.text,
              kids.least, kids.most, own.bytes / own.n, kids.later, kids.n),
       'Make one and reuse it, or close each before it is dropped, so that the registry forgets it.'
FROM own
JOIN kids ON kids.path_id = own.path_id AND kids.stack_id = own.stack_id AND kids.size_bytes = own.size_bytes
JOIN path p ON p.id = own.path_id
LEFT JOIN stack s ON s.id = own.stack_id
WHERE kids.owners = own.n AND kids.least >= 8 AND kids.least * 10 >= kids.most * 9 AND kids.later * 2 > kids.n
ORDER BY own.bytes DESC
LIMIT 1
