/* Which snapshot of a process is shown when none is asked for: the last one; where one was taken at
 * the peak, the one with the most live bytes. One rule for all commands. */
#ifndef WH_HOLDER_SHOWN_H
#define WH_HOLDER_SHOWN_H

/* The ids of these among the snapshots for which the SQL condition `of` is true. */
#define WH_SHOWN_SNAPSHOTS(of)                                                                     \
    "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY process_id "                       \
    "ORDER BY has_peak * live_bytes DESC, id DESC) AS place FROM (SELECT id, process_id, "         \
    "live_bytes, max(reason = 'peak') OVER (PARTITION BY process_id) AS has_peak "                 \
    "FROM snapshot WHERE " of ")) WHERE place = 1"

#endif
