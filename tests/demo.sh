#!/usr/bin/env bash
# What `./dev demo` shows: a creator profile's answer next to the holder's, on recordings made now.
# First the smallest program with the problem, then the handbook's pair: two leaks with the same
# creator, so that a profile gives one answer, and two different holders.
set -euo pipefail
WH_SOURCE=${WH_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
WH_BUILD=${WH_BUILD:-$WH_SOURCE/build}
WHOHOLDS=$WH_BUILD/bin/whoholds
SIMULATOR=$WH_BUILD/bin/whoholds-sim
OUT=$WH_BUILD/demo
mkdir -p "$OUT"

title() { printf '\n=== %s\n' "$*"; }
run() { # shows the command as a user would type it, then runs it
    printf '\n$ %s\n' "${*//"$WH_BUILD/bin/"/}" | sed "s|$OUT/||g; s|$WH_BUILD/tests/programs/||g"
    "$@"
}

title "A program that keeps one byte of each request, and with it the whole request"
run "$WHOHOLDS" record -q --force -o "$OUT/leak.db" -- "$WH_BUILD/tests/programs/t_leak" 2000
run "$WHOHOLDS" report --limit 3 "$OUT/leak.db"
run "$WHOHOLDS" gap --limit 3 "$OUT/leak.db"

[ -x "$SIMULATOR" ] || exit 0
for scenario in barrier-request oversized-request; do
    title "The handbook's $scenario"
    run "$WHOHOLDS" record -q --force -o "$OUT/$scenario.db" -- "$SIMULATOR" run "$scenario"
done
title "What a creator profile says: the same of both"
for scenario in barrier-request oversized-request; do
    run "$WHOHOLDS" top --by creator --metric inuse_space --limit 1 "$OUT/$scenario.db"
done
title "What whoholds says: two different holders, and what to do"
for scenario in barrier-request oversized-request; do
    run "$WHOHOLDS" gap --limit 2 "$OUT/$scenario.db"
    run "$WHOHOLDS" check "$OUT/$scenario.db" || true # status 1 = there are findings
done
printf '\nThe traces are in %s: ask them with sqlite3.\n' "$OUT"
