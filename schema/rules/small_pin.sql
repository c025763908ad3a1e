-- rule: small_pin
-- title: Small references that pin large blocks
-- scope: snapshot
-- what: Blocks of which every reference can reach only a small part by its own length: a byte of a request
--   keeps the whole request.
-- evidence: References with a known length (pointer and length, pointer with length and capacity, iovec) and
--   the union of what they can reach, per grouped path and creator.
-- threshold: blocks that keep nothing else, at least 8 bytes pinned for one visible, few references to each;
--   warning from 1 MiB that nobody can see in blocks of 16 KiB or more, error from 1 GiB; less is info from
--   64 KiB.
-- misleads: A buffer that is still being filled looks pinned. A length that belongs to another pointer beside
--   it may be taken for this one's.
-- handbook: A request's or response's field is kept for ever (持续持有 Request/Response 的某个字段).
WITH refs AS (
    SELECT to_allocation_id AS id, count(*) AS n FROM reference
    WHERE snapshot_id = ?1 AND is_kept = 1 AND visible_bytes IS NOT NULL GROUP BY to_allocation_id),
pinned AS (
    SELECT p.text AS holder, coalesce(s.creator, '?') AS creator, count(*) AS objects,
           sum(a.size_bytes) AS bytes, sum(h.visible_bytes) AS visible, sum(refs.n) AS n
    FROM held h
    JOIN refs ON refs.id = h.allocation_id
    JOIN allocation a ON a.id = h.allocation_id
    JOIN path p ON p.id = h.path_id
    LEFT JOIN stack s ON s.id = a.stack_id
    WHERE h.snapshot_id = ?1 AND a.size_bytes >= 256 AND h.visible_bytes * 8 <= a.size_bytes
      AND h.retained_bytes = a.size_bytes
      AND NOT EXISTS(SELECT 1 FROM pooled o WHERE o.snapshot_id = ?1 AND o.allocation_id = h.allocation_id
                     AND o.is_idle = 1) -- given back: whoever still refers to it does not use it
    GROUP BY p.text, s.creator
    HAVING sum(a.size_bytes - h.visible_bytes) >= 65536)
SELECT CASE WHEN bytes - visible >= 1073741824 AND bytes >= 16384 * objects THEN 'error'
            WHEN bytes - visible >= 1048576 AND bytes >= 16384 * objects THEN 'warning' ELSE 'info' END,
       creator, holder, bytes, objects,
       printf('%d blocks, %d bytes, created by %s are kept by %s, whose references can see only %d of these '
              || 'bytes: %.0f bytes are pinned for one that is used.',
              objects, bytes, creator, holder, visible, 1.0 * bytes / max(visible, 1)),
       'Copy the few bytes that are needed before storing them (in Go: strings.Clone, append to nil), or drop '
       || 'the entry when the request is done.'
FROM pinned
WHERE n < 3 * objects
ORDER BY bytes - visible DESC
LIMIT 10
