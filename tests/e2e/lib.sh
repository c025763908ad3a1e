# shellcheck shell=bash
# What the end-to-end scripts share; sourced first. A script runs the built product on real programs
# and asks the trace questions with the stock sqlite3. It exits 0 = passed, 77 = skipped (says why).
# Run one by hand: ctest --test-dir build -R e2e.NAME --output-on-failure, or
#   bash tests/e2e/NAME.sh   (WH_BUILD defaults to build; WH_KEEP=1 keeps the files)
set -euo pipefail
WH_SOURCE=${WH_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
WH_BUILD=${WH_BUILD:-$WH_SOURCE/build}
# shellcheck disable=SC2034 # used by the scripts
{
    WHOHOLDS=$WH_BUILD/bin/whoholds
    LIBRARY=$WH_BUILD/lib/libwhoholds.so
    PROGRAMS=$WH_BUILD/tests/programs
    PYTHON=/usr/bin/python3
}
TMP=$(mktemp -d "${TMPDIR:-/tmp}/whoholds-e2e.XXXXXX")
started=() # process ids that the script started in the background
unset WHOHOLDS_OUTPUT WHOHOLDS_SESSION

cleanup() {
    local status=$? pid
    trap - EXIT
    for pid in "${started[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
    done
    if [ -n "${WH_KEEP:-}" ]; then
        echo "kept: $TMP"
    else
        rm -rf "$TMP"
    fi
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        echo "run again: WH_BUILD=$WH_BUILD WH_KEEP=1 bash $0"
    fi
    exit "$status"
}
trap cleanup EXIT

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}
skip() {
    printf 'skipped: %s\n' "$*"
    exit 77
}
need() { # COMMAND...: skips the test when one is missing
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || skip "$command is not installed"
    done
}
need sqlite3 timeout

# check_eq EXPECTED ACTUAL WHAT
# Is it in the input? Reads all of it: a writer whose reader has left dies by SIGPIPE, and the pipe fails.
matches() { # GREP-ARGUMENTS
    local input
    input=$(cat)
    grep -q "$@" <<<"$input"
}

check_eq() {
    [ "$1" = "$2" ] || fail "$3: expected '$1', got '$2'"
}
# check_ge AT_LEAST ACTUAL WHAT
check_ge() {
    [ "$2" -ge "$1" ] || fail "$3: expected at least $1, got $2"
}

# q TRACE SQL: rows as sqlite3 prints them, columns separated by |.
q() {
    timeout 60 sqlite3 -batch -noheader -readonly -cmd ".timeout 20000" "$1" <<<"$2" # not as an argument: it may begin with "--"
}

# record TRACE COMMAND...: records quietly; the status is the command's.
record() {
    local trace=$1
    shift
    timeout 240 "$WHOHOLDS" record -q --force -o "$trace" -- "$@"
}

# wait_for SECONDS COMMAND...: until the command succeeds; fails when it does not in time.
wait_for() {
    local tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

# conserve TRACE: the sums that must agree in every trace, per process. Prints nothing when they do.
conserve() {
    local wrong
    wrong=$(timeout 60 sqlite3 -batch -noheader -readonly "$1" <"$WH_SOURCE/tests/e2e/conservation.sql") || fail "conservation: $1 cannot be read"
    [ -z "$wrong" ] || fail "conservation in $1: $wrong"
}

# same TRACE COMMAND...: the command gives the same output and status recorded as bare, and its trace
# conserves. Output that differs from run to run (addresses, process ids) is the command's to avoid.
same() {
    local trace=$1 bare=0 recorded=0
    shift
    "$@" >"$TMP/bare.out" 2>"$TMP/bare.err" </dev/null || bare=$?
    record "$trace" "$@" >"$TMP/recorded.out" 2>"$TMP/recorded.err" </dev/null || recorded=$?
    check_eq "$bare" "$recorded" "exit status of '$*'"
    cmp -s "$TMP/bare.out" "$TMP/recorded.out" || fail "'$*' prints something else: $(diff "$TMP/bare.out" "$TMP/recorded.out" | head -5)"
    cmp -s "$TMP/bare.err" "$TMP/recorded.err" || fail "'$*' has other errors: $(diff "$TMP/bare.err" "$TMP/recorded.err" | head -5)"
    conserve "$trace"
}

# made TRACE FUNCTION [PID]: blocks and bytes whose stack contains FUNCTION, as "objects|bytes".
made() {
    q "$1" "SELECT ifnull(sum(alloc_objects), 0), ifnull(sum(alloc_space), 0)
        FROM site s JOIN process p ON p.id = s.process_id WHERE ('${3:-}' = '' OR p.pid = '${3:-}')
          AND s.stack_id IN (SELECT stack_id FROM stack_frame WHERE function = '$2')"
}
