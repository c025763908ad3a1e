-- rule: stale_container
-- title: Stale references in a container
-- scope: snapshot
-- what: Slots of an array that nobody uses any more still refer to buffers: behind a slice's length, or in
--   slot arrays that were set up for a surge and never cleared.
-- evidence: (1) References at offsets behind the length that the only reference to the array gives. (2) Plain
--   buffers kept by slot arrays that are older than every buffer they keep, mostly empty, one of many like
--   arrays, and made by a function that is not on the buffers' creator stack. Where pools are annotated:
--   how many of the buffers were given back to their pool.
-- threshold: warning from 1 MiB, info from 64 KiB; (1) needs four or more slots, (2) needs 32 like arrays.
-- misleads: (2) also describes connections that each own a small table of buffers in use. A block that was given
--   back to its pool and is still referred to is never in use.
-- handbook: A surge of connections with large packets (连接数突增 + 大包场景): netpoll's barriers.
WITH sliced AS MATERIALIZED ( -- arrays whose only kept reference says how much of them is in use
    SELECT to_allocation_id AS id, max(visible_bytes) AS used
    FROM reference WHERE snapshot_id = ?1 AND is_kept = 1
    GROUP BY to_allocation_id
    HAVING count(*) = 1 AND max(evidence = '(ptr,len,cap)' AND to_offset = 0) = 1 AND max(visible_bytes) > 0),
dense AS MATERIALIZED ( -- arrays of single pointers: the slots in use and behind lie 8 bytes apart; and no
    -- misunderstanding: were the length a number of pointers, some would still be behind it
    SELECT r.from_allocation_id AS id FROM reference r CROSS JOIN sliced ON sliced.id = r.from_allocation_id
    WHERE r.snapshot_id = ?1 GROUP BY r.from_allocation_id
    HAVING count(*) >= 4 AND (max(r.from_offset) - min(r.from_offset)) / 8 + 1 = count(DISTINCT r.from_offset)
       AND max(r.from_offset) >= 8 * max(sliced.used)),
behind AS MATERIALIZED (
    SELECT p.text AS holder, coalesce(s.creator, '?') AS creator, count(*) AS objects,
           sum(h.retained_bytes) AS bytes, count(DISTINCT r.from_allocation_id) AS arrays
    FROM reference r
    CROSS JOIN sliced ON sliced.id = r.from_allocation_id AND r.from_offset >= sliced.used
    CROSS JOIN dense ON dense.id = sliced.id
    CROSS JOIN held h ON h.snapshot_id = ?1 AND h.allocation_id = r.to_allocation_id AND h.dominator_id = sliced.id
    JOIN allocation a ON a.id = h.allocation_id
    JOIN path p ON p.id = h.path_id
    LEFT JOIN stack s ON s.id = a.stack_id
    WHERE r.snapshot_id = ?1 AND r.is_kept = 1
    GROUP BY p.text, s.creator),
parent AS MATERIALIZED (SELECT DISTINCT from_allocation_id AS id FROM reference
           WHERE snapshot_id = ?1 AND is_kept = 1 AND from_allocation_id IS NOT NULL),
leaf AS MATERIALIZED ( -- plain buffers with a keeper: they refer to nothing themselves
    SELECT h.allocation_id AS id, h.path_id, a.alloc_ns, a.stack_id
    FROM held h JOIN path p ON p.id = h.path_id JOIN allocation a ON a.id = h.allocation_id
    LEFT JOIN parent ON parent.id = h.allocation_id
    WHERE h.snapshot_id = ?1 AND p.keeper IS NOT NULL AND parent.id IS NULL),
slot AS MATERIALIZED (
    SELECT leaf.id, leaf.path_id, leaf.stack_id, leaf.alloc_ns, c.id AS array,
           c.alloc_ns AS array_ns, c.size_bytes AS array_bytes, coalesce(sc.creator, '?') AS array_creator
    FROM reference r
    CROSS JOIN leaf ON leaf.id = r.to_allocation_id
    LEFT JOIN allocation c ON c.id = r.from_allocation_id
    LEFT JOIN stack sc ON sc.id = c.stack_id
    WHERE r.snapshot_id = ?1 AND r.is_kept = 1),
pair AS MATERIALIZED (SELECT DISTINCT stack_id, array_creator FROM slot),
explained AS MATERIALIZED ( -- the array's creator is on the buffer's creator stack
    SELECT DISTINCT pair.stack_id, pair.array_creator FROM pair
    JOIN stack_frame f ON f.stack_id = pair.stack_id AND f.function = pair.array_creator),
judged AS MATERIALIZED ( -- one row a buffer: are all its referrers older arrays with room, made by others?
    SELECT slot.id, slot.path_id, min(slot.array) AS array,
           min(coalesce(slot.array_ns < slot.alloc_ns AND slot.array_bytes >= 256, 0)
               AND explained.stack_id IS NULL) AS is_stale
    FROM slot
    LEFT JOIN explained ON explained.stack_id = slot.stack_id
         AND explained.array_creator = slot.array_creator
    GROUP BY slot.id),
surge AS MATERIALIZED (
    SELECT p.text AS holder, coalesce(s.creator, '?') AS creator, count(*) AS objects,
           sum(a.size_bytes) AS bytes, count(DISTINCT j.array) AS arrays, sum(o.is_idle) AS idle
    FROM judged j
    JOIN allocation a ON a.id = j.id
    JOIN path p ON p.id = j.path_id
    LEFT JOIN stack s ON s.id = a.stack_id
    LEFT JOIN pooled o ON o.snapshot_id = ?1 AND o.allocation_id = j.id
    WHERE j.is_stale
    GROUP BY p.text, s.creator
    HAVING count(DISTINCT j.array) >= 32)
SELECT CASE WHEN bytes >= 1048576 THEN 'warning' ELSE 'info' END, creator, holder, bytes, objects,
       printf('%d blocks and what they keep, %d bytes, created by %s are referred to only from slots behind the '
              || 'length of %s.', objects, bytes, creator, holder),
       'Set a slot to nil when its element is taken out; shrink or copy the slice when it stays short.'
FROM behind WHERE bytes >= 65536
UNION ALL
SELECT CASE WHEN bytes >= 1048576 THEN 'warning' ELSE 'info' END, creator, holder, bytes, objects,
       printf('%d buffers, %d bytes, created by %s are kept by %d slot arrays (%s) that are older than every '
              || 'buffer in them.%s', objects, bytes, creator, arrays, holder,
              CASE WHEN idle > 0 THEN printf(' %d of the buffers were given back to their pool long ago.', idle)
                   ELSE '' END),
       'Clear the slots after each use (netpoll does so from v0.2.5 on: Kitex >= v0.3.3); a container that grew '
       || 'for a surge should shrink again.'
FROM surge WHERE bytes >= 65536
ORDER BY 4 DESC
LIMIT 10
