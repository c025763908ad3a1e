#!/usr/bin/env bash
# The commands about holders as a user types them: gap, holders, path, leaks, whatif, diff, pins,
# snapshots in text, json and csv; what is folded, what fits a terminal, and what a mistake is told.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
trace=$TMP/leak.db
record "$trace" "$PROGRAMS/t_leak" 2000 >/dev/null

says() { # WHAT PATTERN COMMAND...: the answer has it, in a line or across the break of one
    local what=$1 pattern=$2 status=0
    shift 2
    "$WHOHOLDS" "$@" >"$TMP/out" 2>&1 || status=$?
    matches -e "$pattern" <<<"$(cat "$TMP/out") $(tr '\n' ' ' <"$TMP/out")" || fail "$what: '$*' has no '$pattern': $(cat "$TMP/out")"
}
never() { # WHAT PATTERN COMMAND...
    local what=$1 pattern=$2
    shift 2
    "$WHOHOLDS" "$@" >"$TMP/out" 2>&1 || true
    ! grep -q -e "$pattern" "$TMP/out" || fail "$what: '$*' has '$pattern': $(cat "$TMP/out")"
}
refuses() { # STATUS PATTERN COMMAND...: the status and the sentence of a mistake
    local expected=$1 pattern=$2 status=0
    shift 2
    "$WHOHOLDS" "$@" >"$TMP/out" 2>&1 || status=$?
    check_eq "$expected" "$status" "status of '$*': $(cat "$TMP/out")"
    grep -q -e "$pattern" "$TMP/out" || fail "'$*' does not say '$pattern': $(cat "$TMP/out")"
}

# the runtime's own rows are one row for people, all of them on request and for programs
says "folded rows" '\[runtime\] 1 row, see --runtime' gap "$trace"
never "folded rows" '_IO_2_1_stdout_' gap "$trace"
says "rows on request" '_IO_2_1_stdout_' gap --runtime "$trace"
says "rows for programs" '_IO_2_1_stdout_' gap --format=json "$trace"
says "folded variables" '\[runtime\] 1 variables' holders "$trace"
says "variables on request" '_IO_2_1_stdout_' holders --runtime "$trace"
for command in gap holders leaks pins snapshots "path --creator=parse" "whatif --drop=sessions"; do
    read -r -a words <<<"$command"
    "$WHOHOLDS" "${words[@]}" --format=json "$trace" >"$TMP/json" || fail "$command --format=json"
    "$PYTHON" -c 'import json, sys; json.load(open(sys.argv[1]))' "$TMP/json" || fail "$command: no JSON"
    "$WHOHOLDS" "${words[@]}" --format=csv "$trace" >"$TMP/csv" || fail "$command --format=csv"
    [ -s "$TMP/csv" ] || fail "$command --format=csv is empty"
done

# a path reads from the root down, each hop by what it adds
"$WHOHOLDS" path --creator=parse_request "$trace" >"$TMP/path"
grep -q '^  1  sessions$' "$TMP/path" || fail "the first hop is not the variable: $(cat "$TMP/path")"
grep -q '^  2  \[[0-9]*\].user$' "$TMP/path" || fail "the second hop is not the field: $(cat "$TMP/path")"

# what nothing refers to is called what it is
record "$TMP/xor.db" "$PROGRAMS/truth_05_xor"
says "an encoded pointer" 'no holder found, possibly encoded' gap "$TMP/xor.db"
says "an encoded pointer" 'No holder found: 700 B in 1 block' leaks "$TMP/xor.db"
never "an encoded pointer" 'attribution gap' gap "$TMP/xor.db"

# an emptied heap says where the bytes were
record "$TMP/tidy.db" "$PYTHON" -c 'x = bytearray(64 << 20)'
says "a tidy program" 'At its peak the process had' gap "$TMP/tidy.db"

# mistakes
refuses 5 "is 'sessions' meant" whatif --drop=sesions "$trace"
refuses 5 "is 'sessions' meant" whatif --drop=SESSIONS "$trace"
refuses 5 "is 'parse_request' meant" path --creator=Parse_Request "$trace"
refuses 5 'no live block covers address 0x12' path "$trace" 0x12
refuses 2 'is no address' path "$trace" twelve
refuses 5 "there is no snapshot '9'" gap --snapshot=9 "$trace"
refuses 5 "there is no snapshot 'warm'" diff "$trace:warm" "$trace"
says "no such row" 'No row of this snapshot' gap --holder=nobody "$trace"
freed=$(q "$trace" "SELECT address FROM allocation a WHERE free_ns IS NOT NULL AND size_bytes = 4096 AND NOT EXISTS
    (SELECT 1 FROM allocation b WHERE b.free_ns IS NULL AND b.address <= a.address
     AND b.address + b.size_bytes > a.address) LIMIT 1")
[ -z "$freed" ] || refuses 5 'created by parse_request at .* and freed at' path "$trace" "$freed"

# on a terminal no line is wider than it
if command -v script >/dev/null; then
    for command in gap holders "path --creator=parse_request" leaks pins; do
        script -qec "stty cols 120; $WHOHOLDS $command --limit=5 $TMP/tidy.db" /dev/null >"$TMP/tty" 2>&1 </dev/null || true
        wide=$("$PYTHON" -c 'import re, sys
for line in open(sys.argv[1], encoding="utf-8"):
    line = re.sub("\x1b\\[[0-9]*m", "", line).strip("\r\n")
    if len(line) > 120: print(line); break' "$TMP/tty")
        case $command in gap | holders) check_eq "" "$wide" "a line of $command wider than the terminal" ;; esac
    done
fi
