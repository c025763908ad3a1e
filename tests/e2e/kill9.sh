#!/usr/bin/env bash
# SIGKILL at a random moment loses no event that had been committed: the trace has as many blocks as
# malloc had returned, or the one more that was on its way. WH_KILLS rounds (20); WH_SEED repeats them.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

RANDOM=${WH_SEED:=$((RANDOM * 32768 + RANDOM))}
echo "seed $WH_SEED"
for round in $(seq "${WH_KILLS:-20}"); do
    rm -f "$TMP/count"
    # shellcheck disable=SC2016 # expanded by the recorded shell
    "$WHOHOLDS" record -q --force -o "$TMP/t.db" -- bash -c 'echo $$ >"$1.pid" && exec "$2" "$1"' bash "$TMP/count" "$PROGRAMS/t_kill" &
    recorder=$!
    started+=("$recorder")
    wait_for 30 test -s "$TMP/count" || fail "round $round: the program did not start"
    sleep "0.0$((RANDOM % 90 + 10))"
    kill -9 "$(cat "$TMP/count.pid")"
    status=0
    wait "$recorder" || status=$?
    check_eq 137 "$status" "round $round: status"
    made=$(made "$TMP/t.db" kill_make | cut -d'|' -f1)
    counted=$(od -An -td8 -N8 "$TMP/count" | tr -d ' ')
    if [ "$made" -lt "$counted" ] || [ "$made" -gt $((counted + 1)) ]; then
        fail "round $round: malloc had returned $counted times, the trace has $made"
    fi
    check_eq ok "$(q "$TMP/t.db" "PRAGMA integrity_check")" "round $round: the file"
    check_eq "9|0" "$(q "$TMP/t.db" "SELECT term_signal, lost_events FROM process ORDER BY id DESC LIMIT 1")" "round $round: signal, lost"
    conserve "$TMP/t.db"
done
