#!/usr/bin/env bash
# Threads have rows with their names, blocks freed by another thread are paired, and a thousand short
# threads lose nothing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

sums() { # TRACE: "objects blocks bytes bytes" as t_threads prints them
    q "$1" "SELECT format('%d blocks %d bytes', count(*), sum(size_bytes)) FROM allocation
        WHERE stack_id IN (SELECT stack_id FROM stack_frame WHERE function = 'worker_make')"
}
for arguments in "2 5000" "64 300" "1000 20 short"; do
    read -ra words <<<"$arguments"
    record "$TMP/t.db" "$PROGRAMS/t_threads" "${words[@]}" >"$TMP/out"
    check_eq "$(cat "$TMP/out")" "$(sums "$TMP/t.db")" "blocks of t_threads $arguments"
    conserve "$TMP/t.db"
    check_eq "${words[0]}" "$(q "$TMP/t.db" "SELECT count(*) FROM thread WHERE name LIKE 'worker-%'")" "named threads"
    check_eq "${words[0]}" "$(q "$TMP/t.db" "SELECT count(*) FROM thread WHERE name LIKE 'worker-%' AND end_ns IS NOT NULL")" \
        "threads whose end was seen"
    check_eq 0 "$(q "$TMP/t.db" "SELECT count(*) FROM allocation WHERE free_ns IS NULL
        AND stack_id IN (SELECT stack_id FROM stack_frame WHERE function = 'worker_make')")" "blocks left over"
done
record "$TMP/t.db" "$PROGRAMS/t_threads" 4 2000 >"$TMP/out"
check_ge 4000 "$(q "$TMP/t.db" "SELECT count(*) FROM allocation WHERE free_thread_id <> thread_id")" "blocks freed by another thread"
