#!/usr/bin/env bash
# While a program runs and nobody waits, the recorder's main thread has the kernel's idle class, where it may take
# the ordinary one back; its watch keeps that. A snapshot is answered all the same, and nothing is lost.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

policies() { # of the recorder's threads, the main one first: 0 = ordinary, 5 = idle
    local task
    for task in /proc/"$1"/task/*/stat; do
        sed 's/.*) //' "$task" 2>/dev/null | cut -d' ' -f39
    done | tr '\n' ' '
}
idles() { [[ $(policies "$recorder") == 5\ * ]]; }

start() { # SNAPSHOT: records a program that never ends, with few live blocks; sets launcher, recorder and program
    rm -f "$TMP/count"
    # shellcheck disable=SC2016 # expanded by the recorded shell
    "$WHOHOLDS" record -q --force --snapshot="$1" -o "$TMP/t.db" -- \
        bash -c 'echo $$ >"$1.pid" && exec "$2" "$1" 1000' bash "$TMP/count" "$PROGRAMS/t_kill" &
    launcher=$!
    started+=("$launcher")
    wait_for 30 test -s "$TMP/count" || fail "the program did not start"
    recorder=$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'recorder_pid'")
    program=$(cat "$TMP/count.pid")
}

start none
# RLIMIT_NICE 20 is nice 0; without it and without privileges there is no way back from the idle class.
if [ "$(id -u)" = 0 ] || [ "$(awk '/^Max nice priority/ { print $4 }' "/proc/$recorder/limits")" -ge 20 ]; then
    wait_for 30 idles || fail "the recorder's threads have the policies $(policies "$recorder")"
    [[ $(policies "$recorder") == *\ 0\ * ]] || fail "the watch has not the ordinary policy: $(policies "$recorder")"
else
    sleep 0.5
    [[ $(policies "$recorder") != *5* ]] || fail "it gave up what it cannot take back: $(policies "$recorder")"
fi
timeout 60 "$WHOHOLDS" snapshot --label meanwhile "$program" || fail "no snapshot of a program that is busy"
kill -9 "$program"
wait "$launcher" || true
check_eq "0|1" "$(q "$TMP/t.db" "SELECT (SELECT sum(lost_events) FROM process),
    (SELECT count(*) FROM snapshot WHERE label = 'meanwhile')")" "lost events, snapshots"
conserve "$TMP/t.db"

# Peaks must be looked for all the time: where they are planned, it stays at the ordinary priority.
start peak
for _ in 1 2 3 4 5 6 7 8; do
    [[ $(policies "$recorder") != *5* ]] || fail "with --snapshot=peak the policies are $(policies "$recorder")"
    sleep 0.1
done
kill -9 "$program"
wait "$launcher" || true
conserve "$TMP/t.db"
