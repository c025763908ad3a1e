#!/usr/bin/env bash
# What tracing adds to a program's resident memory stays within the promise, 12 MB and 1 MB a thread, also where 390,000
# distinct frames lead to its blocks; and each of its stacks is one stack of the trace.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

depth=17
bare=$("$PROGRAMS/t_paths" $depth)
traced=$("$WHOHOLDS" record -q --snapshot=none -o "$TMP/t.db" -- "$PROGRAMS/t_paths" $depth)
conserve "$TMP/t.db"
check_eq 0 "$(q "$TMP/t.db" "SELECT sum(lost_events) FROM process")" "events lost"
check_eq $((1 << depth)) "$(q "$TMP/t.db" "SELECT count(DISTINCT stack_id) FROM site WHERE alloc_space = 16")" \
    "stacks that made one block of 16 bytes"
check_ge $((3 << depth)) "$(q "$TMP/t.db" "SELECT count(*) FROM stack_node")" "distinct frames"
check_ge $((traced - bare)) $((13 << 10)) "KiB allowed over KiB added"
echo "KiB added to $bare: $((traced - bare))"
