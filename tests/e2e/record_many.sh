#!/usr/bin/env bash
# More than two million lifetimes, the exit snapshot in the middle of working them off: rows are for the blocks of the
# end, of the peak and of the snapshot, which are few; all others are sums, and nothing is missing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

record "$TMP/t.db" "$WH_BUILD/tests/bench/stress" 1 16 2200000 >/dev/null || fail "the recording failed"
check_eq live "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'allocation_rows'")" "which lifetimes have rows"
check_eq 1 "$(q "$TMP/t.db" "SELECT count(*) FROM snapshot")" "snapshots"
rows=$(q "$TMP/t.db" "SELECT count(*) FROM allocation")
[ "$rows" -lt 50000 ] || fail "$rows lifetimes have a row"
check_ge 1 "$(q "$TMP/t.db" "SELECT count(*) FROM allocation a JOIN process p ON p.id = a.process_id
    WHERE a.alloc_ns <= p.peak_ns AND a.free_ns > p.peak_ns")" "rows of blocks of the peak"
conserve "$TMP/t.db"
