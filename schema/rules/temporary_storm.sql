-- rule: temporary_storm
-- title: A storm of temporary allocations
-- scope: trace
-- what: One creator makes very many blocks that the same thread frees with its very next event.
-- evidence: site.temporary_objects, exact over the whole run.
-- threshold: info from 100000 such blocks that are at least half of all blocks of the creator.
-- misleads: Cheap where the allocator's thread cache serves it; it costs time, never memory.
-- handbook: none: alloc_space and alloc_objects of its introduction show such creators.
SELECT 'info', coalesce(creator, '?'), NULL, sum(alloc_space), sum(temporary_objects),
       printf('%s made %d blocks that were freed by the very next event of their thread, %d %% of all it made.',
              coalesce(creator, '?'), sum(temporary_objects),
              100 * sum(temporary_objects) / sum(alloc_objects)),
       'Re-use one buffer, or put it on the stack.'
FROM site
GROUP BY creator
HAVING sum(temporary_objects) >= 100000 AND 2 * sum(temporary_objects) >= sum(alloc_objects)
ORDER BY sum(temporary_objects) DESC
LIMIT 10
