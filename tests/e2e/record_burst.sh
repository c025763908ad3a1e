#!/usr/bin/env bash
# A program far ahead of its recorder, with next to no memory for events that wait: they wait in a file, the program
# goes on, nothing is lost, and the report says so. The file has no name and is gone afterwards.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

stress=$WH_BUILD/tests/bench/stress
burst() { # NAME OPTION... : two threads, nine million events
    timeout 120 "$WHOHOLDS" record -q --force --snapshot=none -o "$TMP/$1.db" "${@:2}" -- "$stress" 2 16 2200000 \
        >/dev/null || fail "$1: the recording failed"
    conserve "$TMP/$1.db"
}
waited() { q "$TMP/$1.db" "SELECT coalesce((SELECT value FROM trace WHERE key = 'waiting_file_bytes'), 0)"; }
events="SELECT sum(events), sum(lost_events), sum(live_objects) FROM process"

burst enough
check_eq 0 "$(waited enough)" "bytes in the file, with enough memory"
burst little --memory 2MiB
# A program that had to wait for room would never have been further ahead than the bound.
check_ge $((1 << 20)) "$(waited little)" "bytes in the file, with 2 MiB of memory"
check_eq "$(q "$TMP/enough.db" "$events")" "$(q "$TMP/little.db" "$events")" "events, lost, live"
check_eq 0 "$(q "$TMP/little.db" "SELECT count(*) FROM trace WHERE key = 'malformed_blocks'")" "damaged blocks"
"$WHOHOLDS" report "$TMP/little.db" >"$TMP/report"
grep -q 'of events waited in a file' "$TMP/report" || fail "the report is silent: $(cat "$TMP/report")"
[ ! -e "$TMP/little.db-waiting" ] || fail "the file is still there"

# Where the file cannot be: the program waits for room as if there were none, and nothing is lost either.
mkdir -p "$TMP/refused.db-waiting/taken"
burst refused --memory 2MiB
check_eq 0 "$(waited refused)" "bytes in a file that cannot be"
check_eq "$(q "$TMP/enough.db" "$events")" "$(q "$TMP/refused.db" "$events")" "events, lost, live without the file"
