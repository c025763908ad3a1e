#!/usr/bin/env bash
# `whoholds snapshot PID` puts a labelled snapshot of the running process into its trace.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

"$WHOHOLDS" record -q --force --snapshot=none -o "$TMP/t.db" -- bash -c "echo \$\$ >'$TMP/pid'; until [ -e '$TMP/go' ]; do sleep 0.05; done" &
launcher=$!
started+=("$launcher")
wait_for 60 test -s "$TMP/pid" || fail "the program did not start"
timeout 60 "$WHOHOLDS" snapshot --label middle "$(cat "$TMP/pid")"
status=0
"$WHOHOLDS" snapshot $$ 2>/dev/null || status=$?
check_eq 5 "$status" "status for a process that is not recorded"
"$WHOHOLDS" snapshot "$launcher" 2>"$TMP/err" && fail "a snapshot of the launcher"
grep -q "process $launcher is not recorded; its recording has $(cat "$TMP/pid")" "$TMP/err" || fail "for the launcher: $(cat "$TMP/err")"
touch "$TMP/go"
wait "$launcher"
check_eq "command|middle|1" "$(q "$TMP/t.db" "SELECT reason, label, live_objects > 100 FROM snapshot WHERE process_id = 1")" "the snapshot"
conserve "$TMP/t.db"
