#!/usr/bin/env bash
# Another allocator below us, as a preloaded dynamic library: its blocks are recorded, it is named, and
# nothing loops.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

found=0
for name in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2 libmimalloc.so.3; do
    path=$(ldconfig -p | sed -n "s/.*$name .*=> //p" | sed -n 1p)
    [ -n "$path" ] || continue
    found=$((found + 1))
    for program in "t_leak 1000" "t_threads 4 2000" "t_early_late"; do
        read -ra words <<<"$program"
        status=0 bare=0
        LD_PRELOAD=$path "$PROGRAMS/${words[0]}" "${words[@]:1}" >"$TMP/bare" 2>&1 || bare=$?
        LD_PRELOAD=$path record "$TMP/t.db" "$PROGRAMS/${words[0]}" "${words[@]:1}" >"$TMP/out" 2>"$TMP/err" || status=$?
        check_eq "$bare" "$status" "status of $program on $name"
        cmp -s "$TMP/bare" "$TMP/out" || fail "$program on $name prints something else"
        conserve "$TMP/t.db"
        q "$TMP/t.db" "SELECT allocator FROM process WHERE allocator IS NOT NULL" | matches "${name%%.so*}" ||
            fail "$program: the trace does not say that $name serves malloc"
    done
    LD_PRELOAD=$path record "$TMP/t.db" "$PROGRAMS/t_leak" 1000 >/dev/null
    check_eq "1000|4096000" "$(made "$TMP/t.db" parse_request)" "blocks on $name"
done
[ "$found" -gt 0 ] || skip "no other allocator is installed"
