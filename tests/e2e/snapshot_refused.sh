#!/usr/bin/env bash
# A process that the recorder may not stop still has its snapshots at exit, by the API and before a signal
# ends it: it copies itself, and the row says so. A snapshot asked for from outside is refused in words.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

as=()
if [ "$(id -u)" = 0 ]; then # root may look at everything
    need setpriv
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chmod 777 "$TMP"
    cp "$PROGRAMS/t_untouchable" "$TMP/program"
    mkdir "$TMP/bin" "$TMP/lib"
    cp "$WHOHOLDS" "$TMP/bin/" && cp "$LIBRARY" "$TMP/lib/"
    WHOHOLDS=$TMP/bin/whoholds
    program=$TMP/program
else
    program=$PROGRAMS/t_untouchable
fi

record_as() { # TRACE COMMAND...
    local trace=$1
    shift
    timeout 100 "${as[@]}" "$WHOHOLDS" record -q --force -o "$trace" -- "$@"
}

while read -r how end status mode rows; do
    actual=0
    record_as "$TMP/t.db" "$program" "$how" "$end" >"$TMP/out" 2>"$TMP/err" </dev/null || actual=$?
    check_eq "$status" "$actual" "status of $how $end: $(cat "$TMP/err")"
    check_eq "$rows" "$(q "$TMP/t.db" "SELECT group_concat(reason || '/' || ifnull(label, '-')) FROM snapshot WHERE mode = '$mode'")" \
        "snapshots of $how $end: $(q "$TMP/t.db" "SELECT reason, mode FROM snapshot"; q "$TMP/t.db" "SELECT * FROM note WHERE kind = 'snapshot'")"
    id=$(q "$TMP/t.db" "SELECT min(id) FROM snapshot WHERE mode = '$mode'")
    check_eq "held|1002" "$(q "$TMP/t.db" "SELECT state, count(*) FROM held h JOIN allocation a ON a.id = h.allocation_id
        WHERE snapshot_id = $id AND size_bytes IN (100, 555, 777) GROUP BY state")" "what is held in $how $end"
    [ "$mode" != cooperative ] || check_eq 1 "$(q "$TMP/t.db" "SELECT caveats LIKE '%copied itself%' FROM snapshot WHERE id = $id")" "caveat"
    [ "$mode" != cooperative ] || "$WHOHOLDS" leaks --snapshot "$id" "$TMP/t.db" | matches 'Caveats: .*copied itself' ||
        fail "leaks does not say what the snapshot could not show: $("$WHOHOLDS" leaks --snapshot "$id" "$TMP/t.db" | head -3)"
    [ "$end" != api ] || check_eq "children -1 1" "$(cat "$TMP/out")" "children after the copy of $how"
    conserve "$TMP/t.db"
done <<'WAYS'
undumpable api 3 cooperative api/mine,exit/exit
undumpable term 143 cooperative signal/SIGTERM
traced api 3 cooperative api/mine,exit/exit
traced term 143 cooperative signal/SIGTERM
filtered api 3 cooperative api/mine,exit/exit
filtered term 143 cooperative signal/SIGTERM
seccomp api 3 stop api/mine,exit/exit
seccomp term 143 stop signal/SIGTERM
WAYS

# No copy outlives its snapshot, whatever is refused to it.
nobody_left() {
    ! pgrep -f "^$program " >"$TMP/left"
}
wait_for 10 nobody_left || fail "left behind: $(ps -o pid,stat,args -p "$(paste -sd, "$TMP/left")")"

# From outside: one sentence, and the program does not notice.
mkfifo "$TMP/in"
record_as "$TMP/t.db" "$program" undumpable wait >"$TMP/out" 2>"$TMP/err" <"$TMP/in" &
launcher=$!
started+=("$launcher")
exec 7>"$TMP/in"
wait_for 60 test -s "$TMP/out" || fail "the program did not start: $(cat "$TMP/err")"
status=0
timeout 60 "$WHOHOLDS" snapshot "$(cat "$TMP/out")" 2>"$TMP/refused" || status=$?
exec 7>&-
status_of=0
wait "$launcher" || status_of=$?
check_eq 3 "$status_of" "status of the program"
[ "$(id -u)" != 0 ] || [ "$status" != 0 ] || fail "the refused snapshot was no error"
check_eq 1 "$(wc -l <"$TMP/refused")" "lines that refuse: $(cat "$TMP/refused")"
grep -q "cannot" "$TMP/refused" || fail "no reason: $(cat "$TMP/refused")"
