#!/usr/bin/env bash
# A program that the recorder is far behind of does not wait at its end until all its events are read: it is
# copied and let go. The snapshot is of that moment all the same, and the threads of the others go on.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need taskset

# One processor for all: the program is faster than the recorder, which takes what it leaves.
timeout 120 taskset -c 0 "$WHOHOLDS" record -q -o "$TMP/t.db" -- "$PROGRAMS/t_count" 1000000 >"$TMP/out"
conserve "$TMP/t.db"
check_eq "exit|fork" "$(q "$TMP/t.db" "SELECT reason, mode FROM snapshot")" "how it was taken: behind, so by a copy"
check_eq "$(q "$TMP/t.db" "SELECT live_objects, live_bytes FROM process")" \
    "$(q "$TMP/t.db" "SELECT live_objects, live_bytes FROM snapshot")" "live blocks and bytes at the end and in the snapshot"
check_eq "$(q "$TMP/t.db" "SELECT live_objects FROM process")" "$(q "$TMP/t.db" "SELECT count(*) FROM held")" "blocks judged"
check_eq "0|0" "$(q "$TMP/t.db" "SELECT lost_bytes, unknown_blocks FROM snapshot")" "lost or unknown"

# While others allocate on: the snapshot's blocks are those of its moment, no later ones.
# How many there are is the machine's affair: the program runs longer until there are two.
taken=0
for rounds in 100000 400000 1600000; do
    timeout 240 taskset -c 0 "$WHOHOLDS" record -q --force --snapshot=every:50ms -o "$TMP/t.db" -- "$PROGRAMS/t_threads" 4 "$rounds" >"$TMP/out"
    conserve "$TMP/t.db"
    taken=$(q "$TMP/t.db" "SELECT count(*) FROM snapshot")
    [ "$taken" -lt 2 ] || break
done
check_ge 2 "$taken" "snapshots while it runs"
check_eq 0 "$(q "$TMP/t.db" "SELECT count(*) FROM held h JOIN snapshot s ON s.id = h.snapshot_id
    JOIN allocation a ON a.id = h.allocation_id WHERE a.alloc_ns > s.at_ns OR a.free_ns < s.at_ns")" "blocks judged that were not live then"

# One that is taken by plan when the program asks for its last is no answer to that.
for round in 1 2 3 4 5; do
    timeout 120 taskset -c 0 "$WHOHOLDS" record -q --force --snapshot=exit,every:5ms -o "$TMP/t.db" -- "$PROGRAMS/t_count" 300000 >"$TMP/out"
    check_eq 1 "$(q "$TMP/t.db" "SELECT count(*) FROM snapshot WHERE reason = 'exit'")" "snapshots at exit, round $round"
done

# Somebody who asks while it ends is told so, and does not wait for a recorder that is far behind.
taskset -c 0 "$WHOHOLDS" record -q --force -o "$TMP/t.db" -- "$PROGRAMS/t_count" 2000000 >"$TMP/out" &
recording=$!
started+=("$recording")
wait_for 30 pgrep -P "$recording" t_count || fail "the program did not start"
program=$(pgrep -P "$recording" t_count)
status=0
while [ "$status" = 0 ]; do
    timeout 15 "$WHOHOLDS" snapshot "$program" >/dev/null 2>"$TMP/why" || status=$?
done
[ "$status" = 4 ] || [ "$status" = 5 ] || fail "status $status of a snapshot of a program that ends: $(cat "$TMP/why")"
matches -E 'has ended|is not recorded|cannot look at process' <"$TMP/why" || fail "it says: $(cat "$TMP/why")"
wait "$recording" || fail "status $? of the recording"

# Nor does anybody wait for the events of another: the next command of a script ends at once, while those of
# the one before are still read for its snapshot. The best of some rounds: the machine may be busy.
best=999999
for _ in 1 2 3 4 5; do
    timeout 120 taskset -c 0 "$WHOHOLDS" record -q --force -o "$TMP/t.db" -- sh -c "'$PROGRAMS/t_count' 4000000; /bin/true; :" >"$TMP/out"
    conserve "$TMP/t.db"
    check_eq "3|3" "$(q "$TMP/t.db" "SELECT count(*), count(live_objects) FROM snapshot WHERE reason = 'exit'")" "snapshots of the script and its commands"
    check_eq "$(q "$TMP/t.db" "SELECT live_objects FROM process WHERE events > 4000000")" \
        "$(q "$TMP/t.db" "SELECT s.live_objects FROM snapshot s JOIN process p ON p.id = s.process_id WHERE p.events > 4000000")" "live blocks of the one behind"
    took=$(q "$TMP/t.db" "SELECT (end_ns - start_ns) / 1000000 FROM process WHERE exe LIKE '%true'")
    [ "$took" -ge "$best" ] || best=$took
    [ "$best" -ge 200 ] || break
done
check_ge -200 "-$best" "milliseconds that true takes right after it, negative"
