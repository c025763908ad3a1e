#!/usr/bin/env bash
# No false alarms: programs that do not leak, and the small programs whose holders are known, give check
# nothing to warn of. Most end in the middle of their work, with everything still in memory.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

warnings() { # COMMAND...: what check says of it above info
    record "$TMP/t.db" "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || true
    timeout 100 "$WHOHOLDS" check -f csv --fail-on never "$TMP/t.db" >"$TMP/csv" || fail "check of $*"
    sed 1d "$TMP/csv" | grep -v '^info,' || true
}
quiet() {
    local found
    found=$(warnings "$@")
    [ -z "$found" ] || fail "a false alarm about ${1##*/}: $found"
    checked=$((checked + 1))
}
checked=0

if [ -x "$PYTHON" ]; then
    quiet "$PYTHON" -c '
import json, os
made = {str(i): {"k": list(range(20)), "s": "x" * 100 + str(i)} for i in range(5000)}
text = json.dumps(made)
cache = {k: v["s"][:1] for k, v in json.loads(text).items()}
pieces = [text[i:i + 100] for i in range(0, 100000, 100)]
blob = bytearray(8 << 20)
views = [memoryview(blob)[i:i + 1] for i in range(100)]
os._exit(0)'
fi
quiet sqlite3 :memory: "CREATE TABLE t(a, b); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c
    WHERE i < 30000) INSERT INTO t SELECT i, hex(randomblob(50)) FROM c; CREATE INDEX x ON t(b);
    SELECT count(*) FROM t WHERE b > '8'"
if command -v git >/dev/null && git -C "$WH_SOURCE" rev-parse >/dev/null 2>&1; then
    quiet git -C "$WH_SOURCE" log --stat -n 50
fi
if command -v perl >/dev/null; then
    # shellcheck disable=SC2016 # perl's variables
    quiet perl -e 'my %h; $h{$_} = "x" x 100 for 1 .. 20000; kill 15, $$'
fi
quiet sh -c 'for i in 1 2 3; do ls -l /usr/lib | sort | head -3; done'
for program in "$PROGRAMS"/truth_*; do
    case $program in *.so) continue ;; esac
    quiet "$program"
done
check_ge 30 "$checked" "programs that were checked"

# Of several programs a finding names its own.
# shellcheck disable=SC2016 # the target's variable
record "$TMP/t.db" sh -c '"$1" run retained-request-field --set keys=100 --quiet' sh "$WH_BUILD/bin/whoholds-sim"
timeout 100 "$WHOHOLDS" check --fail-on never "$TMP/t.db" >"$TMP/out"
grep -q "program .*/whoholds-sim, pid [0-9]" "$TMP/out" || fail "the program is not named: $(cat "$TMP/out")"

# The same way, something that does leak is reported.
[ -n "$(warnings "$WH_BUILD/bin/whoholds-sim" run retained-request-field --set keys=100 --quiet)" ] ||
    fail "a leak is not reported"
