#!/usr/bin/env bash
# A recorder that is stopped, as by a debugger: with --overflow=drop the program runs on and every event
# that found no room is counted; with wait it waits, and nothing is lost.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# run POLICY STOP-SECONDS: records t_hostile waits, its recorder stopped while it works -> events, lost
run() {
    local pid recorder
    rm -f "$TMP/in" "$TMP/out"
    mkfifo "$TMP/in"
    "$WHOHOLDS" record -q --force --memory=4M --snapshot=none --overflow="$1" -o "$TMP/t.db" -- "$PROGRAMS/t_hostile" waits \
        <"$TMP/in" >"$TMP/out" 2>"$TMP/err" &
    pid=$!
    started+=("$pid")
    exec 5>"$TMP/in"
    wait_for 30 test -s "$TMP/out" || fail "the program did not start"
    recorder=$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'recorder_pid'")
    [ "$2" = 0 ] || kill -STOP "$recorder"
    echo go >&5
    if [ "$1" = drop ]; then
        wait_for 60 grep -q 'done' "$TMP/out" || fail "the program does not run on"
    else
        sleep "$2"
        [ "$2" = 0 ] || check_eq "" "$(grep 'done' "$TMP/out" || true)" "the program has not waited"
    fi
    [ "$2" = 0 ] || kill -CONT "$recorder"
    exec 5>&-
    wait "$pid" || fail "status $? of a program with --overflow=$1"
    check_eq "" "$(cat "$TMP/err")" "errors with --overflow=$1"
    conserve "$TMP/t.db"
    events=$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'events'")
    lost=$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'lost_events'")
    echo "--overflow=$1, stopped for $2 s: $events events, $lost lost"
}
run wait 0
check_eq 0 "$lost" "lost events of an undisturbed recording"
all=$events
run wait 2
check_eq "$all 0" "$events $lost" "events after waiting"
run drop 1
check_ge 1 "$lost" "events dropped"
check_eq "$all" $((events + lost)) "events recorded and dropped"
