#!/usr/bin/env bash
# Lifetimes made later from the raw events are the ones that the recorder made, or would have made: with
# all rows, with folded ones, and after the recorder was killed.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

lifetimes="SELECT * FROM allocation ORDER BY id"
sites="SELECT * FROM site ORDER BY process_id, stack_id"
same_after() { # TRACE SQL BEFORE WHAT
    [ "$(q "$1" "$2")" = "$3" ] || fail "$4 differ"
}

# Everything had its row: expanding changes nothing.
record "$TMP/all.db" "$PROGRAMS/t_tree" "$TMP/log" >/dev/null
rows=$(q "$TMP/all.db" "$lifetimes")
sums=$(q "$TMP/all.db" "$sites")
times=$(q "$TMP/all.db" "SELECT * FROM timeline ORDER BY rowid")
"$WHOHOLDS" expand -q "$TMP/all.db" || fail "expand"
same_after "$TMP/all.db" "$lifetimes" "$rows" "lifetimes"
same_after "$TMP/all.db" "$sites" "$sums" "sites"
same_after "$TMP/all.db" "SELECT * FROM timeline ORDER BY rowid" "$times" "timelines"
conserve "$TMP/all.db"

# The recorder was killed: no totals, no derived tables.
cp "$TMP/all.db" "$TMP/killed.db"
sqlite3 "$TMP/killed.db" "DROP TABLE allocation; DROP TABLE site; DROP TABLE timeline; DROP TABLE folded;
    UPDATE trace SET value = 0 WHERE key IN ('complete', 'events'); UPDATE process SET end_ns = NULL, events = 0,
    live_objects = 0, live_bytes = 0, peak_bytes = 0, peak_ns = NULL, inherited_objects = 0, inherited_bytes = 0"
status=0
"$WHOHOLDS" report "$TMP/killed.db" >/dev/null 2>"$TMP/err" || status=$?
check_eq 3 "$status" "status of a report on an unfinished file"
grep -q "whoholds expand" "$TMP/err" || fail "no way out is named: $(cat "$TMP/err")"
"$WHOHOLDS" expand -q "$TMP/killed.db" || fail "expand of an unfinished file"
same_after "$TMP/killed.db" "$lifetimes" "$rows" "lifetimes after a kill"
same_after "$TMP/killed.db" "$sites" "$sums" "sites after a kill"
conserve "$TMP/killed.db"
"$WHOHOLDS" report "$TMP/killed.db" >"$TMP/out" || fail "report after expand"
grep -q "ended early: the recorder was killed" "$TMP/out" || fail "the report does not say that it ended early"

# Folded: the sums become rows.
timeout 100 "$WHOHOLDS" record -q --materialize=none -o "$TMP/folded.db" -- "$PROGRAMS/t_threads" >/dev/null
check_eq end "$(q "$TMP/folded.db" "SELECT value FROM trace WHERE key = 'allocation_rows'")" "rows before"
conserve "$TMP/folded.db"
check_eq "$(q "$TMP/folded.db" "SELECT sum(peak_objects), sum(peak_space) FROM site")" \
    "$(q "$TMP/folded.db" "SELECT sum(peak_objects), sum(peak_space) FROM size_total")" "the peak by site and by size"
check_ge 1 "$(q "$TMP/folded.db" "SELECT sum(peak_objects) FROM folded")" "blocks of the peak that are in sums"
made=$(q "$TMP/folded.db" "SELECT sum(alloc_objects), sum(alloc_space) FROM site")
"$WHOHOLDS" expand -q "$TMP/folded.db" || fail "expand of a folded file"
check_eq all "$(q "$TMP/folded.db" "SELECT value FROM trace WHERE key = 'allocation_rows'")" "rows after"
check_eq 0 "$(q "$TMP/folded.db" "SELECT count(*) FROM folded")" "folded lifetimes after"
check_eq "$made" "$(q "$TMP/folded.db" "SELECT count(*), sum(size_bytes) FROM allocation WHERE NOT is_inherited")" "lifetimes"
conserve "$TMP/folded.db"
