#!/usr/bin/env bash
# kill -9 of the recorder: the target ends as it would have, the file opens, and expand makes of it a
# trace that adds up and says why it is short.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$TMP/program" <<'SCRIPT'
#!/bin/bash
for i in $(seq 300); do x+=$(printf '%100s' "$i"); done
sleep 1.5
for i in $(seq 300); do x+=$(printf '%100s' "$i"); done
echo "started" >"$1/started"
until [ -e "$1/go" ]; do sleep 0.05; done
for i in $(seq 200); do x+=$(printf '%100s' "$i"); done
echo "done ${#x}"
exit 7
SCRIPT
chmod +x "$TMP/program"
"$WHOHOLDS" record -q --force -o "$TMP/t.db" -- "$TMP/program" "$TMP" >"$TMP/out" 2>"$TMP/err" &
launcher=$!
started+=("$launcher")
wait_for 60 test -s "$TMP/started" || fail "the program did not start"
status=0
"$WHOHOLDS" expand -q "$TMP/t.db" 2>"$TMP/refused" || status=$?
check_eq 4 "$status" "status of expand while the recorder writes"
matches "still being recorded by process" <"$TMP/refused" || fail "expand says: $(cat "$TMP/refused")"
kill -9 "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'recorder_pid'")"
touch "$TMP/go"
status=0
wait "$launcher" || status=$?
check_eq 7 "$status" "status of the target"
check_eq "done 80000" "$(cat "$TMP/out")" "work of the target"
check_eq 1 "$(grep -c 'recorder' "$TMP/err")" "lines about the recorder's end"
check_eq ok "$(sqlite3 -batch "$TMP/t.db" "PRAGMA integrity_check")" "the file"
"$WHOHOLDS" expand -q "$TMP/t.db"
conserve "$TMP/t.db"
check_ge 300 "$(q "$TMP/t.db" "SELECT sum(alloc_objects) FROM site")" "blocks up to the kill"
check_eq "the recorder was killed" "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'truncated'")" "why it is short"
"$WHOHOLDS" report "$TMP/t.db" >/dev/null
