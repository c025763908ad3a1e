#!/usr/bin/env bash
# Whatever the end of a process - return, exit, _exit, quick_exit, abort, a signal - its status is the
# launcher's, every block is in the trace, and the trace says how it ended; and what was live then is in a last
# snapshot, but where nobody could take one (kill, and the C library's own exit after the last pthread_exit).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

while read -r mode status code signal snapshots; do
    actual=0
    record "$TMP/t.db" "$PROGRAMS/t_exit" "$mode" >"$TMP/out" 2>&1 </dev/null || actual=$?
    check_eq "$status" "$actual" "status of $mode"
    conserve "$TMP/t.db"
    check_eq "$code|$signal" "$(q "$TMP/t.db" "SELECT ifnull(exit_code, '-'), ifnull(term_signal, '-') FROM process")" \
        "exit code and signal of $mode"
    check_eq "$snapshots" "$(q "$TMP/t.db" "SELECT ifnull(group_concat(reason), '-') FROM snapshot
        WHERE live_objects >= 1000")" "snapshot of $mode"
    check_eq "1500|150000" "$(made "$TMP/t.db" make_blocks)" "blocks made by $mode"
    check_eq "1000|100000" "$(q "$TMP/t.db" "SELECT count(*), sum(size_bytes) FROM allocation WHERE free_ns IS NULL
        AND stack_id IN (SELECT stack_id FROM stack_frame WHERE function = 'make_blocks')")" "blocks live after $mode"
done <<'MODES'
return 3 3 - exit
exit 4 4 - exit
_exit 5 5 - exit
quick_exit 6 6 - exit
abort 134 - 6 signal
pthread_exit 0 0 - -
detached 8 8 - exit
segv 139 - 11 signal
kill 137 - 9 -
term 143 - 15 signal
term_handler 17 17 - exit
MODES

# Allocations in an atexit handler and in quick_exit's are events like others.
record "$TMP/t.db" "$PROGRAMS/t_exit" return >/dev/null || true
check_eq "1|33" "$(made "$TMP/t.db" at_exit | sed 's/|.*//;s/$/|33/')" "blocks of the exit handler"
