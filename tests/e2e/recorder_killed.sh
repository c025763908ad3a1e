#!/usr/bin/env bash
# kill -9 of the recorder: the target runs on untraced to its own end, and the file opens.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# The program waits for a file, so that the recorder is dead before it goes on allocating.
cat >"$TMP/program" <<'SCRIPT'
#!/bin/bash
for i in $(seq 200); do x+=$(printf '%100s' "$i"); done
echo $$ >"$1/started"
until [ -e "$1/go" ]; do sleep 0.05; done
for i in $(seq 200); do x+=$(printf '%100s' "$i"); done
echo "done ${#x}" >"$1/finished"
SCRIPT
chmod +x "$TMP/program"
"$WHOHOLDS" record -q --force -o "$TMP/t.db" -- "$TMP/program" "$TMP" >"$TMP/out" 2>&1 &
launcher=$!
started+=("$launcher")
wait_for 30 test -s "$TMP/started" || fail "the program did not start"
started+=("$(cat "$TMP/started")")
recorder=$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'recorder_pid'")
grep -q -a recorder "/proc/$recorder/cmdline" || fail "process $recorder is not the recorder"
check_eq whoholds "$(cat "/proc/$recorder/comm")" "name of the recorder, as top shows it"
kill -9 "$recorder"
touch "$TMP/go"
wait_for 60 test -s "$TMP/finished" || fail "the target did not finish after its recorder was killed"
check_eq "done 40000" "$(cat "$TMP/finished")" "work of the target"
status=0
wait "$launcher" || status=$?
check_eq 0 "$status" "status of record is the command's"
grep -q "the recorder was ended from outside" "$TMP/out" || fail "record does not say so: $(cat "$TMP/out")"
# Not read-only: killed within a transaction, it left a journal, and rolling it back is writing.
check_eq ok "$(timeout 60 sqlite3 "$TMP/t.db" "PRAGMA integrity_check")" "the file"
status=0
"$WHOHOLDS" report "$TMP/t.db" >"$TMP/report" 2>&1 || status=$?
[ "$status" -le 5 ] || fail "report on the unfinished file ends with $status"
