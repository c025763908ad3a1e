#!/usr/bin/env bash
# Our unwinder stays out of the program's way: the C++ runtime's unwinding functions are bound to
# libgcc_s, never to a libunwind that came with us, and throwing costs what it did.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

same "$TMP/t.db" "$PROGRAMS/t_exceptions" 20000
record "$TMP/t.db" env LD_DEBUG=bindings LD_DEBUG_OUTPUT="$TMP/bind" "$PROGRAMS/t_exceptions" 10 >/dev/null
cat "$TMP"/bind.* >"$TMP/bindings"
grep -q "normal symbol .*_Unwind_RaiseException" "$TMP/bindings" || fail "no binding of _Unwind_RaiseException was seen"
if grep -E "libunwind.*normal symbol|to .*libunwind.*_Unwind_" "$TMP/bindings" | grep "_Unwind_RaiseException\|_Unwind_Resume" | grep -v "file .*libunwind[^ ]* \["; then
    fail "the program's exceptions are served by libunwind"
fi

# 14 times slower is what a hijacked unwinder costs; 4 leaves room for a busy machine.
best() { # COMMAND...: least ns per throw of three runs
    for _ in 1 2 3; do "$@" | sed -n 's/ ns per throw//p'; done | sort -n | sed -n 1p
}
bare=$(best "$PROGRAMS/t_exceptions" 20000 time)
traced=$(best record "$TMP/t.db" "$PROGRAMS/t_exceptions" 20000 time)
echo "ns per throw: $bare bare, $traced recorded"
[ "$traced" -lt $((bare * 4)) ] || fail "a throw costs $traced ns recorded, $bare ns bare"
