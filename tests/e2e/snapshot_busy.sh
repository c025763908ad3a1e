#!/usr/bin/env bash
# A recorder that does not answer for a while, as one that is writing a snapshot of millions of blocks, is
# waited for: the snapshot at exit is in the trace.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pgrep

mkfifo "$TMP/go"
# shellcheck disable=SC2016 # the target's variable
"$WHOHOLDS" record -q --force -o "$TMP/t.db" -- bash -c 'echo $$ >"$1/started"; read -r x <"$1/go"; exit 3' bash "$TMP" &
launcher=$!
started+=("$launcher")
wait_for 30 test -s "$TMP/started" || fail "the program did not start"
started+=("$(cat "$TMP/started")")
recorder=$(pgrep -P "$launcher" -f "recorder --session") || fail "no recorder"
started+=("$recorder")
kill -STOP "$recorder"
echo >"$TMP/go"
sleep 8
kill -CONT "$recorder"
status=0
wait "$launcher" || status=$?
check_eq 3 "$status" "the program's status"
check_eq 1 "$(q "$TMP/t.db" "SELECT count(*) FROM snapshot JOIN process p ON p.id = process_id
    WHERE reason = 'exit' AND p.pid = $(cat "$TMP/started")")" "snapshots at exit"
