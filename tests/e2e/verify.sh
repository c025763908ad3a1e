#!/usr/bin/env bash
# Every stack that the fast walk finds is libunwind's: WHOHOLDS_VERIFY=unwind compares them one by one,
# over ordinary programs and over all that makes a remembered stack wrong - exceptions, longjmp,
# coroutines, signal handlers on their own and on the program's stack, code that is unloaded and
# replaced at its address, alloca and variable-length arrays, stacks cut in their middle.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need gcc "$PYTHON"
export WHOHOLDS_VERIFY=unwind PYTHONMALLOC=malloc

# checked NAME AT_LEAST COMMAND...: its stacks agree; at least so many allocations were looked at.
checked() {
    local name=$1 least=$2 trace=$TMP/$1.db
    shift 2
    record "$trace" "$@" >"$TMP/out" 2>&1 || fail "$name: ended with $?: $(tail -n 3 "$TMP/out")"
    check_ge "$least" "$(q "$trace" "SELECT sum(alloc_objects) FROM site")" "$name: allocations"
    check_eq 0 "$(q "$trace" "SELECT value FROM trace WHERE key = 'lost_events'")" "$name: lost events"
    check_eq 0 "$(q "$trace" "SELECT sum(unwind_mismatches) FROM process")" "$name: stacks unlike libunwind's"
    # what could not be walked to its end is not compared
    q "$trace" "SELECT '$name', sum(events) || ' events', sum(unresolved_stacks) || ' not walked to the end' FROM process"
}

cc1=$(gcc -print-prog-name=cc1)
bash "$WH_SOURCE/tests/bench/gen_cc1.sh" 10 >"$TMP/work.c"
gcc -E "$TMP/work.c" -o "$TMP/work.i"
checked cc1 30000 "$cc1" -quiet -fpreprocessed -O2 "$TMP/work.i" -o "$TMP/work.s"
checked python3 30000 "$PYTHON" -c 'import json; json.loads(json.dumps([{"id": i, "x": [str(i), i / 3]} for i in range(3000)]))'
checked sqlite3 500 sqlite3 -batch :memory: "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO t SELECT i, 'text ' || (i * 7919 % 5003) FROM n;
    CREATE INDEX tb ON t(b); SELECT substr(b, 1, 7), count(*) FROM t GROUP BY 1 LIMIT 3"
checked exceptions 3000 "$PROGRAMS/t_exceptions" 3000
checked stacks 1500 "$PROGRAMS/t_stacks" # longjmp, ucontext, recursion, alloca, arrays, sigaltstack
checked shapes 40000 "$PROGRAMS/t_shapes" 10000 # that end at one place and lie differently
checked signals 20000 "$PROGRAMS/t_signals"
checked threads 1000 "$PROGRAMS/t_threads" 4 1000
checked unloaded 1000 "$PROGRAMS/t_dl" "$PROGRAMS"
check_ge 1 "$(q "$TMP/unloaded.db" "SELECT count(*) FROM module a JOIN module b USING (start_address)
    WHERE a.path LIKE '%libplugin_a.so' AND b.path LIKE '%libplugin_b.so'")" "addresses that both libraries had"
checked varied 20000 "$WH_BUILD/tests/bench/stress" 2 16 10000
checked deep 5000 "$WH_BUILD/tests/bench/stress" 1 300 5000
