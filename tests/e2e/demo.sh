#!/usr/bin/env bash
# `./dev demo` shows what it promises: of the handbook's pair one creator with one stack, two holders, and
# what to do about each.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

bash "$WH_SOURCE/tests/demo.sh" >"$TMP/out" 2>"$TMP/err" || fail "the demo ended with $?: $(tail -5 "$TMP/err")"
check_eq "" "$(cat "$TMP/err")" "errors of the demo"
says() { # TEXT WHAT
    tr '\n' ' ' <"$TMP/out" | matches -- "$1" || fail "the demo does not show $2"
}
says 'The stacks are the same, too: mcache_init_0_func1 < .*netpoll_defaultPoll_Wait' "that the stacks are the same"
check_eq 2 "$(grep -c '98 %  mcache_init_0_func1$\|99.7 %  mcache_init_0_func1$' "$TMP/out")" "creator profiles that say the same"
says 'is held by `pollmanager.polls\[\*\].barriers' "the poller's barriers as holder"
says 'is held by `caches' "the pool as holder"
says '(stale_container).*advice  *Clear the slots' "what to do about the barriers"
says '(oversized_pool).*advice  *Limit the size of requests' "what to do about the pool"
says 'gc2  *247336 .* close  *84142416 ' "that the second collection frees the pool's buffers, and the close wave takes them again"
