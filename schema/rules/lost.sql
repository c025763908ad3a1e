-- rule: lost
-- title: Classical leaks: blocks that nothing refers to
-- scope: snapshot
-- what: Live blocks that no global, stack, register or other reachable block points to.
-- evidence: The reference graph of the snapshot: unreachable blocks by creator, and what only they keep.
-- threshold: warning from 64 KiB or 1000 blocks of one creator; less is info.
-- misleads: A program that hides its pointers (XOR, offsets, compressed handles) looks lost and is not.
--   Blocks that a library means to keep until exit and forgets there are real but harmless.
-- handbook: none: the handbook's leaks are all reachable; this is what a leak checker finds.
SELECT CASE WHEN sum(a.size_bytes) >= 65536 OR count(*) >= 1000 THEN 'warning' ELSE 'info' END,
       coalesce(s.creator, '?'), 'lost', sum(a.size_bytes), count(*),
       printf('%d blocks, %d bytes, created by %s, are live and nothing refers to them; '
              || '%d of them are kept only by other lost blocks.',
              count(*), sum(a.size_bytes), coalesce(s.creator, '?'), sum(h.state = 'lost_indirect')),
       'Free them, or keep the last reference: `whoholds leaks` shows each creator stack.'
FROM held h
JOIN allocation a ON a.id = h.allocation_id
LEFT JOIN stack s ON s.id = a.stack_id
WHERE h.snapshot_id = ?1 AND h.state IN ('lost', 'lost_indirect')
GROUP BY s.creator
ORDER BY sum(a.size_bytes) DESC
LIMIT 20
