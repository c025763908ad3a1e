#!/usr/bin/env bash
# gcc compiling a generated file: the driver's children are in the trace, cc1's work among them, and
# the object file is the same to the byte.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need gcc cmp

bash "$WH_SOURCE/tests/bench/gen_cc1.sh" 60 >"$TMP/work.c"
gcc -O2 -c "$TMP/work.c" -o "$TMP/bare.o"
record "$TMP/t.db" gcc -O2 -c "$TMP/work.c" -o "$TMP/recorded.o"
cmp "$TMP/bare.o" "$TMP/recorded.o" || fail "the compiler made something else"
conserve "$TMP/t.db"
check_eq 1 "$(q "$TMP/t.db" "SELECT count(*) FROM process WHERE exe LIKE '%/cc1'")" "cc1 in the trace"
check_eq 1 "$(q "$TMP/t.db" "SELECT count(*) FROM process WHERE exe LIKE '%/as' OR exe LIKE '%-as'")" "the assembler in the trace"
check_ge 100000 "$(q "$TMP/t.db" "SELECT events FROM process WHERE exe LIKE '%/cc1'")" "events of cc1"
check_eq 0 "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'lost_events'")" "lost events"
