#!/usr/bin/env bash
# What a snapshot costs, beside LeakSanitizer and memcheck on the same heap, in one run:
#   ./dev bench snapshot [BLOCKS]      default 1000000; MEMCHECK=0 leaves the slowest part out
# First a recording: the pause and its parts beside a plain fork of the same process. Then the steps from
# the frozen copy to the solved graph, each in seconds of CPU and of wall time and with the most memory it
# takes. On a machine that does other things the wall times say little.
set -euo pipefail
WH_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WH_BUILD=${WH_BUILD:-$WH_SOURCE/build}
blocks=${1:-1000000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -O2 -g -o "$work/heap" "$WH_SOURCE/tests/bench/heap.c"

seconds() { # COMMAND...: CPU seconds of a command
    local TIMEFORMAT='%U %S'
    { time "$@" >/dev/null 2>&1 || true; } 2>&1 | awk '{ printf "%.2f", $1 + $2 }'
}

echo "heap of $blocks blocks; load of the machine: $(cut -d' ' -f1-3 /proc/loadavg)"
echo
"$WH_BUILD/bin/whoholds" record -o "$work/trace.db" -- "$work/heap" "$blocks" >"$work/out"
fork_ns=$(awk '/plain_fork_ns/ { print $4 }' "$work/out")
sqlite3 "$work/trace.db" "SELECT printf('recorded: pause %.1f ms = threads stopped %.1f + drained %.1f + copied %.1f;'
    || ' a plain fork %.1f ms; pause / (stopped + plain fork) %.2f, goal 1.3', pause_ns / 1e6, stop_ns / 1e6,
    (pause_ns - stop_ns - fork_ns) / 1e6, fork_ns / 1e6, $fork_ns / 1e6, pause_ns * 1.0 / (stop_ns + $fork_ns))
    FROM snapshot"
echo
"$WH_BUILD/tests/bench/steps" "$blocks" | tee "$work/steps"
echo
echo "the same heap, checked by                              CPU seconds"
awk '/^all/ { printf "whoholds: graph, dominators, shares, stored      %16.2f\n", $3 + $5 }' "$work/steps"
awk '/^scan *user/ { printf "whoholds: references alone                       %16.2f\n", $3 + $5 }' "$work/steps"
if gcc -O2 -g -fsanitize=leak -o "$work/heap_lsan" "$WH_SOURCE/tests/bench/heap.c" 2>/dev/null; then
    "$work/heap_lsan" "$blocks" 2>/dev/null |
        awk '/lsan_cpu_ns/ { printf "LeakSanitizer: marks, keeps nothing              %16.2f\n", $4 / 1e9 }'
else
    echo "LeakSanitizer: this compiler has none"
fi
if [ "${MEMCHECK:-1}" != 1 ]; then
    echo "memcheck: left out"
elif command -v valgrind >/dev/null; then
    without=$(seconds valgrind --leak-check=no "$work/heap" "$blocks")
    with=$(seconds valgrind --leak-check=full "$work/heap" "$blocks")
    echo "$with $without" | awk '{ printf "memcheck: its leak check alone                   %16.2f\n", $1 - $2 }'
else
    echo "memcheck: valgrind is not installed"
fi
