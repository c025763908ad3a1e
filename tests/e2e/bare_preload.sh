#!/usr/bin/env bash
# Without the launcher: LD_PRELOAD and WHOHOLDS_OUTPUT alone give the same trace; the target sees no
# child and no descriptor of ours; a recorder that cannot write leaves one line and the program alone.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

bare() { # OUTPUT COMMAND...
    local output=$1
    shift
    LD_PRELOAD=$LIBRARY WHOHOLDS_OUTPUT=$output "$@"
}
complete() { [ "$(q "$1" "SELECT value FROM trace WHERE key = 'complete'")" = 1 ]; }
one() { # the only trace in $TMP whose name begins with $1, once it is complete -> $trace
    first() { find "$TMP" -maxdepth 1 -name "$1*.db" | sed -n 1p | grep .; }
    wait_for 30 first "$1" || fail "no trace $1*.db"
    check_eq 1 "$(find "$TMP" -maxdepth 1 -name "$1*.db" | wc -l)" "traces named $1*.db"
    trace=$(first "$1")
    wait_for 30 complete "$trace" || fail "trace $trace was not completed"
}

status=0
bare "$TMP/%e.%p.db" "$PROGRAMS/t_exit" return >"$TMP/out" 2>"$TMP/err" || status=$?
check_eq 3 "$status" "status"
check_eq "mode return
handler" "$(cat "$TMP/out")" "output"
check_eq "" "$(cat "$TMP/err")" "errors"
one t_exit.
check_eq "1500|150000" "$(made "$trace" make_blocks)" "blocks"
conserve "$trace"

# A whole tree, one trace.
bare "$TMP/tree.db" "$PROGRAMS/t_tree" "$TMP/log" >"$TMP/out"
one tree
check_eq 7 "$(q "$trace" "SELECT count(DISTINCT pid) FROM process")" "processes of the tree"
conserve "$trace"

# The target has no child and no descriptor that it has not made.
# shellcheck disable=SC2016 # expanded by the traced shell
bare "$TMP/sh.db" /bin/bash -c 'echo /proc/self/fd/* | wc -w; cat /proc/$$/task/*/children; exit 4' >"$TMP/with" 2>&1 || status=$?
/bin/bash -c 'echo /proc/self/fd/* | wc -w; exit 4' >"$TMP/without" 2>&1 || true
check_eq 4 "$status" "status of the shell"
check_eq "$(head -1 "$TMP/without")" "$(head -1 "$TMP/with")" "open descriptors"

# Killed: everything up to there.
bare "$TMP/killed.db" "$PROGRAMS/t_exit" kill >/dev/null 2>&1 || true
one killed
check_eq "1500|150000" "$(made "$trace" make_blocks)" "blocks of the killed program"

# Output that cannot be written: one line, and the program as ever.
status=0
bare "$TMP/no/such/folder/x.db" "$PROGRAMS/t_exit" return >"$TMP/out" 2>"$TMP/err" || status=$?
check_eq 3 "$status" "status without a recorder"
check_eq 1 "$(wc -l <"$TMP/err")" "lines on stderr without a recorder"
grep -q "no/such/folder" "$TMP/err" || fail "why there is no recorder: $(cat "$TMP/err")"

# Options come by WHOHOLDS_OPTIONS, also those that the processes must know; wrong ones and an existing
# file are said in one line.
bare "$TMP/options.db" "$PROGRAMS/t_exit" return >"$TMP/out" 2>"$TMP/err" || true
one options
WHOHOLDS_OPTIONS="--force  --depth=5 --free-stacks --snapshot=none --no-children" bare "$TMP/options.db" "$PROGRAMS/t_tree" "$TMP/log" >"$TMP/out"
sleep 0.2
wait_for 30 complete "$TMP/options.db" || fail "the trace with options was not completed"
check_eq "--depth=5 --overflow=wait --materialize=auto --snapshot=none --mmap-min=65536 --memory=268435456 --free-stacks --no-children --force" \
    "$(q "$TMP/options.db" "SELECT value FROM trace WHERE key = 'options'")" "options in force"
check_eq "1|0" "$(q "$TMP/options.db" "SELECT count(DISTINCT pid), (SELECT count(*) FROM snapshot) FROM process")" "processes and snapshots"
for options in "" "--depth=x" "--nonsense" "--depht=5 --force"; do
    WHOHOLDS_OPTIONS=$options bare "$TMP/options.db" "$PROGRAMS/t_exit" return >"$TMP/out" 2>"$TMP/err" || true
    check_eq 1 "$(wc -l <"$TMP/err")" "lines on stderr with options '$options'"
    grep -qE "exists|depth=x|no option '--nonsense'|'--depht', did you mean '--depth'" "$TMP/err" || fail "what is wrong with options '$options': $(cat "$TMP/err")"
done
