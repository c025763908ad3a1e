#!/usr/bin/env bash
# What is hard on a tracer, one case after another (programs/t_hostile.c): the program prints and ends as
# it does alone, in both forms of recording, and the trace has exactly the blocks it made.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
hostile=$PROGRAMS/t_hostile
blocks() { # TRACE: blocks of each process in order, as "20 25"
    q "$1" "SELECT group_concat(n, ' ') FROM (SELECT (SELECT sum(alloc_objects) FROM site s WHERE s.process_id = p.id
        AND s.stack_id IN (SELECT stack_id FROM stack_frame WHERE function = 'hostile_make')) AS n
        FROM process p ORDER BY p.id) WHERE n"
}
complete() { [ "$(q "$1" "SELECT value FROM trace WHERE key = 'complete'")" = 1 ]; }

while read -r name expected; do
    same "$TMP/$name.db" "$hostile" "$name"
    check_eq "$expected" "$(blocks "$TMP/$name.db")" "blocks of each process of $name"
    check_eq 0 "$(q "$TMP/$name.db" "SELECT value FROM trace WHERE key = 'lost_events'")" "lost events of $name"
    bare=0
    LD_PRELOAD=$LIBRARY WHOHOLDS_OUTPUT=$TMP/bare.$name.db "$hostile" "$name" >"$TMP/out" 2>"$TMP/err" </dev/null || bare=$?
    cmp -s "$TMP/recorded.out" "$TMP/out" || fail "$name by preload alone: $(diff "$TMP/recorded.out" "$TMP/out")"
    check_eq "" "$(cat "$TMP/err")" "errors of $name by preload alone"
    wait_for 30 complete "$TMP/bare.$name.db" || fail "$name by preload alone: the trace was not completed"
    check_eq "$expected" "$(blocks "$TMP/bare.$name.db")" "blocks of each process of $name by preload alone"
    echo "$name: $expected"
done <<'CASES'
raw_clone 20 25
vfork 10
fork_threads 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10 10
undisturbed 2010
strided 10
no_descriptors 20000 10
cancelled 10
seccomp_filter 1000000
CASES
# A sandbox without system calls and clock: nothing can be recorded in it, and that is said.
same "$TMP/t.db" "$hostile" seccomp_strict
check_eq 1 "$(q "$TMP/t.db" "SELECT count(*) FROM process WHERE disabled LIKE '%clock'")" "why the strict sandbox is not recorded"

check_eq 1 "$(q "$TMP/raw_clone.db" "SELECT count(*) FROM note WHERE kind = 'fork_unseen' AND process_id = 2")" "notes of a fork past the C library"

# No address space for the session: it runs, and is counted.
# shellcheck disable=SC2016 # expanded by the recorded shell
same "$TMP/t.db" sh -c 'ulimit -v 300000; exec "$0" strided' "$hostile"
check_eq 1 "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'lost_processes'")" "images without room for the session"

# Given up privileges: the process and its forked child are recorded; what they execute cannot be, and
# that is said.
if [ "$(id -u)" = 0 ]; then
    chmod 755 "$TMP"
    same "$TMP/t.db" "$hostile" drop_rights
    check_eq "20000 10" "$(blocks "$TMP/t.db")" "blocks of each process of drop_rights"
    check_eq 1 "$(q "$TMP/t.db" "SELECT count(*) FROM note WHERE text LIKE '/bin/true: its user%'")" "notes of an image that may not open the session"
    # Nor, where the library lies in somebody's own folder, may it be asked to load that: the loader complains.
    mkdir -m 700 "$TMP/own"
    cp -r "$WH_BUILD/bin" "$WH_BUILD/lib" "$TMP/own"
    WHOHOLDS=$TMP/own/bin/whoholds same "$TMP/t.db" "$hostile" drop_rights
    for preload in "$TMP/own/lib/libwhoholds.so" "libm.so.6:$TMP/own/lib/libwhoholds.so libdl.so.2"; do
        LD_PRELOAD=$preload WHOHOLDS_OUTPUT=$TMP/own.db WHOHOLDS_OPTIONS=--force "$hostile" drop_rights >"$TMP/out" 2>"$TMP/err"
        check_eq "" "$(cat "$TMP/err")" "errors of a program whose user may not read the library"
        wait_for 30 complete "$TMP/own.db" || fail "the trace was not completed"
    done
fi

# Snapshots while it runs disturb no thread either.
timeout 60 "$WHOHOLDS" record -q --force --snapshot=every:50ms -o "$TMP/t.db" -- "$hostile" undisturbed >"$TMP/out" 2>"$TMP/err"
check_eq "signals 0, interrupted 0, children none" "$(cat "$TMP/out")" "what a program sees of snapshots: $(cat "$TMP/err")"
check_ge 3 "$(q "$TMP/t.db" "SELECT count(*) FROM snapshot WHERE reason = 'interval'")" "snapshots taken meanwhile"

# A signal handler allocates in the middle of anything, with an allocator that can bear it.
LD_PRELOAD=$PROGRAMS/libbump.so record "$TMP/t.db" "$hostile" handler >"$TMP/out"
conserve "$TMP/t.db"
check_eq "$(cat "$TMP/out")" "blocks $(blocks "$TMP/t.db")" "blocks made by a handler and what it interrupted"
