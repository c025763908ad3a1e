#!/usr/bin/env bash
# The table `event` tells the same story as the tables made from it, in `whoholds sql` and in the stock
# shell with the extension: every lifetime's birth, stack included, and every process of a forking tree.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

record "$TMP/t.db" "$PROGRAMS/t_tree" "$TMP/log" >/dev/null
extension=$WH_BUILD/lib/libwhoholds_sqlite
births="SELECT count(*), sum(found) FROM (SELECT EXISTS (SELECT 1 FROM e
    WHERE e.process_id = a.process_id AND e.at_ns = a.alloc_ns AND e.address = a.address
    AND e.size_bytes = a.size_bytes AND coalesce(e.stack_id, 0) = a.stack_id
    AND (e.detail = a.kind OR a.kind = 'mmap')) AS found
    FROM allocation a WHERE NOT a.is_inherited)"
with="WITH e AS MATERIALIZED (SELECT * FROM event WHERE kind IN ('alloc', 'realloc'))"

[ "$(q "$TMP/t.db" "SELECT count(*) > 1 FROM process WHERE parent_id IS NOT NULL AND is_exec = 0")" = 1 ] ||
    fail "the test program did not fork"
IFS=, read -r all found < <("$WHOHOLDS" sql --format=csv "$TMP/t.db" "$with $births" | tail -1)
[ "$all" -gt 0 ] || fail "no allocations"
check_eq "$all" "$found" "births found among the events"
check_eq "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'events'")" \
    "$("$WHOHOLDS" sql --format=csv "$TMP/t.db" "SELECT count(*) FROM event WHERE kind IN ('alloc', 'free', 'realloc')" | tail -1)" \
    "number of events"

shell=$(sqlite3 "$TMP/t.db" ".load $extension" "$with $births" 2>&1) || true
case $shell in
*"undefined symbol: __asan"* | *"not authorized"* | *"unknown command"*) skip "this shell loads no extension: $shell" ;;
esac
check_eq "$all|$all" "$shell" "the same in the stock shell"
