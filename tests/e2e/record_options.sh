#!/usr/bin/env bash
# Drops are counted one by one; folded sums are exact for every --materialize; snapshots are taken when
# the plan says; descendants that run on are announced once.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

value() { q "$TMP/t.db" "SELECT value FROM trace WHERE key = '$1'"; }
sums() { # Σ site, Σ allocation + folded of the whole trace
    q "$TMP/t.db" "SELECT sum(alloc_objects), sum(alloc_space) FROM site"
    q "$TMP/t.db" "SELECT (SELECT count(*) FROM allocation WHERE NOT is_inherited) + (SELECT ifnull(sum(objects), 0) FROM folded),
        (SELECT ifnull(sum(size_bytes), 0) FROM allocation WHERE NOT is_inherited) + (SELECT ifnull(sum(bytes), 0) FROM folded)"
}
lifetimes() { # OPTIONS COUNT: rows there must be all of, or fewer; sums are exact
    local made
    read -ra words <<<"$1"
    made=$(timeout 240 "$WHOHOLDS" record -q --force "${words[@]}" --snapshot none -o "$TMP/t.db" -- "$PROGRAMS/t_count" "$2")
    conserve "$TMP/t.db"
    check_eq 1 "$(sums | uniq | wc -l)" "sums by site and by lifetime, $1"
    check_eq "$made" "$(q "$TMP/t.db" "SELECT sum(alloc_objects) || ' ' || sum(alloc_space) FROM site
        WHERE stack_id IN (SELECT stack_id FROM stack_frame WHERE function = 'count_make')")" "blocks and bytes, $1"
}
lifetimes "--materialize none" 50000
check_eq end "$(value allocation_rows)" "rows with none"
check_ge 1 "$(q "$TMP/t.db" "SELECT sum(peak_objects) FROM folded")" "blocks of the peak that are in sums, none"
lifetimes "--materialize all" 50000
check_eq all "$(value allocation_rows)" "rows with all"
lifetimes "--materialize auto" 50000
check_eq all "$(value allocation_rows)" "rows with auto, few"
lifetimes "--materialize auto" 2100000
check_eq live "$(value allocation_rows)" "rows with auto, over two million"
check_eq "0|0" "$(q "$TMP/t.db" "SELECT sum(peak_objects), sum(peak_bytes) FROM folded")" "blocks of the peak that are in sums, auto"
check_eq "$(q "$TMP/t.db" "SELECT sum(peak_objects), sum(peak_space) FROM site")" \
    "$(q "$TMP/t.db" "SELECT count(*), sum(size_bytes) FROM allocation a JOIN process p ON p.id = a.process_id
        WHERE alloc_ns <= peak_ns AND (free_ns > peak_ns OR free_ns IS NULL)")" "blocks of the peak that have rows"
check_ge 100 "$(q "$TMP/t.db" "SELECT count(*) FROM allocation")" "rows of live blocks and those of the peak"

# The smallest shared memory there is, and a program that only allocates: events + lost = its own count.
timeout 240 "$WHOHOLDS" record -q --force -o "$TMP/w.db" --snapshot none -- "$PROGRAMS/t_count" 2000000 >/dev/null
timeout 240 "$WHOHOLDS" record -q --force -o "$TMP/t.db" --snapshot none --overflow drop --memory 1M -- "$PROGRAMS/t_count" 2000000 >/dev/null
all=$(q "$TMP/w.db" "SELECT events FROM process WHERE lost_events = 0")
check_ge 3999900 "$all" "events when nothing is lost"
check_eq "$all" "$(q "$TMP/t.db" "SELECT events + lost_events FROM process")" "events and lost events"
lost=$(value lost_events)
check_eq "$lost" "$(q "$TMP/t.db" "SELECT lost_events FROM process")" "lost events of trace and process"
timeout 60 "$WHOHOLDS" report --format json "$TMP/t.db" | matches "\"lost_events\": $lost," || fail "the report does not say $lost lost"

# Snapshots by the plan; the blocks of the last growth are the peak.
plan() { # PLAN: reasons of the first process, sorted, one each
    # shellcheck disable=SC2016 # expanded by the recorded shell
    timeout 120 "$WHOHOLDS" record -q --force --snapshot "$1" -o "$TMP/t.db" -- bash -c 'x=$(printf "%3000000s" 1); sleep 2.6; x=$x$x; sleep 0.1'
    q "$TMP/t.db" "SELECT group_concat(reason) FROM (SELECT DISTINCT reason FROM snapshot ORDER BY reason)"
}
check_eq "" "$(plan none)" "reasons with none"
check_eq exit "$(plan exit)" "reasons with exit"
check_eq peak "$(plan peak)" "reasons with peak"
check_eq exit,interval "$(plan exit,every:1s)" "reasons with exit,every:1s"

# Descendants run on: one line, at once, the command's status; complete when the last has ended.
status=0
# shellcheck disable=SC2016 # expanded by the recorded shell
timeout 60 "$WHOHOLDS" record --force -o "$TMP/t.db" -- bash -c '(until [ -e "$1" ] || [ ! -e "$2" ]; do sleep 0.05; done; y=$(printf "%999s"); exit 0) >/dev/null 2>&1 & exit 5' bash "$TMP/go" "$TMP" 2>"$TMP/err" || status=$?
check_eq 5 "$status" "status while descendants run"
check_eq 1 "$(wc -l <"$TMP/err")" "lines while descendants run"
grep -q 'still run' "$TMP/err" || fail "the line: $(cat "$TMP/err")"
check_eq 0 "$(value complete)" "complete while descendants run"
touch "$TMP/go"
complete() { [ "$(value complete)" = 1 ]; }
wait_for 30 complete || fail "the trace was not completed"
conserve "$TMP/t.db"
check_eq 0 "$(q "$TMP/t.db" "SELECT count(*) FROM process WHERE end_ns IS NULL")" "processes without an end"
