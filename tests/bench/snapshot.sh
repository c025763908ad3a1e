#!/usr/bin/env bash
# What a snapshot costs, beside LeakSanitizer and memcheck on the same heap:
#   tests/bench/snapshot.sh [BLOCKS]      default 1000000; WH_BUILD names the build, MEMCHECK=0 leaves it out
# Prints the pause with its parts against a plain fork, the scan in GB/s and edges/s, bytes of trace a
# block, and the seconds that the others need for their check.
set -euo pipefail
WH_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WH_BUILD=${WH_BUILD:-$WH_SOURCE/build}
blocks=${1:-1000000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -O2 -g -o "$work/heap" "$WH_SOURCE/tests/bench/heap.c"

seconds() { # COMMAND...: wall seconds
    local begin end
    begin=$(date +%s.%N)
    "$@" >/dev/null 2>&1 || true
    end=$(date +%s.%N)
    echo "$end $begin" | awk '{ printf "%.2f", $1 - $2 }'
}

"$WH_BUILD/bin/whoholds" record -o "$work/trace.db" -- "$work/heap" "$blocks" | tee "$work/out"
fork_ns=$(awk '/plain_fork_ns/ { print $4 }' "$work/out")
sqlite3 "$work/trace.db" "SELECT 'pause ms', round(pause_ns / 1e6, 1), 'of that stop', round(stop_ns / 1e6, 1),
    'fork', round(fork_ns / 1e6, 1), 'plain fork', round($fork_ns / 1e6, 1),
    'ratio', round(pause_ns * 1.0 / (stop_ns + $fork_ns), 2) FROM snapshot;
  SELECT 'scan s', round(scan_ns / 1e9, 2), 'GB/s', round(image_bytes * 1.0 / scan_ns, 2), 'M edges/s',
    round((SELECT sum(count) FROM snapshot_chunk WHERE part = 2) * 1e3 / scan_ns, 1),
    'M blocks/s', round(live_objects * 1e3 / scan_ns, 1) FROM snapshot;
  SELECT 'stored bytes a block', round((SELECT sum(length(data)) FROM snapshot_chunk) * 1.0 / live_objects, 1)
    FROM snapshot" | tr '|' ' '
if gcc -O2 -g -fsanitize=leak -o "$work/heap_lsan" "$WH_SOURCE/tests/bench/heap.c" 2>/dev/null; then
    "$work/heap_lsan" "$blocks" 2>/dev/null | awk '/lsan_ns/ { printf "LeakSanitizer, mark only s %.2f\n", $2 / 1e9 }'
fi
if [ "${MEMCHECK:-1}" = 1 ] && command -v valgrind >/dev/null; then
    without=$(seconds valgrind --leak-check=no "$work/heap" "$blocks")
    with=$(seconds valgrind --leak-check=full "$work/heap" "$blocks")
    echo "$with $without" | awk '{ printf "memcheck, leak check s %.2f\n", $1 - $2 }'
fi
