#!/usr/bin/env bash
# A signal whose default action ends the program leaves a last snapshot, in which what globals and the
# interrupted stack hold is held; the program sees nothing of it: same dispositions, same output, same end.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

while read -r mode snapshot; do
    same "$TMP/t.db" "$PROGRAMS/t_last_signal" "$mode"
    check_eq "$snapshot" "$(q "$TMP/t.db" "SELECT ifnull(group_concat(reason || ' ' || label), '-') FROM snapshot WHERE process_id = 1")" \
        "snapshots of $mode"
    [ "${snapshot%% *}" = signal ] || continue
    check_eq "global|1000 stack|1" "$(q "$TMP/t.db" "SELECT r.kind, count(*) FROM held h JOIN allocation a ON a.id = h.allocation_id
        JOIN root r ON r.id = h.root_id WHERE a.size_bytes = 777 OR (a.size_bytes = 100 AND r.name LIKE 'held%') GROUP BY r.kind ORDER BY r.kind" | paste -sd' ')" \
        "holders at the end of $mode"
done <<'MODES'
query exit exit
handler exit exit
ignored exit exit
term signal SIGTERM
int signal SIGINT
abort signal SIGABRT
segv signal SIGSEGV
segv_altstack signal SIGSEGV
bus signal SIGBUS
fpe signal SIGFPE
ill signal SIGILL
suspended signal SIGTERM
reset signal SIGTERM
wait exit exit
child exit exit
overflow -
overflow_altstack signal SIGSEGV
MODES

# Inherited SIG_IGN stays, what an exec gets is the default, python's own handler works.
same "$TMP/t.db" bash -c "trap '' TERM; '$PROGRAMS/t_last_signal' term; echo \$?"
# shellcheck disable=SC2016 # the inner shells' own
same "$TMP/t.db" bash -c 'timeout 0.2 sleep 10; echo $?; (kill -INT $BASHPID); echo $?; sh -c "kill -TERM \$\$"; echo $?'
same "$TMP/t.db" "$PYTHON" -c 'import os, signal, sys
print(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")'

# Nothing is installed where no snapshot at the end is wanted.
timeout 60 "$WHOHOLDS" record -q --force --snapshot=none -o "$TMP/t.db" -- "$PYTHON" -c '
import re; print(re.search("SigCgt:\\s*(.*)", open("/proc/self/status").read()).group(1))' >"$TMP/none"
"$PYTHON" -c 'import re; print(re.search("SigCgt:\\s*(.*)", open("/proc/self/status").read()).group(1))' >"$TMP/bare"
check_eq "$(cat "$TMP/bare")" "$(cat "$TMP/none")" "handlers with --snapshot=none"
