#!/usr/bin/env bash
# A snapshot from outside neither needs nor disturbs what the program is in the middle of: a blocked read, the
# loader's lock, malloc's lock, waiting for a vfork child.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mkfifo "$TMP/in"
while read -r how times mode; do
    rm -f "$TMP/out"
    timeout 100 "$WHOHOLDS" record -q --force --snapshot=none -o "$TMP/t.db" -- \
        "$PROGRAMS/t_locked" "$how" "$PROGRAMS/libslow_start.so" >"$TMP/out" <"$TMP/in" &
    launcher=$!
    started+=("$launcher")
    exec 7>"$TMP/in"
    wait_for 60 test -s "$TMP/out" || fail "$how did not start"
    pid=$(head -1 "$TMP/out")
    for ((i = 0; i < times; i++)); do
        timeout 60 "$WHOHOLDS" snapshot --label "$how" "$pid" || fail "no snapshot $i of $how"
    done
    exec 7>&-
    status=0
    wait "$launcher" || status=$?
    check_eq "3 end" "$status $(tail -1 "$TMP/out")" "the end of $how"
    check_eq "$how|$mode|$times" "$(q "$TMP/t.db" "SELECT label, mode, count(*) FROM snapshot GROUP BY label, mode")" "snapshots of $how"
    check_eq "$((times * 1000))" "$(q "$TMP/t.db" "SELECT count(*) FROM held h JOIN root r ON r.id = h.root_id WHERE r.name LIKE 'held%'")" "what is held in $how"
    conserve "$TMP/t.db"
done <<'WAYS'
read 2 fork
idle 2 fork
loader 2 fork
malloc 2 fork
vfork 1 stop
WAYS
