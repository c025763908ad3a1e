#!/usr/bin/env bash
# `./dev demo` shows what it promises: creator and holder of the example, and the handbook's pair with
# one creator and two holders.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

bash "$WH_SOURCE/tests/demo.sh" >"$TMP/out" 2>"$TMP/err" || fail "the demo ended with $?: $(tail -5 "$TMP/err")"
check_eq "" "$(cat "$TMP/err")" "errors of the demo"
grep -q parse_request "$TMP/out" || fail "the demo does not name the creator parse_request"
grep -q sessions "$TMP/out" || fail "the demo does not name the holder sessions"
if [ -x "$WH_BUILD/bin/whoholds-sim" ]; then
    grep -q barriers "$TMP/out" || fail "the demo does not name the poller's barriers"
    grep -q -i pool "$TMP/out" || fail "the demo does not name the pool"
fi
