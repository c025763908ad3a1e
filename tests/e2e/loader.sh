#!/usr/bin/env bash
# Programs that a preload must not harm: ldd, libc.so.6 and the loader run directly, a static program
# and one that is not ours to follow. What cannot be followed is said.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

libc=$(ldd "$PROGRAMS/t_leak" | sed -n 's/.*libc\.so\.6 => \([^ ]*\).*/\1/p')
loader=$(ldd "$PROGRAMS/t_leak" | sed -n 's/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\).*/\1/p')
for command in "ldd $PROGRAMS/t_leak" "$libc" "$loader $PROGRAMS/t_leak 10" "$loader --list $PROGRAMS/t_leak"; do
    read -ra words <<<"$command"
    bare=0 preloaded=0
    "${words[@]}" >"$TMP/bare" 2>&1 || bare=$?
    LD_PRELOAD=$LIBRARY WHOHOLDS_OUTPUT=$TMP/%e.%p.db timeout 60 "${words[@]}" >"$TMP/preloaded" 2>&1 || preloaded=$?
    check_eq "$bare" "$preloaded" "status of '$command'"
    # The list of libraries differs by ours, of course, and by the addresses.
    diff <(sed 's/(0x.*//' "$TMP/bare") <(sed 's/(0x.*//' "$TMP/preloaded" | grep -v whoholds) >"$TMP/diff" ||
        fail "'$command' prints something else: $(cat "$TMP/diff")"
done

# A static program: runs, and record says that it saw nothing and why.
if echo 'int main(void) { return 9; }' | gcc -static -x c -o "$TMP/static" - 2>/dev/null; then
    status=0
    record "$TMP/s.db" "$TMP/static" >"$TMP/out" 2>"$TMP/err" || status=$?
    check_eq 9 "$status" "status of a static program"
    grep -qi static "$TMP/err" "$TMP/out" || {
        "$WHOHOLDS" report "$TMP/s.db" >"$TMP/report" 2>&1 || true
        grep -qi static "$TMP/report" || fail "a static program was recorded as empty without a word"
    }
fi
