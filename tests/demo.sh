#!/usr/bin/env bash
# What `./dev demo` shows, on recordings made now: two leaks of one service whose creator profiles are the
# same, stack and all, and whose holders are not; and what to do about each.
set -euo pipefail
WH_SOURCE=${WH_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
WH_BUILD=${WH_BUILD:-$WH_SOURCE/build}
WHOHOLDS=$WH_BUILD/bin/whoholds
SIMULATOR=$WH_BUILD/bin/whoholds-sim
OUT=$WH_BUILD/demo
PAIR="barrier-request oversized-request"
mkdir -p "$OUT"

title() { printf '\n=== %s\n' "$*"; }
say() { printf '%s\n' "$@"; }
show() { # the command as a user would type it
    printf '\n$ %s\n' "${*//"$WH_BUILD/bin/"/}" | sed "s|$OUT/||g"
}
run() {
    show "$@"
    "$@"
}
stack_of() { # TRACE: the creator stack of most live bytes, from the function that profiles name
    "$WHOHOLDS" sql -f csv "$1" "SELECT group_concat(function, ' < ') FROM (SELECT function FROM stack_frame
        WHERE stack_id = (SELECT stack_id FROM site ORDER BY inuse_space DESC LIMIT 1)
        AND function NOT LIKE 'runtime%' AND function NOT GLOB '_*' ORDER BY depth LIMIT 9)" | sed -n 2p
}

title "Two programs whose memory is high long after the work is done"
for scenario in $PAIR; do
    show "$WHOHOLDS" record -o "$OUT/$scenario.db" -- "$SIMULATOR" run "$scenario"
    "$WHOHOLDS" record -q --force -o "$OUT/$scenario.db" -- "$SIMULATOR" run "$scenario" >"$OUT/$scenario.txt"
    sed -n '/^phase/,/^$/p' "$OUT/$scenario.txt" | sed '$d' # what is alive after each phase
done

title "A creator profile, as pprof's: one answer for both"
for scenario in $PAIR; do
    run "$WHOHOLDS" top --by creator --metric inuse_space --limit 1 "$OUT/$scenario.db"
done
first=$(stack_of "$OUT/barrier-request.db")
if [ "$first" = "$(stack_of "$OUT/oversized-request.db")" ]; then
    say "" "The stacks are the same, too:" "$first" | fold -s -w 100
fi

title "whoholds: two holders. Slots of the poller that nobody clears, and a pool"
for scenario in $PAIR; do
    run "$WHOHOLDS" gap --limit 1 "$OUT/$scenario.db"
done

title "And what to do"
for scenario in $PAIR; do
    run "$WHOHOLDS" check "$OUT/$scenario.db" || true # status 1 = there are findings
done
say "" "The traces are in $OUT: ask them more with whoholds or sqlite3."
