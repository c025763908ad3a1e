#!/usr/bin/env bash
# Every leaking scenario is recognised by its own rule, as the first finding; the fixed one gives nothing
# at warning level. The rules see references and events only: the scales here are what the thresholds,
# which are meant for real programs, need. Then the gate: exit status, formats, own rules.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
SIM=$WH_BUILD/bin/whoholds-sim

check_trace() { # TRACE [OPTION...]: first severity,rule of the findings; the status goes to $TMP/status
    local trace=$1 status=0
    shift
    timeout 100 "$WHOHOLDS" check -f csv "$@" "$trace" >"$TMP/csv" 2>"$TMP/err" || status=$?
    echo "$status" >"$TMP/status"
    sed -n 2p "$TMP/csv" | cut -d, -f1,2
}

recognised() { # NAME RULE KEY=VALUE...
    local name=$1 rule=$2 sets=() first
    shift 2
    for set in "$@"; do
        sets+=(--set "$set")
    done
    record "$TMP/leaking.db" "$SIM" run "$name" "${sets[@]}" >"$TMP/out"
    first=$(check_trace "$TMP/leaking.db")
    [[ $first = warning,$rule || $first = error,$rule ]] ||
        fail "$name: the first finding is '$first', not $rule: $(cut -c1-150 "$TMP/csv")$(cat "$TMP/err")"
    check_eq 1 "$(cat "$TMP/status")" "exit status of check on $name"
    record "$TMP/fixed.db" "$SIM" run "$name" --fixed "${sets[@]}" >"$TMP/out"
    first=$(check_trace "$TMP/fixed.db")
    if grep -qE '^(warning|error),' "$TMP/csv"; then
        fail "$name --fixed: $(cut -c1-200 "$TMP/csv")"
    fi
    check_eq 0 "$(cat "$TMP/status")" "exit status of check on $name --fixed"
    for trace in leaking fixed; do
        check_eq "0|0" "$(q "$TMP/$trace.db" "SELECT sum(lost_bytes), sum(lost_bytes IS NULL) FROM snapshot
            WHERE id = (SELECT max(id) FROM snapshot)")" "bytes lost by $name, $trace"
        timeout 60 "$WHOHOLDS" leaks --fail "$TMP/$trace.db" >"$TMP/leaks" ||
            fail "leaks of $name, $trace: $(head -5 "$TMP/leaks")"
    done
}

recognised barrier-response-nocopy stale_container connections=200
recognised barrier-response-copy stale_container connections=40 size=1MiB
recognised retained-request-field small_pin keys=100
recognised retained-response-field small_pin keys=100
recognised idle-connections idle_owners connections=6000
recognised oversized-request oversized_pool connections=10 size=1MiB
recognised many-clients repeated_singleton clients=400 changes=60
recognised string-alias string_alias objects=40 size=100000
recognised span-cache small_pin requests=2049
recognised stale-slice-tail stale_container connections=300
recognised peek-cache pool_reuse peeks=256
recognised goroutine-local-holder growth requests=2000
recognised barrier-request stale_container connections=200
recognised pool-reuse pool_reuse buffers=40

# The gate: --fail-on moves the limit, the findings stay the same and are kept in the table.
status_of() { # EXPECTED OPTION...
    local expected=$1 status=0
    shift
    timeout 60 "$WHOHOLDS" check "$@" >"$TMP/out" 2>"$TMP/err" || status=$?
    check_eq "$expected" "$status" "exit status of check $*: $(tail -2 "$TMP/err")"
}
LEAKING=$TMP/leaking.db
status_of 1 --fail-on warning "$LEAKING"
grep -q "(pool_reuse)" "$TMP/out" || fail "the text names no rule: $(cat "$TMP/out")"
status_of 0 --fail-on error "$LEAKING"
status_of 0 --fail-on never "$LEAKING"
status_of 1 --fail-on info "$LEAKING"
status_of 2 --fail-on sometimes "$LEAKING"
status_of 0 --rule lost "$LEAKING"
check_eq "nothing found: 1 rule looked" "$(cat "$TMP/out")" "what a single rule says"
status_of 2 --rule no_such_rule "$LEAKING"
grep -q no_such_rule "$TMP/err" || fail "an unknown rule is not named: $(cat "$TMP/err")"
status_of 1 "$LEAKING"
check_eq 1 "$(q "$LEAKING" "SELECT count(*) FROM finding WHERE holder = 'B_keep[*]'")" "findings about the same blocks"
check_ge 1 "$(q "$LEAKING" "SELECT count(*) FROM finding WHERE rule = 'pool_reuse' AND severity = 'warning'
    AND bytes > 0 AND objects > 0 AND evidence <> '' AND advice <> ''")" "rows of table finding"

# Formats that other programs read.
if command -v python3 >/dev/null; then
    for format in json sarif; do
        status_of 1 --format "$format" "$LEAKING"
        python3 -m json.tool <"$TMP/out" >"$TMP/tool" || fail "--format $format is no JSON"
        grep -q pool_reuse "$TMP/tool" || fail "--format $format does not name the rule"
        status_of 0 --format "$format" "$TMP/fixed.db"
        python3 -m json.tool <"$TMP/out" >"$TMP/tool" || fail "--format $format without findings is no JSON"
    done
fi

# A directory of rules adds one; one of the same name replaces; a broken one is named.
mkdir "$TMP/rules"
sed -e 's/^-- rule: .*/-- rule: any_block/' -e 's/^-- scope: .*/-- scope: trace/' -e '/^[^-]/d' "$WH_SOURCE/schema/rules/lost.sql" >"$TMP/rules/any_block.sql"
echo "SELECT 'error', NULL, NULL, sum(size_bytes), count(*), 'blocks were made', 'none' FROM allocation" \
    >>"$TMP/rules/any_block.sql"
status_of 1 --fail-on error --rules "$TMP/rules" "$LEAKING"
check_eq any_block "$(q "$LEAKING" "SELECT rule FROM finding WHERE severity = 'error'")" "the added rule's finding"
status_of 1 --rules "$TMP/rules" --rule any_block "$TMP/fixed.db"
check_eq any_block "$(q "$TMP/fixed.db" "SELECT group_concat(rule) FROM finding")" "the only rule that ran"
sed 's/any_block/pool_reuse/' "$TMP/rules/any_block.sql" | sed 's/^SELECT.*/& WHERE 0 GROUP BY 1/' >"$TMP/rules/pool_reuse.sql"
rm "$TMP/rules/any_block.sql"
status_of 0 --rules "$TMP/rules" "$LEAKING"
echo "FROM FROM" >>"$TMP/rules/pool_reuse.sql"
status_of 2 --rules "$TMP/rules" "$LEAKING"
grep -q "pool_reuse.sql" "$TMP/err" || fail "a broken rule is not named: $(cat "$TMP/err")"
