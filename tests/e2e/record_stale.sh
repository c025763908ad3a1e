#!/usr/bin/env bash
# Launcher and recorder both killed: the target ends as it would have, the shared memory's file stays,
# and the next recording removes it - but not the one of a recording that runs.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
[ -w /dev/shm ] || skip "no /dev/shm"

start() { # NAME: a recording of a program that waits for the file NAME.go; its launcher is $launcher
    # shellcheck disable=SC2016 # expanded by the recorded shell
    "$WHOHOLDS" record -q --force -o "$TMP/$1.db" -- bash -c 'echo "$WHOHOLDS_SESSION" >"$1.tmp"; mv "$1.tmp" "$1.session"
        until [ -e "$1.go" ] || [ ! -e "$1.session" ]; do sleep 0.05; done; echo done >"$1.done"; exit 3' bash "$TMP/$1" &
    launcher=$!
    started+=("$launcher")
    wait_for 30 test -s "$TMP/$1.session" || fail "$1 did not start"
}
start alive
alive=$launcher
start dead
kill -9 "$launcher"
recorder=$(q "$TMP/dead.db" "SELECT value FROM trace WHERE key = 'recorder_pid'")
kill -9 "$recorder"
gone() { [ ! -e "/proc/$recorder" ] || grep -q ' Z ' "/proc/$recorder/stat"; }
wait_for 10 gone || fail "the recorder is still there"
wait "$launcher" 2>/dev/null || true
reaped() { ! kill -0 "$recorder"; }
wait_for 10 reaped || skip "nobody reaps the recorder here"
file=$(cat "$TMP/dead.session")
[ -e "$file" ] || echo "another recording on this machine removed it meanwhile, as it should"
record "$TMP/next.db" true
[ ! -e "$file" ] || fail "the dead recorder's file is still there"
[ -e "$(cat "$TMP/alive.session")" ] || fail "the file of a running recording was removed"
touch "$TMP/dead.go" "$TMP/alive.go"
wait_for 30 test -s "$TMP/dead.done" || fail "the target did not come to its end"
status=0
wait "$alive" || status=$?
check_eq 3 "$status" "status of the other recording"
conserve "$TMP/alive.db"
