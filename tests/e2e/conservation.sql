-- What must agree in every trace; a row is a disagreement. Allocations minus frees = live, and the
-- sums per site = the lifetimes with a row + the folded ones, per process and to the byte.
WITH
lifetime AS (
    SELECT process_id,
           sum(NOT is_inherited) AS made, sum(iif(is_inherited, 0, size_bytes)) AS made_bytes,
           sum(free_ns IS NULL) AS live, sum(iif(free_ns IS NULL, size_bytes, 0)) AS live_bytes
    FROM allocation GROUP BY process_id
),
fold AS (
    SELECT process_id, sum(objects) AS made, sum(bytes) AS made_bytes FROM folded GROUP BY process_id
),
total AS (
    SELECT process_id, sum(alloc_objects) AS made, sum(alloc_space) AS made_bytes,
           sum(inuse_objects) AS live, sum(inuse_space) AS live_bytes, sum(peak_space) AS peak_bytes
    FROM site GROUP BY process_id
),
one AS (
    SELECT p.id, p.live_objects, p.live_bytes, p.peak_bytes,
           ifnull(t.made, 0) AS site_made, ifnull(t.made_bytes, 0) AS site_made_bytes,
           ifnull(t.live, 0) AS site_live, ifnull(t.live_bytes, 0) AS site_live_bytes,
           ifnull(t.peak_bytes, 0) AS site_peak_bytes,
           ifnull(l.made, 0) + ifnull(f.made, 0) AS row_made,
           ifnull(l.made_bytes, 0) + ifnull(f.made_bytes, 0) AS row_made_bytes,
           ifnull(l.live, 0) AS row_live, ifnull(l.live_bytes, 0) AS row_live_bytes
    FROM process p LEFT JOIN total t ON t.process_id = p.id LEFT JOIN lifetime l ON l.process_id = p.id
    LEFT JOIN fold f ON f.process_id = p.id
)
SELECT format('process %d: sites %d blocks %d bytes, lifetimes %d blocks %d bytes', id, site_made,
              site_made_bytes, row_made, row_made_bytes)
FROM one WHERE site_made <> row_made OR site_made_bytes <> row_made_bytes
UNION ALL
SELECT format('process %d: live %d/%d by process, %d/%d by sites, %d/%d by lifetimes', id, live_objects,
              live_bytes, site_live, site_live_bytes, row_live, row_live_bytes)
FROM one
WHERE live_objects <> site_live OR live_objects <> row_live OR live_bytes <> site_live_bytes
   OR live_bytes <> row_live_bytes
UNION ALL
SELECT format('process %d: peak %d by process, %d by sites, live %d', id, peak_bytes, site_peak_bytes, live_bytes)
FROM one WHERE peak_bytes <> site_peak_bytes OR peak_bytes < live_bytes
UNION ALL
SELECT format('process %d: its last timeline row says %d bytes, it has %d', p.id, t.live_bytes, p.live_bytes)
FROM process p JOIN timeline t ON t.process_id = p.id
WHERE t.rowid = (SELECT rowid FROM timeline x WHERE x.process_id = p.id ORDER BY at_ns DESC, rowid DESC LIMIT 1)
  AND t.live_bytes <> p.live_bytes
UNION ALL
SELECT format('trace says %d events, processes %d', (SELECT value FROM trace WHERE key = 'events'), sum(events))
FROM process HAVING sum(events) <> (SELECT value FROM trace WHERE key = 'events')
UNION ALL
SELECT format('allocation %d: freed before it was made', id) FROM allocation WHERE free_ns < alloc_ns
UNION ALL
SELECT format('allocation %d: stack %d is not stored', id, stack_id) FROM allocation
WHERE stack_id <> 0 AND stack_id NOT IN (SELECT id FROM stack_node)
UNION ALL
SELECT format('allocation %d: thread %d is not stored', id, thread_id) FROM allocation
WHERE thread_id NOT IN (SELECT id FROM thread)
LIMIT 10;
