#!/usr/bin/env bash
# whoholds-sim says what is wrong in one line, with the place and the nearest valid word, and ends
# with status 2; list and describe answer in both languages and as JSON.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need python3
SIM=$WH_BUILD/bin/whoholds-sim

# refused PART... -- COMMAND...: status 2, one line, which contains every PART
refused() {
    local parts=() status=0
    while [ "$1" != -- ]; do
        parts+=("$1")
        shift
    done
    shift
    "$@" >"$TMP/out" 2>"$TMP/err" || status=$?
    check_eq 2 "$status" "status of '$*'"
    check_eq 1 "$(wc -l <"$TMP/err")" "lines of error of '$*'"
    for part in "${parts[@]}"; do
        grep -qF -- "$part" "$TMP/err" || fail "'$*' does not say '$part': $(cat "$TMP/err")"
    done
}

refused "'barier'" "'barrier-request'" -- "$SIM" run barier
refused "'siez'" "'size'" -- "$SIM" run pool-reuse --set siez=3
refused "out of range" -- "$SIM" run pool-reuse --set buffers=0
refused "not a number" -- "$SIM" run pool-reuse --set size=big
refused "'--fixd'" "'--fixed'" -- "$SIM" run pool-reuse --fixd
refused "'mem'" "'memory'" -- "$SIM" run pool-reuse --io=mem
refused "'smal-packets'" "'small-packets'" -- "$SIM" run barrier-request --variant smal-packets
refused "'--variant'" "needs a value" -- "$SIM" run barrier-request --variant
refused "'--io'" "needs a value" -- "$SIM" run barrier-request --io
refused "'lst'" "'list'" -- "$SIM" lst
refused "'--langage'" "'--language'" -- "$SIM" describe pool-reuse --langage
refused "cannot open" -- "$SIM" run "$TMP/none.scn"

typo() { # EXPRESSION PART...: the scenario with one thing wrong
    local line
    sed "$1" "$WH_SOURCE/scenarios/pool-reuse.scn" >"$TMP/wrong.scn"
    line=$({ cmp "$WH_SOURCE/scenarios/pool-reuse.scn" "$TMP/wrong.scn" || true; } | sed 's/.*line //')
    refused "wrong.scn:$line:" "${@:2}" -- "$SIM" run "$TMP/wrong.scn"
}
typo 's/^model = pool-reuse/model = pool-reus/' "'pool-reuse'"
typo 's/^title =/titel =/' "'title'"

{ # a variant that sets what is not there, an expectation of a variant that is not there
    cat "$WH_SOURCE/scenarios/pool-reuse.scn"
    printf '\n[variant few]\nset = bufers=3\n'
} >"$TMP/wrong.scn"
refused "wrong.scn:$(grep -n '^set = bufers' "$TMP/wrong.scn" | cut -d: -f1):" "'bufers'" "'buffers'" \
    -- "$SIM" run "$TMP/wrong.scn"
sed 's/^set = bufers=3/set = buffers=3/' "$TMP/wrong.scn" >"$TMP/variant.scn"
"$SIM" run "$TMP/variant.scn" --variant few >"$TMP/out"
grep -q "buffers  *3 " "$TMP/out" || fail "a variant does not set its parameter"
sed '0,/^at = /s//variant = fwe\nat = /' "$TMP/variant.scn" >"$TMP/wrong.scn"
refused "wrong.scn:" "'fwe'" "'few'" -- "$SIM" run "$TMP/wrong.scn"


"$SIM" list >"$TMP/list"
check_eq 14 "$(wc -l <"$TMP/list")" "scenarios"
"$SIM" list --format json | python3 -c 'import json,sys; assert len(json.load(sys.stdin)) == 14'
while read -r name _; do
    "$SIM" describe "$name" --language en >"$TMP/en"
    "$SIM" describe "$name" --language zh >"$TMP/zh"
    grep -q "Who really holds" "$TMP/en" || fail "no English for $name"
    grep -q "真正的持有者" "$TMP/zh" || fail "no Chinese for $name"
done <"$TMP/list"
